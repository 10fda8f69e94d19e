//! What the API sends, as far as it is read. Fields that may be missing or null have a default.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

/// A part of an answer that the API leaves out when the token lacks the scope for it (API reference, "Requires … scope" at each
/// such part). What is not there is null.
#[derive(Debug, Clone, Default)]
pub(crate) enum Nested<T> {
    /// Left out.
    #[default]
    Hidden,
    /// Shown, and perhaps null.
    Shown(Option<T>),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Nested<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(Self::Shown)
    }
}

impl<T> Nested<T> {
    pub(crate) fn get(&self) -> Option<&T> {
        match self {
            Self::Shown(value) => value.as_ref(),
            Self::Hidden => None,
        }
    }

    pub(crate) fn is_hidden(&self) -> bool {
        matches!(self, Self::Hidden)
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct AccountAnswer {
    pub(crate) account: AccountBody,
}

#[derive(Debug, Deserialize)]
pub(crate) struct AccountBody {
    #[serde(default)]
    pub(crate) uuid: String,
    #[serde(default)]
    pub(crate) email: String,
    #[serde(default)]
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) status_message: String,
    pub(crate) droplet_limit: Option<u64>,
    pub(crate) reserved_ip_limit: Option<u64>,
    /// The older name of the same limit.
    pub(crate) floating_ip_limit: Option<u64>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Size {
    pub(crate) slug: String,
    pub(crate) memory: u64,
    pub(crate) vcpus: u32,
    pub(crate) disk: u64,
    pub(crate) price_hourly: Option<f64>,
    #[serde(default)]
    pub(crate) regions: Vec<String>,
    #[serde(default = "yes")]
    pub(crate) available: bool,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RegionRef {
    pub(crate) slug: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct DropletAnswer {
    pub(crate) droplet: Droplet,
}

/// The answer to a create call: one or several, by how many names were sent.
#[derive(Debug, Deserialize)]
pub(crate) struct CreateAnswer {
    #[serde(default)]
    pub(crate) droplet: Option<Droplet>,
    #[serde(default)]
    pub(crate) droplets: Vec<Droplet>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Droplet {
    pub(crate) id: u64,
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) locked: bool,
    pub(crate) created_at: Option<Timestamp>,
    pub(crate) image: Option<ImageRef>,
    #[serde(default)]
    pub(crate) size_slug: String,
    pub(crate) networks: Option<Networks>,
    pub(crate) region: Option<RegionRef>,
    #[serde(default)]
    pub(crate) tags: Nested<Vec<String>>,
    #[serde(default)]
    pub(crate) snapshot_ids: Vec<u64>,
}

impl Droplet {
    /// The public IPv4 addresses: the droplet's own, and a reserved IP that points at it, in no order.
    pub(crate) fn public_addresses(&self) -> Vec<&str> {
        let all = self.networks.as_ref().map(|networks| networks.v4.as_slice()).unwrap_or_default();
        all.iter().filter(|network| network.kind == "public").map(|network| network.ip_address.as_str()).collect()
    }
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ImageRef {
    pub(crate) id: Option<u64>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Networks {
    #[serde(default)]
    pub(crate) v4: Vec<Network>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Network {
    pub(crate) ip_address: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ActionAnswer {
    pub(crate) action: Action,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Action {
    pub(crate) id: u64,
    #[serde(default)]
    pub(crate) status: String,
    #[serde(default, rename = "type")]
    pub(crate) kind: String,
    pub(crate) completed_at: Option<Timestamp>,
    pub(crate) region_slug: Option<String>,
    pub(crate) resource_id: Option<u64>,
}

impl Action {
    pub(crate) fn in_progress(&self) -> bool {
        self.status == "in-progress"
    }

    pub(crate) fn errored(&self) -> bool {
        self.status == "errored"
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct ImageAnswer {
    pub(crate) image: ImageBody,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ImageBody {
    pub(crate) id: u64,
    #[serde(default)]
    pub(crate) name: String,
    pub(crate) slug: Option<String>,
    #[serde(default)]
    pub(crate) public: bool,
    pub(crate) regions: Option<Vec<String>>,
    pub(crate) created_at: Option<Timestamp>,
    pub(crate) min_disk_size: Option<u64>,
    pub(crate) size_gigabytes: Option<f64>,
    pub(crate) tags: Option<Vec<String>>,
    pub(crate) status: Option<String>,
    pub(crate) error_message: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Tag {
    pub(crate) name: String,
}

/// A snapshot in a droplet's list: the id is the image's, and there are neither tags nor a status.
#[derive(Debug, Deserialize)]
pub(crate) struct Snapshot {
    pub(crate) id: u64,
    #[serde(default)]
    pub(crate) name: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct AccountSnapshotAnswer {
    pub(crate) snapshot: AccountSnapshot,
}

/// A snapshot in the account's list: the id is the image's, and it says which droplet it was taken of.
#[derive(Debug, Deserialize)]
pub(crate) struct AccountSnapshot {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) name: String,
    pub(crate) created_at: Option<Timestamp>,
    pub(crate) regions: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) resource_id: String,
    pub(crate) tags: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ReservedIpAnswer {
    pub(crate) reserved_ip: ReservedIp,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ReservedIp {
    pub(crate) ip: String,
    pub(crate) region: Option<RegionRef>,
    #[serde(default)]
    pub(crate) droplet: Nested<Droplet>,
    #[serde(default)]
    pub(crate) locked: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct KeyAnswer {
    pub(crate) ssh_key: Key,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Key {
    pub(crate) id: u64,
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) public_key: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct DomainAnswer {
    pub(crate) domain: Domain,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Domain {
    pub(crate) name: String,
    pub(crate) zone_file: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct RecordAnswer {
    pub(crate) domain_record: Record,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Record {
    pub(crate) id: u64,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) data: String,
    pub(crate) ttl: Option<u64>,
}
