//! `remint conformance run`.

use std::time::Duration;

use remint_conformance::{Report, Verdict};
use tokio_util::sync::CancellationToken;

use super::{
    account,
    bundle::{Recording, Written},
    chosen,
};
use crate::{
    args::conformance::{RunArgs, TargetKind},
    commands::CommandResult,
    exit::ExitStatus,
    printer::{Printer, Styled, duration},
    settings::Settings,
};

pub(super) async fn run(
    args: &RunArgs,
    settings: &Settings,
    printer: &Printer,
    cancel: CancellationToken,
) -> CommandResult {
    // Before anything is created: a report that cannot be written would be of a run that was paid for.
    let written = match &args.report {
        Some(folder) => {
            let provider = chosen::registration(settings)?.descriptor.id;
            Some(Written::create(&settings.directory.join(folder).join(provider))?)
        }
        None => None,
    };
    let recording = Recording::default();
    let report = match args.target {
        TargetKind::Account => account::run(args, settings, printer, cancel.clone(), &recording).await?,
        #[cfg(feature = "sandbox")]
        TargetKind::Sandbox => super::stand_in::run(args, settings, printer, cancel.clone(), &recording).await?,
        #[cfg(not(feature = "sandbox"))]
        TargetKind::Sandbox => {
            let failure = crate::exit::Failure::new(ExitStatus::Usage, anyhow::anyhow!("this build has no sandbox"));
            return Err(failure.hint("run it on an account: --target account"));
        }
    };
    let folder = match &written {
        Some(written) => Some(written.write(&report, args, &recording)?),
        None => None,
    };
    printer.result("conformance run", &report, || text(&report, folder.as_deref()))?;
    Ok(if cancel.is_cancelled() { ExitStatus::Interrupted } else { status(&report) })
}

fn status(report: &Report) -> ExitStatus {
    match report.verdict {
        Verdict::Passed => ExitStatus::Success,
        Verdict::Unknown => ExitStatus::NothingRun,
        Verdict::Failed if report.counts.failed + report.counts.timed_out > 0 => ExitStatus::NotConformant,
        Verdict::Failed => ExitStatus::Leaked,
    }
}

fn text(report: &Report, written: Option<&str>) -> String {
    let mut text = String::new();
    for case in report.cases.iter().filter(|case| case.outcome.is_bad()) {
        text.push_str(&format!("{} {} ({}): {}\n", Styled::red("no"), case.id, case.title, case.detail));
    }
    for leak in &report.leaks {
        text.push_str(&format!("{} left behind: {leak}\n", Styled::red("no")));
    }
    let verdict = match report.verdict {
        Verdict::Passed => Styled::green("passed"),
        Verdict::Failed => Styled::red("failed"),
        Verdict::Unknown => Styled::yellow("nothing was run, which proves nothing"),
    };
    let took = duration(Duration::try_from_secs_f64(report.seconds).unwrap_or_default());
    text.push_str(&format!("{} on {}: {verdict}, in {took}\n  {}\n", report.title, report.target, report.counts));
    if let Some(folder) = written {
        text.push_str(&format!("  the report is in {folder}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use remint_conformance::{Counts, OutcomeKind};
    use remint_core::provider::Registry;

    use super::*;

    #[test]
    fn each_end_has_a_code_of_its_own() {
        let descriptor = Registry::all()[0].descriptor;
        let end = |kinds: &[OutcomeKind]| {
            let counts: Counts = kinds.iter().copied().collect();
            let report = Report::new(descriptor, &TargetKind::Sandbox.name(), jiff::Timestamp::now(), &[]);
            status(&Report { verdict: counts.verdict(), counts, ..report })
        };
        use OutcomeKind::{Blocked, Failed, Leaked, Passed, TimedOut};
        assert_eq!(end(&[Passed, Blocked]), ExitStatus::Success);
        assert_eq!(end(&[Blocked]), ExitStatus::NothingRun);
        assert_eq!(end(&[Passed, Leaked]), ExitStatus::Leaked);
        for bad in [Failed, TimedOut] {
            assert_eq!(end(&[Passed, Leaked, bad]), ExitStatus::NotConformant);
        }
    }
}
