//! What the API sends, as far as it is read. Fields that may be missing or null have a default.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

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

#[derive(Debug, Deserialize)]
pub(crate) struct TagAnswer {
    pub(crate) tag: TagBody,
}

#[derive(Debug, Deserialize)]
pub(crate) struct TagBody {
    #[serde(default)]
    pub(crate) resources: Tagged,
}

/// What carries a tag.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Tagged {
    /// Left out without the scope `droplet:read`.
    #[serde(default)]
    pub(crate) droplets: Nested<Count>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Count {
    #[serde(default)]
    pub(crate) count: u64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct BalancerAnswer {
    pub(crate) load_balancer: Balancer,
}

/// A load balancer. What is not read here is kept, because a change must send it back.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Balancer {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) name: String,
    /// Empty or missing until there is one.
    pub(crate) ip: Option<String>,
    #[serde(default)]
    pub(crate) status: String,
    pub(crate) region: Option<RegionRef>,
    pub(crate) tag: Option<String>,
    pub(crate) droplet_ids: Option<Vec<u64>>,
    pub(crate) forwarding_rules: Option<Vec<ForwardingRule>>,
    pub(crate) health_check: Option<HealthCheck>,
    pub(crate) firewall: Option<BalancerFirewall>,
    #[serde(flatten)]
    pub(crate) others: Map<String, Value>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ForwardingRule {
    pub(crate) entry_protocol: String,
    pub(crate) entry_port: u16,
    pub(crate) target_protocol: String,
    pub(crate) target_port: u16,
    /// Empty without one.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub(crate) certificate_id: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) tls_passthrough: bool,
}

/// Null is like left out.
fn or_default<'de, T: Default + Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A health check; what is missing is as the API's reference has it (schema `health_check`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct HealthCheck {
    pub(crate) protocol: String,
    pub(crate) port: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<String>,
    pub(crate) check_interval_seconds: u64,
    pub(crate) response_timeout_seconds: u64,
    pub(crate) healthy_threshold: u32,
    pub(crate) unhealthy_threshold: u32,
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self {
            protocol: "http".to_owned(),
            port: 80,
            path: None,
            check_interval_seconds: 10,
            response_timeout_seconds: 5,
            healthy_threshold: 3,
            unhealthy_threshold: 5,
        }
    }
}

/// Who may connect to a load balancer: `ip:192.0.2.1`, `cidr:192.0.2.0/24`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct BalancerFirewall {
    pub(crate) allow: Option<Vec<String>>,
    pub(crate) deny: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Certificate {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) name: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct MetricAnswer {
    pub(crate) data: MetricData,
}

#[derive(Debug, Deserialize)]
pub(crate) struct MetricData {
    #[serde(default)]
    pub(crate) result: Option<Vec<Series>>,
}

/// One line of a diagram: what it is of, and its samples, each a time in seconds and a value.
#[derive(Debug, Deserialize)]
pub(crate) struct Series {
    #[serde(default)]
    pub(crate) metric: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) values: Vec<(Value, Value)>,
}
