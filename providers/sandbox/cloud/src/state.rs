//! Everything that the cloud knows, as it lies in the state file.
//!
//! Plain data with a version. What takes time is an [`Action`] with a [`Pending`] part that says what is left to do and
//! when it is due; so a sandbox that was killed reads here what it has to go on with.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use super::work::Work;
use super::{Api, ZoneRecord, balancer::LoadBalancer};
use remint_sandbox_machines::DiskImage;

/// The version of the file's format.
pub(super) const VERSION: u32 = 1;

/// Everything that the cloud knows.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct State<F> {
    /// The format's version.
    pub(super) version: u32,
    /// Whose API the account is reached by.
    #[serde(default)]
    pub api: Api,
    /// The account's id.
    pub account: Uuid,
    /// When the sandbox was made.
    pub created_at: Timestamp,
    /// The last number given to anything; numbers are never given twice.
    pub last_id: u64,
    /// The last offset given to an instance's address.
    pub(super) last_address: u32,
    /// The last offset given to a static IP.
    #[serde(rename = "last_reserved")]
    pub(super) last_static_ip: u32,
    /// How many delays of each kind were drawn.
    pub(super) ordinals: BTreeMap<DelayKind, u64>,
    /// The delays that were drawn, oldest first.
    pub(super) delays: Vec<DrawnDelay>,
    /// Instances by id.
    #[serde(rename = "droplets")]
    pub instances: BTreeMap<u64, Instance>,
    /// Images by id, public ones included.
    pub images: BTreeMap<u64, Image>,
    /// Login keys by id.
    #[serde(rename = "keys")]
    pub login_keys: BTreeMap<u64, LoginKey>,
    /// Static IPs by address.
    #[serde(rename = "reserved_ips")]
    pub static_ips: BTreeMap<Ipv4Addr, StaticIp>,
    /// Zones by name.
    #[serde(rename = "domains")]
    pub zones: BTreeMap<String, Zone>,
    /// Load balancers by id.
    #[serde(default)]
    pub load_balancers: BTreeMap<u64, LoadBalancer>,
    /// Tags, also those that nothing carries, of an API whose tags are names alone.
    pub tags: BTreeSet<String>,
    /// Actions by id; the oldest completed ones are forgotten.
    pub actions: BTreeMap<u64, Action>,
    /// What the account's API keeps beside this. It lies in the file under the API's name.
    #[serde(skip)]
    pub own: F,
    /// Actions that the change under way has begun.
    #[serde(skip)]
    pub(super) begun: Vec<u64>,
}

/// A kind of work that takes time. Its number tells the sequences of the kinds apart, and is never reused for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DelayKind {
    /// From the create call to `active`.
    Create = 1,
    /// From power-on to an answer on SSH, on machines that do not really boot.
    Boot = 2,
    /// From the delete call to 404.
    Destroy = 3,
    /// From the shutdown action to the command being sent.
    Shutdown = 4,
    /// Power off, on, cycle and reboot.
    Power = 5,
    /// From the rename action to the new name.
    Rename = 6,
    /// From the snapshot action to an image that can be launched.
    Snapshot = 7,
    /// The rebuild and the restore action: the disk is replaced by an image.
    Rebuild = 8,
    /// From the resize action to the new size.
    Resize = 9,
    /// Assigning and unassigning a static IP.
    #[serde(rename = "reserved_ip")]
    StaticIp = 10,
    /// Copying an image to another region, or converting it.
    Transfer = 11,
    /// From a change of a zone to all name servers having it, where an API says so.
    Dns = 12,
    /// From the create call to a load balancer that takes connections.
    LoadBalancer = 13,
    /// From a change of a load balancer, or of who its members are, to its taking effect.
    BalancerChange = 14,
    /// From a load balancer being active to measurements of it being shown.
    Measure = 15,
    /// From an instance becoming a member of a load balancer that is late, to its first check.
    Join = 16,
    /// From an instance leaving such a load balancer, to its last new connection.
    Leave = 17,
    /// From a change of a load balancer, or of who its members are, to its taking effect, where the API is done with the change
    /// before that.
    Network = 18,
}

/// A delay that was drawn, as `GET /sandbox/v1/delays` lists it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DrawnDelay {
    /// What takes this long, which decides from which range it is drawn.
    pub kind: DelayKind,
    /// What it was drawn for: an instance's, image's or action's number, or an address.
    pub resource: String,
    /// How long, after scaling.
    pub seconds: f64,
}

/// An instance: a machine, and what its account says of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Instance {
    /// Its number, which is the machine's, too.
    pub id: u64,
    /// As it was asked for; not unique.
    pub name: String,
    /// The slug of the region, or on Compute Engine of the zone.
    pub region: String,
    /// The slug of the size that the machine has now.
    pub size: String,
    /// In GiB; a resize without disk leaves it.
    pub disk: u64,
    /// The image that it was made from, as it was then: it may be deleted since.
    pub image: Image,
    /// Whether it is being made, on, or off.
    pub status: Status,
    /// The loopback address on which the machine's ports are open.
    pub address: Ipv4Addr,
    /// Whether the address is shown yet.
    pub networked: bool,
    /// Names that it carries.
    pub tags: BTreeSet<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// The action that runs on it: while there is one, the instance is locked.
    pub pending: Option<u64>,
    /// What the machine is made from; cleared once it is made, because it may hold secrets.
    pub seed: Option<Seed>,
    /// Whether it was asked to be off: after a restart only others are switched on again.
    pub asked_off: bool,
    /// What it was made with.
    #[serde(default)]
    pub features: Features,
    /// Counts the changes of status, so that a reading of the machine's power that is older than one is not believed.
    #[serde(skip)]
    pub(super) epoch: u64,
}

