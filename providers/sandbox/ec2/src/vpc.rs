//! The default VPC of each region and its subnets, which are always there.

use std::net::Ipv4Addr;

use super::{ids, state::Instance};
use crate::State;

/// The addresses of every VPC.
pub(super) const CIDR: &str = "172.31.0.0/16";
/// The letters of every region's availability zones.
const ZONES: [&str; 3] = ["a", "b", "c"];

/// A default subnet.
#[derive(Debug)]
pub(super) struct Subnet {
    pub(super) id: String,
    pub(super) vpc: String,
    pub(super) zone: String,
    pub(super) cidr: String,
}

/// The availability zones of a region.
pub(super) fn zones(region: &str) -> [String; 3] {
    ZONES.map(|letter| format!("{region}{letter}"))
}

/// The id of a zone: `use1-az1` for `us-east-1a`, as AWS abbreviates a region.
pub(super) fn zone_id(zone: &str) -> String {
    let (region, letter) = zone.split_at(zone.len().saturating_sub(1));
    let short: String = match region.split('-').collect::<Vec<_>>()[..] {
        [area, side, number] => format!("{area}{}{number}", side.chars().next().unwrap_or_default()),
        _ => region.to_owned(),
    };
    let index = ZONES.iter().position(|known| *known == letter).unwrap_or_default();
    format!("{short}-az{}", index + 1)
}

/// The id of a region's default VPC.
pub(super) fn id(state: &State, region: &str) -> String {
    own(state, "vpc", region)
}

/// The id of what there is one of in a region or a zone.
pub(super) fn own(state: &State, prefix: &str, place: &str) -> String {
    ids::fixed(prefix, &format!("{} {place}", state.account))
}

/// The domain of the names that instances have in the VPC.
pub(super) fn domain(region: &str) -> String {
    match region {
        "us-east-1" => "ec2.internal".to_owned(),
        region => format!("{region}.compute.internal"),
    }
}

/// The default subnets of a region: one for each zone.
pub(super) fn subnets(state: &State, region: &str) -> Vec<Subnet> {
    let subnet = |(index, zone): (usize, String)| Subnet {
        id: subnet_id(state, &zone),
        vpc: id(state, region),
        zone,
        cidr: format!("172.31.{}.0/20", 16 * index),
    };
    zones(region).into_iter().enumerate().map(subnet).collect()
}

fn subnet_id(state: &State, zone: &str) -> String {
    own(state, "subnet", zone)
}

/// The address that an instance shows in its VPC, which follows from the machine's own. Nothing answers there.
pub(super) fn private_address(state: &State, zone: &str, address: Ipv4Addr) -> Ipv4Addr {
    let [_, _, c, d] = address.octets();
    let index = ZONES.iter().position(|letter| zone.ends_with(letter)).unwrap_or_default();
    let mut found = Ipv4Addr::new(172, 31, 16 * u8::try_from(index).unwrap_or_default() + c % 16, d);
    while is_taken(state, zone, found) {
        found = Ipv4Addr::from(u32::from(found) + 1);
    }
    found
}

/// Whether an instance of the zone has an address.
pub(super) fn is_taken(state: &State, zone: &str, ip: Ipv4Addr) -> bool {
    let has = |instance: &Instance| instance.zone == zone && instance.private_ip == ip;
    state.own.instances.values().any(|instance| has(instance) && state.instances.contains_key(&instance.machine))
}

impl Subnet {
    /// Whether an address is one that an instance in it can have: AWS keeps the first four and the last.
    pub(super) fn has(&self, ip: Ipv4Addr) -> bool {
        let base = self.cidr.split_once('/').and_then(|(base, _)| base.parse::<Ipv4Addr>().ok());
        let host = base.and_then(|base| u32::from(ip).checked_sub(u32::from(base)));
        host.is_some_and(|host| (4..0xfff).contains(&host))
    }
}

impl Instance {
    /// The id of its VPC.
    pub(super) fn vpc(&self, state: &State) -> String {
        id(state, &self.region)
    }

    /// The id of its subnet.
    pub(super) fn subnet(&self, state: &State) -> String {
        subnet_id(state, &self.zone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_have_short_ids() {
        assert_eq!(zone_id("us-east-1a"), "use1-az1");
        assert_eq!(zone_id("eu-central-1c"), "euc1-az3");
    }
}
