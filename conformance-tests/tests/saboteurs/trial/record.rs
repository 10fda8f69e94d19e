//! What came of it: every provider through every case.

use std::{
    collections::BTreeMap,
    panic::AssertUnwindSafe,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures::FutureExt as _;
use remint_conformance::{Case, Decision, Outcome, Runner, Suite, Target};
use remint_core::provider::Descriptor;

use crate::{cloud::SETTINGS, sabotage::Saboteur};

/// The outcomes of one provider, by case.
pub(super) type Outcomes = BTreeMap<&'static str, Outcome>;

/// The outcomes of all saboteurs, by their id.
pub(super) type Record = BTreeMap<&'static str, Outcomes>;

/// Runs a provider through the suite for what it declares: each case on a target of its own, in stopped time.
pub(super) fn outcomes(descriptor: &Descriptor, target: impl Fn() -> Target) -> Outcomes {
    let run = |case: &Case| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime without input and output needs nothing of the system");
        let tried = AssertUnwindSafe(async { Runner::new(target()).run(case).await });
        let outcome = runtime.block_on(tried.catch_unwind());
        outcome.unwrap_or_else(|_| Outcome::Failed("the case panicked".to_owned()))
    };
    let decided = Suite::of(descriptor, SETTINGS).cases.into_iter();
    decided
        .map(|decided| {
            let outcome = match decided.decision {
                Decision::Run => run(&decided.case),
                Decision::Report(outcome) => outcome,
            };
            (decided.case.id, outcome)
        })
        .collect()
}

/// Runs all saboteurs, on as many threads as there are processors.
pub(super) fn record(saboteurs: &[&'static Saboteur]) -> Record {
    let (next, record) = (AtomicUsize::new(0), Mutex::new(Record::new()));
    let work = || {
        while let Some(saboteur) = saboteurs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcomes = outcomes(saboteur.descriptor(), || saboteur.target());
            record.lock().unwrap_or_else(PoisonError::into_inner).insert(saboteur.id, outcomes);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    record.into_inner().unwrap_or_else(PoisonError::into_inner)
}
