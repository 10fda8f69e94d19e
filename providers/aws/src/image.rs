//! Images are AMIs with their snapshots. An AMI belongs to a region: what Remint calls an image is the AMI that was captured,
//! and its copies in other regions, which carry its id in a tag.

use async_trait::async_trait;
use aws_sdk_ec2::types::{Filter, ImageState as State};
use remint_core::provider::{
    CaptureProgress, CaptureSpec, Error, ErrorKind, Image, ImageId, ImageState, Images, Labels, Region, Regions,
    Result, Selector,
    support::{Call, all_by_token},
};

use crate::{Aws, error::never_was, tags};

mod capture;
mod copies;
mod resolve;
#[cfg(test)]
mod tests;

/// The most that EC2 gives on a page.
const PAGE_SIZE: i32 = 1000;
/// What an AMI without a root volume is taken to need, in GiB: nothing that Remint launches has less.
const LEAST_DISK: u64 = 1;

pub(crate) type Body = aws_sdk_ec2::types::Image;

pub(crate) fn is_available(body: &Body) -> bool {
    body.state() == Some(&State::Available)
}

fn reason(body: &Body) -> String {
    let state = body.state().map_or("unknown", |state| state.as_str());
    match body.state_reason().and_then(|reason| reason.message()) {
        Some(message) => format!("{state}: {message}"),
        None => state.to_owned(),
    }
}

/// The size of an AMI's root volume.
fn root_disk(body: &Body) -> Option<u64> {
    let root = body.root_device_name();
    let mapping = body.block_device_mappings().iter().find(|mapping| mapping.device_name() == root)?;
    mapping.ebs()?.volume_size()?.try_into().ok()
}

/// The snapshots that an AMI is made of.
pub(crate) fn snapshots(body: &Body) -> impl Iterator<Item = &str> {
    body.block_device_mappings().iter().filter_map(|mapping| mapping.ebs()?.snapshot_id())
}

/// An AMI and its snapshots, which carry the same tags.
fn with_snapshots(body: &Body) -> Vec<String> {
    body.image_id().into_iter().chain(snapshots(body)).map(str::to_owned).collect()
}

/// An AMI in Remint's words, without its copies. A copy is the image that it is a copy of.
fn image(region: &Region, body: &Body) -> Image {
    let state = match body.state() {
        Some(State::Available) => ImageState::Available,
        Some(State::Pending | State::Transient) => ImageState::Pending,
        _ => ImageState::Failed(reason(body)),
    };
    let id = tags::value(body.tags(), tags::SOURCE).or(body.image_id()).unwrap_or_default();
    let mut regions = vec![region.clone()];
    regions.extend(tags::value(body.tags(), tags::SOURCE_REGION).map(Region::from));
    Image {
        id: ImageId::new(id),
        name: body.name().unwrap_or_default().to_owned(),
        labels: if body.public() == Some(true) { Default::default() } else { tags::labels(body.tags()) },
        state,
        regions: Regions::Only(regions),
        min_disk_gib: root_disk(body).unwrap_or(LEAST_DISK),
        size_bytes: None,
        created_at: body.creation_date().and_then(|date| date.parse().ok()),
    }
}

/// Whether an AMI is one that was captured, rather than a copy.
fn is_original(body: &Body) -> bool {
    tags::value(body.tags(), tags::SOURCE).is_none()
}

fn not_found(operation: &'static str, id: &str) -> Error {
    Error::new(ErrorKind::NotFound, operation, "no such image").with_resource(id)
}

impl Aws {
    /// AMIs by their ids or by filters; one call for each thousand. Those that are gone are left out.
    pub(crate) async fn describe_images(
        &self,
        operation: &'static str,
        region: &Region,
        owner: Option<&str>,
        filters: Vec<Filter>,
    ) -> Result<Vec<Body>> {
        let request = self.client.ec2(region).describe_images().set_filters(Some(filters)).max_results(PAGE_SIZE);
        let request = request.set_owners(owner.map(|owner| vec![owner.to_owned()]));
        let all = all_by_token(self.client.calls(), operation, |token| {
            let page = request.clone().set_next_token(token);
            async move {
                let answer = self.client.call(&Call::read(operation), || page.clone().send()).await?;
                Ok((answer.images.unwrap_or_default(), answer.next_token))
            }
        });
        let mut all = all.await?;
        all.retain(|body| body.state() != Some(&State::Deregistered));
        Ok(all)
    }

