//! What the account knows of its load balancers. It is part of the state file.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::refusal::no_balancer;
use crate::State;
use remint_sandbox_cloud::{ApiResult, balancer::LoadBalancer as Engine};

/// The settings of a load balancer or a target group that are names and values.
pub(super) type Attributes = BTreeMap<String, String>;

/// What there is of load balancers, each kind by ARN.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Elb {
    pub(super) balancers: BTreeMap<String, Balancer>,
    pub(super) groups: BTreeMap<String, TargetGroup>,
    pub(super) listeners: BTreeMap<String, Listener>,
}

/// A load balancer. Whether it works is the engine's to say.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Balancer {
    pub(super) arn: String,
    /// The last part of the ARN.
    pub(super) id: String,
    pub(super) name: String,
    pub(super) region: String,
    pub(super) kind: BalancerKind,
    pub(super) subnets: BTreeSet<String>,
    /// The ids of its security groups.
    pub(super) groups: BTreeSet<String>,
    /// The number of the engine's load balancer.
    pub(super) number: u64,
    pub(super) attributes: Attributes,
    pub(super) created_at: Timestamp,
    /// Whether it changed while the engine was at work on it.
    pub(super) behind: bool,
    /// Whether it is to go, and is shown no more.
    pub(super) doomed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum BalancerKind {
    Application,
    Network,
}

/// A target group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct TargetGroup {
    pub(super) arn: String,
    pub(super) name: String,
    pub(super) region: String,
    pub(super) protocol: TargetProtocol,
    pub(super) port: u16,
    pub(super) check: Check,
    pub(super) attributes: Attributes,
    /// Instances, with the numbers of their machines.
    pub(super) targets: BTreeMap<String, u64>,
    /// Instances that are targets no more, with when they left.
    pub(super) leaving: BTreeMap<String, Left>,
    /// The number of the engine's pool.
    pub(super) number: u64,
    pub(super) created_at: Timestamp,
}

/// An instance that is a target no more.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Left {
    pub(super) machine: u64,
    pub(super) at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum TargetProtocol {
    Http,
    Tcp,
}

/// How targets are checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Check {
    pub(super) protocol: TargetProtocol,
    /// `None` for the port that connections go to.
    pub(super) port: Option<u16>,
    /// Of HTTP.
    pub(super) path: String,
    /// Of HTTP: which codes pass.
    pub(super) matcher: String,
    /// In seconds.
    pub(super) interval: u64,
    /// In seconds.
    pub(super) timeout: u64,
    pub(super) healthy: u32,
    pub(super) unhealthy: u32,
}

/// A listener, which sends to one target group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Listener {
    pub(super) arn: String,
    pub(super) balancer: String,
    pub(super) port: u16,
    pub(super) protocol: TargetProtocol,
    pub(super) group: String,
    pub(super) created_at: Timestamp,
}

impl BalancerKind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::Network => "network",
        }
    }

    /// As it is in ARNs.
    pub(super) fn short(self) -> &'static str {
        match self {
            Self::Application => "app",
            Self::Network => "net",
        }
    }

    /// What its listeners and target groups speak.
    pub(super) fn protocol(self) -> TargetProtocol {
        match self {
            Self::Application => TargetProtocol::Http,
            Self::Network => TargetProtocol::Tcp,
        }
    }
}

impl TargetProtocol {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Tcp => "TCP",
        }
    }
}

impl Balancer {
    /// The name that leads to its addresses.
    pub(super) fn dns_name(&self) -> String {
        let (name, region) = (&self.name, &self.region);
        match self.kind {
            BalancerKind::Application => {
                let number = u64::from_str_radix(&self.id, 16).unwrap_or_default() % 10_000_000_000;
                format!("{name}-{number}.{region}.elb.amazonaws.com")
            }
            BalancerKind::Network => format!("{name}-{}.elb.{region}.amazonaws.com", self.id),
        }
    }

