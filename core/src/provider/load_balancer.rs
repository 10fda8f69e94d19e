//! Load balancers: one way in for several instances.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{Address, InstanceId, Labels, LoadBalancerId, Region, Result};

/// A load balancer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadBalancer {
    /// The cloud's own id.
    pub id: LoadBalancerId,
    /// Its name, which is unique in the account, and proves whose it is: see [`LoadBalancerSpec::name`].
    pub name: String,
    /// Whether it takes connections yet.
    pub state: LoadBalancerState,
    /// Where clients connect; `None` until the cloud has given it an address.
    pub endpoint: Option<Endpoint>,
    /// Where it is; its members are there, too.
    pub region: Region,
    /// How it is set up now. Changes by hand show here.
    pub settings: LoadBalancerSettings,
}

/// What a load balancer is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadBalancerState {
    /// The cloud is building it, or changing it.
    Pending,
    /// It takes connections.
    Active,
    /// It will not become active. The reason, in the cloud's words.
    Failed(String),
}

/// Where clients of a load balancer connect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// An address that stays for as long as the load balancer exists: an A record leads to it.
    Address(Address),
    /// A host name whose addresses change: an alias leads to it (see [`super::RecordSet::alias`]).
    Host {
        /// The name, without a final dot.
        name: String,
        /// The addresses that it has now, through which the service can be watched. The cloud may take hours to let go of one.
        addresses: Vec<Address>,
    },
}

impl Endpoint {
    /// What a record that leads here holds.
    pub fn record_value(&self) -> String {
        match self {
            Self::Address(address) => address.ip.to_string(),
            Self::Host { name, .. } => name.clone(),
        }
    }

    /// An address where clients may connect now; `None` where the cloud shows none yet.
    pub fn address(&self) -> Option<&Address> {
        match self {
            Self::Address(address) => Some(address),
            Self::Host { addresses, .. } => addresses.first(),
        }
    }
}

/// A load balancer to be created, or to be set up otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadBalancerSpec {
    /// `remint-` and the environment's id, at most 32 characters of `a-z`, `0-9` and `-`. The id has 64 random bits, so that
    /// nobody has the name by accident: not every cloud can label a load balancer.
    pub name: String,
    /// The labels that it carries where the cloud can label one.
    pub labels: Labels,
    /// Where it is created: the region of its members.
    pub region: Region,
    /// How it is set up.
    pub settings: LoadBalancerSettings,
}

/// How a load balancer is set up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadBalancerSettings {
    /// The ports on which clients connect, at least one; none of them twice.
    pub listeners: Vec<Listener>,
    /// How it finds out which members take connections.
    pub check: MemberCheck,
    /// How long connections to a member that was detached may go on. `None` where the cloud has no such setting.
    pub drain: Option<Duration>,
    /// Who may connect; empty for everybody.
    pub sources: Vec<IpNet>,
}

impl LoadBalancerSettings {
    /// The certificates by port, as they are named here.
    #[must_use]
    pub fn certificates(&self) -> BTreeMap<String, String> {
        let named = |listener: &Listener| Some((listener.port.to_string(), listener.certificate.clone()?));
        self.listeners.iter().filter_map(named).collect()
    }

    /// The same without the names of certificates.
    #[must_use]
    pub fn without_certificates(&self) -> Self {
        let bare = |listener: &Listener| Listener { certificate: None, ..listener.clone() };
        Self { listeners: self.listeners.iter().map(bare).collect(), ..self.clone() }
    }

    /// Whether a load balancer that is set up like this needs no change to be as `wanted`. The order of listeners and sources
    /// means nothing, and a drain time that the cloud cannot hold is no difference.
    #[must_use]
    pub fn is_as(&self, wanted: &Self) -> bool {
        let sorted = |settings: &Self| {
            let (mut listeners, mut sources) = (settings.listeners.clone(), settings.sources.clone());
            listeners.sort();
            sources.sort();
            (listeners, sources)
        };
        sorted(self) == sorted(wanted)
            && self.check == wanted.check
            && (self.drain.is_none() || self.drain == wanted.drain)
    }
}

