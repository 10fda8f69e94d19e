//! Machine images.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ImageId, InstanceId, Labels, Region, Result, Selector};

/// A machine image in the account, or a public one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// The cloud's id.
    pub id: ImageId,
    /// Its name; for public images the name that the user wrote.
    pub name: String,
    /// Labels, empty for public images.
    pub labels: Labels,
    /// Whether it can be launched.
    pub state: ImageState,
    /// Where it can be launched.
    pub regions: Vec<Region>,
    /// The smallest disk that it fits on, in GiB.
    pub min_disk_gib: u64,
    /// What it occupies, in bytes, where the cloud tells.
    pub size_bytes: Option<u64>,
    /// When it was captured.
    pub created_at: Option<Timestamp>,
}

/// Whether an image can be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageState {
    /// Still being made or copied.
    Pending,
    /// Ready to launch.
    Available,
    /// Broken; the text is the cloud's reason.
    Failed(String),
}

/// What to capture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureSpec {
    /// The stopped instance.
    pub instance: InstanceId,
    /// The image's name, unique in the account: service, fingerprint and run are in it.
    pub name: String,
    /// The image's labels.
    pub labels: Labels,
}

/// How far a capture is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaptureProgress {
    /// The cloud is at it; call again to observe.
    Pending,
    /// The image can be launched and carries its name and labels.
    Done(Image),
}

/// Machine images: resolve, capture, find, copy, delete.
#[async_trait]
pub trait Images: Send + Sync {
    /// Finds the base image that a manifest names (`debian-12-x64`), or an image of the account by its id.
    ///
    /// - *Behaviour*: returns the concrete image that the name means now; its id changes when the cloud publishes a
    ///   newer one under the same name, and that changes the fingerprint.
    /// - *Errors*: `NotFound` with the nearest names as a hint; `InvalidInput` when it is not to be had in `region`.
    async fn resolve(&self, base: &str, region: &Region) -> Result<Image>;

    /// Captures a stopped instance into an image: the first call starts it, further calls observe it.
    ///
    /// - *Behaviour*: level-triggered. Before: the instance is stopped. Each call looks for the image under its name,
    ///   then for a capture that is under way, and only when there is neither starts one. After `Done`, `list` shows
    ///   the image with its labels. Where the cloud cannot label at capture, the call that first sees the image labels
    ///   it.
    /// - *Idempotency*: by name. Ten calls, or a call after a lost reply, make one image.
    /// - *Errors*: `Busy` when the instance is occupied; `Conflict` when the instance runs; `Unexpected` with effect
    ///   `NotApplied` when the cloud reports that the capture failed: the next call starts afresh.
    /// - *Cancellation*: dropping the future leaves at most one image of that name behind.
    async fn capture(&self, spec: &CaptureSpec) -> Result<CaptureProgress>;

    /// Images of the account that carry the labels. Public images are never listed.
    ///
    /// - *Behaviour*: all pages, in no order. An image that `capture` reported `Done` is in it.
    async fn list(&self, selector: &Selector) -> Result<Vec<Image>>;

    /// One image by its id.
    ///
    /// - *Errors*: `NotFound`.
    async fn get(&self, id: &ImageId) -> Result<Image>;

    /// Starts copying an image to a region; `get` shows the region once it is there.
    ///
    /// - *Requires*: [`super::Capability::ImageCopyRegions`].
    /// - *Idempotency*: a region that has it, or is getting it, is left alone.
    /// - *Errors*: `NotFound`, `InvalidInput` for an unknown region, `Busy`, `Unsupported`.
    async fn copy(&self, id: &ImageId, region: &Region) -> Result<()>;

    /// Deletes an image, with whatever the cloud keeps for it alone.
    ///
    /// - *Behaviour*: returns when the cloud has accepted it.
    /// - *Idempotency*: an image that is gone is a success.
    /// - *Errors*: `Busy`; `Conflict` while the cloud sees it in use.
    async fn delete(&self, id: &ImageId) -> Result<()>;
}
