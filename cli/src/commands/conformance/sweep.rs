//! `remint conformance sweep`.

use remint_conformance::{
    PastRun,
    account::{Doomed, Sweep, SweepOptions, Swept},
};
use remint_core::events::Event;
use serde::Serialize;

use super::{
    chosen::{Account, poll},
    ledgers,
};
use crate::{
    args::conformance::SweepArgs,
    commands::CommandResult,
    exit::{ExitStatus, Failure},
    printer::Printer,
    settings::Settings,
};

#[derive(Debug, Default, Serialize)]
struct Told {
    found: Vec<Line>,
    deleted: Vec<Line>,
    failed: Vec<Line>,
    kept: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Line {
    what: String,
    why: String,
}

fn line(doomed: &Doomed) -> Line {
    Line { what: doomed.what.to_string(), why: doomed.why.to_string() }
}

pub(super) async fn run(args: &SweepArgs, settings: &Settings, printer: &Printer) -> CommandResult {
    let runs = PastRun::read_all(&ledgers::folder(args.ledgers.as_ref(), settings)?)
        .map_err(|error| Failure::new(ExitStatus::Failure, error))?;
    let provider = Account::new(settings, args.region.as_deref())?.connect().await?;
    let poll = poll(provider.descriptor());
    let options = SweepOptions { all: args.all, runs, poll, ..SweepOptions::new() };
    let sweep = Sweep::plan(&*provider, &options).await?;
    let mut told = Told {
        found: sweep.doomed.iter().map(line).collect(),
        kept: sweep.kept.iter().map(|kept| Line { what: kept.what.to_string(), why: kept.why.clone() }).collect(),
        ..Told::default()
    };
    if args.delete {
        let events = printer.events();
        let mut tell = |doomed: &Doomed| {
            events.emit(Event::TaskProgress { task: "sweep".to_owned(), message: format!("deleting {}", doomed.what) });
        };
        let Swept { deleted, failed } = sweep.carry_out(&*provider, poll, &mut tell).await;
        told.deleted = deleted.iter().map(line).collect();
        told.failed = failed.into_iter().map(|(doomed, why)| Line { what: doomed.what.to_string(), why }).collect();
        if told.failed.is_empty() && told.kept.is_empty() {
            forget(&options.runs, provider.descriptor().id, &provider.account().await?.id)?;
        }
    }
    printer.result("conformance sweep", &told, || text(&told, args.delete))?;
    Ok(if told.failed.is_empty() { ExitStatus::Success } else { ExitStatus::Leaked })
}

/// Removes the ledgers of runs on this account: nothing of them is left.
fn forget(runs: &[PastRun], provider: &str, account: &str) -> std::io::Result<()> {
    let ours = |run: &&PastRun| run.header.provider == provider && run.header.account == account;
    runs.iter().filter(ours).try_for_each(|run| std::fs::remove_file(&run.path))
}

fn text(told: &Told, delete: bool) -> String {
    let mut text = String::new();
    let mut lines = |verb: &str, lines: &[Line]| {
        for Line { what, why } in lines {
            text.push_str(&format!("{verb} {what}: {why}\n"));
        }
    };
    if delete {
        lines("deleted", &told.deleted);
        lines("could not delete", &told.failed);
    } else {
        lines("would delete", &told.found);
    }
    lines("keeps", &told.kept);
    if text.is_empty() {
        text.push_str("conformance runs have left nothing\n");
    } else if !delete && !told.found.is_empty() {
        text.push_str("nothing was changed; --delete deletes it\n");
    }
    text
}
