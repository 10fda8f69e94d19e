//! The service's images, and which of them are still needed.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{DeployError, engine::Engine, observe::image_selector};
use crate::{
    context::Context,
    journal::{Phase, Release},
    provider::{Image, ImageId, ReleaseId},
};

/// An image and what it is for.
#[derive(Debug, Clone, Serialize)]
pub struct ImageUse {
    /// The image.
    #[serde(flatten)]
    pub image: Image,
    /// The releases of this environment that were launched from it.
    pub releases: Vec<ReleaseId>,
    /// Whether [`prune`] keeps it.
    pub kept: bool,
}

/// The service's images, newest first.
///
/// # Errors
///
/// The cloud's and the journal's.
pub async fn images(ctx: &Context) -> Result<Vec<ImageUse>, DeployError> {
    images_with(&Engine::new(ctx)?).await
}

async fn images_with(engine: &Engine<'_>) -> Result<Vec<ImageUse>, DeployError> {
    let ctx = engine.ctx;
    let history = engine.journal().history().await?;
    let kept = kept(&history, ctx.loaded.manifest.deploy.keep_images);
    let mut images = ctx.provider.images().list(&image_selector(ctx)).await?;
    images.sort_by(|a, b| b.created_at.cmp(&a.created_at).then_with(|| b.id.cmp(&a.id)));
    let uses = images.into_iter().map(|image| {
        let releases = history.iter().filter(|release| release.record.image == image.id).map(Release::id).collect();
        ImageUse { kept: kept.contains(&image.id), releases, image }
    });
    Ok(uses.collect())
}

/// The images of the last releases that served, and of any that is under way.
fn kept(history: &[Release], keep: u32) -> BTreeSet<ImageId> {
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
    kept
}

/// Deletes the images that `deploy.keep_images` does not keep and that some release of this environment has used; returns
/// them. An image that no release here knows may belong to another environment, and stays. With `dry`, nothing is deleted.
///
/// # Errors
///
/// The cloud's and the journal's.
pub async fn prune(ctx: &Context, dry: bool) -> Result<Vec<Image>, DeployError> {
    prune_with(&Engine::new(ctx)?, dry).await
}

pub(super) async fn prune_with(engine: &Engine<'_>, dry: bool) -> Result<Vec<Image>, DeployError> {
    let ctx = engine.ctx;
    let lock = if dry { None } else { Some(engine.lock("images prune").await?) };
    let uses = images_with(engine).await?;
    let doomed: Vec<_> = uses.into_iter().filter(|image| !image.kept && !image.releases.is_empty()).collect();
    if let Some(lock) = lock {
        for image in &doomed {
            ctx.provider.images().delete(&image.image.id).await?;
        }
        lock.release().await?;
    }
    Ok(doomed.into_iter().map(|image| image.image).collect())
}

/// Deletes every image of the service.
pub(super) async fn prune_all(ctx: &Context) -> Result<(), DeployError> {
    for image in ctx.provider.images().list(&image_selector(ctx)).await? {
        ctx.provider.images().delete(&image.id).await?;
    }
    Ok(())
}
