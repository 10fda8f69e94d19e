//! Elastic Load Balancing, version 2: application and network load balancers, their listeners and target groups.
//!
//! A load balancer is one of the engine's, with a pool of members for each target group that a listener sends to. Its settings
//! there always follow from what is kept here: [`engine::sync`] derives them after every change.

mod attributes;
mod balancers;
mod dispatch;
mod engine;
mod health;
mod interfaces;
mod limits;
mod listeners;
mod model;
mod read;
mod refusal;
mod tags;
mod target_groups;
mod targets;

pub(super) use dispatch::answer;
pub(super) use engine::{forget_instance, settle};
pub(super) use interfaces::{Nic, all as interfaces, uses_group};
pub(super) use model::{Elb, alias};
