//! `[load_balancer]`: one way in for several instances.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::HumanDuration;
use crate::provider::ListenerProtocol;

/// The load balancer in front of the instances. Its address takes the place of the static IP.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoadBalancerSection {
    /// The ports on which clients connect.
    pub listeners: Vec<ListenerSection>,
    /// How the load balancer finds out which instances take connections. Without it, as `health.check` says: an HTTP check of the
    /// same path and port, or else a connection to the port of the service.
    #[serde(default)]
    pub check: Option<MemberCheckSection>,
    /// Who may connect, as networks: `["203.0.113.0/24"]`. Empty: everybody.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub sources: Vec<String>,
}

/// A port on which clients connect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenerSection {
    /// The port that clients connect to.
    pub port: u16,
    /// `"tcp"` passes bytes through; `"http"` passes requests on; `"https"` ends TLS at the load balancer.
    #[serde(default = "default_protocol")]
    pub protocol: ListenerProtocol,
    /// The port of the instances; `port` when not given.
    #[serde(default)]
    pub target_port: Option<u16>,
    /// For `"https"`: a certificate that exists in the account, by the cloud's id or name.
    #[serde(default)]
    pub certificate: Option<String>,
}

fn default_protocol() -> ListenerProtocol {
    ListenerProtocol::Tcp
}

impl ListenerSection {
    /// The port of the instances.
    pub fn target_port(&self) -> u16 {
        self.target_port.unwrap_or(self.port)
    }
}

/// How the load balancer checks an instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MemberCheckSection {
    /// The path of an HTTP GET that must be answered with 2xx, without a redirect. Without it, a connection that opens is enough.
    pub path: Option<String>,
    /// The port of the instances; the first listener's `target_port` when not given.
    pub port: Option<u16>,
    /// The time between two checks, in whole seconds.
    pub interval: HumanDuration,
    /// How long one check may take, in whole seconds.
    pub timeout: HumanDuration,
    /// How many passed checks in a row put an instance in service.
    pub healthy: u32,
    /// How many failed checks in a row put it out of service.
    pub unhealthy: u32,
}

impl Default for MemberCheckSection {
    fn default() -> Self {
        Self {
            path: None,
            port: None,
            interval: HumanDuration::seconds(5),
            timeout: HumanDuration::seconds(4),
            healthy: 2,
            unhealthy: 3,
        }
    }
}
