//! How one sandbox is set up.

use std::{net::SocketAddr, path::PathBuf};

use remint_core::provider::PortMap;
use secrecy::SecretString;

use super::{Api, Profile};

/// How one sandbox is set up. Fixed for the life of its process.
#[derive(Debug, Clone)]
pub struct Config {
    /// The folder that holds the sandbox's state file; made when missing, readable by its owner only.
    pub state_dir: PathBuf,
    /// Where the API listens; a loopback address. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Which 127.x.0.0/16 the sandbox's addresses come from, 1 to 254: instances from the lower half, static IPs from the
    /// upper one.
    pub slot: u8,
    /// How long the cloud's work takes.
    pub profile: Profile,
    /// By how much the profile's delays are divided; 1 is real time.
    pub speed: f64,
    /// What the delays are drawn from: the same seed gives the same delays.
    pub seed: u64,
    /// The APIs that are served.
    pub apis: Vec<Api>,
    /// The only token that the API accepts; what other APIs accept is derived from it.
    pub token: SecretString,
    /// How ports that cannot be bound on the instances' addresses are moved.
    pub ports: PortMap,
    /// The service ports that each machine has open beside 22.
    pub open: Vec<u16>,
    /// How much the account may have at one time.
    pub limits: AccountLimits,
    /// A file to append every answer of the API to, for tests.
    pub record: Option<PathBuf>,
}

/// What an account may have, as DigitalOcean limits a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountLimits {
    /// Instances at one time.
    pub instances: usize,
    /// Static IPs at one time.
    pub static_ips: usize,
}

impl AccountLimits {
    /// Static IPs in a region at one time, on an account of this API: as many as the cloud itself gives a new one, where the
    /// sandbox's own limit is not higher.
    ///
    /// Sources: Amazon's "Elastic IP address quotas" (5), Google's "Compute Engine quotas" (8 in a new project).
    pub fn static_ips(&self, api: Api) -> usize {
        let new = match api {
            Api::DigitalOcean => 0,
            Api::Ec2 => 5,
            Api::Gce => 8,
        };
        self.static_ips.max(new)
    }
}

impl Default for AccountLimits {
    fn default() -> Self {
        Self { instances: 25, static_ips: 3 }
    }
}
