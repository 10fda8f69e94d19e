//! Waiting for a cloud: one watcher per account, which looks once for everybody who waits.
//!
//! Whoever waits for an instance joins the others that wait for instances with the same selector. The first of them
//! whose next look is due lists them all; every other waiter is fed from that answer and puts its own look off. So the
//! number of calls depends on how long the cloud takes, not on how many wait. There is no background task: a
//! waiter that is dropped leaves nothing behind, and another one takes over.
//!
//! Nobody looks before the cloud can be done at best ([`crate::provider::Limits`]); after that the pauses grow with the
//! time already waited, so that the delay that looking adds stays a small share of the whole.

mod board;
mod error;
mod instances;
mod schedule;
mod static_ips;
#[cfg(test)]
mod tests;
mod watcher;

pub use error::WatchError;
pub use schedule::Wait;
pub use watcher::{Observed, Watcher};
