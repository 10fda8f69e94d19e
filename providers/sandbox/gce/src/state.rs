//! What the account knows beyond the engine.
//!
//! An instance is a machine of the engine and what Compute Engine says of it beside; an image is a snapshot, an address a
//! static IP, a managed zone a domain. What has no counterpart there is here alone.

use std::{collections::BTreeMap, net::Ipv4Addr};

use jiff::Timestamp;
use remint_sandbox_cloud::state::Instance as Machine;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{labels::Labels, labels::Metadata, operations::Operation};
use crate::State;

/// What the account knows beyond the engine.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Data {
    /// Instances by their machine.
    pub(super) instances: BTreeMap<u64, Instance>,
    /// Disks by id.
    pub(super) disks: BTreeMap<u64, Disk>,
    /// The project's images by the engine's id, from the moment that they are asked for.
    pub(super) images: BTreeMap<u64, ImageData>,
    /// Addresses by id.
    pub(super) addresses: BTreeMap<u64, Address>,
    /// Forwarding rules by id.
    pub(super) forwarding_rules: BTreeMap<u64, ForwardingRule>,
    /// Target instances by id.
    pub(super) target_instances: BTreeMap<u64, TargetInstance>,
    /// Firewall rules by id.
    pub(super) firewalls: BTreeMap<u64, Firewall>,
    /// What all instances of the project share.
    pub(super) project_metadata: Metadata,
    /// Managed zones by their domain.
    pub(super) managed_zones: BTreeMap<String, ManagedZone>,
    /// Operations by id; the oldest that are done are forgotten.
    pub(super) operations: BTreeMap<u64, Operation>,
}

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
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) region: String,
    pub(super) ip: Ipv4Addr,
    /// Whether the address is the rule's own and goes with it.
    pub(super) ephemeral: bool,
    /// `80-80`; all ports when there is none.
    pub(super) port_range: Option<String>,
    pub(super) all_ports: bool,
    /// The id of a target instance.
    pub(super) target: u64,
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

/// A firewall rule. The sandbox keeps it and does not filter.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Firewall {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) created_at: Timestamp,
    /// What the client said of it, after all checks.
    pub(super) rule: serde_json::Map<String, Value>,
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

impl Data {
    /// Notes that a machine is gone, and its disk with it unless that was kept.
    pub(crate) fn forget_instance(&mut self, machine: u64) {
        self.instances.remove(&machine);
        self.disks.retain(|_, disk| disk.content != Content::Machine(machine));
    }

    /// Notes that a machine's disk outlives it, as an image of the engine's.
    pub(crate) fn keep_disk(&mut self, machine: u64, image: u64) {
        for disk in self.disks.values_mut().filter(|disk| disk.content == Content::Machine(machine)) {
            disk.content = Content::Image(image);
        }
    }

    /// Notes that an image could not be taken.
    pub(crate) fn fail_image(&mut self, id: u64) {
        if let Some(image) = self.images.get_mut(&id) {
            image.failed = true;
        }
    }
}

/// The machine of an instance.
pub(super) fn machine_of<'a>(state: &'a State, zone: &str, name: &str) -> Option<&'a Machine> {
    // The API takes an instance's number wherever it takes its name, which never begins with a digit.
    let number = name.parse::<u64>().ok();
    let named = |id: u64, other: &str| number.map_or(other == name, |number| number == id);
    state.instances.values().find(|machine| machine.region == zone && named(machine.id, &machine.name))
}
