//! Target groups.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    attributes,
    engine::sync_group,
    model::{Check, TargetGroup, TargetProtocol},
    read::{arn, fresh, keep, name, page, within},
    refusal::{invalid, no_group},
    tags,
};
use crate::{
    State,
    call::Call,
    query::Params,
    reply::{refuse, unsupported},
    vpc,
    xml::Xml,
};
use remint_sandbox_cloud::{ApiError, ApiResult, now};

/// How many an account has in a region.
pub(super) const MOST: usize = 3000;

/// `CreateTargetGroup`.
pub(super) fn create(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let params = &call.params;
    let name = name(params, "Target group")?;
    let protocol = protocol(params.need("Protocol")?, "target groups")?;
    let port = super::read::port(params, "Port")?.ok_or_else(|| invalid("A port must be specified"))?;
    let check = read_check(params, Check::of(protocol), protocol)?;
    let given = tags::given(params)?;
    let arn = call.change(|state| {
        let vpc = vpc::id(state, call.region);
        match params.get("VpcId") {
            None => return Err(invalid("A VPC ID must be specified")),
            Some(other) if other != vpc => return Err(invalid(format!("The VPC ID '{other}' is not found"))),
            Some(_) => {}
        }
        if let Some(known) = here(state, call.region).into_iter().find(|known| known.name == name) {
            if (known.protocol, known.port, &known.check) == (protocol, port, &check) {
                return Ok(known.arn.clone());
            }
            let message = format!("A target group with the same name '{name}' exists, but with different settings");
            return Err(refuse("DuplicateTargetGroupName", message));
        }
        if here(state, call.region).len() >= MOST {
            return Err(refuse("TooManyTargetGroups", format!("The limit of {MOST} target groups is reached")));
        }
        let arn = arn(state, call.region, &format!("targetgroup/{name}/{}", fresh()));
        let group = TargetGroup {
            arn: arn.clone(),
            name: name.to_owned(),
            region: call.region.to_owned(),
            protocol,
            port,
            check,
            attributes: attributes::of_group(protocol),
            targets: BTreeMap::new(),
            leaving: BTreeMap::new(),
            number: state.next_id(),
            created_at: now(),
        };
        state.own.elb.groups.insert(arn.clone(), group);
        state.own.tag(&arn, given.clone());
        Ok(arn)
    })?;
    shown(call, xml, &arn)
}

/// `DescribeTargetGroups`.
pub(super) fn describe(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    call.read(|state| {
        let mut all = here(state, call.region);
        if let Some(arn) = call.params.get("LoadBalancerArn") {
            state.own.elb.balancer(call.region, arn)?;
            all.retain(|group| state.own.elb.users(&group.arn).any(|listener| listener.balancer == arn));
        }
        keep(&call.params, "TargetGroupArns", &mut all, |group| &group.arn, no_group)?;
        keep(&call.params, "Names", &mut all, |group| &group.name, no_group)?;
        page(call, xml, "TargetGroups", all, |xml, group| write(xml, state, group))
    })
}

/// `ModifyTargetGroup`: the check, which is all that can change.
pub(super) fn modify(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let arn = call.params.need("TargetGroupArn")?;
    call.change(|state| {
        let group = find(state, call.region, arn)?;
        let check = read_check(&call.params, group.check.clone(), group.protocol)?;
        if let Some(group) = state.own.elb.groups.get_mut(arn) {
            group.check = check;
        }
        sync_group(state, call.config(), arn);
        Ok(())
    })?;
    shown(call, xml, arn)
}

/// `DeleteTargetGroup`: one that is gone is a success; not while a listener sends to it.
pub(super) fn delete(call: &Call<'_>, _: &mut Xml) -> ApiResult<()> {
    let arn = call.params.need("TargetGroupArn")?;
    call.change(|state| {
        if find(state, call.region, arn).is_err() {
            return Ok(());
        }
        if state.own.elb.users(arn).next().is_some() {
            let message = format!("Target group '{arn}' is currently in use by a listener or a rule");
            return Err(refuse("ResourceInUse", message));
        }
        state.own.elb.groups.remove(arn);
        state.own.tags.remove(arn);
        Ok(())
    })
}

/// The target groups of a region, oldest first.
fn here<'a>(state: &'a State, region: &str) -> Vec<&'a TargetGroup> {
    let mut all: Vec<&TargetGroup> = state.own.elb.groups.values().filter(|group| group.region == region).collect();
    all.sort_by_key(|group| group.number);
    remint_sandbox_cloud::seen(all, |group| group.created_at)
}

pub(super) fn find<'a>(state: &'a State, region: &str, arn: &str) -> ApiResult<&'a TargetGroup> {
    let found = state.own.elb.groups.get(arn).filter(|group| group.region == region);
    found.ok_or_else(|| no_group(&[arn]))
}

/// A protocol that load balancers have here.
pub(super) fn protocol(text: &str, of: &str) -> ApiResult<TargetProtocol> {
    match text {
        "HTTP" => Ok(TargetProtocol::Http),
        "TCP" => Ok(TargetProtocol::Tcp),
        "HTTPS" | "TLS" | "UDP" | "TCP_UDP" | "GENEVE" | "QUIC" | "TCP_QUIC" => {
            Err(unsupported(&format!("the protocol {text} of {of}")))
        }
        other => Err(invalid(format!("Protocol '{other}' is not valid"))),
    }
}

impl Check {
    /// The one that a new target group has.
    fn of(protocol: TargetProtocol) -> Self {
        let http = protocol == TargetProtocol::Http;
        Self {
            protocol,
            port: None,
            path: "/".to_owned(),
            matcher: if http { "200" } else { "200-399" }.to_owned(),
            interval: 30,
            timeout: if http { 5 } else { 10 },
            healthy: 5,
            unhealthy: 2,
        }
    }
}