/// What is kept of an instance's creation and shown; the machine has neither.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Features {
    /// Whether backups were asked for; none is ever made.
    pub backups: bool,
    /// Whether an agent was asked for.
    pub monitoring: bool,
    /// Whether an IPv6 address was asked for.
    pub ipv6: bool,
}

/// What an instance's machine is made from.
#[derive(Clone, Serialize, Deserialize)]
pub struct Seed {
    /// As it was sent.
    pub user_data: Option<String>,
    /// Public keys for root, as OpenSSH lines.
    pub ssh_keys: Vec<String>,
    /// How long after power-on SSH answers at the earliest, in milliseconds.
    pub boot_delay_ms: u64,
}

impl std::fmt::Debug for Seed {
    /// Without the user data: it may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seed").field("boot_delay_ms", &self.boot_delay_ms).finish_non_exhaustive()
    }
}

/// An instance's status, as the API shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is being made.
    New,
    /// It is on, or booting.
    Active,
    /// It is off; its disk is kept.
    Off,
}

impl Status {
    /// The name, as DigitalOcean writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Active => "active",
            Self::Off => "off",
        }
    }
}

/// An image: public, or a snapshot.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Image {
    /// Its number.
    pub id: u64,
    /// Of a captured one, as it was asked for.
    pub name: String,
    /// The name of the distribution, as DigitalOcean writes it.
    pub distribution: String,
    /// Of public images only.
    pub slug: Option<String>,
    /// The disk behind it.
    pub disk: DiskImage,
    /// Where machines can be launched from it.
    pub regions: BTreeSet<String>,
    /// When it was captured, or first offered.
    pub created_at: Timestamp,
    /// In GiB.
    pub min_disk_size: u64,
    /// What its file takes.
    pub size_bytes: u64,
    /// Names that it carries.
    pub tags: BTreeSet<String>,
    /// The instance that it was taken from.
    pub source: Option<u64>,
    /// The action that runs on it.
    pub pending: Option<u64>,
    /// Whether the machines can still be launched from it: an imported base image may be gone.
    pub available: bool,
}

impl Image {
    /// Whether it belongs to everybody.
    pub fn public(&self) -> bool {
        self.slug.is_some()
    }
}

/// A login key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LoginKey {
    /// Its number.
    pub id: u64,
    /// As it was registered; not unique.
    pub name: String,
    /// The OpenSSH line.
    pub public_key: String,
    /// Identifies the key: a digest of it, in the form of the API.
    pub fingerprint: String,
}

/// A static IP: an address that points at an instance of its region, or at none.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StaticIp {
    /// The address, which is a loopback address.
    pub ip: Ipv4Addr,
    /// The slug of its region.
    pub region: String,
    /// The instance that it points at.
    #[serde(rename = "droplet")]
    pub instance: Option<u64>,
    /// The action that runs on it: while there is one, it is locked.
    pub pending: Option<u64>,
    /// When it was reserved.
    pub created_at: Timestamp,
}

/// A DNS zone.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Zone {
    /// The domain, without a final dot.
    pub name: String,
    /// Records by number, the zone's own SOA and NS included.
    pub records: BTreeMap<u64, ZoneRecord>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What an action works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// An instance.
    #[serde(rename = "droplet")]
    Instance,
    /// An image.
    Image,
    /// A static IP.
    #[serde(rename = "reserved_ip")]
    StaticIp,
    /// A load balancer.
    LoadBalancer,
}

/// An action, running or done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Action {
    /// Its number.
    pub id: u64,
    /// The API's `type`.
    pub kind: String,
    /// When it was asked for.
    pub started_at: Timestamp,
    /// When it ended, well or not.
    pub completed_at: Option<Timestamp>,
    /// Whether it failed.
    pub errored: bool,
    /// What it works on.
    #[serde(rename = "resource_type")]
    pub resource: Resource,
    /// The instance's, image's or load balancer's id, or the static IP as a number.
    pub resource_id: u64,
    /// The slug of the region that it is in.
    pub region: String,
    /// What is left to do; `None` once it is done.
    pub pending: Option<Pending>,
}

/// What is left to do of an action.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pending {
    /// When it is done at the earliest.
    pub due: Timestamp,
    /// Whether it is to end `errored`, because a fault rule says so.
    pub doomed: bool,
    /// What is to be done.
    pub work: Work,
}

impl<F> State<F> {
    /// Goes back to an earlier state. What only memory knows of instances stays: a reading of the machines' power that is
    /// older than a change is void also when the change was taken back.
    pub(super) fn go_back(&mut self, earlier: Self) {
        let now = std::mem::replace(self, earlier);
        for (id, instance) in &mut self.instances {
            instance.epoch = now.instances.get(id).map_or(0, |instance| instance.epoch) + 1;
        }
    }

    /// A number that was never given before.
    pub fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }
}
