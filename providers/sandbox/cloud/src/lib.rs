//! The cloud behind the API: its state, its rules, and what takes time.
//!
//! [`Cloud`] is the handle of one account: each [`Api`] has its own, over the same machines. All requests read and change one
//! state under one lock; a change is on the disk before its request is answered. What takes time is an action: it is
//! recorded with the moment it is due, and a task carries it out.
//!
//! **After a restart**, also after SIGKILL in the middle of anything, these rules make the state and the world agree:
//!
//! - A machine without an instance is destroyed. An instance without a machine is `off`, and its next action errs.
//! - An action in progress is done again from its beginning, with what is left of its delay: a creation destroys what
//!   there is of the machine and makes it anew (nobody has seen it yet), a snapshot captures again, and all others give the
//!   same result when done twice. So no action is lost, none stays in progress for ever, and what is locked is unlocked.
//! - An instance that was `active` and whose machine is off now is switched on again, as a cloud does after its host failed,
//!   unless it was asked to be off (shutdown, power off). A guest that switched itself off while no sandbox was running
//!   cannot be told from one that went down with the sandbox, and is switched on too.
//! - The [`Edge`] has all static IPs, load balancers and zones before the API listens.
//!
//! Not taken: a journal of changes. The state is small, and one file that is replaced as a whole needs no recovery.

mod account;
mod action;
mod api;
pub mod balancer;
mod balancers;
pub mod calls;
pub mod catalogue;
mod cloud;
mod config;
pub mod connection;
mod delays;
mod edge;
mod error;
pub mod faults;
mod front;
#[cfg(test)]
mod fuzz;
mod halt;
mod handle;
mod images;
mod instances;
mod lock;
pub mod record_text;
mod resume;
mod runner;
pub mod state;
mod static_ips;
mod store;
mod tell;
mod work;
mod zones;

pub use account::{Account, Standing};
pub use action::{Begin, now};
pub use api::Api;
pub use cloud::Cloud;
pub use config::{AccountLimits, Config};
pub use delays::Profile;
pub use edge::{Edge, ZoneRecord, ZoneSnapshot};
pub use error::{ApiError, ApiResult, CloudError};
pub use faults::{Bent, NoRoom, Shape, html, seen, will_fail, with_doomed_actions};
pub use front::Front;
pub use instances::NewInstances;
pub use state::{DelayKind, DrawnDelay, State};
pub use zones::TTL;