/// A check, with what a call changes of it.
fn read_check(params: &Params, known: Check, group: TargetProtocol) -> ApiResult<Check> {
    let mut check = known;
    if let Some(text) = params.get("HealthCheckProtocol") {
        let asked = protocol(text, "health checks")?;
        if asked == TargetProtocol::Tcp && group == TargetProtocol::Http {
            return Err(invalid("Health check protocol 'TCP' is not supported for target groups with protocol 'HTTP'"));
        }
        if asked != check.protocol && params.get("HealthCheckTimeoutSeconds").is_none() {
            check.timeout = if asked == TargetProtocol::Http { 6 } else { 10 };
        }
        check.protocol = asked;
    }
    match params.get("HealthCheckPort") {
        None => {}
        Some("traffic-port") => check.port = None,
        Some(_) => check.port = super::read::port(params, "HealthCheckPort")?,
    }
    let http = check.protocol == TargetProtocol::Http;
    if !http && (params.get("HealthCheckPath").is_some() || params.get("Matcher.HttpCode").is_some()) {
        return Err(invalid("Health check path and matcher are for health checks with protocol HTTP only"));
    }
    if let Some(path) = params.get("HealthCheckPath") {
        let good = path.starts_with('/') && path.len() <= 1024 && path.bytes().all(|b| b.is_ascii_graphic());
        if !good {
            return Err(invalid(format!(
                "Health check path '{path}' must begin with a '/' and have 1 to 1024 characters"
            )));
        }
        check.path = path.to_owned();
    }
    match params.get("Matcher.HttpCode") {
        None => {}
        Some(codes @ ("200" | "200-299")) => check.matcher = codes.to_owned(),
        Some(other) => return Err(unsupported(&format!("the matcher {other} of health checks"))),
    }
    let number = |name: &str, least, most, now: u64| Ok(within(params, name, least, most)?.unwrap_or(now));
    check.interval = number("HealthCheckIntervalSeconds", 5, 300, check.interval)?;
    check.timeout = number("HealthCheckTimeoutSeconds", 2, 120, check.timeout)?;
    let count = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    check.healthy = count(number("HealthyThresholdCount", 2, 10, check.healthy.into())?);
    check.unhealthy = count(number("UnhealthyThresholdCount", 2, 10, check.unhealthy.into())?);
    if check.timeout > check.interval || group == TargetProtocol::Http && check.timeout >= check.interval {
        return Err(too_slow(&check));
    }
    Ok(check)
}

fn too_slow(check: &Check) -> ApiError {
    invalid(format!("Health check timeout '{}' must be smaller than the interval '{}'", check.timeout, check.interval))
}

fn shown(call: &Call<'_>, xml: &mut Xml, arn: &str) -> ApiResult<()> {
    call.read(|state| {
        let group = find(state, call.region, arn)?;
        xml.members("TargetGroups", [group], |xml, group| write(xml, state, group));
        Ok(())
    })
}

fn write(xml: &mut Xml, state: &State, group: &TargetGroup) {
    let check = &group.check;
    xml.text("TargetGroupArn", &group.arn).text("TargetGroupName", &group.name);
    xml.text("Protocol", group.protocol.name()).text("Port", group.port).text("VpcId", vpc::id(state, &group.region));
    xml.text("HealthCheckProtocol", check.protocol.name());
    match check.port {
        None => xml.text("HealthCheckPort", "traffic-port"),
        Some(port) => xml.text("HealthCheckPort", port),
    };
    xml.text("HealthCheckEnabled", true).text("HealthCheckIntervalSeconds", check.interval);
    xml.text("HealthCheckTimeoutSeconds", check.timeout).text("HealthyThresholdCount", check.healthy);
    xml.text("UnhealthyThresholdCount", check.unhealthy);
    if check.protocol == TargetProtocol::Http {
        xml.text("HealthCheckPath", &check.path).node("Matcher", |xml| {
            xml.text("HttpCode", &check.matcher);
        });
    }
    let users: BTreeSet<&str> = state.own.elb.users(&group.arn).map(|listener| listener.balancer.as_str()).collect();
    xml.members("LoadBalancerArns", users, |xml, arn| {
        xml.plain(arn);
    });
    xml.text("TargetType", "instance");
    if group.protocol == TargetProtocol::Http {
        xml.text("ProtocolVersion", "HTTP1");
    }
    xml.text("IpAddressType", "ipv4");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str, protocol: TargetProtocol) -> Result<Check, &'static str> {
        read_check(&Params::parse(body.as_bytes()).unwrap(), Check::of(protocol), protocol).map_err(|error| error.id)
    }

    #[test]
    fn checks_are_read_and_what_cannot_be_is_refused() {
        let http = TargetProtocol::Http;
        let check = read("HealthCheckPort=81&HealthCheckPath=/up&HealthCheckIntervalSeconds=10", http).unwrap();
        assert_eq!((check.port, check.path.as_str(), check.interval, check.timeout), (Some(81), "/up", 10, 5));
        assert_eq!(read("HealthCheckProtocol=HTTP", TargetProtocol::Tcp).unwrap().protocol, http);
        for (body, code) in [
            ("HealthCheckIntervalSeconds=4", "ValidationError"),
            ("HealthCheckIntervalSeconds=5", "ValidationError"),
            ("HealthCheckPath=up", "ValidationError"),
            ("HealthCheckProtocol=TCP", "ValidationError"),
            ("HealthyThresholdCount=1", "ValidationError"),
            ("Matcher.HttpCode=404", "UnsupportedOperation"),
            ("HealthCheckProtocol=HTTPS", "UnsupportedOperation"),
        ] {
            assert_eq!(read(body, http), Err(code), "{body}");
        }
    }
}
