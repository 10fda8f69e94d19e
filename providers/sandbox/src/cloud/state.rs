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

use super::{Api, DelayKind, DrawnDelay, ZoneRecord};
use crate::{ec2, gce, machine::DiskImage};

/// The version of the file's format.
pub(crate) const VERSION: u32 = 1;

/// Everything that the cloud knows.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct State {
    /// The format's version.
    pub(crate) version: u32,
    /// Whose API the account is reached by.
    #[serde(default)]
    pub(crate) api: Api,
    /// The account's id.
    pub(crate) account: Uuid,
    /// When the sandbox was made.
    pub(crate) created_at: Timestamp,
    /// The last number given to anything; numbers are never given twice.
    pub(crate) last_id: u64,
    /// The last offset given to a droplet's address.
    pub(crate) last_address: u32,
    /// The last offset given to a reserved IP.
    pub(crate) last_reserved: u32,
    /// How many delays of each kind were drawn.
    pub(crate) ordinals: BTreeMap<DelayKind, u64>,
    /// The delays that were drawn, oldest first.
    pub(crate) delays: Vec<DrawnDelay>,
    /// Droplets by id.
    pub(crate) droplets: BTreeMap<u64, Droplet>,
    /// Images by id, public ones included.
    pub(crate) images: BTreeMap<u64, Image>,
    /// Login keys by id.
    pub(crate) keys: BTreeMap<u64, Key>,
    pub(crate) reserved_ips: BTreeMap<Ipv4Addr, ReservedIp>,
    /// Domains by name.
    pub(crate) domains: BTreeMap<String, Domain>,
    /// Tags, also those that nothing carries.
    pub(crate) tags: BTreeSet<String>,
    /// Actions by id; the oldest completed ones are forgotten.
    pub(crate) actions: BTreeMap<u64, Action>,
    /// What an EC2 account knows beside this.
    #[serde(default)]
    pub(crate) ec2: ec2::Data,
    /// What a Compute Engine account knows beside this.
    #[serde(default)]
    pub(crate) gce: gce::Data,
    /// Actions that the change under way has begun.
    #[serde(skip)]
    pub(crate) begun: Vec<u64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Droplet {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) region: String,
    pub(crate) size: String,
    /// In GiB; a resize without disk leaves it.
    pub(crate) disk: u64,
    /// The image that it was made from, as it was then: it may be deleted since.
    pub(crate) image: Image,
    pub(crate) status: Status,
    pub(crate) address: Ipv4Addr,
    /// Whether the address is shown yet.
    pub(crate) networked: bool,
    pub(crate) tags: BTreeSet<String>,
    pub(crate) created_at: Timestamp,
    /// The action that runs on it: while there is one, the droplet is locked.
    pub(crate) pending: Option<u64>,
    /// What the machine is made from; cleared once it is made, because it may hold secrets.
    pub(crate) seed: Option<Seed>,
    /// Whether it was asked to be off: after a restart only others are switched on again.
    pub(crate) asked_off: bool,
    /// What it was made with.
    #[serde(default)]
    pub(crate) features: Features,
    /// Counts the changes of status, so that a reading of the machine's power that is older than one is not believed.
    #[serde(skip)]
    pub(crate) epoch: u64,
}

/// What is kept of a droplet's creation and shown; the machine has neither.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Features {
    pub(crate) monitoring: bool,
    pub(crate) ipv6: bool,
}

/// What a droplet's machine is made from.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Seed {
    pub(crate) user_data: Option<String>,
    pub(crate) ssh_keys: Vec<String>,
    pub(crate) boot_delay_ms: u64,
}

impl std::fmt::Debug for Seed {
    /// Without the user data: it may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seed").field("boot_delay_ms", &self.boot_delay_ms).finish_non_exhaustive()
    }
}

/// A droplet's status, as the API shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    New,
    Active,
    Off,
}

impl Status {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Active => "active",
            Self::Off => "off",
        }
    }
}

/// An image: public, or a snapshot.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Image {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) distribution: String,
    /// Of public images only.
    pub(crate) slug: Option<String>,
    pub(crate) disk: DiskImage,
    pub(crate) regions: BTreeSet<String>,
    pub(crate) created_at: Timestamp,
    /// In GiB.
    pub(crate) min_disk_size: u64,
    pub(crate) size_bytes: u64,
    pub(crate) tags: BTreeSet<String>,
    /// The droplet that it was taken from.
    pub(crate) source: Option<u64>,
    /// The action that runs on it.
    pub(crate) pending: Option<u64>,
    /// Whether the machines can still be launched from it: an imported base image may be gone.
    pub(crate) available: bool,
}

impl Image {
    /// Whether it belongs to everybody.
    pub(crate) fn public(&self) -> bool {
        self.slug.is_some()
    }
}

