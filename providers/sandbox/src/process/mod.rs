//! A sandbox as a background process of its user.
//!
//! A sandbox is a folder: its settings, token, state and machines. One process at a time serves it, which an exclusive
//! lock on `lock` proves; whoever asks whether a sandbox runs tries that lock, and never trusts a process id that a file
//! names. [`start`] starts the process and waits until it answers; a sandbox that was stopped or killed and is started again
//! has everything that it had.
//!
//! ```text
//! ROOT/NAME/            0700; ROOT is $REMINT_SANDBOX_DIR, $XDG_STATE_HOME/remint/sandbox or ~/.local/state/remint/sandbox
//!   settings.json       what it was started with; the next start without options takes it over
//!   sandbox.json        where it listens, its slot and its port map
//!   token               0600
//!   lock, start.lock    held while it runs, and while someone starts or stops it
//!   log, log.1          what it writes, and what it wrote before that became too much
//!   state/  machines/   the cloud's state, the machines
//!   balancers/          what runs load balancers; created again at each start
//! ```

mod client;
mod control;
mod env;
mod error;
mod folder;
mod kind;
mod log;
mod machines;
mod port_map;
mod record;
mod reset;
mod running;
mod serve;
mod slot;

pub use client::{AdminClient, calls, faults_add, faults_clear, faults_list};
pub use control::{StartOptions, State, Status, start, status, stop};
pub use env::{ClientEnv, Variable, env};
pub use error::{Result, SandboxError};
pub use folder::{DEFAULT_NAME, Folder, root};
pub use kind::Kind;
pub use machines::KindChoice;
pub use record::{DEFAULT_PORTS, Record, Settings};
pub use reset::reset;
pub use running::{Running, find};
pub use serve::serve;
