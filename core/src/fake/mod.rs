//! A cloud in memory, for the tests of the engine, of the conformance suite, and of crates that build on core.
//!
//! The [`World`] is the cloud itself; several processes share it, each through a [`FakeCloud`] of its own, which is a
//! [`Provider`](crate::provider::Provider). A mutation has three moments: the request is sent, the world changes, the reply
//! arrives. The second happens in a task that is not the caller's, so that what a killed process has asked for still happens. By
//! default all three are one moment and nothing fails; [`Faults`] draws delays and failures from a seed, [`Pace::travel`] gives
//! requests a time on their way, and [`World::lose_next`] and [`World::refuse_next`] let one go wrong. [`Kill`] lets a process die.
//!
//! Clouds differ, and [`Flavour`] says in what: by default the cloud takes nearly every argument and shows everything at once.
//! Its clock is tokio's, which a test can stop.
//!
//! The engine's own tests have all of it; others get it by the feature `fake`:
//!
//! ```
//! use std::time::Duration;
//!
//! use remint_core::{
//!     fake::{Actor, FakeCloud, Flavour, Pace, World},
//!     provider::Provider,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
//! # runtime.block_on(async {
//! let pace = Pace { launch: Duration::from_secs(5), ..Pace::default() };
//! let world = World::new(pace, Flavour { strict: true, ..Flavour::default() });
//! let cloud = FakeCloud::connect(&world, Actor("me".to_owned()));
//! let image = cloud.images().resolve("debian", &"here".into()).await?;
//! assert_eq!(image.name, "debian");
//! assert!(world.state().machines.is_empty());
//! # Ok(())
//! # })
//! # }
//! ```

mod addresses;
mod balancers;
#[cfg(test)]
mod balancers_tests;
mod change;
mod client;
mod compute;
mod dice;
mod faults;
mod flavour;
#[cfg(test)]
mod guest;
#[cfg(test)]
mod hand;
mod images;
mod kill;
mod members;
#[cfg(test)]
mod members_tests;
mod names;
mod state;
#[cfg(test)]
mod store;
mod strays;
#[cfg(test)]
mod tests;
mod transaction;
mod trouble;
mod world;

pub use change::{Actor, Change};
pub use client::FakeCloud;
pub use dice::Dice;
#[cfg(test)]
pub(crate) use faults::STALEST;
pub use faults::{Fault, Faults, Rates, Site};
pub use flavour::{Balancing, Catalogue, Flavour, Pace};
#[cfg(test)]
pub(crate) use guest::{Guest, LOGIN_KEYS, Task, success};
pub use kill::Kill;
pub use members::{Balancer, Membership};
pub use state::{Capture, Ip, Machine, Move, RecordKey, State};
#[cfg(test)]
pub(crate) use store::KillStore;
pub use transaction::Transaction;
pub use world::World;
