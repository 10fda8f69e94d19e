//! An image: which one is meant, what state it is in, and what the engine keeps of it.

use super::{
    PROJECT,
    error::{Refusal, Result},
    model::{Content, ImageData},
    public_images,
    reference::Reference,
    resource::{find, full_path, path},
};
use crate::State;
use remint_sandbox_cloud::state::Image;

/// The smallest disk that an image of the service's has, in GiB.
const LEAST: u64 = 10;

/// The newest image of a family that can be used.
fn newest<'a>(state: &'a State, family: &str) -> Result<&'a ImageData> {
    let usable = |image: &&ImageData| {
        image.family.as_deref() == Some(family) && image.deprecated.is_none() && status(state, image) == "READY"
    };
    let newest = state.own.images.values().filter(usable).max_by_key(|image| (image.created_at, image.id));
    newest.ok_or_else(|| Refusal::not_found(full_path::<ImageData>("", &format!("family/{family}"))))
}

pub(super) fn status(state: &State, image: &ImageData) -> &'static str {
    match state.images.get(&image.id) {
        Some(_) => "READY",
        None if image.failed => "FAILED",
        None => "PENDING",
    }
}

/// The size of the disk in an image, in GiB.
pub(super) fn disk_size(image: &Image) -> u64 {
    if image.public() { image.min_disk_size.max(LEAST) } else { image.min_disk_size }
}

/// What a disk is to be made from.
pub(super) struct Source {
    /// The engine's image.
    pub(super) image: Image,
    /// The path of the image that was asked for, from its project's name on, and its number.
    pub(super) named: (String, u64),
}

/// An image of the project's, or the newest of a family.
pub(super) fn find_image<'a>(state: &'a State, family: bool, name: &str) -> Result<&'a ImageData> {
    if family { newest(state, name) } else { find(state, "", name).map(|(_, image)| image) }
}

/// The image that a disk is to be made from.
pub(super) fn source(state: &State, field: &str, text: &str) -> Result<Source> {
    let reference = Reference::parse(text);
    let project = reference.project;
    let (family, name) = reference.image().ok_or_else(|| Refusal::invalid(field, text, "The URL is malformed."))?;
    let named = |name: &str, id: u64| (format!("{project}/{}", path::<ImageData>("", name)), id);
    if project != PROJECT {
        let public = public_images::find(state, project, family, name)?;
        return Ok(Source { image: public.image.clone(), named: named(&public.name, public.id) });
    }
    let data = find_image(state, family, name)?;
    let not_ready = || Refusal::not_ready(full_path::<ImageData>("", name));
    let image = state.images.get(&data.id).ok_or_else(not_ready)?;
    Ok(Source { image: image.clone(), named: named(&data.name, data.id) })
}

/// Hides the engine's images that neither an image of the project's nor a disk needs any more; who calls this has them
/// deleted.
pub(super) fn drop_unused_images(state: &mut State) {
    let gce = &state.own;
    // A machine that is being made reads the image that it is made from.
    let read = |id: &u64| state.instances.values().any(|machine| machine.seed.is_some() && machine.image.id == *id);
    let kept = |id: &u64| gce.disks.values().any(|disk| disk.content == Content::Image(*id));
    let needed = |id: &u64| gce.images.contains_key(id) || kept(id) || read(id);
    for (id, image) in &mut state.images {
        if !image.public() && !needed(id) {
            image.available = false;
        }
    }
}
