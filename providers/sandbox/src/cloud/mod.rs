//! The cloud behind the API: its state, its rules, and what takes time.
//!
//! [`Cloud`] is the handle of one account: each [`Api`] has its own, over the same machines. All requests read and change one state under one lock; a change is on the disk before its
//! request is answered. What takes time is an action: it is recorded with the moment it is due, and a task carries it out.
//!
//! **After a restart**, also after SIGKILL in the middle of anything, these rules make the state and the world agree:
//!
//! - A machine without a droplet is destroyed. A droplet without a machine is `off`, and its next action errs.
//! - An action in progress is done again from its beginning, with what is left of its delay: a creation destroys what
//!   there is of the machine and makes it anew (nobody has seen it yet), a snapshot captures again, and all others give the
//!   same result when done twice. So no action is lost, none stays in progress for ever, and what is locked is unlocked.
//! - A droplet that was `active` and whose machine is off now is switched on again, as a cloud does after its host failed,
//!   unless it was asked to be off (shutdown, power off). A guest that switched itself off while no sandbox was running
//!   cannot be told from one that went down with the sandbox, and is switched on too.
//! - All reserved IPs and zones are told to the [`Edge`] before the API listens.
//!
//! Not taken: a journal of changes. The state is small, and one file that is replaced as a whole needs no recovery.

mod action;
mod api;
pub(crate) mod catalogue;
mod config;
pub(crate) mod domains;
pub(crate) mod droplet_actions;
pub(crate) mod droplets;
mod edge;
mod error;
mod halt;
mod handle;
mod images;
mod keys;
mod profile;
pub(crate) mod records;
mod reserved_ips;
mod resume;
mod runner;
pub(crate) mod state;
mod store;
pub(crate) mod tags;
mod tell;
pub(crate) mod vpcs;

pub use action::with_doomed_actions;
pub(crate) use action::{now, will_fail};
pub use api::Api;
pub use config::{AccountLimits, Config};
pub(crate) use droplets::NewDroplets;
pub use edge::{Edge, ZoneRecord, ZoneSnapshot};
pub use error::{ApiError, ApiResult};
pub use handle::{Cloud, CloudError};
pub use profile::{DelayKind, DrawnDelay, Profile};
