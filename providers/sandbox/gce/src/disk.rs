//! A disk: who has it, how large it is and of what kind.
//!
//! The data of a disk are with its machine, or in an image of the engine's that no list shows. A disk that an instance is
//! made from is copied; the image is then deleted with the disk that it was made for.

use super::{
    error::{Refusal, Result},
    image::disk_size,
    model::{Disk, Instance},
    reference::{Reference, full},
    resource::{full_path, path},
};
use crate::State;
use remint_sandbox_cloud::state::Image;

/// The kinds of disks; the first is what a disk is that says nothing.
pub(super) const KINDS: [&str; 4] = ["pd-standard", "pd-balanced", "pd-ssd", "pd-extreme"];

/// The refusal of what a disk cannot be while an instance has it.
pub(super) fn in_use(state: &State, disk: &Disk, user: u64) -> Refusal {
    let by = state.instances.get(&user).map(|machine| path::<Instance>(&machine.region, &machine.name));
    Refusal::in_use("disk", full_path::<Disk>(&disk.zone, &disk.name), full(&by.unwrap_or_default()))
}

/// The size of a disk that begins with an image, in GiB.
pub(super) fn size(image: &Image, asked: Option<u64>) -> Result<u64> {
    let least = disk_size(image);
    match asked {
        None => Ok(least),
        Some(size) if size >= least => Ok(size),
        Some(size) => {
            let why = format!("Requested disk size cannot be smaller than the image size ({least} GB)");
            Err(Refusal::invalid("resource.disks[0].initializeParams.diskSizeGb", size, why))
        }
    }
}

pub(super) fn kind(asked: Option<&str>, zone: &str) -> Result<String> {
    let Some(text) = asked.filter(|text| !text.is_empty()) else { return Ok(KINDS[0].to_owned()) };
    let found = Reference::parse(text).zonal("diskTypes", zone).map(|(_, name)| name);
    match found.filter(|name| KINDS.contains(name)) {
        Some(name) => Ok(name.to_owned()),
        None => Err(Refusal::invalid("resource.type", text, "The referenced diskType resource cannot be found.")),
    }
}
