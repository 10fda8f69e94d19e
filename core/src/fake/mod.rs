//! A cloud in memory, for tests of the engine.
//!
//! The [`World`] is the cloud itself; several processes share it, each through a [`FakeCloud`] of its own. A mutation has three
//! moments: the request is sent, the world changes, the reply arrives. The second happens in a task that is not the caller's, so
//! that what a killed process has asked for still happens. By default all three are one moment and nothing fails; [`Faults`]
//! draws delays and failures from a seed.

mod addresses;
mod client;
mod compute;
mod dice;
mod faults;
mod guest;
mod hand;
mod images;
mod kill;
mod names;
mod state;
mod store;
mod tests;
mod world;

pub(crate) use client::FakeCloud;
pub(crate) use dice::Dice;
pub(crate) use faults::{Fault, Faults, Rates, Site};
pub(crate) use guest::{Guest, LOGIN_KEYS, Task, success};
pub(crate) use kill::Kill;
pub(crate) use state::{Flavour, Machine, Pace, RecordKey, State};
pub(crate) use store::KillStore;
pub(crate) use world::{Actor, Change, World};
