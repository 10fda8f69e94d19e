//! Static IPs: addresses of an account that point at one instance of their region, or at none.

use std::net::Ipv4Addr;

use super::{
    Config, Front,
    action::Begin,
    instances::{address, next_offset},
    state::{Action, Resource, State, Work},
};

/// Where the upper half of a slot's network begins.
const UPPER_HALF: u32 = 128 * 256;

impl<F: Front> State<F> {
    /// Begins an action on a static IP, which the caller has found unlocked.
    pub fn begin_on_ip(&mut self, config: &Config, ip: Ipv4Addr, kind: &'static str, work: Work) -> Action {
        let region = self.static_ips.get(&ip).map(|ip| ip.region.clone()).unwrap_or_default();
        let resource_id = u64::from(ip.to_bits());
        self.begin(config, Begin { kind, resource: Resource::StaticIp, resource_id, region, work })
    }

    /// The next free address of the upper half of 127.slot.0.0/16, for a static IP or a load balancer.
    pub fn next_static_ip(&mut self, slot: u8) -> Ipv4Addr {
        let mut offset = self.last_static_ip;
        loop {
            offset = next_offset(self.api, offset);
            let ip = address(slot, UPPER_HALF + offset);
            let balanced = self.load_balancers.values().any(|balancer| balancer.address == ip);
            if !balanced && !self.static_ips.contains_key(&ip) {
                self.last_static_ip = offset;
                return ip;
            }
        }
    }
}
