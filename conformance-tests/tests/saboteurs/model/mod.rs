//! A cloud that does not exist, and the provider of its account: what the saboteurs are made from.
//!
//! It is a fake, and serves nothing but this test. It declares every capability, keeps every sentence of the contracts,
//! and has the habits that make real clouds hard: it takes its time, answers in pages, lists what was made only some
//! time later, refuses what is at work, counts addresses, and loses replies when it is asked to. Its clock is tokio's,
//! which the test stops: minutes of it pass in no time.
//!
//! [`cloud`] is the cloud with its API, the other modules are its provider. The engine's own fake (in core) cannot serve:
//! its steps are moments at which a process dies, it takes nearly every argument, and it is part of core's own tests, which
//! cannot use a crate that depends on core.

mod cloud;
mod disks;
mod dns;
mod images;
mod instances;
mod login_keys;
mod machines;
mod markers;
mod provider;
mod static_ips;
mod strays;
mod target;
mod world;

pub(crate) use cloud::{Cloud, ELSEWHERE, HOME, PAGE, ZONE};
pub(crate) use provider::{FULL, LIMITS, MODEST, Model, WHOLE};
pub(crate) use target::{SETTINGS, target};
pub(crate) use world::{Disk, Ip, Machine, World, not_found, refusal};
