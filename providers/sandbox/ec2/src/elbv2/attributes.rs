//! Attributes of load balancers and of target groups.

use super::{
    engine::sync_group,
    model::{Attributes, BalancerKind, TargetProtocol},
    refusal::{invalid, no_group},
};
use crate::{
    call::Call,
    query::Params,
    reply::{refuse, unsupported},
    xml::Xml,
};
use remint_sandbox_cloud::ApiResult;

/// What an attribute can be set to.
enum Values {
    /// Nothing but what it is.
    Fixed,
    Either,
    /// A number up to this one.
    UpTo(u64),
}

type Known = (&'static str, &'static str, Values);

const APPLICATION: &[Known] = &[
    ("access_logs.s3.enabled", "false", Values::Fixed),
    ("access_logs.s3.bucket", "", Values::Fixed),
    ("access_logs.s3.prefix", "", Values::Fixed),
    ("client_keep_alive.seconds", "3600", Values::Fixed),
    ("connection_logs.s3.enabled", "false", Values::Fixed),
    ("deletion_protection.enabled", "false", Values::Either),
    ("idle_timeout.timeout_seconds", "60", Values::Fixed),
    ("load_balancing.cross_zone.enabled", "true", Values::Fixed),
    ("routing.http.desync_mitigation_mode", "defensive", Values::Fixed),
    ("routing.http.drop_invalid_header_fields.enabled", "false", Values::Fixed),
    ("routing.http.preserve_host_header.enabled", "false", Values::Fixed),
    ("routing.http.x_amzn_tls_version_and_cipher_suite.enabled", "false", Values::Fixed),
    ("routing.http.xff_client_port.enabled", "false", Values::Fixed),
    ("routing.http.xff_header_processing.mode", "append", Values::Fixed),
    ("routing.http2.enabled", "true", Values::Fixed),
    ("waf.fail_open.enabled", "false", Values::Fixed),
    ("zonal_shift.config.enabled", "false", Values::Fixed),
];

const NETWORK: &[Known] = &[
    ("access_logs.s3.enabled", "false", Values::Fixed),
    ("access_logs.s3.bucket", "", Values::Fixed),
    ("access_logs.s3.prefix", "", Values::Fixed),
    ("deletion_protection.enabled", "false", Values::Either),
    ("dns_record.client_routing_policy", "any_availability_zone", Values::Fixed),
    // Whatever it is, all members get connections.
    ("load_balancing.cross_zone.enabled", "false", Values::Either),
    ("zonal_shift.config.enabled", "false", Values::Fixed),
];

const HTTP: &[Known] = &[
    ("deregistration_delay.timeout_seconds", "300", Values::UpTo(3600)),
    ("load_balancing.algorithm.anomaly_mitigation", "off", Values::Fixed),
    ("load_balancing.algorithm.type", "round_robin", Values::Fixed),
    ("load_balancing.cross_zone.enabled", "use_load_balancer_configuration", Values::Fixed),
    ("slow_start.duration_seconds", "0", Values::Fixed),
    ("stickiness.enabled", "false", Values::Fixed),
    ("stickiness.type", "lb_cookie", Values::Fixed),
];

const TCP: &[Known] = &[
    ("deregistration_delay.connection_termination.enabled", "false", Values::Either),
    ("deregistration_delay.timeout_seconds", "300", Values::UpTo(3600)),
    ("load_balancing.cross_zone.enabled", "use_load_balancer_configuration", Values::Fixed),
    // Targets see the load balancer's address, whatever it is.
    ("preserve_client_ip.enabled", "true", Values::Either),
    ("proxy_protocol_v2.enabled", "false", Values::Fixed),
    ("stickiness.enabled", "false", Values::Fixed),
    ("stickiness.type", "source_ip", Values::Fixed),
    ("target_health_state.unhealthy.connection_termination.enabled", "true", Values::Either),
];

fn known_of_balancer(kind: BalancerKind) -> &'static [Known] {
    match kind {
        BalancerKind::Application => APPLICATION,
        BalancerKind::Network => NETWORK,
    }
}

fn known_of_group(protocol: TargetProtocol) -> &'static [Known] {
    match protocol {
        TargetProtocol::Http => HTTP,
        TargetProtocol::Tcp => TCP,
    }
}

