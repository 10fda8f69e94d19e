//! Copies of an image in other regions.
//!
//! Before a copy is asked for, the original is tagged with the region: so whatever happens next, whoever deletes the
//! original knows where to look. The copy is tagged with the original's id from the moment when it is made.

use aws_sdk_ec2::types::SnapshotReturnCodes;
use remint_core::provider::{Error, ErrorKind, Image, ImageId, Region, Regions, Result, support::Call};

use super::{Body, image, is_available, reason, snapshots};
use crate::{Aws, tags};

/// What the original's tag says; the key is what counts.
const ASKED_FOR: &str = "yes";

impl Aws {
    /// The regions that an original has been copied to, or was about to be.
    pub(super) fn copied_to(&self, body: &Body) -> Vec<Region> {
        let id = body.image_id().unwrap_or_default();
        let tagged = body.tags().iter().filter_map(|tag| tag.key()?.strip_prefix(tags::COPY)).map(Region::from);
        let mut regions: Vec<Region> = tagged.collect();
        // A tag that was just written may not show yet.
        for ((image, region), ()) in self.memory.lock().copying.all(self.settings.grace) {
            if image == id && !regions.contains(region) {
                regions.push(region.clone());
            }
        }
        regions
    }

    /// The copies of an image in a region; one call.
    pub(crate) async fn copies_in(&self, operation: &'static str, region: &Region, id: &str) -> Result<Vec<Body>> {
        let filter = tags::filter(format!("tag:{}", tags::SOURCE), id);
        self.describe_images(operation, region, Some("self"), vec![filter]).await
    }

    fn is_copied(&self, id: &str, region: &Region) -> bool {
        self.memory.lock().copied.contains(&(id.to_owned(), region.clone()))
    }

    /// Adds the regions whose copies are available; one call for each that this process has not seen available yet. A copy
    /// that failed is an error.
    pub(super) async fn check_copies(
        &self,
        operation: &'static str,
        found: &mut Image,
        copied_to: &[Region],
    ) -> Result<()> {
        let id = found.id.as_str().to_owned();
        for region in copied_to {
            if self.is_copied(&id, region) {
                add(found, region);
                continue;
            }
            let copies = self.copies_in(operation, region, &id).await?;
            if copies.iter().any(is_available) {
                self.memory.lock().copied.insert((id.clone(), region.clone()));
                add(found, region);
            } else if let Some(failed) = copies.iter().find(|copy| is_failed(copy)) {
                let message = format!("the copy to {region} failed: {}", reason(failed));
                return Err(Error::new(ErrorKind::Unexpected, operation, message)
                    .with_resource(&found.id)
                    .with_hint("copy it again"));
            }
        }
        Ok(())
    }

    /// The same for many images, with one call for each region; what failed is left out.
    pub(super) async fn add_copies(
        &self,
        operation: &'static str,
        originals: &mut [(Image, Vec<Region>)],
    ) -> Result<()> {
        let mut unknown: Vec<Region> = Vec::new();
        for (image, regions) in originals.iter_mut() {
            for region in regions {
                if self.is_copied(image.id.as_str(), region) {
                    add(image, region);
                } else if !unknown.contains(region) {
                    unknown.push(region.clone());
                }
            }
        }
        for region in unknown {
            let any = vec![tags::pattern("tag-key", tags::SOURCE)];
            let copies = self.describe_images(operation, &region, Some("self"), any).await?;
            for (image, _) in originals.iter_mut().filter(|(_, regions)| regions.contains(&region)) {
                let of_image = |copy: &&Body| tags::value(copy.tags(), tags::SOURCE) == Some(image.id.as_str());
                if copies.iter().filter(of_image).any(is_available) {
                    self.memory.lock().copied.insert((image.id.as_str().to_owned(), region.clone()));
                    add(image, &region);
                }
            }
        }
        Ok(())
    }

