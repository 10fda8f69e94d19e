//! Where instances are attached: the subnet, and a security group of Remint's own.
//!
//! A group is one environment's: its name and a tag carry the environment's id, so that it can be removed once nothing is in
//! it. Its name also says which ports it opens (`remint-0a1b2c3d4e5f6071-22-80`), and it is never changed.
//!
//! Instances without an environment's id, and those of earlier releases of Remint, share a group for each set of ports in a
//! VPC (`remint-22-80`). Nobody can tell who uses it, so it stays.

use aws_sdk_ec2::types::{IpPermission, IpRange, Ipv6Range, ResourceType, SecurityGroup, Subnet, Tag};
use remint_core::provider::{
    EnvironmentId, Error, ErrorKind, Region, Result, label,
    support::{Call, CreateOnce},
};

use crate::{
    Aws, Config,
    networks::{Network, Place},
    tags,
};

const OPERATION: &str = "prepare network";
/// What tags the groups that Remint made.
pub(crate) const MADE_FOR: (&str, &str) = ("remint:role", "security-group");
const SSH: u16 = 22;

/// Where something may be in a region.
struct Found {
    vpc: String,
    /// In the order of their availability zones; never none.
    subnets: Vec<Subnet>,
    /// Whether the options name the subnet.
    pinned: bool,
}

impl Aws {
    /// Where an instance may go whose size these availability zones have, the first choice first; never empty. Two calls once
    /// in a region, and two more when the group has to be made.
    pub(crate) async fn candidates(
        &self,
        region: &Region,
        zones: &[String],
        environment: Option<&EnvironmentId>,
    ) -> Result<Vec<Place>> {
        let network = {
            // Held across the calls, so that two launches at once make one group.
            let mut networks = self.networks.0.lock().await;
            let key = (region.clone(), environment.cloned());
            match networks.get(&key) {
                Some(known) => known.clone(),
                None => {
                    let found = self.network(region, environment).await?;
                    networks.insert(key, found.clone());
                    found
                }
            }
        };
        Ok(network.places(zones))
    }

    async fn network(&self, region: &Region, environment: Option<&EnvironmentId>) -> Result<Network> {
        let Found { vpc, subnets, pinned } = self.find_subnets(region).await?;
        let groups = match self.own_options(region).map(|config| config.security_groups.clone()) {
            Some(groups) if !groups.is_empty() => groups,
            _ => vec![self.ensure_group(region, &vpc, environment).await?],
        };
        Ok(Network { subnets, pinned, groups })
    }

    /// The VPC of a load balancer, and its place in each zone; never none. One call.
    pub(crate) async fn balancer_places(&self, region: &Region) -> Result<(String, Vec<Place>)> {
        let Found { vpc, subnets, pinned } = self.find_subnets(region).await?;
        let zones: Vec<String> =
            subnets.iter().filter_map(|subnet| Some(subnet.availability_zone()?.to_owned())).collect();
        Ok((vpc, Network { subnets, pinned, groups: Vec::new() }.places(&zones)))
    }

    /// The options, where the region is the one that they were written for: ids mean something there alone.
    fn own_options(&self, region: &Region) -> Option<&Config> {
        (self.home.as_ref() == Some(region)).then_some(&self.settings.config)
    }

    /// One call.
    async fn find_subnets(&self, region: &Region) -> Result<Found> {
        let config = self.own_options(region);
        let (vpc, subnet) = (config.and_then(|c| c.vpc.as_deref()), config.and_then(|c| c.subnet.as_deref()));
        let mut subnets = self.subnets(region, vpc, subnet).await?;
        subnets.sort_by(|a, b| {
            a.availability_zone().cmp(&b.availability_zone()).then_with(|| a.subnet_id().cmp(&b.subnet_id()))
        });
        let invalid = |message: String, hint: &str| {
            Err(Error::new(ErrorKind::InvalidInput, OPERATION, message).with_resource(region).with_hint(hint))
        };
        let vpc = match (subnets.first().and_then(Subnet::vpc_id), vpc) {
            (Some(found), Some(wanted)) if found != wanted => {
                return invalid(
                    format!("subnet {} is in {found}, not in {wanted}", subnet.unwrap_or_default()),
                    "leave `vpc` out where `subnet` is given",
                );
            }
            (Some(found), _) => found.to_owned(),
            (None, Some(vpc)) => return invalid(format!("{vpc} has no subnet"), "make one, or name another VPC"),
            (None, None) => {
                return invalid(
                    "the region has no default VPC with a subnet".to_owned(),
                    "name a `subnet` in `[providers.aws.options]`, or run `aws ec2 create-default-vpc`",
                );
            }
        };
        Ok(Found { vpc, subnets, pinned: subnet.is_some() })
    }

