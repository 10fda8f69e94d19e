//! `remint status --all`: all environments of the journal, as the journal alone knows them.

use remint_core::{
    journal::{Change, EnvironmentOverview},
    redact,
};
use serde::Serialize;

use super::{CommandResult, history::time};
use crate::{
    exit::ExitStatus,
    printer::{Printer, Styled},
    session,
    settings::Settings,
};

#[derive(Debug, Serialize)]
struct Overview {
    /// The name of the service, from the manifest.
    service: String,
    environments: Vec<EnvironmentOverview>,
}

pub(super) async fn run(settings: &Settings, printer: &Printer) -> CommandResult {
    let (loaded, journal) = session::whole_journal(settings)?;
    let service = loaded.manifest.service;
    journal.check_service(&service).await?;
    let overview = Overview { service, environments: journal.overview().await? };
    for note in journal.take_notes() {
        printer.events().warn(note);
    }
    printer.result("status", &overview, || text(&overview))?;
    Ok(ExitStatus::Success)
}

fn text(overview: &Overview) -> String {
    let service = Styled::bold(&overview.service);
    if overview.environments.is_empty() {
        return format!("{service} has no environment yet; `remint deploy` makes the first one");
    }
    overview.environments.iter().map(|one| format!("{service} in {}", environment(one))).collect()
}

fn environment(one: &EnvironmentOverview) -> String {
    let mut text = format!("{}\n", redact::show_line(&one.environment));
    let mut row = |title: &str, value: String| text.push_str(&format!("  {title:<10} {value}\n"));
    if let Some(problem) = &one.problem {
        row("damaged", Styled::red(redact::show_line(problem)).to_string());
    }
    match one.current {
        Some(release) => row("release", Styled::green(release).to_string()),
        None => row("release", "none".to_owned()),
    }
    if let Some((release, phase)) = one.unfinished {
        let doing = if one.lock.is_some() { "is in" } else { "was left in" };
        row("unfinished", Styled::yellow(format!("{release} {doing} {phase}")).to_string());
    }
    if let Some(lock) = &one.lock {
        row("locked", format!("by {} since {}", lock.holder, time(lock.since)));
    }
    if let Some(Change { at, by }) = &one.changed {
        let by = by.as_ref().map_or_else(String::new, |by| format!(" by {}", redact::show_line(by)));
        row("changed", format!("{}{by}", time(*at)));
    }
    text
}
