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

/// The id of a region's default VPC.
pub(super) fn id(state: &State, region: &str) -> String {
    ids::fixed("vpc", &format!("{} {region}", state.account))
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
    ids::fixed("subnet", &format!("{} {zone}", state.account))
}

/// The address that an instance shows in its VPC. Nothing answers there.
pub(super) fn private_address(zone: &str, address: Ipv4Addr) -> Ipv4Addr {
    let [_, _, c, d] = address.octets();
    let index = ZONES.iter().position(|letter| zone.ends_with(letter)).unwrap_or_default();
    Ipv4Addr::new(172, 31, 16 * u8::try_from(index).unwrap_or_default() + c % 16, d)
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
