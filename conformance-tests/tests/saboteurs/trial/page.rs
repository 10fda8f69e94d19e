//! The page of the book, made from the roll, and the longer table that the test prints.

use std::fmt::Write as _;

use remint_conformance::Case;

use super::{judgement::noticed_by, record::Record};
use crate::sabotage::Saboteur;

/// `docs/saboteurs.md`.
pub(super) fn page(saboteurs: &[&Saboteur], cases: &[&Case]) -> String {
    let mut page = String::from(
        "# Saboteurs\n\n<!-- Made by `make docs`; a test compares. -->\n\n\
         Who tests the tests? The conformance suite is run against providers that are broken on purpose: a correct provider\n\
         of a cloud in memory, with one fault each, of the kind that real providers have. Each must be caught by a case that\n\
         names its fault; a sentence of the contracts that no case checks shows as a saboteur that walks free. And each case\n\
         must name the fault of one, so that it is known to fail when it should. The correct provider passes everything but\n\
         the cases that log in to machines, which its cloud does not have: those are held against the sandbox.\n\n",
    );
    let count = saboteurs.len();
    let _ =
        writeln!(page, "There are {count} of them. `cargo test --workspace --test saboteurs` runs each through the");
    page.push_str("whole suite, in stopped time.\n\n| Saboteur | breaks | caught by |\n|---|---|---|\n");
    for saboteur in saboteurs {
        let caught_by: Vec<_> = saboteur.caught_by.iter().map(|case| format!("`{case}`")).collect();
        let _ = writeln!(page, "| `{}` | {} | {} |", saboteur.id, saboteur.breaks, caught_by.join(", "));
    }
    page.push_str(
        "\n## Cases that alone catch one\n\nEach of these is the only case that names the fault of some saboteur. Without \
         it, the test fails.\n\n| Case | holds that | catches alone |\n|---|---|---|\n",
    );
    for case in cases {
        let alone = saboteurs.iter().filter(|saboteur| saboteur.caught_by == [case.id]);
        let alone: Vec<_> = alone.map(|saboteur| format!("`{}`", saboteur.id)).collect();
        if !alone.is_empty() {
            let _ = writeln!(page, "| `{}` | {} | {} |", case.id, case.title, alone.join(", "));
        }
    }
    page
}

/// Every saboteur with all the cases that noticed it; those that are said to catch it come first, marked.
pub(super) fn table(record: &Record, saboteurs: &[&Saboteur]) -> String {
    let mut table = String::new();
    for saboteur in saboteurs {
        let noticed = noticed_by(record, saboteur);
        let named = saboteur.caught_by.iter().filter(|case| noticed.contains(*case));
        let named: Vec<_> = named.map(|case| format!("*{case}")).collect();
        let others: Vec<_> = noticed.iter().filter(|case| !saboteur.caught_by.contains(case)).copied().collect();
        let _ = writeln!(table, "{:<34} {} {}", saboteur.id, named.join(" "), others.join(" "));
    }
    table
}