/// A port on which a load balancer takes connections.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Listener {
    /// The port that clients connect to.
    pub port: u16,
    /// What it understands of what passes through.
    pub protocol: ListenerProtocol,
    /// The port of the members. Another one than `port` needs [`super::Capability::LoadBalancerTargetPort`].
    pub target_port: u16,
    /// For `https`: the cloud's id or name of a certificate that exists.
    #[serde(default)]
    pub certificate: Option<String>,
}

/// What a load balancer understands of what passes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ListenerProtocol {
    /// Bytes. TLS, where there is any, ends at the members.
    Tcp,
    /// Requests. Needs the capability `load_balancer.http`.
    Http,
    /// TLS, which ends here; requests go on in clear. Needs the capability `load_balancer.http`.
    Https,
}

/// How a load balancer finds out which members take connections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberCheck {
    /// What it asks for.
    pub protocol: CheckProtocol,
    /// The port of the members that is asked.
    pub port: u16,
    /// The time between two checks, in whole seconds.
    pub interval: Duration,
    /// After how long without an answer a check has failed, in whole seconds.
    pub timeout: Duration,
    /// How many passed checks in a row put a member in service.
    pub healthy: u32,
    /// How many failed checks in a row put it out of service.
    pub unhealthy: u32,
}

impl MemberCheck {
    /// How long a member that takes connections waits, at most, until it is in service.
    #[must_use]
    pub fn passes_within(&self) -> Duration {
        (self.interval + self.timeout) * self.healthy
    }
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

/// An instance behind a load balancer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The cloud's id of the instance.
    pub instance: InstanceId,
    /// What the load balancer makes of it.
    pub health: MemberHealth,
}

/// What a load balancer makes of a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberHealth {
    /// It was attached, and its checks have not decided yet.
    Initial,
    /// It gets connections.
    InService,
    /// It gets none. The reason, where the cloud tells.
    OutOfService(String),
    /// It gets no new ones; those that it has may go on.
    Draining,
    /// The cloud does not tell, now.
    Unknown,
}

impl MemberHealth {
    /// The health in words, as `status` and messages show it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Initial => "not checked yet",
            Self::InService => "in service",
            Self::OutOfService(_) => "out of service",
            Self::Draining => "draining",
            Self::Unknown => "unknown",
        }
    }
}

/// Load balancers. *Requires* [`super::Capability::LoadBalancer`] throughout.
#[async_trait]
pub trait LoadBalancers: Send + Sync {
    /// Whether a load balancer could be set up like this, as far as that is known without asking the cloud: no call is made.
    ///
    /// - *Errors*: those of `ensure` that need no look at the cloud, so that a plan refuses what a deploy could not do.
    fn accepts(&self, spec: &LoadBalancerSpec) -> Result<()>;

    /// Makes sure that a load balancer of this name exists and is set up as the spec says.
    ///
    /// - *Behaviour*: creates what is missing, without members, and changes the settings of one that exists in place. Returns
    ///   when the cloud has accepted it; `get` shows `Active` when it is done. Its members stay, and a change of settings
    ///   interrupts none of their connections.
    /// - *Idempotency*: by name; ten calls, or a call after a lost reply, make one load balancer. One that is as the spec says
    ///   is left alone.
    /// - *Errors*: `InvalidInput` for what the cloud cannot do, and for a certificate that does not exist, before anything is
    ///   changed; `Conflict` when one of that name exists in another region; `Quota`; `Busy` while the cloud is at work on
    ///   it.
    /// - *Cancellation*: after a dropped call, one made again leaves one load balancer.
    async fn ensure(&self, spec: &LoadBalancerSpec) -> Result<LoadBalancer>;

