//! What a suite runs against: a provider, and what a case needs to know of its cloud.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use remint_core::provider::{Provider, Region, SizeName};

/// A mutation whose reply a case wants to be lost after the cloud has carried it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LostReply {
    /// A launch.
    Launch,
    /// A change of power.
    Power,
    /// A destruction.
    Destroy,
    /// A label on an instance.
    Label,
    /// The start of a capture.
    Capture,
    /// The deletion of an image.
    DeleteImage,
    /// The start of a copy to another region.
    CopyImage,
    /// The making of a static IP.
    EnsureStaticIp,
    /// A move of a static IP.
    AssignStaticIp,
    /// The release of a static IP.
    ReleaseStaticIp,
    /// The making of a record.
    UpsertRecord,
    /// The removal of a record.
    RemoveRecord,
    /// The registration of a login key.
    EnsureLoginKey,
}

/// Gets between a provider and its cloud.
#[async_trait]
pub trait Interference: Send + Sync {
    /// Lets the cloud carry out the next call of this kind, and loses its reply.
    ///
    /// # Errors
    ///
    /// Why it cannot.
    async fn lose_next(&self, reply: LostReply) -> Result<(), String>;

    /// How many replies were lost since the target was made.
    ///
    /// # Errors
    ///
    /// Why that is not known.
    async fn lost(&self) -> Result<u64, String>;
}

/// Something that a target may bring, and without which a case is blocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Setting {
    /// [`Target::second_region`].
    SecondRegion,
    /// [`Target::zone`].
    Zone,
    /// [`Target::stranger`].
    Stranger,
    /// [`Target::interference`].
    LostReplies,
    /// [`Target::static_ip_limit`].
    StaticIpLimit,
}

impl Setting {
    /// What is missing without it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SecondRegion => "a second region",
            Self::Zone => "a DNS zone",
            Self::Stranger => "credentials that are refused",
            Self::LostReplies => "a way to lose replies",
            Self::StaticIpLimit => "a known, small limit of static IPs",
        }
    }
}

/// The settings that a kind of target brings; known before one is made, so that tests can be listed.
pub type Settings = &'static [Setting];

/// What a suite runs against.
#[derive(Clone)]
pub struct Target {
    /// The provider.
    pub provider: Arc<dyn Provider>,
    /// Where instances are made.
    pub region: Region,
    /// A small size that the region has.
    pub size: SizeName,
    /// A public image that the region has.
    pub base_image: String,
    /// Another region, for copies of images.
    pub second_region: Option<Region>,
    /// A zone of the account in which records may be made.
    pub zone: Option<String>,
    /// The same provider with credentials that the cloud refuses.
    pub stranger: Option<Arc<dyn Provider>>,
    /// Gets between the provider and its cloud.
    pub interference: Option<Arc<dyn Interference>>,
    /// How many static IPs the account may have, where that is few enough to be tried.
    pub static_ip_limit: Option<u64>,
    /// The pause between two looks.
    pub poll: Duration,
    /// What the timeouts of cases are multiplied by: 1 for a real cloud, less for one that takes no time.
    pub patience: f64,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("provider", &self.provider).field("region", &self.region).finish_non_exhaustive()
    }
}
