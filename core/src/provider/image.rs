//! Machine images.

use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ImageId, InstanceId, Labels, Region, Result, Selector};

/// A machine image in the account, or a public one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// The cloud's own id: `ami-…`, a snapshot's number.
    pub id: ImageId,
    /// Its name; for public images the name that the user wrote.
    pub name: String,
    /// Labels, empty for public images.
    pub labels: Labels,
    /// Whether it can be launched.
    pub state: ImageState,
    /// The regions in which it can be launched.
    pub regions: Regions,
    /// The smallest disk that it fits on, in GiB.
    pub min_disk_gib: u64,
    /// What it occupies, in bytes, where the cloud tells.
    pub size_bytes: Option<u64>,
    /// When it was captured.
    pub created_at: Option<Timestamp>,
}

/// Where an image can be launched. In JSON the list of regions, or the word `all`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "RegionsText", into = "RegionsText")]
pub enum Regions {
    /// Everywhere: on clouds whose images are global.
    All,
    /// In the listed regions.
    Only(Vec<Region>),
}

impl Regions {
    /// Whether it can be launched there.
    pub fn contains(&self, region: &Region) -> bool {
        match self {
            Self::All => true,
            Self::Only(regions) => regions.contains(region),
        }
    }
}

impl FromIterator<Region> for Regions {
    fn from_iter<I: IntoIterator<Item = Region>>(regions: I) -> Self {
        Self::Only(regions.into_iter().collect())
    }
}

impl fmt::Display for Regions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Only(regions) = self else { return f.write_str("all") };
        for (index, region) in regions.iter().enumerate() {
            let gap = if index == 0 { "" } else { " " };
            write!(f, "{gap}{region}")?;
        }
        Ok(())
    }
}

/// How [`Regions`] stand in JSON.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum RegionsText {
    Word(AllRegions),
    List(Vec<Region>),
}

#[derive(Serialize, Deserialize)]
enum AllRegions {
    #[serde(rename = "all")]
    All,
}

impl From<RegionsText> for Regions {
    fn from(text: RegionsText) -> Self {
        match text {
            RegionsText::Word(AllRegions::All) => Self::All,
            RegionsText::List(regions) => Self::Only(regions),
        }
    }
}

impl From<Regions> for RegionsText {
    fn from(regions: Regions) -> Self {
        match regions {
            Regions::All => Self::Word(AllRegions::All),
            Regions::Only(regions) => Self::List(regions),
        }
    }
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

/// What a capture makes: from which instance, and under which name and labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureSpec {
    /// The instance whose disk is captured. It is stopped.
    pub instance: InstanceId,
    /// The image's name, unique in the account: service, fingerprint and run are in it.
    pub name: String,
    /// The labels that the image carries as soon as it can be launched.
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
    ///   it. None of this needs the instance once a capture has started: a call after the instance was destroyed, also by
    ///   another process, still finds the capture or its image.
    /// - *Idempotency*: by name. Ten calls, or a call after a lost reply, make one image.
    /// - *Errors*: `NotFound`, effect `NotApplied`, when there is no image of that name, no capture under way and no
    ///   instance: nothing was captured. `Busy` when the instance is occupied; `Conflict` when the instance runs, or when an
    ///   image of that name carries other labels; `Unexpected` with effect
    ///   `NotApplied` when the cloud reports that the capture failed: the next call starts afresh. A transient kind with
    ///   effect `Unknown` when the reply was lost: the next call sees whether there is a capture.
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

    /// Adds labels to an image of the account, replacing the values of keys that it has.
    ///
    /// - *Behaviour*: its copies in other regions, and whatever the cloud keeps for it and labels, get them too. After:
    ///   `get` and `list` show them.
    /// - *Idempotency*: the same labels twice are one. Labels of different keys that are added at the same time all stand.
    /// - *Errors*: `NotFound`; `InvalidInput` for what [`Labels::check`] refuses, before anything is changed.
    /// - *Cancellation*: a dropped call may have labelled a part; one made again labels the rest.
    async fn label(&self, id: &ImageId, labels: &Labels) -> Result<()>;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_a_list_or_the_word_all() {
        let (home, away) = (Region::from("nyc3"), Region::from("fra1"));
        let some: Regions = [home.clone()].into_iter().collect();
        assert!(some.contains(&home) && !some.contains(&away));
        assert!(Regions::All.contains(&away));
        for (regions, json) in [(some, r#"["nyc3"]"#), (Regions::All, r#""all""#)] {
            assert_eq!(serde_json::to_string(&regions).unwrap(), json);
            assert_eq!(serde_json::from_str::<Regions>(json).unwrap(), regions);
        }
        assert!(serde_json::from_str::<Regions>(r#""some""#).is_err());
    }
}
