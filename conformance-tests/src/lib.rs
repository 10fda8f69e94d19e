//! The behaviour suite that every Remint provider passes.
//!
//! The traits in [`remint_core::provider`] say how a provider behaves; a [`Case`] holds it to one of those sentences. Cases
//! are data, in one table for each concern (see [`cases`]). About half of them say what must fail, with which kind of
//! error, and that it changed nothing.
//!
//! A [`Target`] is a provider with what a case needs to know of its cloud. [`Suite::of`] says which cases it is held to,
//! which it does not declare, and which its cloud gives no means for; [`Runner`] runs one case, destroys everything that
//! the case made, and looks whether anything is left. [`libtest`] makes tests of all this:
//!
//! ```no_run
//! # async fn start() -> remint_conformance::Guarded { unimplemented!() }
//! # fn settings() -> remint_conformance::Settings { unimplemented!() }
//! # static DESCRIPTOR: fn() -> &'static remint_core::provider::Descriptor = || unimplemented!();
//! fn main() -> std::process::ExitCode {
//!     remint_conformance::libtest(DESCRIPTOR(), settings(), || Box::pin(start()))
//! }
//! ```

mod case;
pub mod cases;
mod context;
mod harness;
mod ledger;
mod outcome;
mod runner;
pub mod scaffold;
mod steps;
mod suite;
mod target;

pub use case::{Case, CaseFn, Cost, Failure, Level};
pub use context::CaseContext;
pub use harness::{Guarded, libtest};
pub use ledger::Ledger;
pub use outcome::Outcome;
pub use runner::Runner;
pub use suite::{Plan, Planned, Suite};
pub use target::{Interference, LostReply, Setting, Settings, Target};
