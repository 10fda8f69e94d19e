//! `remint journal check` and `remint journal repair`: what is wrong with the journal, and mending it.

use remint_core::journal::{Finding, Holder, Journal, Remedy, Repaired};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::Outcome;
use crate::{
    args::JournalCommand,
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
) -> Outcome {
    let (_, journal) = session::with_journal(settings, true).await?;
    let findings = journal.check().await?;
    match command {
        JournalCommand::Check => {
            printer.result("journal check", &findings, || list(&findings))?;
            Ok(status(&findings))
        }
        JournalCommand::Repair => repair(&journal, &findings, settings, printer, cancel).await,
    }
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
) -> Outcome {
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
            _ => Styled::red("lost"),
        };
        text.push_str(&format!("{sign}  {}: {what}\n      {}\n", Styled::bold(object), repair.advice()));
    }
    if findings.iter().all(Finding::is_harmless) {
        text.push_str("the journal is whole\n");
    }
    text
}
