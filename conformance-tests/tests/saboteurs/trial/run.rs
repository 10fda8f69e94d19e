//! The tests.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::ExitCode,
    sync::{Arc, LazyLock},
};

use libtest_mimic::{Arguments, Failed, Trial};
use remint_conformance::{Block, Case, Outcome, Setting, cases};
use remint_core::provider::Descriptor;

use super::{
    judgement::{Cases, blind, caught_by, noticed_by, walks_free},
    page,
    record::{Record, outcomes, record},
};
use crate::{
    cloud::{FULL, MODEST, target},
    roll,
    sabotage::Saboteur,
};

/// The fewest saboteurs that prove anything.
const FEWEST: usize = 40;

static SABOTEURS: LazyLock<Vec<&'static Saboteur>> = LazyLock::new(|| roll::all().collect());

/// Everybody's outcomes; made by whichever test needs them first.
static RECORD: LazyLock<Record> = LazyLock::new(|| record(&SABOTEURS));

/// All cases, the probes of what is not declared included.
fn suite() -> Vec<&'static Case> {
    cases::all().chain(cases::PROBES.iter().map(|(_, case)| case)).collect()
}

/// The tests, or the page.
pub(crate) fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "--table") {
        return print(&page::page(&SABOTEURS, &suite()));
    }
    let mut arguments = Arguments::from_args();
    // The record is made on all processors already.
    arguments.test_threads = Some(1);
    let test = |name: &str, test: fn() -> Result<(), Failed>| Trial::test(name, test);
    let mut trials = vec![
        test("roll::is_long_and_without_doubles", roll_is_long_and_without_doubles),
        test("model::passes_everything", || passes(&FULL, |_| false)),
        test("model::passes_what_a_modest_one_declares", || {
            passes(&MODEST, |outcome| matches!(outcome, Outcome::NotDeclared(_)))
        }),
        test("suite::needs_every_case_that_alone_catches", needs_every_case_that_alone_catches),
        test("suite::has_no_case_that_catches_nobody", has_no_case_that_catches_nobody),
        test("docs::page_is_up_to_date", page_is_up_to_date),
    ];
    trials.extend(
        SABOTEURS.iter().map(|saboteur| Trial::test(format!("saboteur::{}", saboteur.id), || is_caught(saboteur))),
    );
    libtest_mimic::run(&arguments, trials).exit_code()
}

#[expect(clippy::print_stdout, reason = "the page goes where the caller says")]
fn print(page: &str) -> ExitCode {
    print!("{page}");
    ExitCode::SUCCESS
}

fn verdict(faults: Vec<String>) -> Result<(), Failed> {
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n").into()) }
}

fn roll_is_long_and_without_doubles() -> Result<(), Failed> {
    let ids: BTreeSet<_> = SABOTEURS.iter().map(|saboteur| saboteur.id).collect();
    let mut faults = Vec::new();
    if ids.len() != SABOTEURS.len() {
        faults.push(format!("{} saboteurs share {} ids", SABOTEURS.len(), ids.len()));
    }
    if ids.len() < FEWEST {
        faults.push(format!("{} saboteurs; {FEWEST} are the fewest", ids.len()));
    }
    verdict(faults)
}

/// Without a fault, every case passes, so that none fails for its own sake. What needs machines that boot is blocked, as
/// the model has none, and what else may be is said.
fn passes(descriptor: &'static Descriptor, is_excused: fn(&Outcome) -> bool) -> Result<(), Failed> {
    let outcomes = outcomes(descriptor, || target(descriptor, |model| Arc::new(model)));
    if !outcomes.values().any(|outcome| *outcome == Outcome::Passed) {
        return Err("no case was run".into());
    }
    let is_good = |outcome: &Outcome| match outcome {
        Outcome::Passed | Outcome::Blocked(Block::Missing(Setting::Boots)) => true,
        other => is_excused(other),
    };
    let bad = outcomes.iter().filter(|(_, outcome)| !is_good(outcome));
    verdict(bad.map(|(case, outcome)| format!("{case}: {outcome}")).collect())
}

fn is_caught(saboteur: &Saboteur) -> Result<(), Failed> {
    let suite: Cases = suite().iter().map(|case| case.id).collect();
    let noticed = noticed_by(&RECORD, saboteur);
    if walks_free(&RECORD, saboteur, &suite) {
        return Err(format!("nothing that names its fault catches it; noticed by {noticed:?}").into());
    }
    let blind = blind(&RECORD, saboteur, &suite);
    if !blind.is_empty() {
        return Err(format!("it passes {blind:?}, or they are no cases; noticed by {noticed:?}").into());
    }
    Ok(())
}

/// Every case names the fault of some saboteur, so that each is known to fail when it should. Of what needs machines that
/// boot nothing is known here.
fn has_no_case_that_catches_nobody() -> Result<(), Failed> {
    let catching: Cases = SABOTEURS.iter().flat_map(|saboteur| saboteur.caught_by).copied().collect();
    let boots = |case: &Case| case.settings.contains(&Setting::Boots);
    let idle = suite().into_iter().filter(|case| !boots(case) && !catching.contains(case.id));
    verdict(idle.map(|case| format!("{} catches nobody", case.id)).collect())
}

/// Takes away each case that alone catches a saboteur, and judges again: that saboteur must walk free.
fn needs_every_case_that_alone_catches() -> Result<(), Failed> {
    let whole: Cases = suite().iter().map(|case| case.id).collect();
    let mut alone: BTreeMap<&str, Vec<&Saboteur>> = BTreeMap::new();
    for saboteur in SABOTEURS.iter() {
        let caught = caught_by(&RECORD, saboteur);
        if let (Some(only), 1) = (caught.first(), caught.len()) {
            alone.entry(only).or_default().push(saboteur);
        }
    }
    if alone.is_empty() {
        return Err("no case alone catches anything".into());
    }
    let mut faults = Vec::new();
    for (case, saboteurs) in alone {
        let mut without = whole.clone();
        without.remove(case);
        let missed = |saboteur: &&&Saboteur| walks_free(&RECORD, saboteur, &without);
        let unmissed = saboteurs.iter().filter(|saboteur| !missed(saboteur));
        faults.extend(unmissed.map(|saboteur| format!("without {case}, {} is caught all the same", saboteur.id)));
    }
    verdict(faults)
}

#[expect(clippy::print_stderr, reason = "a test program speaks to whoever runs it")]
fn page_is_up_to_date() -> Result<(), Failed> {
    eprintln!("{}", page::table(&RECORD, &SABOTEURS));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/saboteurs.md");
    let written = std::fs::read_to_string(path).unwrap_or_default();
    if written != page::page(&SABOTEURS, &suite()) {
        return Err("docs/saboteurs.md is not what the roll says: `make docs` writes it".into());
    }
    Ok(())
}
