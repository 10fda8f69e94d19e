//! Settings of the contract in DigitalOcean's words, and back.
//!
//! Not everything that a load balancer of DigitalOcean can be has words in the contract: HTTP/2, UDP, TLS to the members. Such a
//! load balancer is shown as what comes nearest, and [`is_as`] tells that it is not as anybody asked.

use std::time::Duration;

use ipnet::IpNet;
use remint_core::provider::{
    CheckProtocol, Error, ErrorKind, Listener, ListenerProtocol, LoadBalancerSettings, MemberCheck, Result,
};
use serde_json::{Map, Value, json};

use crate::wire::{Balancer, ForwardingRule, HealthCheck};

/// Times of a check, in seconds (documentation of DigitalOcean's Terraform provider, `digitalocean_loadbalancer`).
const TIMES: std::ops::RangeInclusive<u64> = 3..=300;
/// How many checks decide (the same).
const THRESHOLDS: std::ops::RangeInclusive<u32> = 2..=10;

/// What an answer holds and a request must not: what only the cloud says, what is no longer taken, and the members, which the tag
/// chooses.
const ANSWERED: [&str; 5] = ["ip", "ipv6", "status", "created_at", "algorithm"];

/// Refuses checks that DigitalOcean cannot make.
pub(super) fn check(operation: &'static str, settings: &LoadBalancerSettings) -> Result<()> {
    let MemberCheck { interval, timeout, healthy, unhealthy, .. } = &settings.check;
    let (least, most) = (TIMES.start(), TIMES.end());
    let problem = if ![interval, timeout].iter().all(|time| TIMES.contains(&time.as_secs())) {
        format!("checks every {interval:?} within {timeout:?}; DigitalOcean takes {least} to {most} s for both")
    } else if ![healthy, unhealthy].iter().all(|count| THRESHOLDS.contains(count)) {
        let (least, most) = (THRESHOLDS.start(), THRESHOLDS.end());
        format!("{healthy} passed and {unhealthy} failed checks decide; DigitalOcean takes {least} to {most} for both")
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::InvalidInput, operation, problem))
}

/// How a load balancer is set up.
pub(super) fn read(balancer: &Balancer) -> LoadBalancerSettings {
    let rules = balancer.forwarding_rules.iter().flatten();
    LoadBalancerSettings {
        listeners: rules.map(listener).collect(),
        check: member_check(&balancer.health_check.clone().unwrap_or_default()),
        drain: None,
        sources: allowed(balancer).filter_map(source).collect(),
    }
}

/// Whether a load balancer is set up like this, and has nothing that the contract has no words for.
pub(super) fn is_as(balancer: &Balancer, wanted: &LoadBalancerSettings) -> bool {
    let rules = || balancer.forwarding_rules.iter().flatten();
    let check = balancer.health_check.clone().unwrap_or_default();
    let is_told = rules().all(|rule| *rule == forwarding_rule(&listener(rule)))
        && ["http", "tcp"].contains(&check.protocol.as_str())
        && allowed(balancer).all(|text| source(text).is_some());
    is_told && read(balancer).is_as(wanted)
}

/// What is wanted, as DigitalOcean keeps it: networks without the bits of a host.
pub(super) fn kept(settings: &LoadBalancerSettings) -> LoadBalancerSettings {
    let sources = settings.sources.iter().map(IpNet::trunc).collect();
    LoadBalancerSettings { sources, ..settings.clone() }
}

/// The fields of a request that set a load balancer up.
pub(super) fn fields(settings: &LoadBalancerSettings, deny: &[String]) -> Map<String, Value> {
    let rules: Vec<ForwardingRule> = settings.listeners.iter().map(forwarding_rule).collect();
    let allow: Vec<String> = settings.sources.iter().map(allowance).collect();
    Map::from_iter([
        ("forwarding_rules".to_owned(), json!(rules)),
        ("health_check".to_owned(), json!(health_check(&settings.check))),
        ("firewall".to_owned(), json!({ "allow": allow, "deny": deny })),
    ])
}

