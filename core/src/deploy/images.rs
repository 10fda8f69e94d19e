//! The service's images, and which of them are still needed.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{
    EngineError,
    engine::Engine,
    observe::{self, image_selector, ownership_of_images},
};
use crate::{
    context::Context,
    journal::{Journal, Phase, Release, current},
    provider::{Image, ImageId, ReleaseId},
    resources::{Ownership, Standing, foreign},
};

/// An image under the service's name, and which releases need it.
#[derive(Debug, Clone, Serialize)]
pub struct ImageUse {
    /// The image as the cloud shows it.
    #[serde(flatten)]
    pub image: Image,
    /// The releases of this environment that were launched from it.
    pub releases: Vec<ReleaseId>,
    /// The other environments whose releases need it.
    pub needed_by: Vec<String>,
    /// Whether it is proven to be of this journal's service; another's is never deleted.
    pub ours: bool,
    /// Whether [`prune`] keeps it.
    pub kept: bool,
}

/// The images under the service's name, newest first.
///
/// # Errors
///
/// The cloud's and the journal's.
pub async fn images(ctx: &Context) -> Result<Vec<ImageUse>, EngineError> {
    let engine = Engine::new(ctx)?;
    engine.journal().check_service(&ctx.loaded.manifest.service).await?;
    let (history, standing) = (engine.journal().history().await?, observe::instances(ctx).await?);
    let standing = Standing::sort(standing, &engine.ownership(&history).await?);
    if !standing.foreign.is_empty() {
        // Which images are still needed is for another journal to say.
        ctx.events.warn(foreign(ctx, &history, &standing.foreign).to_string());
    }
    engine.report_notes();
    images_with(ctx, engine.journal()).await
}

async fn images_with(ctx: &Context, journal: &Journal) -> Result<Vec<ImageUse>, EngineError> {
    let history = journal.history().await?;
    let keep = ctx.loaded.manifest.deploy.keep_images;
    let kept_here = kept(&history, keep);
    let others = needed_elsewhere(ctx, journal).await?;
    let ownership = ownership_of_images(ctx, journal).await?;
    let mut images = ctx.provider.images().list(&image_selector(ctx)).await?;
    images.sort_by(|a, b| b.created_at.cmp(&a.created_at).then_with(|| b.id.cmp(&a.id)));
    let uses = images.into_iter().map(|image| {
        let releases = history.iter().filter(|release| release.record.image == image.id).map(Release::id).collect();
        let needing = others.iter().filter(|(_, needed)| needed.contains(&image.id));
        let needed_by: Vec<_> = needing.map(|(name, _)| name.clone()).collect();
        let kept = kept_here.contains(&image.id) || !needed_by.is_empty();
        ImageUse { kept, ours: ownership.has_image(&image), releases, needed_by, image }
    });
    Ok(uses.collect())
}

/// The images that the releases of the other environments need, read from their journals now.
async fn needed_elsewhere(ctx: &Context, journal: &Journal) -> Result<Vec<(String, BTreeSet<ImageId>)>, EngineError> {
    let mut needed = Vec::new();
    for name in journal.environments().await? {
        if name != ctx.loaded.environment.as_str() {
            let history = journal.sibling(&name).history().await?;
            needed.push((name, kept(&history, ctx.loaded.manifest.deploy.keep_images)));
        }
    }
    Ok(needed)
}

/// The images of the last releases that served, of the one that the current one replaced, which may be parked, and of any that is
/// under way.
fn kept(history: &[Release], keep: u32) -> BTreeSet<ImageId> {
    let replaced = current(history).and_then(|serving| serving.record.replaces);
    let parked = history.iter().find(|release| Some(release.id()) == replaced).map(|release| &release.record.image);
    let mut kept = BTreeSet::new();
    let served = history.iter().rev().filter(|release| release.phase() == Phase::Done);
    for release in served {
        if kept.len() >= keep.max(1) as usize {
            break;
        }
        kept.insert(release.record.image.clone());
    }
    let under_way = history.iter().filter(|release| !release.phase().is_final());
    kept.extend(under_way.map(|release| release.record.image.clone()));
    kept.extend(parked.cloned());
    kept
}

/// Deletes the images that `deploy.keep_images` does not keep, that no other environment needs, and that some release of this
/// environment has used; returns them. With `dry`, nothing is deleted.
///
/// # Errors
///
/// The cloud's and the journal's.
pub async fn prune(ctx: &Context, dry: bool) -> Result<Vec<Image>, EngineError> {
    prune_with(&Engine::new(ctx)?, dry).await
}

pub(super) async fn prune_with(engine: &Engine<'_>, dry: bool) -> Result<Vec<Image>, EngineError> {
    let ctx = engine.ctx;
    if dry {
        return Ok(superfluous(images_with(ctx, engine.journal()).await?));
    }
    let session = engine.begin("images prune").await?;
    let pruned = async {
        let mut pruned = Vec::new();
        for image in superfluous(images_with(ctx, engine.journal()).await?) {
            // Another environment may have deployed it a moment ago.
            if is_needed(ctx, engine.journal(), &image.id).await? {
                continue;
            }
            ctx.provider.images().delete(&image.id).await?;
            pruned.push(image);
        }
        Ok(pruned)
    };
    let pruned = engine.until_interrupted(pruned).await;
    engine.give_back_after(session.lock, &pruned).await;
    pruned
}

fn superfluous(uses: Vec<ImageUse>) -> Vec<Image> {
    let doomed = uses.into_iter().filter(|one| one.ours && !one.kept && !one.releases.is_empty());
    doomed.map(|one| one.image).collect()
}

async fn is_needed(ctx: &Context, journal: &Journal, image: &ImageId) -> Result<bool, EngineError> {
    Ok(needed_elsewhere(ctx, journal).await?.iter().any(|(_, needed)| needed.contains(image)))
}

/// Deletes every image of the service that no other environment needs.
pub(super) async fn prune_all(ctx: &Context, journal: &Journal, ownership: &Ownership) -> Result<(), EngineError> {
    for image in ctx.provider.images().list(&image_selector(ctx)).await? {
        if !ownership.has_image(&image) {
            continue;
        }
        if is_needed(ctx, journal, &image.id).await? {
            ctx.events.info(format!("image {} stays: another environment needs it", image.name));
            continue;
        }
        ctx.provider.images().delete(&image.id).await?;
    }
    Ok(())
}
