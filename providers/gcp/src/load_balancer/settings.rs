//! Settings of the contract in Google's words, and back.
//!
//! | setting | where it is |
//! |---|---|
//! | listeners | the forwarding rule's `ports` |
//! | check | the health check |
//! | drain | the backend service's `connectionDraining`; never shown, because nothing shows who is draining |
//! | sources | the firewall rules |

use std::{collections::BTreeSet, net::IpAddr, ops::RangeInclusive, time::Duration};

use google_cloud_compute_v1::model::{
    BackendService, ConnectionDraining, ForwardingRule, HTTPHealthCheck, HealthCheck, TCPHealthCheck, health_check,
};
use ipnet::IpNet;
use remint_core::provider::{CheckProtocol, Error, ErrorKind, LoadBalancerSettings, MemberCheck, Result};

/// Times of a check, in seconds ("Health checks overview").
const TIMES: RangeInclusive<u64> = 1..=300;
/// How many checks decide (the same).
const THRESHOLDS: RangeInclusive<u32> = 1..=10;
/// The longest drain time, in seconds ("Enable connection draining").
const LONGEST_DRAIN: u64 = 3600;
/// The most ports of a forwarding rule (reference of `forwardingRules`, `ports`).
const MOST_PORTS: usize = 5;
/// The most ports that a range of a rule that somebody else set is shown with.
const MOST_SHOWN: u16 = 64;

/// Refuses what Google cannot do, before anything is asked.
pub(super) fn check(operation: &'static str, settings: &LoadBalancerSettings, firewall: bool) -> Result<()> {
    let refuse = |problem: String, hint: &str| {
        let error = Error::new(ErrorKind::InvalidInput, operation, problem);
        Err(if hint.is_empty() { error } else { error.with_hint(hint.to_owned()) })
    };
    let MemberCheck { interval, timeout, healthy, unhealthy, .. } = &settings.check;
    if ![interval, timeout].iter().all(|time| TIMES.contains(&time.as_secs())) {
        let (least, most) = (TIMES.start(), TIMES.end());
        let problem =
            format!("checks every {interval:?} within {timeout:?}; Google takes {least} to {most} s for both");
        return refuse(problem, "");
    }
    if timeout > interval {
        let problem = format!("checks every {interval:?} within {timeout:?}");
        return refuse(problem, "Google takes a timeout that is not longer than the interval");
    }
    if ![healthy, unhealthy].iter().all(|count| THRESHOLDS.contains(count)) {
        let (least, most) = (THRESHOLDS.start(), THRESHOLDS.end());
        let problem = format!("{healthy} passed and {unhealthy} failed checks decide; Google takes {least} to {most}");
        return refuse(problem, "");
    }
    if let Some(drain) = settings.drain.filter(|drain| drain.as_secs() > LONGEST_DRAIN) {
        return refuse(format!("a drain time of {} s; Google takes {LONGEST_DRAIN} s at most", drain.as_secs()), "");
    }
    if settings.listeners.len() > MOST_PORTS {
        let problem = format!("{} ports; a load balancer here has {MOST_PORTS} at most", settings.listeners.len());
        return refuse(problem, "leave some out, or serve several names at one port");
    }
    if let Some(net) = settings.sources.iter().find(|net| matches!(net, IpNet::V6(_))) {
        let problem = format!("{net} is an IPv6 network");
        return refuse(problem, "the load balancer's address is an IPv4 one: leave IPv6 networks out");
    }
    if !settings.sources.is_empty() && !firewall {
        let hint = "leave out `sources` or `firewall = false`, or write the firewall rules yourself";
        return refuse("who may connect is held by firewall rules, and `firewall` is false".to_owned(), hint);
    }
    Ok(())
}

/// The networks of a firewall rule, without the bits of a host.
pub(super) fn nets(ranges: &[String]) -> Vec<IpNet> {
    let address = |text: &str| text.parse::<IpAddr>().ok().map(IpNet::from);
    let net = |text: &String| text.parse::<IpNet>().ok().or_else(|| address(text));
    ranges.iter().filter_map(net).map(|net| net.trunc()).collect()
}

