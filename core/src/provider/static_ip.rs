//! Addresses that outlive an instance.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{Address, InstanceId, Labels, Region, Result, Selector, StaticIpId, label};

/// A public address that stays the same while it moves between instances: a reserved or Elastic IP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaticIp {
    /// The cloud's own id; on some clouds the address itself.
    pub id: StaticIpId,
    /// The address that clients connect to. It never changes.
    pub address: Address,
    /// The instance that it points at; `None` while it points nowhere.
    pub assigned_to: Option<InstanceId>,
    /// Whether a move is under way; `assigned_to` may still be the old one.
    pub busy: bool,
    /// Where it is; it can only point at instances there.
    pub region: Region,
    /// Labels; empty on clouds that cannot label addresses.
    pub labels: Labels,
}

/// A static IP to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticIpSpec {
    /// A deterministic name, where the cloud names addresses.
    pub name: String,
    /// Labels, where the cloud labels addresses. Those of [`StaticIpSpec::IDENTITY`] say whose it is.
    pub labels: Labels,
    /// Where it is made: the region of the instances that it is to point at.
    pub region: Region,
    /// The instance that it points at from the first. Where the cloud neither names nor labels addresses, this is how a
    /// static IP whose reply was lost is found again, so the instance must be one that Remint just made.
    pub instance: InstanceId,
}

impl StaticIpSpec {
    /// The labels that decide whether a static IP is the one that a spec asks for. Others (the release that made it) may
    /// differ.
    pub const IDENTITY: [&str; 4] = [label::SERVICE, label::ENV, label::ENV_ID, label::RUN];

    /// What a static IP must carry to be the one that is asked for: the spec's labels of [`Self::IDENTITY`].
    #[must_use]
    pub fn identity(&self) -> Selector {
        let wanted = self.labels.iter().filter(|(key, _)| Self::IDENTITY.contains(key));
        wanted.fold(Selector::all(), |selector, (key, value)| selector.with(key, value))
    }
}

/// Static IPs. *Requires* [`super::Capability::StaticIp`] throughout.
#[async_trait]
pub trait StaticIps: Send + Sync {
    /// Makes sure that a static IP for this spec exists, and that it points at the instance or is on its way to it.
    ///
    /// - *Behaviour*: with [`super::Capability::StaticIpLabels`], an address is only taken for the one that is asked for
    ///   when it carries the spec's [`StaticIpSpec::identity`], whatever its name is and wherever it points. Without, an
    ///   address is the one when it points at the instance.
    /// - *Idempotency*: by name and identity, or by the instance that it points at; ten calls make one address.
    /// - *Errors*: `Conflict` when an address that does not carry the identity is in the way, because names are unique or an
    ///   instance has one address at most; it is left as it is. `Quota`, with the limit in the message; `NotFound` for the
    ///   instance; `Busy`.
    /// - *Cancellation*: after a dropped call, one made again leaves one address.
    async fn ensure(&self, spec: &StaticIpSpec) -> Result<StaticIp>;

    /// Static IPs of the account that carry the labels. On clouds without labels on addresses: all of them, for an
    /// empty selector, and those that point at an instance with the labels otherwise.
    async fn list(&self, selector: &Selector) -> Result<Vec<StaticIp>>;

    /// One static IP.
    ///
    /// - *Errors*: `NotFound`.
    async fn get(&self, id: &StaticIpId) -> Result<StaticIp>;

    /// Points a static IP at an instance, moving it from another where it has one.
    ///
    /// - *Behaviour*: returns when the cloud has accepted it; it has happened when `get` shows `assigned_to` and not
    ///   `busy`. With [`super::Capability::StaticIpReassign`], one call moves it, and connections find the old or the
    ///   new instance at every moment.
    /// - *Idempotency*: a static IP that points there is left alone.
    /// - *Errors*: `NotFound`; `Busy` while either is occupied; `InvalidInput` across regions.
    async fn assign(&self, id: &StaticIpId, instance: &InstanceId) -> Result<()>;

    /// Adds labels to a static IP, replacing the values of keys that it has.
    ///
    /// - *Requires*: [`super::Capability::StaticIpLabels`].
    /// - *Behaviour*: after: `get` and `list` show them, wherever the address is moved.
    /// - *Idempotency*: the same labels twice are one. Labels of different keys that are added at the same time all stand.
    /// - *Errors*: `NotFound`, `Unsupported`; `InvalidInput` for what [`Labels::check`] refuses, before anything is
    ///   changed.
    async fn label(&self, id: &StaticIpId, labels: &Labels) -> Result<()>;

    /// Takes a static IP from its instance and keeps it.
    ///
    /// - *Idempotency*: one that points nowhere is left alone.
    /// - *Errors*: `NotFound`; `Busy`.
    async fn unassign(&self, id: &StaticIpId) -> Result<()>;

    /// Gives a static IP back to the cloud. The address is lost for good.
    ///
    /// - *Idempotency*: one that is gone is a success.
    /// - *Errors*: `Busy`.
    async fn release(&self, id: &StaticIpId) -> Result<()>;
}
