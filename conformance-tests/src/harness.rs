//! The suite as tests that `cargo test` lists, filters and counts.

use std::{
    any::Any,
    io::Write as _,
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::future::BoxFuture;
use jiff::Timestamp;
use libtest_mimic::{Arguments, Failed, Trial};
use remint_core::provider::Descriptor;
use tokio::{runtime::Runtime, sync::OnceCell};

use crate::{
    Case, Counts, Decided, Decision, Ended, Exemption, Outcome, Report, Runner, Setting, Suite, Target, Verdict,
};

/// Names a folder into which [`libtest`] writes reports.
pub const REPORT_VARIABLE: &str = "REMINT_CONFORMANCE_REPORT";

/// A target, and what must live as long as it.
pub struct Guarded {
    /// What the suite runs against.
    pub target: Target,
    /// What is dropped after the last case.
    pub guard: Box<dyn Any + Send + Sync>,
}

impl std::fmt::Debug for Guarded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.target.fmt(f)
    }
}

/// Who will be on a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tenancy {
    /// Many cases, side by side: its limits had better be high. Each gets a client of its own, where
    /// [`Target::another`] makes one.
    Shared,
    /// One case, which may use up limits and interfere.
    Alone,
}

/// Starts a target.
type Start = dyn Fn(Tenancy) -> BoxFuture<'static, Guarded> + Send + Sync;

/// Runs the suite for a provider as a test program's `main`: one test for each case. Cases that interfere get a target
/// of their own, all others share one.
///
/// What the provider does not declare, or the target does not bring, is listed as ignored with the reason in its name's
/// kind, never counted as passed. At the end stand the counts by outcome. When no case at all is to be run, that is a
/// failure with an exit code of its own ([`Verdict::Unknown`]).
///
/// With [`REPORT_VARIABLE`] in the environment, reports are written into the folder that it names.
pub fn libtest<F>(descriptor: &'static Descriptor, settings: &[Setting], exemptions: &[Exemption], start: F) -> ExitCode
where
    F: Fn(Tenancy) -> BoxFuture<'static, Guarded> + Send + Sync + 'static,
{
    let arguments = Arguments::from_args();
    let today = Timestamp::now().to_zoned_datetime(jiff::tz::TimeZone::UTC).date();
    let suite = match Suite::of(descriptor, settings).exempting(exemptions, today) {
        Ok(suite) => suite,
        Err(error) => return tell(&error.to_string(), Verdict::Failed),
    };
    if suite.to_run().next().is_none() {
        return tell("no case is to be run: that proves nothing", Verdict::Unknown);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return tell(&format!("no runtime: {error}"), Verdict::Failed),
    };
    let house = Arc::new(House { runtime, start: Box::new(start), shared: OnceCell::new(), ended: Mutex::default() });
    let started = Timestamp::now();
    let trials: Vec<_> = suite.cases.into_iter().map(|decided| trial(decided, &arguments, &house)).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    if arguments.list {
        return conclusion.exit_code();
    }
    let ended = std::mem::take(&mut *house.ended.lock().unwrap_or_else(PoisonError::into_inner));
    let counts: Counts = ended.iter().map(|ended| ended.outcome.kind()).collect();
    // Standard output, after the summary that it explains.
    drop(writeln!(std::io::stdout(), "{}: {counts}", descriptor.id));
    if let Some(folder) = std::env::var_os(REPORT_VARIABLE).map(PathBuf::from) {
        let report = Report::new(descriptor, "sandbox", started, &ended);
        if let Err(error) = report.write(&folder) {
            return tell(&error.to_string(), Verdict::Failed);
        }
    }
    conclusion.exit_code()
}

#[expect(clippy::print_stderr, reason = "a test program speaks to whoever runs it")]
fn tell(what: &str, verdict: Verdict) -> ExitCode {
    eprintln!("{what}");
    ExitCode::from(verdict.exit_code())
}

/// What all tests of the program share.
struct House {
    runtime: Runtime,
    start: Box<Start>,
    shared: OnceCell<Guarded>,
    ended: Mutex<Vec<Ended>>,
}

impl House {
    /// Runs a case on the shared target or on one of its own.
    fn run(&self, case: &Case) -> Outcome {
        self.runtime.block_on(async {
            if case.is_secluded() {
                let Guarded { target, guard } = (self.start)(Tenancy::Alone).await;
                let outcome = Runner::new(target).run(case).await;
                drop(guard);
                return outcome;
            }
            let shared = self.shared.get_or_init(|| (self.start)(Tenancy::Shared)).await;
            let mut target = shared.target.clone();
            if let Some(connect) = &target.another {
                target.provider = connect();
            }
            Runner::new(target).run(case).await
        })
    }

    fn note(&self, case: Case, outcome: Outcome, took: Duration) {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).push(Ended { case, outcome, took });
    }
}

fn trial(decided: Decided, arguments: &Arguments, house: &Arc<House>) -> Trial {
    let Decided { case, decision } = decided;
    let reported = match decision {
        Decision::Run => None,
        Decision::Report(outcome) => Some(outcome),
    };
    let ignored = reported.as_ref().is_some_and(|outcome| !outcome.kind().is_bad());
    let kind = reported.as_ref().map(ToString::to_string).unwrap_or_default();
    let (run, now) = (reported.clone(), Arc::clone(house));
    let test = move || {
        let started = Instant::now();
        let outcome = run.unwrap_or_else(|| now.run(&case));
        now.note(case, outcome.clone(), started.elapsed());
        match outcome {
            Outcome::Passed => Ok(()),
            other => Err(Failed::from(format!("{}\n{other}", case.title))),
        }
    };
    let trial = Trial::test(case.id, test).with_kind(kind).with_ignored_flag(ignored);
    if let Some(outcome) = reported.filter(|_| ignored && !arguments.is_filtered_out(&trial)) {
        house.note(case, outcome, Duration::ZERO);
    }
    trial
}
