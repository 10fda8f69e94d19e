//! The cloud's API for images.

use remint_core::provider::{
    CaptureSpec, ErrorKind, Image, ImageId, ImageState, InstanceState, Labels, Region, Regions, Result,
};
use tokio::time::Instant;

use super::{
    Disk, World,
    cloud::{CAPTURE, COPY},
    not_found, refusal,
    world::check_region,
};

impl World {
    /// Starts a capture.
    pub(crate) fn capture(&mut self, spec: &CaptureSpec) -> Result<()> {
        let operation = "capture image";
        let machine = self.machine(operation, &spec.instance)?;
        let refused = |kind, message: &str| Err(refusal(kind, operation, message).with_resource(&spec.instance));
        match machine.instance.state {
            InstanceState::Stopped if !machine.instance.busy => {}
            InstanceState::Running => return refused(ErrorKind::Conflict, "the instance runs"),
            InstanceState::Destroying => return refused(ErrorKind::Conflict, "the instance is being destroyed"),
            _ => return refused(ErrorKind::Busy, "the instance is at work"),
        }
        machine.instance.busy = true;
        let region = machine.instance.region.clone();
        self.add_disk(spec, region);
        Ok(())
    }

    /// Puts an image there that is captured in a while.
    pub(crate) fn add_disk(&mut self, spec: &CaptureSpec, region: Region) -> Image {
        let image = Image {
            id: ImageId::new(format!("img-{:04}", self.number())),
            name: spec.name.clone(),
            labels: spec.labels.clone(),
            state: ImageState::Pending,
            regions: Regions::Only(vec![region]),
            min_disk_gib: 25,
            size_bytes: None,
            created_at: None,
        };
        let capture = Some((spec.instance.clone(), Instant::now() + CAPTURE));
        let source = spec.instance.clone();
        self.disks.insert(image.id.clone(), Disk { image: image.clone(), source, capture, copies: Vec::new() });
        image
    }

    /// The image of an id, once it is captured.
    pub(crate) fn disk(&mut self, operation: &'static str, id: &ImageId) -> Result<&mut Disk> {
        let disk = self.disks.get_mut(id).filter(|disk| disk.capture.is_none());
        disk.ok_or_else(|| not_found(operation, id))
    }

    /// Starts a copy.
    pub(crate) fn copy(&mut self, id: &ImageId, region: &Region) -> Result<()> {
        check_region("copy image", region)?;
        let disk = self.disk("copy image", id)?;
        let on_its_way = disk.copies.iter().any(|(to, _)| to == region);
        if !on_its_way && !disk.image.regions.contains(region) {
            disk.copies.push((region.clone(), Instant::now() + COPY));
        }
        Ok(())
    }

    /// Deletes an image.
    pub(crate) fn delete(&mut self, id: &ImageId) -> Result<()> {
        let Ok(disk) = self.disk("delete image", id) else { return Ok(()) };
        if !disk.copies.is_empty() {
            return Err(refusal(ErrorKind::Busy, "delete image", "the image is being copied").with_resource(id));
        }
        self.disks.remove(id);
        Ok(())
    }
}

/// The id of a public image.
pub(super) fn base_id(base: &str) -> ImageId {
    ImageId::new(format!("public-{base}"))
}

/// A public image.
pub(super) fn base_image(base: &str) -> Image {
    Image {
        id: base_id(base),
        name: base.to_owned(),
        labels: Labels::new(),
        state: ImageState::Available,
        regions: Regions::All,
        min_disk_gib: 10,
        size_bytes: None,
        created_at: None,
    }
}
