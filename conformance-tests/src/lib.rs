//! The behaviour suite that every Remint provider passes.
//!
//! The traits in [`remint_core::provider`] say how a provider behaves; a [`Case`] holds it to one of those sentences. Cases
//! are data, in one table for each concern (see [`cases`]). About half of them say what must fail, with which kind of
//! error, and that it changed nothing.
//!
//! A [`Target`] is a provider with what a case needs to know of its cloud. [`Suite::of`] says which cases it is held to,
//! which it does not declare, and which its cloud gives no means for; [`Runner`] runs one case, destroys everything that
//! the case made, and looks whether anything is left. [`libtest`] makes tests of all this, for sandboxes; [`account`] runs
//! it on a real account, with a ledger and a budget:
//!
//! ```no_run
//! # async fn start(_: remint_conformance::Tenancy) -> remint_conformance::Guarded { unimplemented!() }
//! # fn settings() -> remint_conformance::Settings { unimplemented!() }
//! # static DESCRIPTOR: fn() -> &'static remint_core::provider::Descriptor = || unimplemented!();
//! fn main() -> std::process::ExitCode {
//!     remint_conformance::libtest(DESCRIPTOR(), settings(), &[], |tenancy| Box::pin(start(tenancy)))
//! }
//! ```

pub mod account;
mod balancing;
mod case;
pub mod cases;
mod cleaning;
mod context;
mod exemption;
mod harness;
mod inside;
mod ledger;
mod outcome;
mod recording;
mod report;
mod runner;
pub mod scaffold;
mod steps;
mod suite;
mod target;
mod traced;
mod wrapped;

pub use case::{Case, CaseFn, Cost, Failure, Level};
pub use context::CaseContext;
pub use exemption::Exemption;
pub use harness::{Guarded, REPORT_VARIABLE, Tenancy, libtest};
pub use ledger::{Header, LEDGER_VERSION, Ledger, LedgerError, LedgerFile, Line, PastRun, Resource, Step};
pub use outcome::{Block, Counts, Outcome, OutcomeKind, Verdict};
pub use recording::Recorded;
pub use report::{Bundle, CaseReport, FORMAT_VERSION, Report, ReportError, RunFacts, providers_page};
pub use runner::{RUN_LABEL, Runner, SERVICE, Tags};
pub use suite::{Decided, Decision, Ended, Progress, Suite, SuiteError};
pub use target::{Connect, Interference, LostReply, Refusal, Setting, Settings, Target};
pub use traced::{CallLine, CallLog, Traced};
