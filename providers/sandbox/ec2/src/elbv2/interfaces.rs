//! What EC2 shows of load balancers: a network interface each, and the security groups that they use.

use std::net::Ipv4Addr;

use super::model::Balancer;
use crate::{State, ids, vpc};
use remint_sandbox_cloud::balancer::BalancerStatus;

/// The network interface of a load balancer.
#[derive(Debug, Clone)]
pub(crate) struct Nic {
    pub(crate) id: String,
    pub(crate) region: String,
    pub(crate) zone: String,
    pub(crate) subnet: String,
    pub(crate) vpc: String,
    /// `ELB app/NAME/ID`.
    pub(crate) description: String,
    /// As EC2 names the type.
    pub(crate) kind: &'static str,
    /// The ids of its security groups.
    pub(crate) groups: Vec<String>,
    /// Where clients of the load balancer connect.
    pub(crate) public_ip: Ipv4Addr,
    pub(crate) private_ip: Ipv4Addr,
}

/// The interfaces of the load balancers of a region that work, or did: one each, in the first of its subnets.
pub(crate) fn all(state: &State, region: &str) -> Vec<Nic> {
    let nic = |balancer: &Balancer| {
        let engine = balancer.engine(state).filter(|engine| engine.status == BalancerStatus::Active)?;
        let mut subnets = vpc::subnets(state, region).into_iter();
        let subnet = subnets.find(|subnet| balancer.subnets.contains(&subnet.id))?;
        Some(Nic {
            id: ids::fixed("eni", &balancer.arn),
            region: region.to_owned(),
            description: format!("ELB {}/{}/{}", balancer.kind.short(), balancer.name, balancer.id),
            kind: if balancer.kind.short() == "net" { "network_load_balancer" } else { "interface" },
            groups: balancer.groups.iter().cloned().collect(),
            public_ip: engine.address,
            private_ip: vpc::private_address(state, &subnet.zone, engine.address),
            zone: subnet.zone,
            subnet: subnet.id,
            vpc: subnet.vpc,
        })
    };
    state.own.elb.balancers.values().filter(|balancer| balancer.region == region).filter_map(nic).collect()
}

/// Whether a load balancer uses a security group. One that is being destroyed does.
pub(crate) fn uses_group(state: &State, group: &str) -> bool {
    state.own.elb.balancers.values().any(|balancer| balancer.groups.contains(group))
}
