//! The resources of Compute Engine and Cloud DNS, as the state file has them.
//!
//! An instance is a machine of the engine and what Compute Engine says of it beside; an image is a snapshot, an address a
//! static IP, a managed zone a domain. What has no counterpart there is here alone.

use std::{collections::BTreeSet, net::Ipv4Addr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::labels::{Labels, Metadata};
use remint_sandbox_cloud::balancer::MemberCheck;

/// What Compute Engine says of an instance.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Instance {
    pub(super) description: String,
    pub(super) labels: Labels,
    pub(super) metadata: Metadata,
    /// Network tags.
    pub(super) tags: Vec<String>,
    /// The external address, if it has one.
    pub(super) access: Option<Access>,
    /// As they were sent.
    pub(super) service_accounts: Vec<Value>,
    /// As it was sent, where it was.
    pub(super) scheduling: Value,
    pub(super) disk: u64,
    pub(super) device_name: String,
    pub(super) auto_delete: bool,
    pub(super) deletion_protection: bool,
    pub(super) can_ip_forward: bool,
    pub(super) started_at: Option<Timestamp>,
    pub(super) stopped_at: Option<Timestamp>,
}

/// An instance's access config.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Access {
    pub(super) name: String,
    pub(super) tier: String,
    /// A static address; the instance's own when there is none.
    pub(super) nat_ip: Option<Ipv4Addr>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Disk {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) zone: String,
    /// In GiB.
    pub(super) size: u64,
    /// `pd-standard`, `pd-balanced` or `pd-ssd`.
    pub(super) kind: String,
    pub(super) description: String,
    pub(super) labels: Labels,
    /// The image that it was made from, as a path from the project's name on, and its id.
    pub(super) source: Option<(String, u64)>,
    pub(super) content: Content,
    pub(super) created_at: Timestamp,
}

/// Where a disk's data are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Content {
    /// With a machine, whose disk it is.
    Machine(u64),
    /// In an image of the engine's: it has been used by no machine yet, or its machine is gone.
    Image(u64),
}

/// What Compute Engine says of an image.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ImageData {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) family: Option<String>,
    pub(super) description: String,
    pub(super) labels: Labels,
    /// The disk that it was taken from, as a path from the zone on, and its id.
    pub(super) source: (String, u64),
    /// In GiB.
    pub(super) disk_size: u64,
    pub(super) created_at: Timestamp,
    pub(super) deprecated: Option<Value>,
    /// Whether taking it failed.
    pub(super) failed: bool,
}

/// A static address.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Address {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) region: String,
    pub(super) ip: Ipv4Addr,
    pub(super) description: String,
    pub(super) labels: Labels,
    pub(super) tier: String,
    pub(super) created_at: Timestamp,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ForwardingRule {
    /// Of a rule with a backend service, this is the number of the engine's load balancer, too.
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) region: String,
    pub(super) ip: Ipv4Addr,
    /// Whether the address is the rule's own and goes with it.
    pub(super) ephemeral: bool,
    /// `80-80`; all ports when there is none.
    pub(super) port_range: Option<String>,
    pub(super) all_ports: bool,
    /// Ports by number, which only a rule with a backend service may have.
    #[serde(default)]
    pub(super) ports: Vec<u16>,
    /// The id of a target instance, of a rule that has one.
    pub(super) target: Option<u64>,
    /// The id of a backend service, of a rule that has one instead.
    #[serde(default)]
    pub(super) service: Option<u64>,
    pub(super) description: String,
    pub(super) labels: Labels,
    pub(super) tier: String,
    pub(super) created_at: Timestamp,
}

/// A target instance: what a forwarding rule points at.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct TargetInstance {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) zone: String,
    /// The instance's name, in the same zone.
    pub(super) instance: String,
    pub(super) description: String,
    pub(super) created_at: Timestamp,
}

/// A health check of a region.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct HealthCheck {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) region: String,
    pub(super) description: String,
    pub(super) check: MemberCheck,
    pub(super) created_at: Timestamp,
}

/// An unmanaged instance group: what a backend service has as a backend.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct InstanceGroup {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) zone: String,
    pub(super) description: String,
    pub(super) named_ports: Vec<NamedPort>,
    /// Its instances, by their machines.
    pub(super) instances: BTreeSet<u64>,
    /// Those that were in it and are not, for as long as they exist: they may still be getting connections.
    pub(super) left: BTreeSet<u64>,
    pub(super) created_at: Timestamp,
}

/// A name for a port of a group. It means nothing to a load balancer that passes packets through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct NamedPort {
    pub(super) name: String,
    pub(super) port: u16,
}

/// A backend service of a region: instance groups, and how their instances are checked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct BackendService {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) region: String,
    pub(super) created_at: Timestamp,
    pub(super) settings: ServiceSettings,
}

/// What may be changed of a backend service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ServiceSettings {
    pub(super) description: String,
    /// The id of its health check.
    pub(super) check: u64,
    pub(super) backends: Vec<Backend>,
    /// How long connections to an instance that was removed may go on, in seconds.
    pub(super) drain: u32,
}

/// An instance group of a backend service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Backend {
    /// The group's id.
    pub(super) group: u64,
    pub(super) description: String,
}

/// A firewall rule. The sandbox keeps it and does not filter.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Firewall {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) created_at: Timestamp,
    /// What the client said of it, after all checks.
    pub(super) rule: Map<String, Value>,
}

/// A managed zone of Cloud DNS.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ManagedZone {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) labels: Labels,
    /// The changes of its records, oldest first.
    pub(super) changes: Vec<Change>,
}

/// A change of a zone's records.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Change {
    pub(super) started_at: Timestamp,
    pub(super) due: Timestamp,
    /// Record sets, as the API shows them.
    pub(super) additions: Vec<Value>,
    pub(super) deletions: Vec<Value>,
}
