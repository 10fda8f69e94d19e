//! `remint adopt`: a new journal for what is in the cloud.

use remint_core::{
    deploy::{self, AdoptOptions, AdoptedRelease, Adoption},
    journal::Phase,
    redact,
};
use tokio_util::sync::CancellationToken;

use super::CommandResult;
use crate::{
    args::AdoptArgs,
    exit::{ExitStatus, Failure},
    printer::{Printer, Styled},
    session,
    settings::Settings,
};

pub(super) async fn run(
    args: &AdoptArgs,
    settings: &Settings,
    printer: &Printer,
    cancel: CancellationToken,
) -> CommandResult {
    let context = session::open(settings, printer, cancel.clone()).await?;
    session::check_new_journal(&context, args.new_journal).await?;
    let options = AdoptOptions { instances: args.instances.clone(), static_ips: args.static_ips.clone() };
    let shown = session::unless_interrupted(&cancel, deploy::adoption(&context, &options)).await?;
    if !settings.yes {
        printer.say(text(&shown).trim_end());
        let question = format!("Write this to the journal at {}?", context.loaded.manifest.journal.url);
        if !printer.confirm(&question).await? {
            let error = anyhow::anyhow!("nothing was adopted, and no journal was written");
            return Err(Failure::new(ExitStatus::Failure, error).hint("answer yes, or give --yes in a script"));
        }
    }
    let adopted = deploy::adopt(&context, &options, &shown).await?;
    printer.result("adopt", &adopted, || match settings.yes {
        true => text(&adopted) + DONE,
        false => DONE.to_owned(),
    })?;
    Ok(ExitStatus::Success)
}

const DONE: &str = "the journal is written; `remint plan` shows what a deploy would do";

fn text(adoption: &Adoption) -> String {
    let mut text = format!("{} in {}, as found in the cloud\n", Styled::bold(&adoption.service), adoption.environment);
    let mut row = |title: &str, value: String| text.push_str(&format!("  {title:<10} {value}\n"));
    for release in &adoption.releases {
        row(&release.release.to_string(), line(release));
    }
    for ip in &adoption.static_ips {
        let target = ip.points_at.as_ref().map_or_else(String::new, |id| format!(" -> instance {id}"));
        let whose = match (ip.wanted, ip.made_here) {
            (true, true) => "counts as made by Remint: `remint destroy` gives it back",
            (true, false) => "yours: it is used, and never given back",
            (false, true) => "not wanted by the manifest: the next deploy gives it back",
            (false, false) => "yours, and not used any more",
        };
        row("static IP", format!("{}{target}; {whose}", ip.address));
    }
    if let Some((name, values)) = &adoption.record {
        row("record", format!("{name}: {}; `remint destroy` removes it", redact::show_line(&values.join(", "))));
    }
    for name in &adoption.left {
        row("left over", format!("{}; the next command or `remint gc` removes it", redact::show_line(name)));
    }
    for id in &adoption.labelled {
        row("label", format!("instance {id} gets the labels of this environment"));
    }
    text.push_str("\nWhat the cloud does not tell:\n");
    for unknown in &adoption.unknown {
        text.push_str(&format!("  - {}\n", redact::show_line(unknown)));
    }
    text.push_str(&format!(
        "\n{} if another journal of this environment is still in use, here or elsewhere, use that one: two journals do not\n\
         see each other's lock.\n",
        Styled::yellow("note:")
    ));
    text
}

fn line(release: &AdoptedRelease) -> String {
    let instances = release.instances.iter().map(|one| format!("{} ({})", redact::show_line(&one.name), one.id));
    let instances = instances.collect::<Vec<_>>().join(", ");
    let state = match release.phase {
        _ if release.serves => Styled::green("serves").to_string(),
        Phase::Done if release.instances.is_empty() => "can be gone back to".to_owned(),
        Phase::Done => "runs, but clients are not sent to it".to_owned(),
        _ => Styled::yellow("was left unfinished; the next deploy undoes it").to_string(),
    };
    let on = if instances.is_empty() { String::new() } else { format!(": {instances}") };
    format!("{state}{on}, from image {}", release.image)
}
