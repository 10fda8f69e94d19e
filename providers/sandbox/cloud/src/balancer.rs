//! What a load balancer is, whichever API it was created by.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    time::Duration,
};

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A load balancer of an account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LoadBalancer {
    /// Its number. An API with ids of another kind derives them from it.
    pub id: u64,
    /// As it was asked for.
    pub name: String,
    /// The slug of the region, which is that of its members, too.
    pub region: String,
    /// The loopback address that clients connect to, from the static IPs' part of the network. It is not to be shown before
    /// the load balancer is active.
    pub address: Ipv4Addr,
    /// Whether it is being created, works, or failed.
    pub status: BalancerStatus,
    /// How it is set up, as it was last asked for.
    pub settings: BalancerSettings,
    /// The instances behind it, as they were last made known to it. While an action runs on it, other ones may be wanted.
    pub members: BTreeSet<u64>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// From when on measurements of it are shown; `None` until it is active.
    pub measured_from: Option<Timestamp>,
    /// The action that runs on it: while there is one, it is locked.
    pub pending: Option<u64>,
}

/// A load balancer's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BalancerStatus {
    /// It is being created.
    New,
    /// It takes connections.
    Active,
    /// It could not be created, and takes none.
    Failed,
}

/// How a load balancer is set up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalancerSettings {
    /// The ports that clients connect to; none of them twice.
    pub listeners: Vec<Listener>,
    /// How it finds out which members get connections.
    pub check: MemberCheck,
    /// Who may connect; empty for everybody.
    pub sources: Vec<IpNet>,
    /// Who its members are.
    pub wanted: Wanted,
}

/// Which instances are to be members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    /// These, by number.
    Instances(BTreeSet<u64>),
    /// All in the region that carry this tag; case does not matter.
    Tag(String),
}

/// A port that clients connect to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// The port, as clients know it.
    pub port: u16,
    /// What is understood of what passes through.
    pub protocol: Protocol,
    /// The port of the members, as guests see it.
    pub target_port: u16,
}

/// What a listener understands of what passes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Bytes.
    Tcp,
    /// Requests: each goes to the next member.
    Http,
    /// TLS that ends at the members; to the load balancer it is bytes.
    Tls,
}

/// How a load balancer finds out which members get connections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberCheck {
    /// What it asks for.
    pub protocol: CheckProtocol,
    /// The port of the members that is asked, as guests see it.
    pub port: u16,
    /// The time between two checks.
    pub interval: Duration,
    /// After how long without an answer a check has failed.
    pub timeout: Duration,
    /// How many passed checks in a row put a member in service.
    pub healthy: u32,
    /// How many failed checks in a row put it out of service.
    pub unhealthy: u32,
}

/// What a check asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckProtocol {
    /// A connection that opens has passed.
    Tcp,
    /// A GET of this path that is answered with 2xx has passed.
    Http {
        /// The path, with its `/`.
        path: String,
    },
}

/// What a load balancer is to do, for the network around the instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BalancerSnapshot {
    /// Its number, which is unique among all accounts.
    pub id: u64,
    /// The loopback address that clients connect to.
    pub address: Ipv4Addr,
    /// The ports that clients connect to, as they know them.
    pub listeners: Vec<Listener>,
    /// How members are checked, in the time of this machine.
    pub check: MemberCheck,
    /// Who may connect; empty for everybody.
    pub sources: Vec<IpNet>,
    /// The members' addresses, by the numbers of the instances.
    pub members: BTreeMap<u64, Ipv4Addr>,
}

/// What a load balancer makes of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberHealth {
    /// No check has ended yet.
    Unchecked,
    /// It gets connections.
    Healthy,
    /// It gets none: too many checks failed, or too few have passed yet.
    Unhealthy,
}
