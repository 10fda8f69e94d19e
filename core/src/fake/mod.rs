//! A cloud in memory, for tests of the engine: it takes its time, counts its calls, and can die with the process at any
//! of them.

mod cloud;
mod concerns;
mod kill;
mod store;

pub(crate) use cloud::{FakeCloud, Pace};
pub(crate) use kill::Kill;
pub(crate) use store::KillStore;
