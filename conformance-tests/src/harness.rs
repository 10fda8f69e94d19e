//! The suite as tests that `cargo test` lists, filters and counts.

use std::{any::Any, process::ExitCode, sync::Arc};

use futures::future::BoxFuture;
use libtest_mimic::{Arguments, Failed, Trial};
use remint_core::provider::Descriptor;

use crate::{Case, Outcome, Plan, Planned, Runner, Settings, Suite, Target};

/// A target, and what must live as long as it.
pub struct Guarded {
    /// The target.
    pub target: Target,
    /// What is dropped after the case.
    pub guard: Box<dyn Any + Send>,
}

impl std::fmt::Debug for Guarded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.target.fmt(f)
    }
}

/// Runs the suite for a provider as a test program's `main`: one test for each case, each on a target of its own.
///
/// What the provider does not declare, or the target does not bring, is listed as ignored with the reason in its name's
/// kind, never counted as passed. When no case at all is to be run, that is a failure.
pub fn libtest<F>(descriptor: &Descriptor, settings: Settings, target: F) -> ExitCode
where
    F: Fn() -> BoxFuture<'static, Guarded> + Send + Sync + 'static,
{
    let arguments = Arguments::from_args();
    let suite = Suite::of(descriptor, settings);
    if !suite.cases.iter().any(|planned| planned.plan == Plan::Run) {
        return none_to_run();
    }
    let target = Arc::new(target);
    let trials = suite.cases.into_iter().map(|planned| trial(planned, Arc::clone(&target))).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    conclusion.exit_code()
}

#[expect(clippy::print_stderr, reason = "a test program speaks to whoever runs it")]
fn none_to_run() -> ExitCode {
    eprintln!("no case is to be run: that proves nothing");
    ExitCode::FAILURE
}

fn trial<F>(planned: Planned, target: Arc<F>) -> Trial
where
    F: Fn() -> BoxFuture<'static, Guarded> + Send + Sync + 'static,
{
    let Planned { case, plan } = planned;
    let kind = match &plan {
        Plan::Run => String::new(),
        Plan::Report(outcome) => outcome.to_string(),
    };
    let ignored = plan != Plan::Run;
    Trial::test(case.id, move || run(&case, &*target)).with_kind(kind).with_ignored_flag(ignored)
}

fn run(case: &Case, target: &dyn Fn() -> BoxFuture<'static, Guarded>) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let outcome = runtime.block_on(async {
        let Guarded { target, guard } = target().await;
        let outcome = Runner::new(target).run(case).await;
        drop(guard);
        outcome
    });
    match outcome {
        Outcome::Passed => Ok(()),
        other => Err(format!("{}\n{other}", case.title).into()),
    }
}
