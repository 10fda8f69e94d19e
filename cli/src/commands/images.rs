//! `remint images`: what was baked, and what of it is still needed.

use comfy_table::{Table, presets};
use remint_core::{
    deploy::{self, ImageUse},
    provider::label,
    redact,
};
use tokio_util::sync::CancellationToken;

use super::CommandResult;
use crate::{
    args::{ImagesArgs, ImagesCommand},
    exit::ExitStatus,
    printer::{Printer, size},
    session,
    settings::Settings,
};

pub(super) async fn run(
    args: &ImagesArgs,
    settings: &Settings,
    printer: &Printer,
    cancel: CancellationToken,
) -> CommandResult {
    let context = session::open_without_recipe(settings, printer, cancel).await?;
    match args.command.unwrap_or(ImagesCommand::List) {
        ImagesCommand::List => {
            let images = deploy::images(&context).await?;
            printer.result("images", &images, || table(&images))?;
        }
        ImagesCommand::Prune { dry_run } => {
            let pruned = deploy::prune(&context, dry_run).await?;
            printer.result("images prune", &pruned, || {
                if pruned.is_empty() {
                    return "every image is still needed".to_owned();
                }
                let verb = if dry_run { "would delete" } else { "deleted" };
                pruned.iter().map(|image| format!("{verb} {} ({})\n", image.name, image.id)).collect()
            })?;
        }
    }
    Ok(ExitStatus::Success)
}

fn table(images: &[ImageUse]) -> String {
    if images.is_empty() {
        return "no image yet; `remint bake` makes the first one".to_owned();
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["image", "name", "fingerprint", "size", "regions", "releases", "kept"]);
    for ImageUse { image, releases, needed_by, ours, kept } in images {
        let fingerprint = image.labels.get(label::FINGERPRINT).unwrap_or_default();
        let releases = releases.iter().map(ToString::to_string).chain(needed_by.iter().cloned());
        let releases: Vec<_> = releases.collect();
        let kept = match (ours, kept) {
            (false, _) => "not ours: deployed by another journal",
            (true, true) => "yes",
            (true, false) => "-",
        };
        // Clean before the table is laid out: what is taken away later would shift its columns.
        let cells = [
            image.id.to_string(),
            image.name.clone(),
            fingerprint.chars().take(12).collect(),
            image.size_bytes.map(size).unwrap_or_default(),
            image.regions.to_string(),
            releases.join(" "),
            kept.to_owned(),
        ]
        .map(|cell| redact::show_line(&cell));
        table.add_row(cells);
    }
    table.trim_fmt()
}
