//! Replacing instances behind a stable address.
//!
//! A release walks through the phases of [`crate::journal::Phase`]. Each is written to the journal before anything is done
//! in it, and each may be entered again: it observes the world, and does what is left. The invariant, at every instant
//! and after any crash: the stable address points at an instance that has passed its gate, and no instance exists that the
//! journal or its labels do not account for.
//!
//! - Before *switching*, a failure or an interruption destroys the new instances; the old ones were not touched.
//! - From *switching* on, a failure moves the address back first.
//! - From *retiring* on, nothing is taken back: the new instance serves; what is left is to remove the old ones.
//!
//! Behind a load balancer there are several instances, and a phase of its own, *rolling*: new ones become members and old ones go,
//! wave after wave. Undoing it is the same way back.
//!
//! The keys of a release live only in the memory of the run that made them. So a run that goes on after a crash cannot look
//! inside an instance that had not passed its gate: it destroys it, and launches anew under another name.
//!
//! A rollback takes the image of an earlier release, and the configuration of the manifest as it is now: configurations
//! hold secrets, and are kept nowhere.

mod adopt;
mod bake;
mod configuration;
mod destroy;
mod digest;
#[cfg(test)]
pub(crate) mod door;
mod engine;
mod facts;
mod fleet;
mod gate;
mod gc;
mod health;
mod images;
mod kept;
mod launch;
mod named;
mod observe;
mod plan;
mod planner;
mod preflight;
mod retire;
mod rollback;
mod rollout;
mod run;
mod sizes;
mod status;
mod switch;
#[cfg(test)]
mod tests;
mod undo;
mod undo_rollout;
mod unfinished;
mod walk;
mod waves;

use crate::error::{EngineError, EngineErrorKind};
pub use adopt::{AdoptOptions, AdoptedAddress, AdoptedInstance, AdoptedRelease, Adoption, adopt, adoption};
pub use bake::{bake, bake_each};
pub use destroy::destroy;
pub use fleet::Waves;
pub use gc::{Leftover, Leftovers, gc, leftovers};
pub use images::{ImageUse, images, prune};
pub use kept::{KeptBuilder, kept_builders};
pub use plan::plan;
pub use planner::{Plan, Refusal, Step};
pub use rollback::rollback;
pub use run::{DeployOptions, DeployReport, deploy};
pub use sizes::{SizeError, UserDataSize, user_data_size};
pub use status::{InstanceStatus, Status, history, host_keys, show, status};
pub use unfinished::{abort, resume};