    /// Load balancers of the account whose names begin with `prefix`, in no order; all pages.
    async fn list(&self, prefix: &str) -> Result<Vec<LoadBalancer>>;

    /// One load balancer.
    ///
    /// - *Errors*: `NotFound`.
    async fn get(&self, id: &LoadBalancerId) -> Result<LoadBalancer>;

    /// The members, each with what the load balancer makes of it, in no order.
    ///
    /// - *Behaviour*: shows every instance to which connections may be sent, also one that somebody else attached, and one that was detached for
    ///   as long as it still has connections, where the cloud tells. Costs the same number of calls for one member as for a
    ///   thousand, but for pages.
    /// - *Errors*: `NotFound` for the load balancer.
    async fn members(&self, id: &LoadBalancerId) -> Result<Vec<Member>>;

    /// Makes instances members.
    ///
    /// - *Behaviour*: returns when the cloud has accepted it. A new member gets connections once its checks have passed, and
    ///   `members` shows it as [`MemberHealth::InService`] then.
    /// - *Idempotency*: a member is left alone.
    /// - *Errors*: `NotFound` for the load balancer or an instance; `InvalidInput` for an instance in another region;
    ///   `Busy` while the cloud is at work on it.
    async fn attach(&self, id: &LoadBalancerId, instances: &[InstanceId]) -> Result<()>;

    /// Makes instances members no more.
    ///
    /// - *Behaviour*: returns when the cloud has accepted it. A detached member gets no new connections once `members` shows it
    ///   as [`MemberHealth::Draining`], or not at all. With [`super::Capability::LoadBalancerDrain`], it is shown until its
    ///   connections have ended or the drain time is over; without, the caller waits that time.
    /// - *Idempotency*: an instance that is no member, or is gone, is a success.
    /// - *Errors*: `NotFound` for the load balancer; `Busy`.
    async fn detach(&self, id: &LoadBalancerId, instances: &[InstanceId]) -> Result<()>;

    /// Destroys a load balancer. Its address is lost for good; its members stay as they are.
    ///
    /// - *Behaviour*: returns when the cloud has accepted it; it is done when `get` answers `NotFound`. What the provider
    ///   created for it (rules, groups, checks, a tag) goes with it.
    /// - *Idempotency*: one that is gone is a success.
    /// - *Errors*: `Busy`.
    async fn destroy(&self, id: &LoadBalancerId) -> Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> LoadBalancerSettings {
        let listener = |port| Listener { port, protocol: ListenerProtocol::Tcp, target_port: port, certificate: None };
        let seconds = Duration::from_secs;
        let check = MemberCheck {
            protocol: CheckProtocol::Tcp,
            port: 80,
            interval: seconds(10),
            timeout: seconds(5),
            healthy: 3,
            unhealthy: 5,
        };
        LoadBalancerSettings {
            listeners: vec![listener(80), listener(443)],
            check,
            drain: Some(seconds(30)),
            sources: vec!["10.0.0.0/8".parse().unwrap(), "192.0.2.0/24".parse().unwrap()],
        }
    }

    #[test]
    fn what_means_the_same_is_no_difference() {
        let wanted = settings();
        let mut now = wanted.clone();
        now.listeners.reverse();
        now.sources.reverse();
        now.drain = None;
        assert!(now.is_as(&wanted));
        let changes: [fn(&mut LoadBalancerSettings); 5] = [
            |now| now.drain = Some(Duration::from_secs(31)),
            |now| now.listeners[0].target_port = 81,
            |now| now.listeners.truncate(1),
            |now| now.sources.clear(),
            |now| now.check.healthy = 2,
        ];
        for change in changes {
            let mut other = wanted.clone();
            change(&mut other);
            assert!(!other.is_as(&wanted), "{other:?}");
        }
    }

    #[test]
    fn a_member_passes_within_its_checks() {
        assert_eq!(settings().check.passes_within(), Duration::from_secs(45));
    }
}
