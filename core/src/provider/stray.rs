//! What a provider creates beside what it was asked for.

use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{EnvironmentId, Region, Result, ServiceId, StrayId};

/// Whose strays are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The service, which owns what belongs to its images.
    pub service: ServiceId,
    /// The environment, which owns what belongs to its instances and static IPs. `None` leaves those out.
    pub environment: Option<EnvironmentId>,
}

impl Owner {
    /// What the names of the service's images end with: a dash and the first 8 digits of its id. Where a cloud cannot label
    /// an image as it is captured, this is what proves the image until it is labelled.
    #[must_use]
    pub fn image_suffix(&self) -> String {
        let id = self.service.as_str();
        format!("-{}", id.get(..8).unwrap_or(id))
    }
}

/// A resource that a provider created beside what it was asked for, and that nothing uses any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stray {
    /// Which kind of resource it is, which decides how it is removed.
    pub kind: StrayKind,
    /// The provider's id of it, which [`Strays::remove`] understands; unique among strays of one kind.
    pub id: StrayId,
    /// Its name, where it has one, otherwise the id.
    pub name: String,
    /// Where it is; `None` for what belongs to no region.
    pub region: Option<Region>,
    /// When it was created, where the cloud tells.
    pub created_at: Option<Timestamp>,
    /// Why it is a stray, as a lowercase fragment: "no image is made of it".
    pub why: String,
}

/// The kinds of resources that may be strays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StrayKind {
    /// An image that [`super::Images`] does not know: a capture that was never labelled, a copy without its original.
    Image,
    /// A disk snapshot that no image is made of.
    Snapshot,
    /// A security group that no instance is in.
    SecurityGroup,
    /// A target group that no load balancer sends connections to.
    TargetGroup,
    /// A firewall rule that applies to no instance.
    FirewallRule,
    /// A forwarding rule whose static IP is gone.
    ForwardingRule,
    /// A target of forwarding rules that none points at, or whose instance is gone.
    TargetInstance,
}

impl StrayKind {
    /// The kind in words, as lists and messages show it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Snapshot => "snapshot",
            Self::SecurityGroup => "security group",
            Self::TargetGroup => "target group",
            Self::FirewallRule => "firewall rule",
            Self::ForwardingRule => "forwarding rule",
            Self::TargetInstance => "target instance",
        }
    }
}

impl fmt::Display for StrayKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Strays. *Requires* [`super::Capability::Strays`] throughout.
///
/// Some requests of the other contracts take a provider several resources: an image has snapshots, a static IP may be made
/// of an address, a rule and a target. A crash between them, or a request that took effect after its sender died, leaves a
/// part that no other contract shows. This one finds such parts and removes them.
///
/// What was created has the owner's id on it from the first moment, as a label or in its name. A part that has none is not
/// listed, whatever its name looks like.
#[async_trait]
pub trait Strays: Send + Sync {
    /// Strays of the owner, in no order.
    ///
    /// - *Behaviour*: looks in the provider's home region and in those that calls of this process named. Lists what carries
    ///   the id of the service or of the environment *and* is used by nothing. Never lists what another contract
    ///   removes (instances, images, static IPs), nor a part of one, nor what carries another id. A request that is under way
    ///   looks the same as one that was cut off: the caller holds the journal's lock, compares names with the journal, and
    ///   leaves alone what is younger than [`super::Limits::settle_time`].
    async fn list(&self, owner: &Owner) -> Result<Vec<Stray>>;

    /// Removes a stray.
    ///
    /// - *Behaviour*: reads it again first: what is used by now, or does not carry the owner's id, stays. Before: `list`
    ///   shows it. After: it does not.
    /// - *Idempotency*: one that is gone is a success.
    /// - *Errors*: `Conflict` when it is in use, or is not the owner's, and nothing was changed; `InvalidInput` for an id
    ///   that is none; `Busy`.
    async fn remove(&self, owner: &Owner, stray: &Stray) -> Result<()>;
}
