//! Load balancers.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    attributes,
    engine::{self, destroy, sync},
    model::{Balancer, BalancerKind},
    read::{arn, fresh, keep, name, page, set},
    refusal::{invalid, no_balancer},
    tags,
};
use crate::{
    State,
    call::Call,
    group,
    query::Params,
    reply::refuse,
    route53::{serve_aliases, serve_name},
    vpc::{self, Subnet},
    xml::Xml,
};
use remint_sandbox_cloud::{
    ApiResult,
    balancer::{BalancerSettings, BalancerStatus, CheckProtocol, MemberCheck, NoneHealthy, Wanted},
    now,
};

/// How many of each type an account has in a region.
pub(super) const MOST: usize = 50;

/// `CreateLoadBalancer`.
pub(super) async fn create(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let params = &call.params;
    let name = name(params, "Load balancer")?;
    let kind = match params.get("Type") {
        None | Some("application") => BalancerKind::Application,
        Some("network") => BalancerKind::Network,
        Some("gateway") => return Err(crate::reply::unsupported("gateway load balancers")),
        Some(other) => return Err(invalid(format!("'{other}' is not a valid type of load balancer"))),
    };
    call.cloud.can_balance()?;
    let given = tags::given(params)?;
    let (arn, served) = call.change(|state| {
        let subnets = subnets(state, call.region, params, kind)?;
        let mut groups = groups(state, call.region, params)?;
        if groups.is_empty() && kind == BalancerKind::Application {
            groups.insert(group::default_id(state, call.region));
        }
        if let Some(known) = state.own.elb.shown(call.region).into_iter().find(|known| known.name == name) {
            if (known.kind, &known.subnets, &known.groups) == (kind, &subnets, &groups) {
                return Ok((known.arn.clone(), None));
            }
            let message = format!("A load balancer with the same name '{name}' exists, but with different settings");
            return Err(refuse("DuplicateLoadBalancerName", message));
        }
        let same = state.own.elb.balancers.values().filter(|known| known.region == call.region && known.kind == kind);
        if same.count() >= MOST {
            return Err(refuse("TooManyLoadBalancers", format!("The limit of {MOST} load balancers is reached")));
        }
        let id = fresh();
        let arn = arn(state, call.region, &format!("loadbalancer/{}/{name}/{id}", kind.short()));
        let made = state.create_balancer(call.config(), name, call.region, bare(kind));
        let balancer = Balancer {
            arn: arn.clone(),
            id,
            name: name.to_owned(),
            region: call.region.to_owned(),
            kind,
            subnets,
            groups,
            number: made.id,
            attributes: attributes::of_balancer(kind),
            created_at: now(),
            behind: false,
            doomed: false,
        };
        let (dns_name, address) = (balancer.dns_name(), made.address);
        state.own.elb.balancers.insert(arn.clone(), balancer);
        state.own.tag(&arn, given.clone());
        serve_name(state, &dns_name, address);
        Ok((arn, Some(dns_name)))
    })?;
    if let Some(served) = served {
        call.cloud.tell_zone(&served).await;
    }
    call.read(|state| {
        let balancer = state.own.elb.balancer(call.region, &arn)?;
        xml.members("LoadBalancers", [balancer], |xml, balancer| write(xml, state, balancer));
        Ok(())
    })
}

/// The engine's settings of one without listeners.
fn bare(kind: BalancerKind) -> BalancerSettings {
    BalancerSettings {
        listeners: Vec::new(),
        check: MemberCheck {
            protocol: CheckProtocol::Tcp,
            port: 80,
            interval: std::time::Duration::from_secs(30),
            timeout: std::time::Duration::from_secs(5),
            healthy: 5,
            unhealthy: 2,
        },
        sources: Vec::new(),
        wanted: Wanted::Instances(BTreeSet::new()),
        none_healthy: NoneHealthy::Spread,
        drain: None,
        first_pass: kind == BalancerKind::Application,
        late: kind == BalancerKind::Network,
        pools: BTreeMap::new(),
    }
}

/// The subnets that a call names, which are the default ones.
fn subnets(state: &State, region: &str, params: &Params, kind: BalancerKind) -> ApiResult<BTreeSet<String>> {
    let mapped = params.groups("SubnetMappings.member");
    let mapped: Vec<&str> = mapped.iter().map(|mapping| mapping.need("SubnetId")).collect::<ApiResult<_>>()?;
    let plain = params.list("Subnets.member");
    if !mapped.is_empty() && !plain.is_empty() {
        return Err(invalid("Specify either subnets or subnet mappings, not both"));
    }
    let named: Vec<&str> = mapped.into_iter().chain(plain).collect();
    let known = vpc::subnets(state, region);
    let missing = named.iter().find(|id| known.iter().all(|subnet| subnet.id != **id));
    if let Some(missing) = missing {
        return Err(refuse("SubnetNotFound", format!("The subnet ID '{missing}' does not exist")));
    }
    let subnets: BTreeSet<String> = named.iter().map(|id| (*id).to_owned()).collect();
    if subnets.len() < named.len() {
        return Err(refuse(
            "InvalidConfigurationRequest",
            "A load balancer cannot be attached to multiple subnets in one Availability Zone",
        ));
    }
    let least = if kind == BalancerKind::Application { 2 } else { 1 };
    if subnets.len() < least {
        let message = format!("At least {least} subnets in {least} different Availability Zones must be specified");
        return Err(if subnets.is_empty() { invalid(message) } else { refuse("InvalidConfigurationRequest", message) });
    }
    Ok(subnets)
}