/// Those that a new load balancer has.
pub(super) fn of_balancer(kind: BalancerKind) -> Attributes {
    defaults(known_of_balancer(kind))
}

/// Those that a new target group has.
pub(super) fn of_group(protocol: TargetProtocol) -> Attributes {
    defaults(known_of_group(protocol))
}

fn defaults(known: &[Known]) -> Attributes {
    known.iter().map(|(key, value, _)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// What a call sets, if all of it can be.
fn read(params: &Params, known: &[Known]) -> ApiResult<Attributes> {
    let mut set = Attributes::new();
    for attribute in params.groups("Attributes.member") {
        let (key, value) = (attribute.need("Key")?, attribute.given("Value").unwrap_or_default());
        let Some((_, is, values)) = known.iter().find(|(known, ..)| *known == key) else {
            return Err(invalid(format!("Attribute key '{key}' is not recognized or is not supported by the sandbox")));
        };
        let bad = || Err(invalid(format!("Attribute value '{value}' of '{key}' is not valid")));
        match values {
            Values::Fixed if value != *is => return Err(unsupported(&format!("{key} {value}"))),
            Values::Either if !["true", "false"].contains(&value) => return bad(),
            Values::UpTo(most) if value.parse::<u64>().is_ok_and(|number| number <= *most) => {}
            Values::UpTo(_) => return bad(),
            _ => {}
        }
        if set.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(refuse("InvalidConfigurationRequest", format!("Attribute key '{key}' is given twice")));
        }
    }
    Ok(set)
}

fn write(xml: &mut Xml, attributes: &Attributes) {
    xml.members("Attributes", attributes, |xml, (key, value)| {
        xml.text("Key", key).text("Value", value);
    });
}

/// `DescribeLoadBalancerAttributes`.
pub(super) fn describe_balancer(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let arn = call.params.need("LoadBalancerArn")?;
    call.read(|state| {
        write(xml, &state.own.elb.balancer(call.region, arn)?.attributes);
        Ok(())
    })
}

/// `ModifyLoadBalancerAttributes`.
pub(super) fn modify_balancer(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let arn = call.params.need("LoadBalancerArn")?;
    call.change(|state| {
        let kind = state.own.elb.balancer(call.region, arn)?.kind;
        let set = read(&call.params, known_of_balancer(kind))?;
        if let Some(balancer) = state.own.elb.balancers.get_mut(arn) {
            balancer.attributes.extend(set);
        }
        Ok(())
    })?;
    describe_balancer(call, xml)
}

/// `DescribeTargetGroupAttributes`.
pub(super) fn describe_group(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let arn = call.params.need("TargetGroupArn")?;
    call.read(|state| {
        let group = state.own.elb.groups.get(arn).filter(|group| group.region == call.region);
        write(xml, &group.ok_or_else(|| no_group(&[arn]))?.attributes);
        Ok(())
    })
}

/// `ModifyTargetGroupAttributes`.
pub(super) fn modify_group(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let arn = call.params.need("TargetGroupArn")?;
    call.change(|state| {
        let group = state.own.elb.groups.get_mut(arn).filter(|group| group.region == call.region);
        let group = group.ok_or_else(|| no_group(&[arn]))?;
        let set = read(&call.params, known_of_group(group.protocol))?;
        group.attributes.extend(set);
        sync_group(state, call.config(), arn);
        Ok(())
    })?;
    describe_group(call, xml)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_ignored_is_refused() {
        let set = |key: &str, value: &str| {
            let body = format!("Attributes.member.1.Key={key}&Attributes.member.1.Value={value}");
            read(&Params::parse(body.as_bytes()).unwrap(), HTTP).map_err(|error| error.id)
        };
        let delay = "deregistration_delay.timeout_seconds";
        assert_eq!(set(delay, "10").unwrap()[delay], "10");
        assert_eq!(set(delay, "3601"), Err("ValidationError"));
        assert_eq!(set("stickiness.enabled", "true"), Err("UnsupportedOperation"));
        assert!(set("stickiness.enabled", "false").is_ok());
        assert_eq!(set("colour", "red"), Err("ValidationError"));
    }
}