    /// The hosted zone of its name, which alias records name: one for each region and type, as AWS lists them.
    pub(super) fn zone(&self) -> &'static str {
        match (self.kind, self.region.as_str()) {
            (BalancerKind::Application, "us-east-1") => "Z35SXDOTRQ7X7K",
            (BalancerKind::Application, "us-west-2") => "Z1H1FL5HABSF5",
            (BalancerKind::Application, _) => "Z215JYRZR1TBD5",
            (BalancerKind::Network, "us-east-1") => "Z26RNL4JYFTOTI",
            (BalancerKind::Network, "us-west-2") => "Z18D5FSROUN65G",
            (BalancerKind::Network, _) => "Z3F0SRJ5LGBH90",
        }
    }

    /// The engine's load balancer.
    pub(super) fn engine<'a>(&self, state: &'a State) -> Option<&'a Engine> {
        state.load_balancers.get(&self.number)
    }
}

impl TargetGroup {
    /// How long a target may keep its connections after it left, in seconds.
    pub(super) fn delay(&self) -> u64 {
        let set = self.attributes.get("deregistration_delay.timeout_seconds");
        set.and_then(|seconds| seconds.parse().ok()).unwrap_or(300)
    }

    /// Whether its connections are cut then: those of application load balancers always are.
    pub(super) fn cuts(&self) -> bool {
        let set = self.attributes.get("deregistration_delay.connection_termination.enabled");
        set.is_none_or(|value| value == "true")
    }
}

impl Elb {
    /// The load balancers of a region that are shown, oldest first.
    pub(super) fn shown(&self, region: &str) -> Vec<&Balancer> {
        let mut all: Vec<&Balancer> =
            self.balancers.values().filter(|balancer| balancer.region == region && !balancer.doomed).collect();
        all.sort_by_key(|balancer| (balancer.created_at, balancer.number));
        remint_sandbox_cloud::seen(all, |balancer| balancer.created_at)
    }

    pub(super) fn balancer(&self, region: &str, arn: &str) -> ApiResult<&Balancer> {
        let found = self.balancers.get(arn).filter(|balancer| balancer.region == region && !balancer.doomed);
        found.ok_or_else(|| no_balancer(&[arn]))
    }

    /// The listeners of a load balancer, by port.
    pub(super) fn listeners_of(&self, balancer: &str) -> Vec<&Listener> {
        let mut all: Vec<&Listener> =
            self.listeners.values().filter(|listener| listener.balancer == balancer).collect();
        all.sort_by_key(|listener| listener.port);
        all
    }

    /// The listeners that send to a target group.
    pub(super) fn users<'a>(&'a self, group: &'a str) -> impl Iterator<Item = &'a Listener> {
        self.listeners.values().filter(move |listener| listener.group == group)
    }
}

/// The zone and the address of the load balancer that has a name, which has no dot at its end.
pub(crate) fn alias(state: &State, name: &str) -> Option<(&'static str, Ipv4Addr)> {
    let plain = name.strip_prefix("dualstack.").unwrap_or(name);
    let has = |balancer: &&Balancer| !balancer.doomed && balancer.dns_name().eq_ignore_ascii_case(plain);
    let found = state.own.elb.balancers.values().find(has)?;
    Some((found.zone(), found.engine(state)?.address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_zones_are_those_of_the_type() {
        let mut balancer = Balancer {
            arn: "arn".to_owned(),
            id: "00000000000000ff".to_owned(),
            name: "front".to_owned(),
            region: "us-east-1".to_owned(),
            kind: BalancerKind::Application,
            subnets: BTreeSet::new(),
            groups: BTreeSet::new(),
            number: 1,
            attributes: Attributes::new(),
            created_at: Timestamp::UNIX_EPOCH,
            behind: false,
            doomed: false,
        };
        assert_eq!(balancer.dns_name(), "front-255.us-east-1.elb.amazonaws.com");
        let zone = balancer.zone();
        balancer.kind = BalancerKind::Network;
        assert_eq!(balancer.dns_name(), "front-00000000000000ff.elb.us-east-1.amazonaws.com");
        assert_ne!(balancer.zone(), zone);
    }

    #[test]
    fn an_older_state_is_read() {
        let older = serde_json::json!({
            "instances": {},
            "zones": {
                "Z1": {
                    "id": "Z1", "name": "example.test", "reference": "r", "comment": "", "created_at": "2026-11-01T00:00:00Z",
                    "sets": [{ "name": "a.example.test.", "kind": "A", "ttl": 60, "values": ["192.0.2.1"] }]
                }
            }
        });
        let data: crate::Data = serde_json::from_value(older).unwrap();
        assert!(data.elb.balancers.is_empty());
        assert_eq!(data.zones["Z1"].sets[0].alias, None);
    }
}