/// The ports of a rule. Those of a wide range that somebody else set are none of the contract's.
pub(super) fn ports(rule: &ForwardingRule) -> BTreeSet<u16> {
    let range = |text: &String| -> Option<RangeInclusive<u16>> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let range: RangeInclusive<u16> = first.parse().ok()?..=last.parse().ok()?;
        (range.end().saturating_sub(*range.start()) < MOST_SHOWN).then_some(range)
    };
    let texts = if rule.ports.is_empty() { rule.port_range.as_slice() } else { &rule.ports };
    texts.iter().filter_map(range).flatten().collect()
}

/// The ports of a rule, as a request has them.
pub(super) fn wire_ports(settings: &LoadBalancerSettings) -> Vec<String> {
    let ports: BTreeSet<u16> = settings.listeners.iter().map(|listener| listener.port).collect();
    ports.iter().map(ToString::to_string).collect()
}

/// Whether a rule passes exactly these ports on.
pub(super) fn has_ports(rule: &ForwardingRule, settings: &LoadBalancerSettings) -> bool {
    let wanted: BTreeSet<u16> = settings.listeners.iter().map(|listener| listener.port).collect();
    rule.all_ports != Some(true) && ports(rule) == wanted
}

/// What a health check asks.
pub(super) fn member_check(check: &HealthCheck) -> MemberCheck {
    let seconds = |time: Option<i32>| Duration::from_secs(time.and_then(|time| u64::try_from(time).ok()).unwrap_or(0));
    let count = |count: Option<i32>| count.and_then(|count| u32::try_from(count).ok()).unwrap_or(0);
    let (tcp, http) = (check.tcp_health_check.as_ref(), check.http_health_check.as_ref());
    let port = http.and_then(|http| http.port).or(tcp.and_then(|tcp| tcp.port));
    let protocol = match http {
        Some(http) => CheckProtocol::Http { path: http.request_path.clone().unwrap_or_else(|| "/".to_owned()) },
        None => CheckProtocol::Tcp,
    };
    MemberCheck {
        protocol,
        port: port.and_then(|port| u16::try_from(port).ok()).unwrap_or(0),
        interval: seconds(check.check_interval_sec),
        timeout: seconds(check.timeout_sec),
        healthy: count(check.healthy_threshold),
        unhealthy: count(check.unhealthy_threshold),
    }
}

fn number(time: Duration) -> i32 {
    i32::try_from(time.as_secs()).unwrap_or(i32::MAX)
}

/// The fields of a request that set a health check up.
pub(super) fn health_check(check: &MemberCheck) -> HealthCheck {
    let count = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
    let body = HealthCheck::new()
        .set_check_interval_sec(number(check.interval))
        .set_timeout_sec(number(check.timeout))
        .set_healthy_threshold(count(check.healthy))
        .set_unhealthy_threshold(count(check.unhealthy));
    match &check.protocol {
        CheckProtocol::Tcp => body
            .set_type(health_check::Type::Tcp)
            .set_tcp_health_check(TCPHealthCheck::new().set_port(i32::from(check.port))),
        CheckProtocol::Http { path } => body.set_type(health_check::Type::Http).set_http_health_check(
            HTTPHealthCheck::new().set_port(i32::from(check.port)).set_request_path(path.as_str()),
        ),
    }
}

/// Whether a health check asks what is wanted, and nothing that the contract has no words for.
pub(super) fn is_checked(check: &HealthCheck, wanted: &MemberCheck) -> bool {
    let plain = match (&check.r#type, &check.http_health_check, &check.tcp_health_check) {
        (Some(health_check::Type::Http), Some(http), _) => {
            [&http.host, &http.response].iter().all(|text| text.as_deref().is_none_or(str::is_empty))
        }
        (Some(health_check::Type::Tcp), None, Some(tcp)) => {
            [&tcp.request, &tcp.response].iter().all(|text| text.as_deref().is_none_or(str::is_empty))
        }
        _ => false,
    };
    plain && member_check(check) == *wanted
}

/// The drain time of a backend service, as a request has it.
pub(super) fn draining(drain: Duration) -> ConnectionDraining {
    ConnectionDraining::new().set_draining_timeout_sec(number(drain))
}

/// Whether a backend service drains as long as is wanted.
pub(super) fn drains(service: &BackendService, wanted: Option<Duration>) -> bool {
    let now = service.connection_draining.as_ref().and_then(|draining| draining.draining_timeout_sec).unwrap_or(0);
    wanted.is_none_or(|wanted| number(wanted) == now)
}
