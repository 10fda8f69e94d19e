//! Where an instance is reached.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

/// The address of an instance or a static IP, with the ports under which its services really answer.
///
/// On a public cloud the port map is empty. On a laptop's sandbox, ports that cannot be bound are moved; whoever connects
/// asks [`Address::endpoint`] and need not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The IP address.
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
    /// Whether no port is moved.
    pub fn is_empty(&self) -> bool {
        self.through == 0 || self.offset == 0
    }

    /// The port under which `port` answers.
    pub fn resolve(&self, port: u16) -> u16 {
        if port <= self.through { port.saturating_add(self.offset) } else { port }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_low_ports_move() {
        let ports = PortMap { through: 1023, offset: 20000 };
        assert_eq!(ports.resolve(22), 20022);
        assert_eq!(ports.resolve(1023), 21023);
        assert_eq!(ports.resolve(1024), 1024);
        assert_eq!(PortMap::default().resolve(22), 22);
    }
}
