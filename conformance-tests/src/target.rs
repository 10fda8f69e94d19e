//! What a suite runs against: a provider, and what a case needs to know of its cloud.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use remint_core::provider::{Provider, Region, SizeName};

/// A mutation in whose way a case wants something to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LostReply {
    /// A launch of instances.
    Launch,
    /// A change of an instance's power.
    Power,
    /// The destruction of an instance.
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
    /// The move of a static IP to another instance.
    AssignStaticIp,
    /// The release of a static IP, which gives the address back.
    ReleaseStaticIp,
    /// The making of a record.
    UpsertRecord,
    /// The removal of a record.
    RemoveRecord,
    /// The registration of a login key.
    EnsureLoginKey,
    /// The creation of a load balancer.
    EnsureLoadBalancer,
    /// Making instances members of a load balancer.
    AttachMembers,
    /// Making instances members no more.
    DetachMembers,
    /// The destruction of a load balancer.
    DestroyLoadBalancer,
}

/// How a cloud turns a call away without carrying it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Too many calls; it says to come back in a second.
    RateLimited,
    /// It is broken for the moment: a 5xx.
    Unavailable,
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

    /// Lets the cloud turn away the next `times` calls of this kind, without carrying them out.
    ///
    /// # Errors
    ///
    /// Why it cannot.
    async fn refuse_next(&self, call: LostReply, refusal: Refusal, times: u64) -> Result<(), String>;

    /// Lets the cloud be well again: no further call is turned away, and no reply is lost.
    ///
    /// # Errors
    ///
    /// Why it cannot.
    async fn recover(&self) -> Result<(), String>;

    /// How many calls were hit since the target was made, or has recovered.
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
    /// [`Target::another`].
    Another,
    /// [`Target::boots`].
    Boots,
    /// [`Target::interference`].
    LostReplies,
    /// [`Target::static_ip_limit`].
    StaticIpLimit,
}

impl Setting {
    /// All of them, in the order in which they are declared.
    pub const ALL: &[Self] = &[
        Self::SecondRegion,
        Self::Zone,
        Self::Stranger,
        Self::Another,
        Self::Boots,
        Self::LostReplies,
        Self::StaticIpLimit,
    ];

    /// What is missing without it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SecondRegion => "second region",
            Self::Zone => "DNS zone",
            Self::Stranger => "credentials that are refused",
            Self::Another => "second client of the account",
            Self::Boots => "machines that boot",
            Self::LostReplies => "way to lose replies",
            Self::StaticIpLimit => "known, small limit of static IPs",
        }
    }

    /// Whether a case that uses it would be in the way of others on the same target.
    pub(crate) fn needs_seclusion(self) -> bool {
        matches!(self, Self::LostReplies | Self::StaticIpLimit)
    }
}

/// The settings that a kind of target brings; known before one is made, so that tests can be listed.
pub type Settings = &'static [Setting];

/// Makes one more client of an account, which knows nothing of what the others did: as another process would have it.
pub type Connect = Arc<dyn Fn() -> Arc<dyn Provider> + Send + Sync>;

/// What a suite runs against.
#[derive(Clone)]
pub struct Target {
    /// The provider under test, connected with credentials that may create everything.
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
    /// Another client of the same account.
    pub another: Option<Connect>,
    /// Whether its machines boot, take cloud-init's user data, and let in by SSH whoever that lets in.
    pub boots: bool,
    /// Gets between the provider and its cloud.
    pub interference: Option<Arc<dyn Interference>>,
    /// How many static IPs the account may have, where that is few enough to be tried.
    pub static_ip_limit: Option<u64>,
    /// The pause between two looks.
    pub poll: Duration,
    /// What the timeouts of cases are multiplied by: 1 for a real cloud, less for one that takes no time.
    pub patience: f64,
}

impl Target {
    /// A real cloud: its machines boot, a look is taken every three seconds, and nothing else is known of it.
    pub fn new(provider: Arc<dyn Provider>, region: Region, size: SizeName, base_image: impl Into<String>) -> Self {
        Self {
            provider,
            region,
            size,
            base_image: base_image.into(),
            second_region: None,
            zone: None,
            stranger: None,
            another: None,
            boots: true,
            interference: None,
            static_ip_limit: None,
            poll: Duration::from_secs(3),
            patience: 1.0,
        }
    }

    /// The settings that it has. A case that needs another one is blocked.
    pub fn settings(&self) -> Vec<Setting> {
        let brings = [
            (Setting::SecondRegion, self.second_region.is_some()),
            (Setting::Zone, self.zone.is_some()),
            (Setting::Stranger, self.stranger.is_some()),
            (Setting::Another, self.another.is_some()),
            (Setting::Boots, self.boots),
            (Setting::LostReplies, self.interference.is_some()),
            (Setting::StaticIpLimit, self.static_ip_limit.is_some()),
        ];
        brings.into_iter().filter_map(|(setting, brought)| brought.then_some(setting)).collect()
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("provider", &self.provider).field("region", &self.region).finish_non_exhaustive()
    }
}
