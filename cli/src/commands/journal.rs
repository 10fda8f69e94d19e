//! `remint journal check`, `remint journal repair` and `remint journal move`: what is wrong with the journal, mending it, and keeping
//! it at another place.

use remint_core::{
    journal::{Finding, Holder, Journal, Moved, Remedy, Repaired},
    manifest::JournalSection,
    redact,
};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::CommandResult;
use crate::{
    args::journal::{JournalCommand, MoveArgs},
    exit::{ExitStatus, Failure},
    printer::{Printer, Styled},
    session,
    settings::Settings,
};

pub(super) async fn run(
    command: JournalCommand,
    settings: &Settings,
    printer: &Printer,
    cancel: CancellationToken,
) -> CommandResult {
    if let JournalCommand::Move(args) = &command {
        return move_to(args, settings, printer, &cancel).await;
    }
    let (_, journal) = session::with_journal_anywhere(settings, true).await?;
    let findings = journal.check().await?;
    if matches!(command, JournalCommand::Repair) {
        return repair(&journal, &findings, settings, printer, cancel).await;
    }
    printer.result("journal check", &findings, || list(&findings))?;
    Ok(status(&findings))
}

async fn move_to(args: &MoveArgs, settings: &Settings, printer: &Printer, cancel: &CancellationToken) -> CommandResult {
    let (loaded, journal) = session::whole_journal(settings)?;
    let question = format!(
        "Move the journal of all environments to {}? Then everybody who uses it must change `[journal]` in the manifest.",
        redact::show_line(&args.to)
    );
    if !settings.yes && !printer.confirm(&question).await? {
        let error = anyhow::anyhow!("the journal is where it was");
        return Err(Failure::new(ExitStatus::Failure, error).hint("answer yes, or give --yes in a script"));
    }
    let holder = Holder::current(uuid::Uuid::now_v7(), "journal move");
    let (events, section) = (printer.events(), args.section());
    let moved = journal.move_to(&section, &loaded.base_dir, holder, settings.lock_wait, &events, cancel).await;
    for note in journal.take_notes() {
        events.warn(note);
    }
    let moved = moved?;
    printer.result("journal move", &moved, || {
        let Moved { journal, environments } = &moved;
        let names = environments.iter().map(|name| redact::show_line(name)).collect::<Vec<_>>().join(", ");
        let advice = "The old place keeps a copy, which no command uses any more.";
        format!(
            "the journal has moved ({names}); write this in the manifest:\n\n[journal]\n{}\n\n{advice}\n",
            keys(journal)
        )
    })?;
    Ok(ExitStatus::Success)
}

/// The keys of `[journal]`, one a line.
fn keys(section: &JournalSection) -> String {
    section.keys().iter().map(|key| redact::show_line(key)).collect::<Vec<_>>().join("\n")
}

#[derive(Debug, Serialize)]
struct Outcomes {
    /// What was mended.
    repaired: Vec<Repaired>,
    /// What is still not as it should be.
    left: Vec<Finding>,
}

async fn repair(
    journal: &Journal,
    findings: &[Finding],
    settings: &Settings,
    printer: &Printer,
    cancel: CancellationToken,
) -> CommandResult {
    let mut repaired = Vec::new();
    let count = findings.iter().filter(|finding| finding.repair.mends()).count();
    if count > 0 {
        printer.say(&list(findings));
        let what = if count == 1 { "one object".to_owned() } else { format!("{count} objects") };
        if !settings.yes && !printer.confirm(&format!("Mend {what}? Copies are kept.")).await? {
            let error = anyhow::anyhow!("nothing was changed in the journal");
            return Err(Failure::new(ExitStatus::Failure, error).hint("answer yes, or give --yes in a script"));
        }
        let holder = Holder::current(uuid::Uuid::now_v7(), "journal repair");
        repaired = journal.repair(holder, settings.lock_wait, &printer.events(), &cancel).await?;
    }
    let outcomes = Outcomes { repaired, left: journal.check().await? };
    printer.result("journal repair", &outcomes, || {
        let mended = outcomes.repaired.iter().map(|Repaired { finding, copy }| {
            let verb = if finding.repair == Remedy::NewLock { "replaced" } else { "took away" };
            format!("{verb} {}, which is kept as {copy}\n", finding.object)
        });
        mended.collect::<String>() + &list(&outcomes.left)
    })?;
    Ok(status(&outcomes.left))
}

fn status(findings: &[Finding]) -> ExitStatus {
    if findings.iter().all(Finding::is_harmless) { ExitStatus::Success } else { ExitStatus::Failure }
}

fn list(findings: &[Finding]) -> String {
    let mut text = String::new();
    for Finding { object, what, repair } in findings {
        let sign = match repair {
            Remedy::Ignored => Styled::dim("note"),
            _ if repair.mends() => Styled::yellow("mend"),
            Remedy::UseMoved | Remedy::FinishMove => Styled::yellow("move"),
            _ => Styled::red("lost"),
        };
        text.push_str(&format!("{sign}  {}: {what}\n      {}\n", Styled::bold(object), repair.advice()));
    }
    if findings.iter().all(Finding::is_harmless) {
        text.push_str("the journal is whole\n");
    }
    text
}
