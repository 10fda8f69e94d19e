//! Images are snapshots of droplets; base images are the public ones, by their slug.

use async_trait::async_trait;
use remint_core::provider::{
    Capability, CaptureProgress, CaptureSpec, Error, ErrorKind, Image, ImageId, ImageState, Images, Labels, Region,
    Result, Selector, nearest,
    support::{CreateOnce, JsonRequest, Seen},
};
use serde_json::json;

use crate::{DigitalOcean, labelling::resource, tags, wire};

mod capture;
#[cfg(test)]
mod tests;

/// Transfers that one `copy` asks for, the repetitions after lost replies included.
const TRANSFER_CALLS: u32 = 3;
/// How DigitalOcean counts gigabytes of a snapshot.
const GIGABYTE: f64 = 1e9;

/// An image in Remint's words.
fn image(body: &wire::ImageBody) -> Image {
    let error = body.error_message.as_deref().unwrap_or_default();
    let state = match body.status.as_deref() {
        _ if !error.is_empty() => ImageState::Failed(error.to_owned()),
        Some("available") | None => ImageState::Available,
        Some(gone @ ("deleted" | "retired")) => ImageState::Failed(format!("the image is {gone}")),
        Some(_) => ImageState::Pending,
    };
    let labels = if body.public { Default::default() } else { tags::labels(body.tags.iter().flatten()) };
    Image {
        id: ImageId::new(body.id.to_string()),
        name: body.name.clone(),
        labels,
        state,
        regions: body.regions.iter().flatten().map(|region| Region::new(region.clone())).collect(),
        min_disk_gib: body.min_disk_size.unwrap_or(0),
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a size is positive and far below 2^63"
        )]
        size_bytes: body.size_gigabytes.map(|size| (size.max(0.0) * GIGABYTE) as u64),
        created_at: body.created_at,
    }
}

impl DigitalOcean {
    async fn fetch_image(&self, operation: &'static str, id: &str) -> Result<wire::ImageBody> {
        let request = JsonRequest::get(operation, &["v2", "images", id]).about(id);
        Ok(self.client.json::<wire::ImageAnswer>(&request).await?.image)
    }

    /// Fails when a transfer that this process started has ended in error; nothing else would show it.
    async fn check_copies(&self, operation: &'static str, found: &Image) -> Result<()> {
        let Ok(number) = found.id.as_str().parse::<u64>() else { return Ok(()) };
        let waiting: Vec<(String, u64)> = {
            let mut memory = self.memory.lock();
            let arrived = |region: &str| found.regions.contains(&Region::new(region));
            memory.copies.retain(|(image, region), _| *image != number || !arrived(region));
            let of_image = memory.copies.iter().filter(|((image, _), _)| *image == number);
            of_image.map(|((_, region), action)| (region.clone(), *action)).collect()
        };
        for (region, action) in waiting {
            if self.action(operation, action).await?.is_some_and(|action| action.errored()) {
                self.memory.lock().copies.remove(&(number, region.clone()));
                let message = format!("action {action}, the transfer to {region}, ended in error");
                return Err(Error::new(ErrorKind::Unexpected, operation, message)
                    .with_resource(&found.id)
                    .with_hint("try again; DigitalOcean does not say why a transfer failed"));
            }
        }
        Ok(())
    }

