//! Which ports of a sandbox's addresses have to be moved.
//!
//! An ordinary user cannot bind ports below 1024, and a laptop's own sshd on 0.0.0.0:22 holds port 22 of every loopback
//! address. Then all ports below 1024 of the sandbox are moved by 20000 (22 is 20022, 80 is 20080): all or none, so that
//! one rule tells where everything is.

use std::{
    io,
    net::{Ipv4Addr, TcpListener},
};

use remint_core::provider::PortMap;

/// The map of a sandbox whose low ports cannot be bound.
pub(super) const MOVED: PortMap = PortMap { through: 1023, offset: 20000 };

/// Whether this machine lets us have the ports, tried on an address of the slot.
pub(super) fn decide(address: Ipv4Addr, open: &[u16]) -> PortMap {
    decide_with(open, |port| TcpListener::bind((address, port)).map(drop))
}

fn decide_with(open: &[u16], bind: impl Fn(u16) -> io::Result<()>) -> PortMap {
    let low = open.iter().copied().filter(|port| *port <= MOVED.through).chain([22, 80]);
    for port in low {
        if let Err(error) = bind(port) {
            tracing::info!(port, %error, "ports below 1024 are moved by {}", MOVED.offset);
            return MOVED;
        }
    }
    PortMap::default()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn one_low_port_that_cannot_be_bound_moves_them_all() {
        assert_eq!(decide_with(&[443, 8080], |_| Ok(())), PortMap::default());
        for refused in [22, 80, 443] {
            let bind = |port| if port == refused { Err(io::ErrorKind::PermissionDenied.into()) } else { Ok(()) };
            assert_eq!(decide_with(&[443, 8080], bind), MOVED, "{refused}");
        }
    }

    #[test]
    fn high_ports_are_not_tried() {
        let tried = RefCell::new(Vec::new());
        decide_with(&[8080, 443], |port| {
            tried.borrow_mut().push(port);
            Ok(())
        });
        assert_eq!(tried.into_inner(), [443, 22, 80]);
    }

    #[test]
    fn a_real_socket_in_the_way_is_noticed() {
        let address = Ipv4Addr::new(127, 8, 1, 1);
        let Ok(_held) = TcpListener::bind((address, 80)) else { return };
        assert_eq!(decide(address, &[80]), MOVED);
    }
}
