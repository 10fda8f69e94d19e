//! The operations of EC2's Query API. None knows another: what several of them do is below them.

mod addresses;
mod attributes;
mod dispatch;
mod fixed;
mod gateways;
mod groups;
mod images;
mod instances;
mod key_pairs;
mod launch;
mod network;
mod offers;
mod power;
mod snapshots;
mod tags;
mod volumes;

pub(super) use dispatch::answer;