    /// Reads an action, or nothing while it does not show yet.
    pub(crate) async fn action(&self, operation: &'static str, id: u64) -> Result<Option<wire::Action>> {
        let request = JsonRequest::get(operation, &["v2", "actions", &id.to_string()]).about(format!("action {id}"));
        match self.client.json::<wire::ActionAnswer>(&request).await {
            Ok(answer) => Ok(Some(answer.action)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl Images for DigitalOcean {
    async fn resolve(&self, base: &str, region: &Region) -> Result<Image> {
        const OPERATION: &str = "find base image";
        let body = match self.fetch_image(OPERATION, base).await {
            Ok(body) => body,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let list = JsonRequest::get(OPERATION, &["v2", "images"]).query("type", "distribution");
                let public: Vec<wire::ImageBody> = self.client.list(&list, "images").await?;
                let slugs = public.iter().filter_map(|image| image.slug.as_deref());
                let hint = format!("use the number of an image of the account, or a slug: {}", nearest(base, slugs));
                return Err(Error::new(ErrorKind::NotFound, OPERATION, "no image has this slug or number")
                    .with_resource(format!("`{base}`"))
                    .with_hint(hint)
                    .with_source(error));
            }
            Err(error) => return Err(error),
        };
        let mut found = image(&body);
        if body.public {
            base.clone_into(&mut found.name);
        }
        if !found.regions.contains(region) {
            let message = format!("the image is not in region {region} (it is in {})", found.regions);
            return Err(Error::new(ErrorKind::InvalidInput, OPERATION, message)
                .with_resource(format!("`{base}`"))
                .with_hint("transfer the image to that region first, or choose one that has it"));
        }
        Ok(found)
    }

    async fn capture(&self, spec: &CaptureSpec) -> Result<CaptureProgress> {
        self.advance_capture(spec).await
    }

    async fn list(&self, selector: &Selector) -> Result<Vec<Image>> {
        const OPERATION: &str = "list images";
        let request = JsonRequest::get(OPERATION, &["v2", "images"]);
        let request = match tags::query_tag(OPERATION, selector)? {
            Some(tag) => request.query("tag_name", tag),
            None => request.query("private", "true"),
        };
        let bodies: Vec<wire::ImageBody> = self.client.list(&request, "images").await?;
        let mut all: Vec<Image> = bodies.iter().map(image).collect();
        for (_, captured) in self.memory.lock().captured.all(self.grace) {
            if !all.iter().any(|image| image.id == captured.id) {
                all.push(captured.clone());
            }
        }
        all.retain(|image| !image.labels.0.is_empty() && image.labels.matches(selector));
        Ok(all)
    }

    async fn get(&self, id: &ImageId) -> Result<Image> {
        const OPERATION: &str = "get image";
        let found = image(&self.fetch_image(OPERATION, id.as_str()).await?);
        self.check_copies(OPERATION, &found).await?;
        Ok(found)
    }

    async fn label(&self, id: &ImageId, labels: &Labels) -> Result<()> {
        const OPERATION: &str = "label image";
        labels.check(OPERATION)?;
        // Refused as a whole, before a part of them is there.
        tags::tags(OPERATION, labels)?;
        let body = self.fetch_image(OPERATION, id.as_str()).await?;
        if body.public {
            return Err(Error::new(ErrorKind::NotFound, OPERATION, "a public image has no labels").with_resource(id));
        }
        let standing = body.tags.unwrap_or_default();
        self.relabel(OPERATION, &resource("image", body.id), &standing, labels).await?;
        if let Some(captured) = self.memory.lock().captured.get_mut(&body.id) {
            captured.labels.0.extend(labels.0.clone());
        }
        Ok(())
    }

    async fn copy(&self, id: &ImageId, region: &Region) -> Result<()> {
        const OPERATION: &str = "copy image";
        if !self.descriptor.has(Capability::ImageCopyRegions) {
            return Err(Error::unsupported(OPERATION, Capability::ImageCopyRegions));
        }
        let body = self.fetch_image(OPERATION, id.as_str()).await?;
        let found = image(&body);
        if found.regions.contains(region) {
            return Ok(());
        }
        let number = body.id.to_string();
        let path = ["v2", "images", &number, "actions"];
        let key = (body.id, region.as_str().to_owned());
        let body = json!({ "type": "transfer", "region": region });
        let request = JsonRequest::post(OPERATION, &path, body).about(format!("{id} to {region}"));
        let transfer = || async {
            let actions = JsonRequest::get(OPERATION, &path).about(id);
            let actions: Vec<wire::Action> = self.client.list(&actions, "actions").await?;
            let here = |action: &&wire::Action| {
                action.kind == "transfer"
                    && action.in_progress()
                    && action.region_slug.as_deref() == Some(region.as_str())
            };
            Ok(actions.iter().find(here).map(|action| Some(action.id)))
        };
        // A transfer that has ended shows in no action under way, and another one is refused for being done.
        let look = || async {
            let there = image(&self.fetch_image(OPERATION, id.as_str()).await?).regions.contains(region);
            if there { Ok(Seen::There(None)) } else { transfer().await.map(Seen::from) }
        };
        let create = |()| async { Ok(Some(self.client.json::<wire::ActionAnswer>(&request).await?.action.id)) };
        let once = CreateOnce::new(&request.call, self.settle).creates(TRANSFER_CALLS);
        let started = match once.run_from(transfer().await?.into(), look, create).await {
            Err(refused) if refused.kind() == ErrorKind::InvalidInput => match look().await? {
                Seen::There(found) => found,
                _ => return Err(refused),
            },
            result => result?,
        };
        if let Some(action) = started {
            self.memory.lock().copies.insert(key, action);
        }
        Ok(())
    }

    async fn delete(&self, id: &ImageId) -> Result<()> {
        let request = JsonRequest::delete("delete image", &["v2", "images", id.as_str()]).about(id);
        self.client.remove(&request).await?;
        if let Ok(number) = id.as_str().parse() {
            let mut memory = self.memory.lock();
            if let Some(deleted) = memory.captured.remove(&number) {
                memory.removed.insert(deleted.name);
            }
        }
        Ok(())
    }
}
