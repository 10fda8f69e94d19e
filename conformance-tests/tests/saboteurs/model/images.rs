//! Images of the model.

use async_trait::async_trait;
use remint_conformance::LostReply;
use remint_core::provider::{
    Capability, CaptureProgress, CaptureSpec, ErrorKind, Image, ImageId, Images, Labels, Region, Result, Selector,
};

use super::{
    Model, PAGE, World,
    cloud::BASES,
    disks::{base_id, base_image},
    instances::check_labels,
    not_found, refusal,
    world::check_region,
};

#[async_trait]
impl Images for Model {
    async fn resolve(&self, base: &str, region: &Region) -> Result<Image> {
        self.read(|world| {
            let operation = "resolve image";
            check_region(operation, region)?;
            if BASES.contains(&base) {
                return Ok(base_image(base));
            }
            let image = world.disk(operation, &ImageId::from(base)).map(|disk| disk.image.clone());
            let image = image.map_err(|error| error.with_hint(format!("choose one of {}", BASES.join(", "))))?;
            if !image.regions.contains(region) {
                return Err(refusal(ErrorKind::InvalidInput, operation, format!("{base} is not in {region}")));
            }
            Ok(image)
        })
        .await
    }

    async fn capture(&self, spec: &CaptureSpec) -> Result<CaptureProgress> {
        check_labels("capture image", &spec.labels)?;
        let found =
            self.read(|world| Ok(world.disks.values().find(|disk| disk.image.name == spec.name).cloned())).await?;
        if let Some(disk) = found {
            if !disk.image.labels.matches(&Selector(spec.labels.0.clone())) {
                let message = "an image of this name has other labels";
                return Err(refusal(ErrorKind::Conflict, "capture image", message).with_resource(&spec.name));
            }
            if disk.capture.is_some() {
                return Ok(CaptureProgress::Pending);
            }
            self.change(None, |world| Ok(world.labelled.insert(spec.name.clone()))).await?;
            return Ok(CaptureProgress::Done(disk.image));
        }
        self.change(LostReply::Capture, |world| {
            // The name is the token: a second request for it starts nothing.
            if world.disks.values().any(|disk| disk.image.name == spec.name) { Ok(()) } else { world.capture(spec) }
        })
        .await?;
        Ok(CaptureProgress::Pending)
    }

    async fn list(&self, selector: &Selector) -> Result<Vec<Image>> {
        let mut listed: Vec<Image> = Vec::new();
        loop {
            let after = listed.last().map(|image| image.id.clone());
            let page = self.read(|world| Ok(world.page_of_images(after.as_ref()))).await?;
            let is_last = page.len() < PAGE;
            listed.extend(page);
            if is_last {
                break;
            }
        }
        listed.retain(|image| image.labels.matches(selector));
        Ok(listed)
    }

    async fn get(&self, id: &ImageId) -> Result<Image> {
        self.read(|world| match BASES.iter().find(|base| base_id(base) == *id) {
            Some(base) => Ok(base_image(base)),
            None => world.disk("get image", id).map(|disk| disk.image.clone()),
        })
        .await
    }

    async fn label(&self, id: &ImageId, labels: &Labels) -> Result<()> {
        check_labels("label image", labels)?;
        self.change(None, |world| {
            world.disk("label image", id)?.image.labels.0.extend(labels.0.clone());
            Ok(())
        })
        .await
    }

    async fn copy(&self, id: &ImageId, region: &Region) -> Result<()> {
        self.needs("copy image", Capability::ImageCopyRegions)?;
        check_region("copy image", region)?;
        let is_there = |world: &mut World| Ok(world.disk("copy image", id)?.image.regions.contains(region));
        if self.read(is_there).await? {
            return Ok(());
        }
        self.change(LostReply::CopyImage, |world| world.copy(id, region)).await
    }

    async fn delete(&self, id: &ImageId) -> Result<()> {
        if BASES.iter().any(|base| base_id(base) == *id) {
            return Err(not_found("delete image", id));
        }
        self.change(LostReply::DeleteImage, |world| world.delete(id)).await
    }
}
