//! Reading a load balancer with all of its parts.

use std::{collections::BTreeMap, net::IpAddr};

use aws_sdk_ec2::types::SecurityGroup;
use aws_sdk_elasticloadbalancingv2::types::{Listener, TargetGroup, TargetGroupAttribute};
use remint_core::provider::{
    Address, Endpoint, LoadBalancer, LoadBalancerId, LoadBalancerState, Region, Result,
    support::{Call, all_by_token},
};

use super::{
    Arn, Body, PAGE_SIZE,
    parts::{Group, Parts},
    settings,
    shape::Kind,
    state,
};
use crate::{Aws, tags};

impl Aws {
    /// A load balancer in Remint's words.
    pub(super) fn load_balancer(&self, region: &Region, parts: &Parts) -> LoadBalancer {
        let kind = Kind::of_body(&parts.body).unwrap_or(Kind::Network);
        let state = state(&parts.body);
        LoadBalancer {
            id: LoadBalancerId::new(parts.arn()),
            name: parts.body.load_balancer_name().unwrap_or_default().to_owned(),
            endpoint: self.endpoint(parts, &state),
            state,
            region: region.clone(),
            settings: settings::read(parts, kind, self.settings.leaves_within),
        }
    }

    /// Where clients connect. AWS gives a name at once; nothing answers at it before the load balancer has an address.
    fn endpoint(&self, parts: &Parts, state: &LoadBalancerState) -> Option<Endpoint> {
        let reached = *state == LoadBalancerState::Active || !parts.addresses.is_empty();
        let name = parts.body.dns_name().filter(|name| reached && !name.is_empty())?.to_ascii_lowercase();
        let addresses = parts.addresses.iter().map(|ip| Address { ip: *ip, ports: self.settings.ports }).collect();
        Some(Endpoint::Host { name, addresses })
    }

    /// Reads the parts of a load balancer: five calls, and one for each target group. `NotFound` where it goes meanwhile.
    pub(super) async fn parts(&self, operation: &'static str, region: &Region, body: Body) -> Result<Parts> {
        let arn = body.load_balancer_arn().unwrap_or_default();
        let listeners = self.listeners(operation, region, arn).await?;
        let mut groups = Vec::new();
        for body in self.target_groups(operation, region, arn).await? {
            let attributes = self.attributes(operation, region, body.target_group_arn().unwrap_or_default()).await?;
            groups.push(Group { body, attributes });
        }
        let firewall = self.security_groups(operation, region, body.security_groups()).await?;
        let addresses = self.public_addresses(operation, region, arn).await?;
        Ok(Parts { body, listeners, groups, firewall, addresses })
    }

    /// The listeners, by their ports.
    async fn listeners(&self, operation: &'static str, region: &Region, arn: &str) -> Result<Vec<Listener>> {
        let request = self.client.elb(region).describe_listeners().load_balancer_arn(arn).page_size(PAGE_SIZE);
        let mut all = all_by_token(self.client.calls(), operation, |token| {
            let page = request.clone().set_marker(token);
            async move {
                let call = Call::read(operation).about(arn);
                let answer = self.client.call(&call, || page.clone().send()).await?;
                Ok((answer.listeners.unwrap_or_default(), answer.next_marker))
            }
        })
        .await?;
        all.sort_by_key(Listener::port);
        Ok(all)
    }

    /// The target groups that the listeners lead to, by their ports; one call. `NotFound` where there is no such load balancer.
    pub(super) async fn target_groups(
        &self,
        operation: &'static str,
        region: &Region,
        arn: &str,
    ) -> Result<Vec<TargetGroup>> {
        let request = self.client.elb(region).describe_target_groups().load_balancer_arn(arn).page_size(PAGE_SIZE);
        let mut all = all_by_token(self.client.calls(), operation, |token| {
            let page = request.clone().set_marker(token);
            async move {
                let call = Call::read(operation).about(arn);
                let answer = match self.client.call(&call, || page.clone().send()).await {
                    // It has no listener yet.
                    Err(error) if error.is_code("TargetGroupNotFound") => return Ok((Vec::new(), None)),
                    result => result?,
                };
                Ok((answer.target_groups.unwrap_or_default(), answer.next_marker))
            }
        })
        .await?;
        {
            // One that a listener leads to since a moment may not show yet.
            let memory = self.memory.lock();
            let unshown = memory.target_groups.all(self.settings.grace).map(|(_, group)| group).filter(|group| {
                let leads = group.load_balancer_arns().iter().any(|other| other == arn);
                leads && all.iter().all(|other: &TargetGroup| other.target_group_arn() != group.target_group_arn())
            });
            let unshown: Vec<TargetGroup> = unshown.cloned().collect();
            all.extend(unshown);
        }
        all.sort_by(|a, b| a.port().cmp(&b.port()).then_with(|| a.target_group_name().cmp(&b.target_group_name())));
        Ok(all)
    }

    pub(super) async fn attributes(
        &self,
        operation: &'static str,
        region: &Region,
        group: &str,
    ) -> Result<BTreeMap<String, String>> {
        let request = self.client.elb(region).describe_target_group_attributes().target_group_arn(group);
        let call = Call::read(operation).about(group);
        let answer = self.client.call(&call, || request.clone().send()).await?;
        let pair = |attribute: TargetGroupAttribute| Some((attribute.key?, attribute.value?));
        Ok(answer.attributes.unwrap_or_default().into_iter().filter_map(pair).collect())
    }

    async fn security_groups(
        &self,
        operation: &'static str,
        region: &Region,
        ids: &[String],
    ) -> Result<Vec<SecurityGroup>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let request = self.client.ec2(region).describe_security_groups();
        // By a filter, which leaves out one that is gone; by their ids, EC2 would refuse all.
        let request = request.filters(tags::any_of("group-id", ids));
        let answer = self.client.call(&Call::read(operation), || request.clone().send()).await?;
        Ok(answer.security_groups.unwrap_or_default())
    }

    /// The public addresses of its network interfaces, of which it has one or more in each zone.
    async fn public_addresses(&self, operation: &'static str, region: &Region, arn: &str) -> Result<Vec<IpAddr>> {
        let Some(known) = Arn::parse(arn) else { return Ok(Vec::new()) };
        let description = format!("ELB {}", known.path);
        let request = self.client.ec2(region).describe_network_interfaces();
        let request = request.filters(tags::filter("description", &description));
        let call = Call::read(operation).about(arn);
        let answer = self.client.call(&call, || request.clone().send()).await?;
        let public = answer.network_interfaces().iter().filter_map(|one| one.association()?.public_ip()?.parse().ok());
        let mut all: Vec<IpAddr> = public.collect();
        all.sort();
        all.dedup();
        Ok(all)
    }
}
