//! One machine of ours, for bakes, boot checks and deploys alike: launched, reached over SSH, through with its first boot, stopped,
//! destroyed.
//!
//! What must be written down before and after each of these is the caller's: a bake notes it for its clean-up, a release in the
//! journal.

mod destroy;
mod error;
mod launch;
mod open;
mod power;

pub(crate) use destroy::{destroy, destroy_all};
pub(crate) use error::MachineError;
pub(crate) use launch::{launch, launch_all, with_address};
pub(crate) use open::{Machine, Way};
pub(crate) use power::{patiently, stop};
