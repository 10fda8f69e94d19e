//! The judgement over a record. Pure, so that it can be asked what it would say of a suite that lacks a case.

use std::collections::BTreeSet;

use remint_conformance::Outcome;

use super::record::Record;
use crate::sabotage::Saboteur;

/// Ids of cases.
pub(super) type Cases = BTreeSet<&'static str>;

fn cases_with(record: &Record, saboteur: &Saboteur, holds: fn(&Outcome) -> bool) -> Cases {
    let outcomes = record.get(saboteur.id).into_iter().flatten();
    outcomes.filter(|(_, outcome)| holds(outcome)).map(|(case, _)| *case).collect()
}

/// The cases that noticed a saboteur, in whatever way.
pub(super) fn noticed_by(record: &Record, saboteur: &Saboteur) -> Cases {
    cases_with(record, saboteur, |outcome| outcome.kind().is_bad())
}

/// The cases that name a saboteur's fault and caught it. A leak alone does not count: cleaning up is every case's.
pub(super) fn caught_by(record: &Record, saboteur: &Saboteur) -> Cases {
    let failed = cases_with(record, saboteur, |outcome| matches!(outcome, Outcome::Failed(_) | Outcome::TimedOut(_)));
    saboteur.caught_by.iter().copied().filter(|case| failed.contains(case)).collect()
}

/// Whether no case of a suite catches a saboteur.
pub(super) fn walks_free(record: &Record, saboteur: &Saboteur, suite: &Cases) -> bool {
    caught_by(record, saboteur).is_disjoint(suite)
}

/// The cases that are said to catch a saboteur and do not: they pass, or are not in the suite.
pub(super) fn blind(record: &Record, saboteur: &Saboteur, suite: &Cases) -> Vec<&'static str> {
    let caught = caught_by(record, saboteur);
    let sees = |case: &str| suite.contains(case) && caught.contains(case);
    saboteur.caught_by.iter().copied().filter(|case| !sees(case)).collect()
}
