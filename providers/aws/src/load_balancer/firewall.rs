//! The security group of a load balancer, `remint-lb-ENVID`: who may connect, and to which ports. A Network Load Balancer that is
//! created without one never gets one.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::{IpPermission, IpRange, Ipv6Range, SecurityGroup};
use ipnet::IpNet;
use remint_core::provider::{ErrorKind, Result};

use super::{parts::Parts, task::Task};
use crate::{Aws, network::MADE_FOR, tags};

const DESCRIPTION: &str = "made by Remint: the ports of a load balancer";

/// A port that is open, and to whom.
type Rule = (i32, IpNet);

/// The name of a load balancer's security group.
pub(crate) fn group_name(balancer: &str) -> String {
    format!("remint-lb-{}", balancer.strip_prefix("remint-").unwrap_or(balancer))
}

/// The name of the load balancer that a security group of this name is for.
pub(crate) fn balancer_of(group: &str) -> Option<String> {
    group.strip_prefix("remint-lb-").map(|rest| format!("remint-{rest}"))
}

/// All addresses, as rules have them.
fn everybody() -> BTreeSet<IpNet> {
    ["0.0.0.0/0", "::/0"].into_iter().filter_map(|net| net.parse().ok()).collect()
}

/// Who may connect, by the rules of all groups; empty for everybody.
pub(super) fn sources(groups: &[SecurityGroup]) -> Vec<IpNet> {
    let all: BTreeSet<IpNet> = groups.iter().flat_map(rules).map(|(_, net)| net).collect();
    if all == everybody() { Vec::new() } else { all.into_iter().collect() }
}

/// The rules of a group that open one port of TCP to a network.
fn rules(group: &SecurityGroup) -> BTreeSet<Rule> {
    group.ip_permissions().iter().flat_map(rules_of).collect()
}

fn rules_of(permission: &IpPermission) -> Vec<Rule> {
    let port = permission.from_port().filter(|_| permission.from_port() == permission.to_port());
    let Some(port) = port.filter(|_| permission.ip_protocol() == Some("tcp")) else { return Vec::new() };
    let v4 = permission.ip_ranges().iter().filter_map(IpRange::cidr_ip);
    let v6 = permission.ipv6_ranges().iter().filter_map(Ipv6Range::cidr_ipv6);
    v4.chain(v6).filter_map(|net| Some((port, net.parse().ok()?))).collect()
}

/// The rules as EC2 takes them: one for each port.
fn permissions(rules: &BTreeSet<Rule>) -> Vec<IpPermission> {
    let mut by_port: BTreeMap<i32, Vec<IpNet>> = BTreeMap::new();
    for (port, net) in rules {
        by_port.entry(*port).or_default().push(*net);
    }
    let permission = |(port, nets): (i32, Vec<IpNet>)| {
        let mut builder = IpPermission::builder().ip_protocol("tcp").from_port(port).to_port(port);
        for net in nets {
            builder = match net {
                IpNet::V4(net) => builder.ip_ranges(IpRange::builder().cidr_ip(net.to_string()).build()),
                IpNet::V6(net) => builder.ipv6_ranges(Ipv6Range::builder().cidr_ipv6(net.to_string()).build()),
            };
        }
        builder.build()
    };
    by_port.into_iter().map(permission).collect()
}

impl Task<'_> {
    /// The rules that the listeners need.
    fn rules(&self) -> BTreeSet<Rule> {
        let settings = &self.wanted.settings;
        let sources = match settings.sources.as_slice() {
            [] => everybody(),
            some => some.iter().copied().collect(),
        };
        let ports = settings.listeners.iter().map(|listener| i32::from(listener.port));
        ports.flat_map(|port| sources.iter().map(move |net| (port, *net))).collect()
    }
}

impl Aws {
    /// The id of the load balancer's security group, which is created where there is none, with the ports open. Two calls, and
    /// one where something is closed.
    pub(super) async fn ensure_firewall(&self, task: &Task<'_>, vpc: &str) -> Result<String> {
        let name = group_name(&task.spec.name);
        let mut all = vec![tags::tag(tags::NAME, &name), tags::tag(MADE_FOR.0, MADE_FOR.1)];
        let labels = tags::tags(super::ENSURE, &task.spec.labels)?;
        all.extend(labels.into_iter().filter(|label| label.key() != Some(MADE_FOR.0)));
        all.extend(self.own_tags());
        let group = self.create_group(task.region(), vpc, &name, DESCRIPTION, &all).await?;
        let id = group.group_id().unwrap_or_default().to_owned();
        self.open_ports(task, &id, &rules(&group)).await?;
        Ok(id)
    }

