//! `remint history` and `remint show RELEASE`: the journal, as it stands.

use comfy_table::{Table, presets};
use remint_core::{
    journal::{Entry, Phase, Release},
    provider::ReleaseId,
    redact,
};

use super::CommandResult;
use crate::{
    args::HistoryArgs,
    exit::ExitStatus,
    printer::{Printer, Styled},
    session,
    settings::Settings,
};

pub(super) async fn list(args: &HistoryArgs, settings: &Settings, printer: &Printer) -> CommandResult {
    let (_, journal) = session::with_journal(settings, true).await?;
    let mut releases = journal.history().await?;
    for note in journal.take_notes() {
        printer.events().warn(note);
    }
    releases.sort_by_key(|release| std::cmp::Reverse(release.id()));
    releases.truncate(args.limit);
    printer.result("history", &releases, || table(&releases))?;
    Ok(ExitStatus::Success)
}

pub(super) async fn show(id: ReleaseId, settings: &Settings, printer: &Printer) -> CommandResult {
    let (_, journal) = session::with_journal(settings, true).await?;
    let release = journal.release(id).await?;
    journal.take_notes().iter().for_each(|note| printer.say(note));
    printer.result("show", &release, || details(&release))?;
    Ok(ExitStatus::Success)
}

fn table(releases: &[Release]) -> String {
    if releases.is_empty() {
        return "no release yet; `remint deploy` makes the first one".to_owned();
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["release", "phase", "image", "fingerprint", "by", "at", ""]);
    for release in releases {
        let record = &release.record;
        let remark = match (record.rollback_of, release.failure()) {
            (_, Some(reason)) => redact::excerpt(reason.lines().next().unwrap_or_default(), 60),
            (Some(earlier), None) => format!("rollback to {earlier}"),
            (None, None) if record.adopted => "adopted".to_owned(),
            (None, None) => String::new(),
        };
        // Clean before the table is laid out: what is taken away later would shift its columns.
        let cells = [
            record.id.to_string(),
            release.phase().to_string(),
            record.image.to_string(),
            record.fingerprint.short().to_owned(),
            record.author(),
            time(record.created_at),
            remark,
        ]
        .map(|cell| redact::show_line(&cell));
        table.add_row(cells);
    }
    table.trim_fmt()
}

pub(super) fn time(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

fn details(release: &Release) -> String {
    let record = &release.record;
    let mut text = format!(
        "{} of {} in {}: {}\n",
        Styled::bold(record.id),
        record.service,
        record.environment.as_str(),
        phase(release.phase())
    );
    let mut row = |title: &str, value: String| text.push_str(&format!("  {title:<12} {value}\n"));
    row("image", format!("{} (fingerprint {})", record.image, record.fingerprint.short()));
    row("instances", format!("{} of {} in {} on {}", record.count, record.size, record.region, record.provider));
    let made = if record.adopted { "adopted" } else { "made" };
    row(made, format!("{} by {}", time(record.created_at), record.author()));
    if let Some(commit) = &record.commit {
        row("commit", redact::show_line(commit));
    }
    if let Some(earlier) = record.replaces {
        row("replaces", earlier.to_string());
    }
    if let Some(earlier) = record.rollback_of {
        row("rollback of", earlier.to_string());
    }
    text.push_str("\njournal\n");
    for entry in &release.entries {
        text.push_str(&format!("  {}  {}\n", time(entry.at), sentence(&entry.entry)));
    }
    text
}

fn phase(phase: Phase) -> String {
    match phase {
        Phase::Done => Styled::green(phase).to_string(),
        Phase::Failed => Styled::red(phase).to_string(),
        _ => phase.to_string(),
    }
}

fn sentence(entry: &Entry) -> String {
    let join =
        |ids: &[remint_core::provider::InstanceId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match entry {
        Entry::Phase { phase } => format!("{} {phase}", Styled::cyan("==>")),
        Entry::Launching { names } => format!("launching {}", names.join(", ")),
        Entry::Adopting { instance, from } => format!("taking over the parked instance {instance} of {from}"),
        Entry::Keeping { instances, from } => format!("keeping {} of {from}", join(instances)),
        Entry::Launched { instances, .. } => format!("launched {}", join(instances)),
        Entry::RotatingHostKey { instance, .. } => format!("replacing the host key of {instance}"),
        Entry::RotatingHostKeys { host_keys } => {
            let ids: Vec<_> = host_keys.keys().cloned().collect();
            format!("replacing the host keys of {}", join(&ids))
        }
        Entry::BeforeSwitchStarted => "running the command before the switch".to_owned(),
        Entry::BeforeSwitchDone => "the command before the switch has succeeded".to_owned(),
        Entry::GatePassed { instances } => format!("passed the gate: {}", join(instances)),
        Entry::MakingAddress { instance } => format!("making a static IP for instance {instance}"),
        Entry::MakingBalancer { name } => format!("creating load balancer {name}"),
        Entry::Assigning { static_ip, to, .. } => format!("moving {static_ip} to instance {to}"),
        Entry::Assigned { to } => format!("the static IP points at instance {to}"),
        Entry::SettingRecord { change, .. } => format!("setting {} to {}", change.fqdn, change.after.join(", ")),
        Entry::AwaitingResolvers { until } => format!("resolvers may know the former address until {}", time(*until)),
        Entry::Retiring { instances, how } => format!("retiring {} ({how:?})", join(instances)).to_lowercase(),
        Entry::Failure { reason } => {
            format!("{} {}", Styled::red("failed:"), redact::show(reason).replace('\n', "\n    "))
        }
    }
}