    async fn subnets(&self, region: &Region, vpc: Option<&str>, subnet: Option<&str>) -> Result<Vec<Subnet>> {
        let request = self.client.ec2(region).describe_subnets();
        let request = match (subnet, vpc) {
            (Some(subnet), _) => request.subnet_ids(subnet),
            (None, Some(vpc)) => request.filters(tags::filter("vpc-id", vpc)),
            (None, None) => request.filters(tags::filter("default-for-az", "true")),
        };
        let answer = self.client.call(&Call::read(OPERATION).about(region), || request.clone().send()).await?;
        Ok(answer.subnets.unwrap_or_default())
    }

    async fn ensure_group(&self, region: &Region, vpc: &str, environment: Option<&EnvironmentId>) -> Result<String> {
        let mut ports = self.settings.service_ports.clone();
        ports.push(SSH);
        ports.sort_unstable();
        ports.dedup();
        let numbers: Vec<String> = ports.iter().map(u16::to_string).collect();
        let owner = environment.map_or_else(String::new, |id| format!("{id}-"));
        let name = format!("remint-{owner}{}", numbers.join("-"));
        let mut all = vec![tags::tag(tags::NAME, &name), tags::tag(MADE_FOR.0, MADE_FOR.1)];
        all.extend(environment.map(|id| tags::tag(label::ENV_ID, id.as_str())));
        let group =
            self.create_group(region, vpc, &name, "made by Remint: SSH and the ports of a service", &all).await?;
        let id = group.group_id().unwrap_or_default().to_owned();
        let is_open = |port: u16| {
            group.ip_permissions().iter().any(|rule| {
                let covers = rule.from_port().zip(rule.to_port());
                covers.is_some_and(|(from, to)| (from..=to).contains(&i32::from(port)))
            })
        };
        let closed: Vec<u16> = ports.into_iter().filter(|port| !is_open(*port)).collect();
        if !closed.is_empty() {
            self.open(region, &id, &closed).await?;
        }
        Ok(id)
    }

    /// The security group of a name, which is created where there is none. It opens nothing then.
    pub(crate) async fn create_group(
        &self,
        region: &Region,
        vpc: &str,
        name: &str,
        description: &str,
        all: &[Tag],
    ) -> Result<SecurityGroup> {
        let request = self.client.ec2(region).create_security_group().group_name(name).vpc_id(vpc);
        let request = request.description(description);
        let request = request.tag_specifications(tags::on_create(ResourceType::SecurityGroup, all));
        let call = Call::idempotent(OPERATION).about(name);
        let look = || async { Ok(self.find_group(region, vpc, name).await?.into()) };
        let create = |()| async {
            let made = self.client.call(&call, || request.clone().send()).await?;
            Ok(SecurityGroup::builder().set_group_id(made.group_id).group_name(name).build())
        };
        CreateOnce::new(&call, self.settings.settle).run(look, create).await
    }

    async fn find_group(&self, region: &Region, vpc: &str, name: &str) -> Result<Option<SecurityGroup>> {
        let request = self.client.ec2(region).describe_security_groups();
        let request = request.filters(tags::filter("group-name", name)).filters(tags::filter("vpc-id", vpc));
        let answer = self.client.call(&Call::read(OPERATION).about(name), || request.clone().send()).await?;
        Ok(answer.security_groups.unwrap_or_default().into_iter().next())
    }

    async fn open(&self, region: &Region, group: &str, ports: &[u16]) -> Result<()> {
        let rule = |port: &u16| {
            IpPermission::builder()
                .ip_protocol("tcp")
                .from_port(i32::from(*port))
                .to_port(i32::from(*port))
                .ip_ranges(IpRange::builder().cidr_ip("0.0.0.0/0").build())
                .ipv6_ranges(Ipv6Range::builder().cidr_ipv6("::/0").build())
                .build()
        };
        let request = self.client.ec2(region).authorize_security_group_ingress().group_id(group);
        let request = request.set_ip_permissions(Some(ports.iter().map(rule).collect()));
        match self.client.call(&Call::idempotent(OPERATION).about(group), || request.clone().send()).await {
            Err(error) if error.is_code("InvalidPermission.Duplicate") => Ok(()),
            result => result.map(drop),
        }
    }
}