/// A login key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Key {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) public_key: String,
    pub(crate) fingerprint: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ReservedIp {
    pub(crate) ip: Ipv4Addr,
    pub(crate) region: String,
    pub(crate) droplet: Option<u64>,
    /// The action that runs on it: while there is one, it is locked.
    pub(crate) pending: Option<u64>,
    pub(crate) created_at: Timestamp,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Domain {
    pub(crate) name: String,
    pub(crate) records: BTreeMap<u64, ZoneRecord>,
    pub(crate) created_at: Timestamp,
}

/// An action, running or done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Action {
    pub(crate) id: u64,
    /// The API's `type`.
    pub(crate) kind: String,
    pub(crate) started_at: Timestamp,
    pub(crate) completed_at: Option<Timestamp>,
    pub(crate) errored: bool,
    /// `droplet`, `image` or `reserved_ip`.
    pub(crate) resource_type: String,
    /// The droplet's or image's id, or the reserved IP as a number.
    pub(crate) resource_id: u64,
    pub(crate) region: String,
    /// What is left to do; `None` once it is done.
    pub(crate) pending: Option<Pending>,
}

/// What is left to do of an action.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Pending {
    /// When it is done at the earliest.
    pub(crate) due: Timestamp,
    /// Whether it is to end `errored`, because a fault rule says so.
    pub(crate) doomed: bool,
    pub(crate) work: Work,
}

/// What an action does. Each kind can be done again from the beginning after the sandbox was killed in the middle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(crate) enum Work {
    Create {
        droplet: u64,
    },
    Destroy {
        droplet: u64,
    },
    /// A destruction that the disk outlives, as an image.
    Keep {
        droplet: u64,
        image: u64,
    },
    Shutdown {
        droplet: u64,
    },
    PowerOff {
        droplet: u64,
    },
    /// Off in order, or by force where the guest does not heed.
    Halt {
        droplet: u64,
        force: bool,
    },
    PowerOn {
        droplet: u64,
    },
    PowerCycle {
        droplet: u64,
    },
    Reboot {
        droplet: u64,
    },
    Rename {
        droplet: u64,
        name: String,
    },
    Snapshot {
        droplet: u64,
        image: u64,
        name: String,
        /// Whether the machine is halted for it, and switched on again.
        #[serde(default)]
        reboot: bool,
    },
    /// Rebuild and restore.
    Rebuild {
        droplet: u64,
        image: u64,
    },
    Resize {
        droplet: u64,
        size: String,
        disk: bool,
    },
    Assign {
        ip: Ipv4Addr,
        droplet: u64,
    },
    Unassign {
        ip: Ipv4Addr,
    },
    Transfer {
        image: u64,
        region: String,
    },
    Convert {
        image: u64,
    },
}

impl Work {
    /// The droplet that is locked while this runs.
    pub(crate) fn locks_droplet(&self) -> Option<u64> {
        match *self {
            Self::Create { droplet }
            | Self::Destroy { droplet }
            | Self::Keep { droplet, .. }
            | Self::Shutdown { droplet }
            | Self::PowerOff { droplet }
            | Self::Halt { droplet, .. }
            | Self::PowerOn { droplet }
            | Self::PowerCycle { droplet }
            | Self::Reboot { droplet }
            | Self::Rename { droplet, .. }
            | Self::Snapshot { droplet, .. }
            | Self::Rebuild { droplet, .. }
            | Self::Resize { droplet, .. } => Some(droplet),
            Self::Assign { .. } | Self::Unassign { .. } | Self::Transfer { .. } | Self::Convert { .. } => None,
        }
    }

    /// Which delay it takes.
    pub(crate) fn delay(&self) -> DelayKind {
        match self {
            Self::Create { .. } => DelayKind::Create,
            Self::Destroy { .. } | Self::Keep { .. } => DelayKind::Destroy,
            Self::Shutdown { .. } | Self::Halt { .. } => DelayKind::Shutdown,
            Self::PowerOff { .. } | Self::PowerOn { .. } | Self::PowerCycle { .. } | Self::Reboot { .. } => {
                DelayKind::Power
            }
            Self::Rename { .. } => DelayKind::Rename,
            Self::Snapshot { .. } => DelayKind::Snapshot,
            Self::Rebuild { .. } => DelayKind::Rebuild,
            Self::Resize { .. } => DelayKind::Resize,
            Self::Assign { .. } | Self::Unassign { .. } => DelayKind::ReservedIp,
            Self::Transfer { .. } | Self::Convert { .. } => DelayKind::Transfer,
        }
    }
}

impl State {
    /// An account without anything in it.
    pub(crate) fn empty(api: Api) -> Self {
        Self {
            version: VERSION,
            api,
            account: Uuid::new_v4(),
            created_at: Timestamp::now(),
            last_id: api.before_first_id(),
            last_address: api.offsets().start,
            last_reserved: api.offsets().start,
            ordinals: BTreeMap::new(),
            delays: Vec::new(),
            droplets: BTreeMap::new(),
            images: BTreeMap::new(),
            keys: BTreeMap::new(),
            reserved_ips: BTreeMap::new(),
            domains: BTreeMap::new(),
            tags: BTreeSet::new(),
            actions: BTreeMap::new(),
            ec2: ec2::Data::default(),
            gce: gce::Data::default(),
            begun: Vec::new(),
        }
    }

    /// Goes back to an earlier state. What only memory knows of droplets stays: a reading of the machines' power that is
    /// older than a change is void also when the change was taken back.
    pub(crate) fn go_back(&mut self, earlier: Self) {
        let now = std::mem::replace(self, earlier);
        for (id, droplet) in &mut self.droplets {
            droplet.epoch = now.droplets.get(id).map_or(0, |droplet| droplet.epoch) + 1;
        }
    }

    /// A number that was never given before.
    pub(crate) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }
}