/// The request that sets a load balancer up otherwise. What it leaves out would go back to its default, so it says all of what the
/// answer said. Its members are those of the tag.
pub(super) fn changed(balancer: &Balancer, tag: &str, settings: &LoadBalancerSettings) -> Value {
    let mut body = balancer.others.clone();
    body.retain(|name, value| !ANSWERED.contains(&name.as_str()) && !value.is_null());
    if body.contains_key("size_unit") {
        // The older name of the same, of which a request may have one.
        body.remove("size");
    }
    let deny = balancer.firewall.as_ref().and_then(|firewall| firewall.deny.clone()).unwrap_or_default();
    body.extend(fields(settings, &deny));
    body.insert("name".to_owned(), json!(balancer.name));
    body.insert("region".to_owned(), json!(balancer.region.as_ref().map(|region| &region.slug)));
    body.insert("tag".to_owned(), json!(tag));
    Value::Object(body)
}

fn listener(rule: &ForwardingRule) -> Listener {
    let protocol = match rule.entry_protocol.as_str() {
        "tcp" | "udp" => ListenerProtocol::Tcp,
        "http" => ListenerProtocol::Http,
        _ => ListenerProtocol::Https,
    };
    let certificate = Some(rule.certificate_id.clone()).filter(|id| !id.is_empty());
    Listener { port: rule.entry_port, protocol, target_port: rule.target_port, certificate }
}

fn forwarding_rule(listener: &Listener) -> ForwardingRule {
    let (entry, target) = match listener.protocol {
        ListenerProtocol::Tcp => ("tcp", "tcp"),
        ListenerProtocol::Http => ("http", "http"),
        ListenerProtocol::Https => ("https", "http"),
    };
    ForwardingRule {
        entry_protocol: entry.to_owned(),
        entry_port: listener.port,
        target_protocol: target.to_owned(),
        target_port: listener.target_port,
        certificate_id: listener.certificate.clone().unwrap_or_default(),
        tls_passthrough: false,
    }
}

fn member_check(check: &HealthCheck) -> MemberCheck {
    let protocol = match check.protocol.as_str() {
        "tcp" => CheckProtocol::Tcp,
        _ => CheckProtocol::Http { path: check.path.clone().unwrap_or_else(|| "/".to_owned()) },
    };
    MemberCheck {
        protocol,
        port: check.port,
        interval: Duration::from_secs(check.check_interval_seconds),
        timeout: Duration::from_secs(check.response_timeout_seconds),
        healthy: check.healthy_threshold,
        unhealthy: check.unhealthy_threshold,
    }
}

fn health_check(check: &MemberCheck) -> HealthCheck {
    let (protocol, path) = match &check.protocol {
        CheckProtocol::Tcp => ("tcp", None),
        CheckProtocol::Http { path } => ("http", Some(path.clone())),
    };
    HealthCheck {
        protocol: protocol.to_owned(),
        port: check.port,
        path,
        check_interval_seconds: check.interval.as_secs(),
        response_timeout_seconds: check.timeout.as_secs(),
        healthy_threshold: check.healthy,
        unhealthy_threshold: check.unhealthy,
    }
}

fn allowed(balancer: &Balancer) -> impl Iterator<Item = &str> {
    balancer.firewall.iter().flat_map(|firewall| &firewall.allow).flatten().map(String::as_str)
}

fn source(text: &str) -> Option<IpNet> {
    let net = match text.split_once(':')? {
        ("ip", address) => IpNet::from(address.parse::<std::net::IpAddr>().ok()?),
        ("cidr", net) => net.parse::<IpNet>().ok()?,
        _ => return None,
    };
    Some(net.trunc())
}

fn allowance(net: &IpNet) -> String {
    match net.prefix_len() == net.max_prefix_len() {
        true => format!("ip:{}", net.addr()),
        false => format!("cidr:{net}"),
    }
}
