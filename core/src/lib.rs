//! Remint's core: everything that is true on every cloud.
//!
//! [`provider`] holds the contracts that a cloud implements, [`manifest`] what the user writes, `bake` and
//! `deploy` the engine, `journal` what survives a crash, `remote` the way into a machine, `userdata` what a
//! machine is told at its first boot, and [`events`] what all of them report. [`context`] ties a run together, and
//! [`watch`] waits for the cloud on behalf of everybody in it. [`redact`] stands between foreign text and whoever reads it, and [`child`] between
//! credentials and the programs that are started. No cloud's name appears here.

pub mod bake;
mod chance;
pub mod child;
mod clock;
pub mod context;
pub mod deploy;
mod duration;
pub mod error;
pub mod events;
#[cfg(any(test, feature = "fake"))]
pub mod fake;
mod first_boot;
#[cfg(test)]
mod fuzz;
pub mod health;
pub mod journal;
mod logins;
mod machine;
pub mod manifest;
pub mod provider;
pub mod recipe;
pub mod redact;
pub mod remote;
mod resources;
#[cfg(test)]
mod sim;
mod spawn;
mod traffic;
pub mod tree;
pub mod userdata;
pub mod watch;
