//! Virtual machines.

use async_trait::async_trait;
use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{Address, ImageId, InstanceId, Labels, LoginKeyId, Region, Result, Selector, SizeName};

/// A virtual machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// The cloud's own id: `i-…`, a droplet's number.
    pub id: InstanceId,
    /// Its name, unique among what Remint made.
    pub name: String,
    /// Remint's labels on it.
    pub labels: Labels,
    /// Whether it runs, or is on its way to another state.
    pub state: InstanceState,
    /// Whether the cloud is at work on it and will refuse another operation.
    pub busy: bool,
    /// Its own public address; `None` until the cloud has given it one.
    pub address: Option<Address>,
    /// The image that it was launched from, where the cloud still tells.
    pub image: Option<ImageId>,
    /// Its size, in the cloud's own words: `s-1vcpu-1gb`, `t3.micro`.
    pub size: SizeName,
    /// Where it is, in the cloud's own words; on Google Cloud a zone.
    pub region: Region,
    /// When the cloud made it; `None` where the cloud does not tell.
    pub created_at: Option<Timestamp>,
}

/// What an instance is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstanceState {
    /// Accepted, not running yet.
    Pending,
    /// Powered on; says nothing about what runs inside.
    Running,
    /// On its way to being off.
    Stopping,
    /// Off, with its disk kept.
    Stopped,
    /// On its way to being gone.
    Destroying,
}

impl InstanceState {
    /// The state in words, as messages show it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Destroying => "being destroyed",
        }
    }
}

/// Instances to launch: one for each name, otherwise alike.
#[derive(Debug, Clone)]
pub struct LaunchSpec {
    /// Deterministic, distinct names, at least one and at most [`super::Limits::launch_batch`] of them, each of `a-z`,
    /// `0-9` and, between them, `-`, at most [`super::Limits::name_length`] long.
    pub names: Vec<String>,
    /// Whether nothing can have these names yet: the caller drew them, and asks for the first time. A provider that would look
    /// for them before it creates need not.
    pub new_names: bool,
    /// The image whose disk the instances start with a copy of.
    pub image: ImageId,
    /// Their size, in the cloud's own words.
    pub size: SizeName,
    /// Where they run, in the cloud's own words; on Google Cloud a zone.
    pub region: Region,
    /// The labels that each of them carries from its launch.
    pub labels: Labels,
    /// cloud-init user data, at most [`super::Limits::user_data_bytes`] long. Secret: it may carry keys.
    pub user_data: Option<SecretString>,
    /// Registered login keys; empty where the provider has none.
    pub login_keys: Vec<LoginKeyId>,
}

/// What a size gives in a region.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shape {
    /// The size that was asked about, in the cloud's own words.
    pub size: SizeName,
    /// Virtual processors.
    pub vcpus: u32,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Disk in GiB.
    pub disk_gib: u64,
    /// Price in US dollars an hour, where the cloud tells.
    pub price_hourly_usd: Option<f64>,
}

/// A change of an instance's power.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PowerOp {
    /// Ask the operating system to shut down.
    Stop,
    /// Cut the power.
    ForceStop,
    /// Switch on.
    Start,
}

/// Virtual machines: launch, find, switch, destroy.
#[async_trait]
pub trait Instances: Send + Sync {
    /// Looks up a size in a region, before anything is made.
    ///
    /// - *Errors*: `InvalidInput` for an unknown region or size, or a size that the region does not have, with the
    ///   nearest names as a hint.
    async fn shape(&self, size: &SizeName, region: &Region) -> Result<Shape>;

    /// Makes sure that an instance of each name exists, launching those that are missing.
    ///
    /// - *Behaviour*: before: perhaps some of the names exist with the same labels. After: each exists; returned in the
    ///   order of `names`, in whatever state they are.
    /// - *Idempotency*: by name and labels; ten calls, or a call after a lost reply, make one instance per name.
    /// - *Errors*: `Conflict` when an instance of that name carries other labels; `InvalidInput` for what
    ///   [`LaunchSpec::check`] refuses, and for a bad image, size, region or login key (`NotFound`, where the cloud says
    ///   so), before anything is changed; `Quota`; `Capacity` when no zone that may be used has room for the size, with the zones
    ///   that were tried; `Busy` while an instance of that name is being destroyed.
    /// - *Cancellation*: dropping the future leaves at most one instance per name.
    async fn launch(&self, spec: &LaunchSpec) -> Result<Vec<Instance>>;

    /// Instances that carry the labels, in no order, whatever their state; all pages.
    ///
    /// - *Behaviour*: an instance that `launch` returned is in it, until it is gone.
    async fn list(&self, selector: &Selector) -> Result<Vec<Instance>>;

    /// One instance by its id.
    ///
    /// - *Errors*: `NotFound` only when the instance is gone or never was; an instance that `launch` returned is never
    ///   reported missing while it is being made.
    async fn get(&self, id: &InstanceId) -> Result<Instance>;

    /// Changes the power; `get` shows when it has happened.
    ///
    /// - *Behaviour*: `Stop` is a request that the system may ignore; `ForceStop` is not.
    /// - *Idempotency*: an instance that is already as asked is a success.
    /// - *Errors*: `NotFound`, `Busy`.
    async fn power(&self, id: &InstanceId, op: PowerOp) -> Result<()>;

    /// Adds labels to an instance, replacing the values of keys that it has.
    ///
    /// - *Requires*: [`super::Capability::InstanceRelabel`].
    /// - *Idempotency*: the same labels twice are one. Labels of different keys that are added at the same time all stand.
    /// - *Errors*: `NotFound`, `Unsupported`; `InvalidInput` for what [`Labels::check`] refuses, before anything is
    ///   changed.
    async fn label(&self, id: &InstanceId, labels: &Labels) -> Result<()>;

    /// Removes the user data of an instance that has read it, so that the cloud shows it to nobody any more.
    ///
    /// - *Behaviour*: `true` when the cloud has none of it any more. `false`, and nothing is changed, where a cloud keeps the
    ///   user data of an instance that runs.
    /// - *Idempotency*: an instance without user data is a success.
    /// - *Errors*: `NotFound`.
    async fn withdraw_user_data(&self, id: &InstanceId) -> Result<bool>;

    /// Destroys an instance and its disk.
    ///
    /// - *Behaviour*: returns when the cloud has accepted it; it is done when `get` answers `NotFound`.
    /// - *Idempotency*: an instance that is gone is a success.
    /// - *Errors*: `Busy` when the cloud will not yet: the caller comes back.
    async fn destroy(&self, id: &InstanceId) -> Result<()>;

    /// The last part of what the instance wrote to its console.
    ///
    /// - *Requires*: [`super::Capability::InstanceConsole`].
    /// - *Errors*: `NotFound`, `Unsupported`.
    async fn console_output(&self, id: &InstanceId) -> Result<String>;
}
