//! Against a mock server.

use remint_core::provider::{CheckProtocol, Listener, ListenerProtocol, LoadBalancerSettings, MemberCheck};
use std::time::Duration;

pub(super) fn settings(ports: &[u16], sources: &[&str]) -> LoadBalancerSettings {
    let listener =
        |port: &u16| Listener { port: *port, protocol: ListenerProtocol::Tcp, target_port: *port, certificate: None };
    let check = MemberCheck {
        protocol: CheckProtocol::Tcp,
        port: 22,
        interval: Duration::from_secs(5),
        timeout: Duration::from_secs(3),
        healthy: 2,
        unhealthy: 2,
    };
    LoadBalancerSettings {
        listeners: ports.iter().map(listener).collect(),
        check,
        drain: Some(Duration::from_secs(10)),
        sources: sources.iter().map(|net| net.parse().unwrap()).collect(),
    }
}
