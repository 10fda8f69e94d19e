//! Images are snapshots of servers; base images are the public ones for x86, by their names.
//!
//! A snapshot has no name, so its description stands for one. Looking for it and making it are two calls; within a process a turn
//! ties them together, and no two processes ask for the same name, because the bake's run is in it.

use async_trait::async_trait;
use remint_core::provider::{
    Capability, CaptureProgress, CaptureSpec, Effect, Error, ErrorKind, Image, ImageId, ImageState, Images, Labels,
    Region, Regions, Result, Selector, nearest, support::JsonRequest,
};
use serde_json::json;

use crate::{Cloud, client::number, labels, wire};

/// An image in Remint's words. It can be launched in every location.
fn image(image: wire::Image) -> Image {
    let state = match image.status.as_str() {
        "available" => ImageState::Available,
        "creating" => ImageState::Pending,
        other => ImageState::Failed(format!("the image is {other}")),
    };
    let public = image.kind == "system" || image.kind == "app";
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "sizes are positive and small")]
    let bytes = |gigabytes: f64| (gigabytes * 1e9) as u64;
    Image {
        id: ImageId::new(image.id.to_string()),
        name: image.name.unwrap_or(image.description),
        labels: if public { Labels::new() } else { labels::read(&image.labels) },
        state,
        regions: Regions::All,
        min_disk_gib: bytes(image.disk_size) / 1_000_000_000,
        size_bytes: image.image_size.map(bytes),
        created_at: image.created,
    }
}

impl Cloud {
    async fn image_numbered(&self, operation: &'static str, number: u64) -> Result<Image> {
        let request = JsonRequest::get(operation, &["images", &number.to_string()]).about(number);
        Ok(image(self.client.json::<wire::ImageAnswer>(&request).await?.image))
    }

    async fn snapshots(&self, operation: &'static str, selector: &Selector) -> Result<Vec<Image>> {
        let mut request = JsonRequest::get(operation, &["images"]).query("type", "snapshot");
        if let Some(query) = labels::query(operation, selector)? {
            request = request.query("label_selector", query);
        }
        let all = self.client.list(&request, "images").await?.into_iter().map(image);
        Ok(all.filter(|found| !found.labels.0.is_empty() && found.labels.matches(selector)).collect())
    }
}

#[async_trait]
impl Images for Cloud {
    async fn resolve(&self, base: &str, region: &Region) -> Result<Image> {
        const OPERATION: &str = "find base image";
        self.catalogue(OPERATION).await?.check(OPERATION, region)?;
        if let Ok(number) = base.parse() {
            return self.image_numbered(OPERATION, number).await;
        }
        let system = JsonRequest::get(OPERATION, &["images"]).query("type", "system").query("architecture", "x86");
        let named = self.client.list(&system.clone().query("name", base), "images").await?;
        if let Some(found) = named.into_iter().next() {
            return Ok(image(found));
        }
        let all: Vec<wire::Image> = self.client.list(&system, "images").await?;
        let hint = nearest(base, all.iter().filter_map(|image| image.name.as_deref()));
        Err(Error::new(ErrorKind::NotFound, OPERATION, "no image has this name")
            .with_resource(format!("`{base}`"))
            .with_hint(format!("use the number of a snapshot, or a name: {hint}")))
    }

    // ANCHOR: capture
    async fn capture(&self, spec: &CaptureSpec) -> Result<CaptureProgress> {
        const OPERATION: &str = "capture image";
        let turn = self.turns.take([format!("image {}", spec.name)]).await;
        let standing = self.snapshots(OPERATION, &Selector::all()).await?;
        if let Some(image) = standing.into_iter().find(|image| image.name == spec.name) {
            if !image.labels.matches(&Selector(spec.labels.0.clone())) {
                return Err(Error::new(ErrorKind::Conflict, OPERATION, "a snapshot of this name has other labels")
                    .with_resource(&spec.name));
            }
            return progress(image);
        }
        let server = self.server(OPERATION, &spec.instance).await?;
        if server.status != "off" {
            return Err(Error::new(ErrorKind::Conflict, OPERATION, format!("the server is {}", server.status))
                .with_resource(&spec.instance)
                .with_hint("stop it first: the disk of a server that runs is in no certain state"));
        }
        let tags = labels::write(OPERATION, &spec.labels)?;
        let body = json!({ "type": "snapshot", "description": spec.name, "labels": tags });
        let path = ["servers", &server.id.to_string(), "actions", "create_image"];
        let request = JsonRequest::post(OPERATION, &path, body).about(&spec.name);
        // Not repeated when its reply is lost: the next call finds what came of it. Nor does that look too early when this
        // one is dropped, for the turn lasts as long as the request.
        let answer: wire::ImageAnswer = self.client.json_within(&turn, &request).await?;
        progress(image(answer.image))
    }
    // ANCHOR_END: capture

    async fn list(&self, selector: &Selector) -> Result<Vec<Image>> {
        self.snapshots("list images", selector).await
    }

    async fn get(&self, id: &ImageId) -> Result<Image> {
        const OPERATION: &str = "get image";
        self.image_numbered(OPERATION, number(OPERATION, id)?).await
    }

    async fn label(&self, id: &ImageId, added: &Labels) -> Result<()> {
        const OPERATION: &str = "label image";
        // Labels are written as a whole: two writers would undo one another's.
        let turn = self.turns.take([format!("labels of {id}")]).await;
        let path = ["images", &number(OPERATION, id)?.to_string()];
        let standing =
            self.client.json::<wire::ImageAnswer>(&JsonRequest::get(OPERATION, &path).about(id)).await?.image;
        if standing.kind != "snapshot" {
            let message = "it is public: only snapshots have labels";
            return Err(Error::new(ErrorKind::NotFound, OPERATION, message).with_resource(id));
        }
        let tags = labels::merge(OPERATION, &standing.labels, added)?;
        let request = JsonRequest::put(OPERATION, &path, json!({ "labels": tags })).about(id);
        self.client.json_within::<wire::ImageAnswer>(&turn, &request).await?;
        Ok(())
    }

    async fn copy(&self, _id: &ImageId, _region: &Region) -> Result<()> {
        Err(Error::unsupported("copy image", Capability::ImageCopyRegions))
    }

    async fn delete(&self, id: &ImageId) -> Result<()> {
        const OPERATION: &str = "delete image";
        let number = number(OPERATION, id)?.to_string();
        self.client.remove(&JsonRequest::delete(OPERATION, &["images", &number]).about(id)).await
    }
}

fn progress(image: Image) -> Result<CaptureProgress> {
    match &image.state {
        ImageState::Available => Ok(CaptureProgress::Done(image)),
        ImageState::Pending => Ok(CaptureProgress::Pending),
        ImageState::Failed(why) => Err(Error::new(ErrorKind::Unexpected, "capture image", why.as_str())
            .with_resource(image.name)
            .with_effect(Effect::NotApplied)),
    }
}
