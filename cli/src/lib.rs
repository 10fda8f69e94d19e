//! The `remint` command, as a library: link a provider of your own beside those of this build and call [`main`].
//!
//! ```no_run
//! // use my_cloud as _;   // the crate that submits its `remint_core::provider::Registration`
//! fn main() -> std::process::ExitCode {
//!     remint_cli::main()
//! }
//! ```
//!
//! The data's way is one: [`args`] (what clap reads) → [`settings`] (merged, pure) → one file of [`commands`] a verb →
//! [`printer`], the only place that writes to the terminal.

pub mod args;
mod commands;
mod complete;
mod exit;
pub mod printer;
mod providers;
mod run;
mod session;
pub mod settings;
mod signals;
mod target;

pub use exit::{ExitStatus, Failure};
pub use run::main;
