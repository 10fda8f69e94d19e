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
    /// The same for the members of each pool, by the pool's number.
    #[serde(default)]
    pub pools: BTreeMap<u64, BTreeSet<u64>>,
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
    /// What becomes of connections when no member is healthy.
    #[serde(default)]
    pub none_healthy: NoneHealthy,
    /// How long a member that leaves may keep its connections, before they are cut. For as long as it has some, its health is
    /// [`MemberHealth::Draining`]. `None`: it keeps them for as long as they last, and is not shown.
    #[serde(default)]
    pub drain: Option<Duration>,
    /// Whether the first check that a new member passes puts it in service, whatever `healthy` says.
    #[serde(default)]
    pub first_pass: bool,
    /// Whether it is minutes late: a new member gets its first check, and a member that leaves its last new connection, after
    /// the delays [`super::state::DelayKind::Join`] and [`super::state::DelayKind::Leave`].
    #[serde(default)]
    pub late: bool,
    /// Members that only some listeners have, by numbers that [`Listener::pool`] names.
    #[serde(default)]
    pub pools: BTreeMap<u64, Pool>,
}

/// What becomes of connections when no member is healthy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoneHealthy {
    /// They are refused.
    #[default]
    Refuse,
    /// They go to all members.
    Spread,
}

/// Members that only some listeners of a load balancer have, with a check of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// How it is found out which of them get connections.
    pub check: MemberCheck,
    /// Who they are.
    pub wanted: Wanted,
    /// As [`BalancerSettings::drain`].
    pub drain: Option<Duration>,
    /// Whether connections are cut when their time is over. Where not, they go on, and the member is not shown any more.
    pub cuts: bool,
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
    /// The number of the pool whose members it has; `None` for the load balancer's own members.
    #[serde(default)]
    pub pool: Option<u64>,
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
    /// What becomes of connections when no member is healthy.
    pub none_healthy: NoneHealthy,
    /// As [`BalancerSettings::drain`], in the time of this machine.
    pub drain: Option<Duration>,
    /// As [`BalancerSettings::first_pass`].
    pub first_pass: bool,
    /// How long a new member waits for its first check. Members that are in `known` do not wait.
    pub join: Duration,
    /// How long a member that leaves goes on to get new connections.
    pub leave: Duration,
    /// Where members wait: those that were members before this process.
    pub known: BTreeSet<u64>,
    /// Members that only some listeners have, by numbers that [`Listener::pool`] names.
    pub pools: BTreeMap<u64, PoolSnapshot>,
}

/// What a pool is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolSnapshot {
    /// How members are checked, in the time of this machine.
    pub check: MemberCheck,
    /// The members' addresses, by the numbers of the instances.
    pub members: BTreeMap<u64, Ipv4Addr>,
    /// As [`BalancerSettings::drain`], in the time of this machine.
    pub drain: Option<Duration>,
    /// As [`Pool::cuts`].
    pub cuts: bool,
    /// As [`BalancerSnapshot::known`].
    pub known: BTreeSet<u64>,
}

impl BalancerSnapshot {
    /// What a listener's members are, and how they are checked.
    pub fn of(&self, listener: &Listener) -> PoolSnapshot {
        let own = || PoolSnapshot {
            check: self.check.clone(),
            members: self.members.clone(),
            drain: self.drain,
            cuts: true,
            known: self.known.clone(),
        };
        listener.pool.and_then(|pool| self.pools.get(&pool).cloned()).unwrap_or_else(own)
    }

    /// The same without members: all that its process reads from a file.
    #[must_use]
    pub fn without_members(&self) -> Self {
        let mut bare = self.clone();
        bare.members.clear();
        bare.known.clear();
        for pool in bare.pools.values_mut() {
            pool.members.clear();
            pool.known.clear();
        }
        bare
    }
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
    /// It is a member no more, and still has connections, or gets some for a while.
    Draining,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was written before there were pools.
    #[test]
    fn settings_of_an_older_state_file_are_read() {
        let older = serde_json::json!({
            "id": 5, "name": "front", "region": "fra1", "address": "127.7.128.10", "status": "active",
            "settings": {
                "listeners": [{ "port": 80, "protocol": "http", "target_port": 8080 }],
                "check": {
                    "protocol": "tcp", "port": 80, "interval": { "secs": 10, "nanos": 0 },
                    "timeout": { "secs": 5, "nanos": 0 }, "healthy": 3, "unhealthy": 5
                },
                "sources": [],
                "wanted": { "tag": "web" }
            },
            "members": [1], "created_at": "2026-11-01T00:00:00Z", "measured_from": null, "pending": null
        });
        let read: LoadBalancer = serde_json::from_value(older).unwrap();
        let BalancerSettings { none_healthy, drain, first_pass, late, pools, listeners, .. } = read.settings;
        assert_eq!((none_healthy, drain, first_pass, late), (NoneHealthy::Refuse, None, false, false));
        assert!(pools.is_empty() && read.pools.is_empty() && listeners[0].pool.is_none());
    }
}