    /// Two reads, and two calls to start; one read where the image is there already.
    pub(super) async fn copy_image(&self, id: &ImageId, region: &Region) -> Result<()> {
        const OPERATION: &str = "copy image";
        self.check_region(OPERATION, region).await?;
        let _turn = self.turns.take([format!("copy of {id} in {region}")]).await;
        let (home, body) = self.find_image(OPERATION, id.as_str()).await?;
        if home == *region {
            return Ok(());
        }
        let copies = self.copies_in(OPERATION, region, id.as_str()).await?;
        let stands = copies.iter().any(|copy| !is_failed(copy));
        if stands || self.is_being_copied(id, region) {
            return Ok(());
        }
        let mut failed: Vec<&str> = copies.iter().filter_map(Body::image_id).collect();
        failed.sort_unstable();
        for copy in &copies {
            self.remove_image(OPERATION, region, copy).await?;
        }
        let about = format!("{id} to {region}");
        let note = tags::tag(&format!("{}{region}", tags::COPY), ASKED_FOR);
        let request = self.client.ec2(&home).create_tags().resources(id.as_str()).tags(note);
        self.client.call(&Call::idempotent(OPERATION).about(&about), || request.clone().send()).await?;

        let original = image(&home, &body);
        let mut all = tags::tags(OPERATION, &original.labels)?;
        all.extend([tags::tag(tags::SOURCE, id.as_str()), tags::tag(tags::SOURCE_REGION, home.as_str())]);
        let mut parts = vec!["copy", id.as_str(), region.as_str()];
        // A failed copy has spent its token.
        parts.extend(failed);
        let request = self
            .client
            .ec2(region)
            .copy_image()
            .client_token(tags::token(&parts))
            .source_image_id(id.as_str())
            .source_region(home.as_str())
            .name(&original.name)
            .set_encrypted(self.settings.config.encrypt.then_some(true))
            .set_tag_specifications(Some(self.image_tags(&all)));
        self.client.call(&Call::idempotent(OPERATION).about(&about), || request.clone().send()).await?;
        self.memory.lock().copying.note((id.as_str().to_owned(), region.clone()), ());
        Ok(())
    }

    fn is_being_copied(&self, id: &ImageId, region: &Region) -> bool {
        let key = (id.as_str().to_owned(), region.clone());
        self.memory.lock().copying.get(&key, self.settings.grace).is_some()
    }

    /// Deregisters an AMI with its snapshots: one call where EC2 does both, and one for each snapshot that it left.
    pub(crate) async fn remove_image(&self, operation: &'static str, region: &Region, body: &Body) -> Result<()> {
        let id = body.image_id().unwrap_or_default();
        let request = self.client.ec2(region).deregister_image().image_id(id).delete_associated_snapshots(true);
        let call = Call::idempotent(operation).about(id);
        let deleted = match self.client.call(&call, || request.clone().send()).await {
            Ok(answer) => answer.delete_snapshot_results.unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        for snapshot in snapshots(body) {
            let done = deleted.iter().any(|result| {
                let settled = matches!(
                    result.return_code(),
                    // Skipped are those that another AMI is made of.
                    Some(SnapshotReturnCodes::Success | SnapshotReturnCodes::WarnSkipped)
                );
                result.snapshot_id() == Some(snapshot) && settled
            });
            if done {
                continue;
            }
            let request = self.client.ec2(region).delete_snapshot().snapshot_id(snapshot);
            match self.client.call(&Call::idempotent(operation).about(snapshot), || request.clone().send()).await {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                // Another AMI is made of it.
                Err(error) if error.is_code("InvalidSnapshot.InUse") => {}
                result => drop(result?),
            }
        }
        let mut memory = self.memory.lock();
        memory.places.remove(id);
        if let Some(source) = tags::value(body.tags(), tags::SOURCE) {
            let key = (source.to_owned(), region.clone());
            memory.copied.remove(&key);
            memory.copying.remove(&key);
        }
        Ok(())
    }
}

fn is_failed(body: &Body) -> bool {
    use aws_sdk_ec2::types::ImageState as State;
    !matches!(body.state(), Some(State::Available | State::Pending | State::Transient))
}

fn add(image: &mut Image, region: &Region) {
    if let Regions::Only(regions) = &mut image.regions
        && !regions.contains(region)
    {
        regions.push(region.clone());
    }
}