fn groups(state: &State, region: &str, params: &Params) -> ApiResult<BTreeSet<String>> {
    let named = set(params, "SecurityGroups");
    let known = group::all(state, region);
    match named.iter().find(|id| known.iter().all(|group| group.id != **id)) {
        Some(missing) => Err(refuse("InvalidSecurityGroup", format!("The security group '{missing}' does not exist"))),
        None => Ok(named),
    }
}

/// `DescribeLoadBalancers`.
pub(super) fn describe(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    call.read(|state| {
        let mut all = state.own.elb.shown(call.region);
        keep(&call.params, "LoadBalancerArns", &mut all, |balancer| &balancer.arn, no_balancer)?;
        keep(&call.params, "Names", &mut all, |balancer| &balancer.name, no_balancer)?;
        page(call, xml, "LoadBalancers", all, |xml, balancer| write(xml, state, balancer))
    })
}

/// `DeleteLoadBalancer`: one that is gone is a success. Its listeners go with it, its target groups stay.
pub(super) async fn delete(call: &Call<'_>) -> ApiResult<()> {
    let arn = call.params.need("LoadBalancerArn")?;
    let zones = call.change(|state| {
        let Ok(balancer) = state.own.elb.balancer(call.region, arn) else { return Ok(Vec::new()) };
        if balancer.attributes.get("deletion_protection.enabled").is_some_and(|value| value == "true") {
            let message = format!("Load balancer '{arn}' cannot be deleted because deletion protection is enabled");
            return Err(refuse("OperationNotPermitted", message));
        }
        let dns_name = balancer.dns_name();
        destroy(state, call.config(), arn);
        state.zones.remove(&dns_name);
        let mut zones = serve_aliases(state);
        zones.push(dns_name);
        Ok(zones)
    })?;
    for zone in zones {
        call.cloud.tell_zone(&zone).await;
    }
    Ok(())
}

/// `SetSecurityGroups`.
pub(super) fn set_groups(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let arn = call.params.need("LoadBalancerArn")?;
    let set = call.change(|state| {
        let groups = groups(state, call.region, &call.params)?;
        let balancer = state.own.elb.balancer(call.region, arn)?;
        if balancer.kind == BalancerKind::Network && balancer.groups.is_empty() {
            let message = "You cannot set security groups on a network load balancer that was created without any";
            return Err(refuse("InvalidConfigurationRequest", message));
        }
        if groups.is_empty() {
            return Err(invalid("At least one security group must be specified"));
        }
        if let Some(balancer) = state.own.elb.balancers.get_mut(arn) {
            balancer.groups.clone_from(&groups);
        }
        Ok(groups)
    })?;
    xml.members("SecurityGroupIds", set, |xml, id| {
        xml.plain(id);
    });
    Ok(())
}

/// `SetSubnets`.
pub(super) fn set_subnets(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let arn = call.params.need("LoadBalancerArn")?;
    call.change(|state| {
        let kind = state.own.elb.balancer(call.region, arn)?.kind;
        let subnets = subnets(state, call.region, &call.params, kind)?;
        if let Some(balancer) = state.own.elb.balancers.get_mut(arn) {
            balancer.subnets = subnets;
        }
        sync(state, call.config(), arn);
        Ok(())
    })?;
    call.read(|state| {
        let balancer = state.own.elb.balancer(call.region, arn)?;
        write_zones(xml, state, balancer);
        xml.text("IpAddressType", "ipv4");
        Ok(())
    })
}

fn write_zones(xml: &mut Xml, state: &State, balancer: &Balancer) {
    let all = vpc::subnets(state, &balancer.region);
    let own = all.iter().filter(|subnet| balancer.subnets.contains(&subnet.id));
    xml.members("AvailabilityZones", own, |xml, subnet: &Subnet| {
        xml.text("ZoneName", &subnet.zone).text("SubnetId", &subnet.id).node("LoadBalancerAddresses", |_| {});
    });
}

fn write(xml: &mut Xml, state: &State, balancer: &Balancer) {
    xml.text("LoadBalancerArn", &balancer.arn).text("DNSName", balancer.dns_name());
    xml.text("CanonicalHostedZoneId", balancer.zone()).time("CreatedTime", balancer.created_at);
    xml.text("LoadBalancerName", &balancer.name).text("Scheme", "internet-facing");
    xml.text("VpcId", vpc::id(state, &balancer.region));
    xml.node("State", |xml| match engine::status(state, balancer) {
        BalancerStatus::New => drop(xml.text("Code", "provisioning")),
        BalancerStatus::Active => drop(xml.text("Code", "active")),
        BalancerStatus::Failed => {
            xml.text("Code", "failed").text("Reason", "The load balancer could not be created");
        }
    });
    xml.text("Type", balancer.kind.name());
    write_zones(xml, state, balancer);
    if !balancer.groups.is_empty() {
        xml.members("SecurityGroups", &balancer.groups, |xml, id| {
            xml.plain(id);
        });
    }
    xml.text("IpAddressType", "ipv4");
}
