//! Runs on a real account.
//!
//! An account is run on only when somebody said so: [`prepare`] sets a marker, and [`AccountRun::plan`] refuses an account
//! without it. The plan says what would be run and what that may cost; whoever asked decides, and [`AccountRun::run`]
//! carries it out:
//!
//! ```no_run
//! # async fn example(target: remint_conformance::Target) -> Result<(), Box<dyn std::error::Error>> {
//! use remint_conformance::account::{AccountRun, Options};
//!
//! let settings = target.settings();
//! let suite = remint_conformance::Suite::of(target.provider.descriptor(), &settings).only(&["dns.*".to_owned()])?;
//! let mut run = AccountRun::plan(target, suite, Some(2.0)).await?;
//! if !run.estimate().is_free() && !yes(&run.estimate().to_string()) {
//!     run.decline_billable();
//! }
//! let report = run.run(Options::new("conformance-ledgers"), &mut |_| ()).await?;
//! std::process::exit(i32::from(report.verdict.exit_code()));
//! # }
//! # fn yes(_: &str) -> bool { true }
//! ```
//!
//! Whatever is made carries the run's id and the time from which on nobody needs it ([`crate::Tags`]), and stands in a
//! ledger on the disk before it is made ([`crate::LedgerFile`]). After each case, what it made is taken away in reverse;
//! at the end, whatever the run's label still finds is reported as leaked. [`Sweep`] deletes what a run that was killed
//! has left.

mod estimate;
mod marker;
mod run;
mod sweep;

pub use estimate::Estimate;
pub use marker::{MARKER, is_prepared, prepare, release};
pub use run::{AccountError, AccountRun, Options};
pub use sweep::{Doomed, Kept, Sweep, SweepOptions, Swept, Thing, Why};
