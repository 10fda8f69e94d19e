//! `remint gc` and `remint destroy`: deleting what is not, or no longer, wanted.

use jiff::Timestamp;
use remint_core::deploy::{self, Leftover, Leftovers};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::CommandResult;
use crate::{
    args::{DestroyArgs, GcArgs},
    exit::{ExitStatus, Failure},
    printer::{Printer, duration},
    session,
    settings::Settings,
};

/// What `remint gc` found and did.
#[derive(Debug, Serialize)]
struct Collected<'a> {
    found: &'a [Leftover],
    removed: &'a [Leftover],
    kept: &'a [Leftover],
    foreign: Vec<&'a str>,
}

pub(super) async fn gc(
    args: &GcArgs,
    settings: &Settings,
    printer: &Printer,
    cancel: CancellationToken,
) -> CommandResult {
    let context = session::open_without_recipe(settings, printer, cancel.clone()).await?;
    let listed = session::unless_interrupted(&cancel, deploy::leftovers(&context)).await?;
    let listed = if args.kept { listed.with_kept() } else { listed };
    let foreign: Vec<_> = listed.foreign.iter().map(|instance| instance.name.as_str()).collect();
    let ours = listed.found.iter().filter(|left| left.ours).count();
    // What another journal deployed is refused by the engine, with all that there is to say of it.
    if args.dry_run {
        let collected = Collected { found: &listed.found, removed: &[], kept: &listed.kept, foreign };
        printer.result("gc", &collected, || text(&listed, None))?;
        return Ok(ExitStatus::Success);
    }
    if !settings.yes && ours > 0 && foreign.is_empty() {
        printer.say(text(&listed, None).trim_end());
        let count = if ours == 1 { "one leftover".to_owned() } else { format!("{ours} leftovers") };
        if !printer.confirm(&format!("Delete {count}?")).await? {
            let error = anyhow::anyhow!("nothing was deleted; no release accounts for {count}");
            return Err(Failure::new(ExitStatus::Failure, error).hint("answer yes, or give --yes in a script"));
        }
    }
    let removed = deploy::gc(&context, &listed).await?;
    let collected = Collected { found: &listed.found, removed: &removed, kept: &listed.kept, foreign };
    printer.result("gc", &collected, || text(&listed, Some(&removed)))?;
    Ok(ExitStatus::Success)
}

/// What is left, a line each with age and reason; after `removed`, what became of it.
fn text(listed: &Leftovers, removed: Option<&[Leftover]>) -> String {
    let mut text = String::new();
    for left in &listed.found {
        let verb = match removed {
            _ if !left.ours => "perhaps ours, left alone:",
            None => "left:",
            Some(removed) if removed.contains(left) => "deleted",
            Some(_) => "not deleted:",
        };
        let age = left.created_at.map_or_else(String::new, |at| format!(", {} old", age(at)));
        let place = left.region.as_ref().map_or_else(String::new, |region| format!(" in {} {region}", left.provider));
        text.push_str(&format!("{verb} {} {}{place}{age}: {}\n", left.kind, left.name, left.why));
    }
    for left in &listed.kept {
        let until = left.kept_until.map(|until| until.to_string()).unwrap_or_default();
        text.push_str(&format!(
            "kept until {until}: {} {}: {}; `--kept` deletes it now\n",
            left.kind, left.name, left.why
        ));
    }
    for instance in &listed.foreign {
        text.push_str(&format!("not ours: instance {}, deployed by another journal\n", instance.name));
    }
    if text.is_empty() { "nothing is left that no release accounts for".to_owned() } else { text }
}

fn age(since: Timestamp) -> String {
    let elapsed = Timestamp::now().duration_since(since);
    duration(std::time::Duration::try_from(elapsed).unwrap_or_default())
}

#[derive(Debug, Serialize)]
struct Destroyed<'a> {
    service: &'a str,
    environment: &'a str,
    images: bool,
}

pub(super) async fn destroy(
    args: &DestroyArgs,
    settings: &Settings,
    printer: &Printer,
    cancel: CancellationToken,
) -> CommandResult {
    let context = session::open_without_recipe(settings, printer, cancel).await?;
    let (service, environment) = (&context.loaded.manifest.service, context.loaded.environment.as_str());
    let what =
        if args.images { "instances, static IP, DNS record and images" } else { "instances, static IP and DNS record" };
    let question =
        format!("Destroy {environment} of {service} on {}, and wherever else it was: {what}?", context.loaded.provider);
    if !settings.yes && !printer.confirm(&question).await? {
        let error = anyhow::anyhow!("{environment} of {service} was not destroyed");
        return Err(Failure::new(ExitStatus::Failure, error).hint("answer yes, or give --yes in a script"));
    }
    deploy::destroy(&context, args.images).await?;
    let destroyed = Destroyed { service, environment, images: args.images };
    printer.result("destroy", &destroyed, || format!("{environment} of {service} is gone"))?;
    Ok(ExitStatus::Success)
}
