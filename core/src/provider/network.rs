//! Where an instance is reached.

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, SocketAddr},
};

use serde::{Deserialize, Serialize};

use super::{Error, ErrorKind, Result};

/// The address of an instance or a static IP, with the ports under which its services really answer.
///
/// On a public cloud the port map is empty. On a laptop's sandbox, ports that cannot be bound are moved; whoever connects
/// asks [`Address::endpoint`] and need not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The IP address, the same for every port.
    pub ip: IpAddr,
    /// Which ports answer elsewhere.
    #[serde(default, skip_serializing_if = "PortMap::is_empty")]
    pub ports: PortMap,
}

impl Address {
    /// An address all of whose ports are where they should be.
    pub fn new(ip: IpAddr) -> Self {
        Self { ip, ports: PortMap::default() }
    }

    /// Where the service on `port` answers.
    pub fn endpoint(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.ip, self.ports.resolve(port))
    }
}

/// Ports that are moved by a fixed offset: those up to and including `through`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PortMap {
    /// Ports from 1 to this one are moved; 0 moves none.
    pub through: u16,
    /// By how much.
    pub offset: u16,
}

impl PortMap {
    /// The environment variable that says how ports are moved, as `THROUGH+OFFSET`: `1023+20000`.
    pub const VARIABLE: &str = "REMINT_PORT_MAP";

    /// The map of an environment, for a cloud behind moved ports; empty where the variable is not set.
    ///
    /// # Errors
    ///
    /// `InvalidInput` that names the variable.
    pub fn from_env(env: &BTreeMap<String, String>) -> Result<Self> {
        let Some(text) = env.get(Self::VARIABLE).map(|text| text.trim()).filter(|text| !text.is_empty()) else {
            return Ok(Self::default());
        };
        let numbers =
            text.split_once('+').and_then(|(through, offset)| Some((through.parse().ok()?, offset.parse().ok()?)));
        match numbers {
            Some((through, offset)) => Ok(Self { through, offset }),
            None => Err(Error::new(ErrorKind::InvalidInput, "configure provider", format!("`{text}` is no port map"))
                .with_resource(Self::VARIABLE)
                .with_hint("write it as the highest port that is moved and by how much: 1023+20000")),
        }
    }

    /// Whether no port is moved.
    pub fn is_empty(&self) -> bool {
        self.through == 0 || self.offset == 0
    }

    /// The port under which `port` answers.
    pub fn resolve(&self, port: u16) -> u16 {
        if port <= self.through { port.saturating_add(self.offset) } else { port }
    }
}

impl fmt::Display for PortMap {
    /// As [`PortMap::from_env`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}", self.through, self.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_says_how_ports_move() {
        let env = |value: &str| BTreeMap::from([(PortMap::VARIABLE.to_owned(), value.to_owned())]);
        let ports = PortMap { through: 1023, offset: 20000 };
        assert_eq!(PortMap::from_env(&env(&ports.to_string())).unwrap(), ports);
        assert!(PortMap::from_env(&BTreeMap::new()).unwrap().is_empty());
        for bad in ["1023", "1023-20000", "x+1", "1+99999"] {
            assert_eq!(PortMap::from_env(&env(bad)).unwrap_err().kind(), ErrorKind::InvalidInput, "{bad}");
        }
    }

    #[test]
    fn only_low_ports_move() {
        let ports = PortMap { through: 1023, offset: 20000 };
        assert_eq!(ports.resolve(22), 20022);
        assert_eq!(ports.resolve(1023), 21023);
        assert_eq!(ports.resolve(1024), 1024);
        assert_eq!(PortMap::default().resolve(22), 22);
    }
}
