//! What is read of the API's answers (<https://docs.hetzner.cloud/reference/cloud>).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

pub(crate) type Tags = BTreeMap<String, String>;

#[derive(Deserialize)]
pub(crate) struct Named {
    pub(crate) name: String,
}

#[derive(Deserialize)]
pub(crate) struct Server {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) status: String,
    pub(crate) locked: bool,
    pub(crate) labels: Tags,
    pub(crate) created: Option<Timestamp>,
    pub(crate) public_net: PublicNet,
    pub(crate) server_type: Named,
    pub(crate) location: Option<Named>,
    pub(crate) datacenter: Option<Datacenter>,
    pub(crate) image: Option<Numbered>,
}

#[derive(Deserialize)]
pub(crate) struct Datacenter {
    pub(crate) location: Named,
}

#[derive(Deserialize)]
pub(crate) struct PublicNet {
    pub(crate) ipv4: Option<Ipv4>,
}

#[derive(Deserialize)]
pub(crate) struct Ipv4 {
    pub(crate) ip: String,
}

#[derive(Deserialize)]
pub(crate) struct Numbered {
    pub(crate) id: u64,
}

#[derive(Deserialize)]
pub(crate) struct ServerAnswer {
    pub(crate) server: Server,
}

#[derive(Deserialize)]
pub(crate) struct ServerType {
    pub(crate) name: String,
    pub(crate) cores: u32,
    /// In GiB.
    pub(crate) memory: f64,
    /// In GiB.
    pub(crate) disk: u64,
    pub(crate) prices: Vec<Price>,
}

#[derive(Deserialize)]
pub(crate) struct Price {
    pub(crate) location: String,
}

#[derive(Deserialize)]
pub(crate) struct Image {
    pub(crate) id: u64,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) status: String,
    /// Of system images only.
    pub(crate) name: Option<String>,
    pub(crate) description: String,
    /// What it occupies, in GB.
    pub(crate) image_size: Option<f64>,
    /// The disk that it fits on, in GB.
    pub(crate) disk_size: f64,
    pub(crate) created: Option<Timestamp>,
    #[serde(default)]
    pub(crate) labels: Tags,
}

#[derive(Deserialize)]
pub(crate) struct ImageAnswer {
    pub(crate) image: Image,
}

#[derive(Deserialize)]
pub(crate) struct FloatingIp {
    pub(crate) id: u64,
    pub(crate) ip: String,
    pub(crate) server: Option<u64>,
    pub(crate) home_location: Named,
    pub(crate) labels: Tags,
}

#[derive(Deserialize)]
pub(crate) struct FloatingIpAnswer {
    pub(crate) floating_ip: FloatingIp,
}

#[derive(Deserialize)]
pub(crate) struct SshKey {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) public_key: String,
}

#[derive(Deserialize)]
pub(crate) struct SshKeyAnswer {
    pub(crate) ssh_key: SshKey,
}

#[derive(Deserialize)]
pub(crate) struct Labelled {
    pub(crate) id: u64,
    pub(crate) labels: Tags,
}

#[derive(Deserialize)]
pub(crate) struct Zone {
    pub(crate) name: String,
    pub(crate) authoritative_nameservers: NameServers,
}

#[derive(Deserialize)]
pub(crate) struct NameServers {
    pub(crate) assigned: Vec<String>,
}

#[derive(Deserialize)]
pub(crate) struct ZoneAnswer {
    pub(crate) zone: Zone,
}

#[derive(Deserialize)]
pub(crate) struct RrSet {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// The zone's own where it is `None`.
    pub(crate) ttl: Option<u64>,
    pub(crate) records: Vec<Record>,
}

#[derive(Deserialize)]
pub(crate) struct Record {
    pub(crate) value: String,
}

#[derive(Deserialize)]
pub(crate) struct Action {
    pub(crate) id: u64,
    pub(crate) status: String,
    pub(crate) error: Option<ActionError>,
}

#[derive(Deserialize)]
pub(crate) struct ActionError {
    pub(crate) code: String,
    pub(crate) message: String,
}

#[derive(Deserialize)]
pub(crate) struct ActionAnswer {
    pub(crate) action: Action,
}