    /// Opens what is wanted and not open; whether there was anything.
    async fn open_ports(&self, task: &Task<'_>, id: &str, open: &BTreeSet<Rule>) -> Result<bool> {
        let missing: BTreeSet<Rule> = task.rules().difference(open).copied().collect();
        if missing.is_empty() {
            return Ok(false);
        }
        let request = self.client.ec2(task.region()).authorize_security_group_ingress().group_id(id);
        let request = request.set_ip_permissions(Some(permissions(&missing)));
        match self.client.call(&task.call(), || request.clone().send()).await {
            // A lost reply's repetition.
            Err(error) if error.is_code("InvalidPermission.Duplicate") => Ok(true),
            result => result.map(|_| true),
        }
    }

    /// Gives a load balancer that exists its own security group, and opens what is wanted; whether something was changed.
    pub(super) async fn open_firewall(&self, task: &Task<'_>, parts: &Parts) -> Result<bool> {
        let name = group_name(&task.spec.name);
        if let [only] = parts.firewall.as_slice()
            && only.group_name() == Some(name.as_str())
        {
            return self.open_ports(task, only.group_id().unwrap_or_default(), &rules(only)).await;
        }
        let id = self.ensure_firewall(task, parts.body.vpc_id().unwrap_or_default()).await?;
        if parts.body.security_groups() == [id.as_str()] {
            // It was created a moment ago.
            return Ok(true);
        }
        let request = self.client.elb(task.region()).set_security_groups();
        let request = request.load_balancer_arn(parts.arn()).security_groups(id);
        self.client.call(&task.call(), || request.clone().send()).await?;
        Ok(true)
    }

    /// Closes what is open and not wanted; whether something was changed.
    pub(super) async fn close_firewall(&self, task: &Task<'_>, parts: &Parts) -> Result<bool> {
        let (name, wanted) = (group_name(&task.spec.name), task.rules());
        let own = parts.firewall.iter().find(|group| group.group_name() == Some(name.as_str()));
        let Some(group) = own else { return Ok(false) };
        let extra: BTreeSet<Rule> = rules(group).difference(&wanted).copied().collect();
        if extra.is_empty() {
            return Ok(false);
        }
        let id = group.group_id().unwrap_or_default();
        let request = self.client.ec2(task.region()).revoke_security_group_ingress().group_id(id);
        let request = request.set_ip_permissions(Some(permissions(&extra)));
        match self.client.call(&task.call(), || request.clone().send()).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
            result => result.map(|_| true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(rules: &[(i32, &str)]) -> SecurityGroup {
        let rules = rules.iter().map(|(port, net)| (*port, net.parse().unwrap())).collect();
        SecurityGroup::builder().set_ip_permissions(Some(permissions(&rules))).build()
    }

    #[test]
    fn everybody_is_nobody_in_particular() {
        assert_eq!(sources(&[group(&[(80, "0.0.0.0/0"), (80, "::/0"), (443, "0.0.0.0/0"), (443, "::/0")])]), []);
        let one = group(&[(80, "192.0.2.0/24")]);
        let shown = sources(&[one.clone(), group(&[(80, "198.51.100.7/32")])]);
        assert_eq!(shown.iter().map(ToString::to_string).collect::<Vec<_>>(), ["192.0.2.0/24", "198.51.100.7/32"]);
        // Nobody by IPv6 is not everybody.
        assert_eq!(sources(&[group(&[(80, "0.0.0.0/0")])]).len(), 1);
    }

    #[test]
    fn a_rule_comes_back_as_it_was_written() {
        let rules: BTreeSet<Rule> = [(80, "192.0.2.0/24"), (443, "192.0.2.0/24"), (443, "2001:db8::/32")]
            .map(|(port, net)| (port, net.parse().unwrap()))
            .into();
        let written = permissions(&rules);
        assert_eq!(written.len(), 2, "one for each port");
        assert_eq!(written.iter().flat_map(rules_of).collect::<BTreeSet<_>>(), rules);
        let wide = IpPermission::builder().ip_protocol("tcp").from_port(1).to_port(2).build();
        assert_eq!(rules_of(&wide), []);
    }

    #[test]
    fn its_name_is_not_one_of_a_group_of_instances() {
        assert_eq!(group_name("remint-0a1b2c3d4e5f6071"), "remint-lb-0a1b2c3d4e5f6071");
        assert_eq!(balancer_of("remint-lb-0a1b2c3d4e5f6071").as_deref(), Some("remint-0a1b2c3d4e5f6071"));
        assert_eq!(balancer_of("remint-0a1b2c3d4e5f6071-22-80"), None);
    }
}
