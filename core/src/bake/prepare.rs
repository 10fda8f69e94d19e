//! What is known before anything is made: the fingerprint, the image that may exist, and whether a builder can stand.

use super::{Authority, BakeError};
use crate::{
    context::Context,
    manifest::Provisioner,
    provider::{Capability, Fingerprint, Image, ImageState, Labels, Selector, SizeName, label},
    recipe::{InputDigest, Recipe, link_warnings, step_name},
    tree,
};

/// The recipe, compared with what the account has. Two reads, no mutation.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The digest of everything that goes into the image; an image is looked for by this label.
    pub fingerprint: Fingerprint,
    /// The digest of each input in the order of the recipe, to say later which one changed.
    pub inputs: Vec<InputDigest>,
    /// The base image, as its name resolves now.
    pub base: Image,
    /// The available image of this fingerprint, if there is one: then there is nothing to bake.
    pub image: Option<Image>,
}

/// Computes the fingerprint and looks for its image.
///
/// # Errors
///
/// An input that cannot be read, or the cloud's refusal.
pub async fn prepare(ctx: &Context, authority: &Authority<'_>) -> Result<Prepared, BakeError> {
    let section = &ctx.loaded.section;
    let images = ctx.provider.images();
    let base = images.resolve(&section.base, &section.region).await;
    let base = base.map_err(BakeError::cloud("cannot find the base image"))?;
    let Recipe { fingerprint, inputs } = Recipe::read(&ctx.loaded, &base.id).await?;
    let image = find_image(ctx, authority, &fingerprint).await?;
    Ok(Prepared { fingerprint, inputs, base, image })
}

/// The available image of a fingerprint that is proven to be this service's: one in the manifest's region, or one that can be
/// copied there. Where there are several, the one with the smallest id, so that everybody who looks finds the same.
pub(super) async fn find_image(
    ctx: &Context,
    authority: &Authority<'_>,
    fingerprint: &Fingerprint,
) -> Result<Option<Image>, BakeError> {
    let selector = Selector(authority.of_images().0).with(label::FINGERPRINT, fingerprint.as_str());
    let found = ctx.provider.images().list(&selector).await;
    let found = found.map_err(BakeError::cloud("cannot look for the image"))?;
    let copied = ctx.provider.descriptor().has(Capability::ImageCopyRegions);
    let is_here = |image: &Image| image.regions.contains(&ctx.loaded.section.region);
    let usable = found.into_iter().filter(|image| image.state == ImageState::Available && (copied || is_here(image)));
    Ok(usable.min_by(|a, b| (!is_here(a), &a.id).cmp(&(!is_here(b), &b.id))))
}

/// The labels of a machine of a bake.
pub(super) fn labels(ctx: &Context, authority: &Authority<'_>, fingerprint: &Fingerprint, role: &str) -> Labels {
    authority
        .of_images()
        .with(label::ENV, ctx.loaded.environment.as_str())
        .with(label::ENV_ID, authority.identity.environment.id.as_str())
        .with(label::FINGERPRINT, fingerprint.as_str())
        .with(label::ROLE, role)
        .with(label::RUN, ctx.run.to_string())
}

pub(super) fn builder_size(ctx: &Context) -> &SizeName {
    let section = &ctx.loaded.section;
    section.builder_size.as_ref().unwrap_or(&section.size)
}

/// Checks what can be checked before anything is made: the size, its disk, the files of the recipe.
pub(super) async fn check(ctx: &Context, prepared: &Prepared) -> Result<(), BakeError> {
    let section = &ctx.loaded.section;
    let size = builder_size(ctx);
    let shape = ctx.provider.instances().shape(size, &section.region).await;
    let shape = shape.map_err(BakeError::cloud("the builder cannot have this size"))?;
    let base = &prepared.base;
    if base.min_disk_gib > shape.disk_gib {
        return Err(BakeError::DiskTooSmall {
            base: base.name.clone(),
            needed: base.min_disk_gib,
            size: size.to_string(),
            region: section.region.clone(),
            disk: shape.disk_gib,
        });
    }
    for (index, step) in ctx.loaded.manifest.image.provision.iter().enumerate() {
        if let Provisioner::File(file) = step {
            let step = step_name(index, step);
            let source = tree::read(&ctx.loaded.base_dir, file.tree());
            let source = source.map_err(|source| BakeError::Files { step: step.clone(), source })?;
            for warning in link_warnings(file, &source) {
                ctx.events.warn(format!("{step}: {warning}"));
            }
        }
    }
    Ok(())
}
