//! `remint conformance list`.

use comfy_table::{Table, presets};
use remint_conformance::{Cost, Decided, Decision, Level, OutcomeKind, Setting, Suite, cases};
use serde::Serialize;

use super::chosen;
use crate::{
    args::conformance::ListArgs,
    commands::CommandResult,
    exit::{ExitStatus, Failure},
    printer::Printer,
    settings::Settings,
};

#[derive(Debug, Serialize)]
struct Listed {
    id: &'static str,
    title: &'static str,
    level: Level,
    cost: Cost,
    needs: Vec<String>,
    /// What is reported instead of running it, at a target that brings everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    instead: Option<OutcomeKind>,
}

impl From<&Decided> for Listed {
    fn from(Decided { case, decision }: &Decided) -> Self {
        Self {
            id: case.id,
            title: case.title,
            level: case.level,
            cost: case.cost,
            needs: case.needs.iter().map(ToString::to_string).collect(),
            instead: match decision {
                Decision::Run => None,
                Decision::Report(outcome) => Some(outcome.kind()),
            },
        }
    }
}

pub(super) fn run(args: &ListArgs, settings: &Settings, printer: &Printer) -> CommandResult {
    let suite = match settings.provider() {
        Some(_) => Suite::of(chosen::registration(settings)?.descriptor, Setting::ALL),
        None => Suite { cases: cases::all().map(|case| Decided { case: *case, decision: Decision::Run }).collect() },
    };
    let suite = suite.only(&args.only).map_err(|error| Failure::new(ExitStatus::Usage, error))?;
    let listed: Vec<_> = suite.cases.iter().map(Listed::from).collect();
    printer.result("conformance list", &listed, || table(&listed))?;
    Ok(ExitStatus::Success)
}

fn table(listed: &[Listed]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["case", "level", "cost", "", "what is held"]);
    for case in listed {
        let level = match case.level {
            Level::Core => "core",
            Level::Extended => "extended",
        };
        let cost = match case.cost {
            Cost::Free => "free",
            Cost::Cheap => "cheap",
            Cost::Billable => "billable",
        };
        table.add_row([case.id, level, cost, case.instead.map_or("", OutcomeKind::as_str), case.title]);
    }
    format!("{}\n{} cases", table.trim_fmt(), listed.len())
}