    /// One AMI by its id in a region; one call.
    pub(crate) async fn fetch_image(&self, operation: &'static str, region: &Region, id: &str) -> Result<Option<Body>> {
        let request = self.client.ec2(region).describe_images().image_ids(id);
        match self.client.call(&Call::read(operation).about(id), || request.clone().send()).await {
            Ok(answer) => {
                let found = answer.images.unwrap_or_default().into_iter();
                Ok(found.into_iter().find(|body| body.state() != Some(&State::Deregistered)))
            }
            Err(error) if never_was(&error, id, "ami-") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The AMI that was captured, wherever it is; one call where this process knows its region.
    async fn find_image(&self, operation: &'static str, id: &str) -> Result<(Region, Body)> {
        let places = self.places(operation, id)?;
        for region in &places {
            if let Some(body) = self.fetch_image(operation, region, id).await? {
                self.remember_place(id, region);
                return Ok((region.clone(), body));
            }
        }
        for region in &places {
            // A copy in a region that is looked at tells where the original is.
            let copies = self.copies_in(operation, region, id).await?;
            let source = copies.iter().find_map(|copy| tags::value(copy.tags(), tags::SOURCE_REGION));
            let Some(source) = source.map(Region::from).filter(|source| !places.contains(source)) else { continue };
            if let Some(body) = self.fetch_image(operation, &source, id).await? {
                self.remember_place(id, &source);
                return Ok((source, body));
            }
        }
        Err(not_found(operation, id))
    }

    /// The name of an AMI's root device.
    pub(crate) async fn root_device(&self, operation: &'static str, region: &Region, id: &str) -> Result<String> {
        let body = self.fetch_image(operation, region, id).await?.ok_or_else(|| not_found(operation, id))?;
        let device = body.root_device_name().map(str::to_owned);
        device.ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, operation, "the image has no root device").with_resource(id)
        })
    }

    async fn images_of(&self, operation: &'static str, selector: &Selector) -> Result<Vec<Image>> {
        let mut originals: Vec<(Image, Vec<Region>)> = Vec::new();
        let mut copies = Vec::new();
        for region in self.all_places(operation)? {
            for body in self.describe_images(operation, &region, Some("self"), tags::filters(selector)).await? {
                let found = image(&region, &body);
                if is_original(&body) {
                    self.remember_place(found.id.as_str(), &region);
                    originals.push((found, self.copied_to(&body)));
                } else {
                    copies.push(found);
                }
            }
        }
        self.add_copies(operation, &mut originals).await?;
        let mut all: Vec<Image> = originals.into_iter().map(|(image, _)| image).collect();
        // A copy stands for an original in a region that was not looked at.
        for copy in copies {
            if !all.iter().any(|image| image.id == copy.id) {
                all.push(copy);
            }
        }
        for (_, captured) in self.memory.lock().captured.all(self.settings.grace) {
            if !all.iter().any(|image| image.id == captured.id) {
                all.push(captured.clone());
            }
        }
        all.retain(|image| !image.labels.0.is_empty() && image.labels.matches(selector));
        Ok(all)
    }
}

#[async_trait]
impl Images for Aws {
    async fn resolve(&self, base: &str, region: &Region) -> Result<Image> {
        self.resolve_base(base, region).await
    }

    async fn capture(&self, spec: &CaptureSpec) -> Result<CaptureProgress> {
        self.advance_capture(spec).await
    }

    async fn list(&self, selector: &Selector) -> Result<Vec<Image>> {
        self.images_of("list images", selector).await
    }

    async fn get(&self, id: &ImageId) -> Result<Image> {
        const OPERATION: &str = "get image";
        let (region, body) = match self.find_image(OPERATION, id.as_str()).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let memory = self.memory.lock();
                return memory.captured.get(id.as_str(), self.settings.grace).cloned().ok_or(error);
            }
            result => result?,
        };
        let mut found = image(&region, &body);
        self.check_copies(OPERATION, &mut found, &self.copied_to(&body)).await?;
        Ok(found)
    }

    async fn label(&self, id: &ImageId, labels: &Labels) -> Result<()> {
        const OPERATION: &str = "label image";
        let new = tags::tags(OPERATION, labels)?;
        let (region, body) = self.find_image(OPERATION, id.as_str()).await?;
        if body.public() == Some(true) {
            return Err(
                not_found(OPERATION, id.as_str()).with_hint("an image of the account has labels, a public one not")
            );
        }
        // The original first: by its labels the image is found.
        self.add_tags(OPERATION, &region, with_snapshots(&body), new.clone()).await?;
        for elsewhere in self.copied_to(&body) {
            for copy in self.copies_in(OPERATION, &elsewhere, id.as_str()).await? {
                self.add_tags(OPERATION, &elsewhere, with_snapshots(&copy), new.clone()).await?;
            }
        }
        if let Some(captured) = self.memory.lock().captured.get_mut(id.as_str()) {
            captured.labels.0.extend(labels.0.clone());
        }
        Ok(())
    }

    async fn copy(&self, id: &ImageId, region: &Region) -> Result<()> {
        self.copy_image(id, region).await
    }

    async fn delete(&self, id: &ImageId) -> Result<()> {
        const OPERATION: &str = "delete image";
        self.memory.lock().captured.remove(id.as_str());
        let (region, body) = match self.find_image(OPERATION, id.as_str()).await {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            result => result?,
        };
        // Copies first: the original's tags say where they are.
        for elsewhere in self.copied_to(&body) {
            for copy in self.copies_in(OPERATION, &elsewhere, id.as_str()).await? {
                self.remove_image(OPERATION, &elsewhere, &copy).await?;
            }
        }
        self.remove_image(OPERATION, &region, &body).await
    }
}
