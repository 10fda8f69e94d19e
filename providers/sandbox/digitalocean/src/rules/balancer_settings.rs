//! How a load balancer is set up: its forwarding rules, its health check, its firewall.

use std::{collections::BTreeSet, time::Duration};

use serde::{Deserialize, Serialize};

use remint_sandbox_cloud::{
    ApiError, ApiResult,
    balancer::{CheckProtocol, Listener, MemberCheck, Protocol},
};

/// The bounds of a check's times, in seconds, and of its thresholds. Source: the settings of `digitalocean_loadbalancer` in the
/// documentation of DigitalOcean's Terraform provider.
const SECONDS: std::ops::RangeInclusive<u64> = 3..=300;
const THRESHOLD: std::ops::RangeInclusive<u64> = 2..=10;

/// The longest path of a check.
const PATH: usize = 255;

/// A forwarding rule, as the API has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ForwardingRule {
    #[serde(default)]
    entry_protocol: String,
    #[serde(default)]
    entry_port: u64,
    #[serde(default)]
    target_protocol: String,
    #[serde(default)]
    target_port: u64,
    #[serde(default)]
    certificate_id: Option<String>,
    #[serde(default)]
    tls_passthrough: Option<bool>,
}

/// The body of calls that are about forwarding rules alone.
#[derive(Debug, Deserialize)]
pub(crate) struct Rules {
    #[serde(default)]
    pub(crate) forwarding_rules: Vec<ForwardingRule>,
}

/// A health check; what is left out has its default.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct HealthCheck {
    protocol: String,
    port: u64,
    path: String,
    check_interval_seconds: u64,
    response_timeout_seconds: u64,
    unhealthy_threshold: u64,
    healthy_threshold: u64,
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self {
            protocol: "http".to_owned(),
            port: 80,
            path: "/".to_owned(),
            check_interval_seconds: 10,
            response_timeout_seconds: 5,
            unhealthy_threshold: 5,
            healthy_threshold: 3,
        }
    }
}

/// Who may connect.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Firewall {
    #[serde(default)]
    allow: Option<Vec<String>>,
    #[serde(default)]
    deny: Option<Vec<String>>,
}

impl From<&Listener> for ForwardingRule {
    fn from(listener: &Listener) -> Self {
        let protocol = match listener.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Http => "http",
            Protocol::Tls => "https",
        };
        Self {
            entry_protocol: protocol.to_owned(),
            entry_port: listener.port.into(),
            target_protocol: protocol.to_owned(),
            target_port: listener.target_port.into(),
            certificate_id: Some(String::new()),
            tls_passthrough: Some(listener.protocol == Protocol::Tls),
        }
    }
}

impl From<&MemberCheck> for HealthCheck {
    fn from(check: &MemberCheck) -> Self {
        let (protocol, path) = match &check.protocol {
            CheckProtocol::Tcp => ("tcp", String::new()),
            CheckProtocol::Http { path } => ("http", path.clone()),
        };
        Self {
            protocol: protocol.to_owned(),
            port: check.port.into(),
            path,
            check_interval_seconds: check.interval.as_secs(),
            response_timeout_seconds: check.timeout.as_secs(),
            unhealthy_threshold: check.unhealthy.into(),
            healthy_threshold: check.healthy.into(),
        }
    }
}

impl Firewall {
    /// As the API shows who may connect.
    pub(crate) fn of(sources: &[ipnet::IpNet]) -> Self {
        let write = |source: &ipnet::IpNet| match source.prefix_len() == source.max_prefix_len() {
            true => format!("ip:{}", source.addr()),
            false => format!("cidr:{source}"),
        };
        Self { allow: Some(sources.iter().map(write).collect()), deny: Some(Vec::new()) }
    }
}

/// The listeners that rules ask for.
pub(crate) fn listeners(rules: &[ForwardingRule]) -> ApiResult<Vec<Listener>> {
    if rules.is_empty() {
        return Err(ApiError::unprocessable("a load balancer needs at least one forwarding rule"));
    }
    let listeners: Vec<Listener> = rules.iter().map(listener).collect::<ApiResult<_>>()?;
    let mut ports = BTreeSet::new();
    match listeners.iter().find(|listener| !ports.insert(listener.port)) {
        Some(twice) => Err(ApiError::unprocessable(format!("entry port {} is already in use", twice.port))),
        None => Ok(listeners),
    }
}

fn listener(rule: &ForwardingRule) -> ApiResult<Listener> {
    let port = |name: &str, port: u64| {
        let port = u16::try_from(port).ok().filter(|port| *port > 0);
        port.ok_or_else(|| ApiError::unprocessable(format!("forwarding rule: {name} must be between 1 and 65535")))
    };
    let passes = rule.tls_passthrough == Some(true);
    let certificate = rule.certificate_id.as_ref().is_some_and(|id| !id.is_empty());
    let protocol = match (rule.entry_protocol.as_str(), rule.target_protocol.as_str()) {
        ("http", "http") => Protocol::Http,
        ("tcp", "tcp") => Protocol::Tcp,
        ("https", "https") if passes && !certificate => Protocol::Tls,
        ("https", "https") if passes => {
            return Err(ApiError::unprocessable(
                "forwarding rule: certificate_id and tls_passthrough exclude each other",
            ));
        }
        ("https" | "http2", "http" | "https" | "http2") if !certificate && !passes => {
            return Err(ApiError::unprocessable(format!(
                "forwarding rule: the entry protocol {} needs certificate_id or tls_passthrough",
                rule.entry_protocol
            )));
        }
        ("https" | "http2" | "http3", _) => return Err(ApiError::not_implemented("TLS that ends at a load balancer")),
        ("udp", "udp") => return Err(ApiError::not_implemented("load balancers for UDP")),
        ("http", "https" | "http2") => {
            return Err(ApiError::not_implemented("load balancers that speak TLS or HTTP/2 to droplets"));
        }
        (entry, target) => {
            return Err(ApiError::unprocessable(format!(
                "forwarding rule: entry_protocol {entry:?} and target_protocol {target:?} do not go together"
            )));
        }
    };
    if protocol != Protocol::Tls && (passes || certificate) {
        return Err(ApiError::unprocessable(
            "forwarding rule: certificate_id and tls_passthrough are for the entry protocol https",
        ));
    }
    let (port, target_port) = (port("entry_port", rule.entry_port)?, port("target_port", rule.target_port)?);
    Ok(Listener { port, protocol, target_port, pool: None })
}

/// The check that is asked for, or the one that load balancers have by default.
pub(crate) fn check(wanted: Option<&HealthCheck>) -> ApiResult<MemberCheck> {
    let wanted = wanted.cloned().unwrap_or_default();
    let within = |name: &str, number: u64, bounds: std::ops::RangeInclusive<u64>| {
        if bounds.contains(&number) {
            return Ok(number);
        }
        let (least, most) = bounds.into_inner();
        Err(ApiError::unprocessable(format!("health check: {name} must be between {least} and {most}")))
    };
    let protocol = match wanted.protocol.as_str() {
        "tcp" => CheckProtocol::Tcp,
        "http" if is_path(&wanted.path) => CheckProtocol::Http { path: wanted.path.clone() },
        "http" => return Err(ApiError::unprocessable("health check: path must begin with / and be printable ASCII")),
        "https" => return Err(ApiError::not_implemented("health checks by https")),
        _ => return Err(ApiError::unprocessable("health check: protocol must be http, https or tcp")),
    };
    let port = within("port", wanted.port, 1..=65535)?;
    let interval = within("check_interval_seconds", wanted.check_interval_seconds, SECONDS)?;
    let timeout = within("response_timeout_seconds", wanted.response_timeout_seconds, SECONDS)?;
    let healthy = within("healthy_threshold", wanted.healthy_threshold, THRESHOLD)?;
    let unhealthy = within("unhealthy_threshold", wanted.unhealthy_threshold, THRESHOLD)?;
    // Within the bounds, these fit.
    Ok(MemberCheck {
        protocol,
        port: u16::try_from(port).unwrap_or(u16::MAX),
        interval: Duration::from_secs(interval),
        timeout: Duration::from_secs(timeout),
        healthy: u32::try_from(healthy).unwrap_or(u32::MAX),
        unhealthy: u32::try_from(unhealthy).unwrap_or(u32::MAX),
    })
}

fn is_path(path: &str) -> bool {
    path.starts_with('/') && path.len() <= PATH && path.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The networks that a firewall lets in.
pub(crate) fn sources(firewall: Option<&Firewall>) -> ApiResult<Vec<ipnet::IpNet>> {
    let Some(firewall) = firewall else { return Ok(Vec::new()) };
    if firewall.deny.as_ref().is_some_and(|deny| !deny.is_empty()) {
        return Err(ApiError::not_implemented("deny rules of load balancers"));
    }
    let read = |rule: &String| {
        let source = match rule.split_once(':') {
            Some(("ip", address)) => address.parse::<std::net::IpAddr>().ok().map(Into::into),
            Some(("cidr", network)) => network.parse::<ipnet::IpNet>().ok(),
            _ => None,
        };
        source.ok_or_else(|| {
            ApiError::unprocessable(format!("firewall: {rule:?} is not of the form ip:1.2.3.4 or cidr:1.2.0.0/16"))
        })
    };
    firewall.allow.as_deref().unwrap_or_default().iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(entry: &str, target: &str) -> ForwardingRule {
        ForwardingRule {
            entry_protocol: entry.to_owned(),
            entry_port: 80,
            target_protocol: target.to_owned(),
            target_port: 8080,
            certificate_id: None,
            tls_passthrough: None,
        }
    }

    #[test]
    fn what_is_made_of_rules_reads_as_they_did() {
        let passing = ForwardingRule { tls_passthrough: Some(true), entry_port: 443, ..rule("https", "https") };
        let made = listeners(&[rule("http", "http"), passing]).unwrap();
        let ports: Vec<_> = made.iter().map(|one| (one.port, one.protocol, one.target_port)).collect();
        assert_eq!(ports, [(80, Protocol::Http, 8080), (443, Protocol::Tls, 8080)]);
        let again: Vec<_> = made.iter().map(ForwardingRule::from).collect();
        assert_eq!(listeners(&again).unwrap(), made);
    }

    #[test]
    fn rules_that_cannot_be_are_refused_and_what_is_missing_here_otherwise() {
        let with_certificate = ForwardingRule { certificate_id: Some("c".to_owned()), ..rule("https", "http") };
        for (rule, status) in [
            (rule("http", "tcp"), 422),
            (rule("gopher", "http"), 422),
            (rule("https", "http"), 422),
            (ForwardingRule { entry_port: 0, ..rule("tcp", "tcp") }, 422),
            (ForwardingRule { target_port: 65536, ..rule("tcp", "tcp") }, 422),
            (ForwardingRule { tls_passthrough: Some(true), ..rule("http", "http") }, 422),
            (with_certificate, 501),
            (rule("udp", "udp"), 501),
        ] {
            assert_eq!(listeners(std::slice::from_ref(&rule)).unwrap_err().status, status, "{rule:?}");
        }
        assert!(listeners(&[]).unwrap_err().message.contains("at least one"));
        let twice = listeners(&[rule("http", "http"), rule("tcp", "tcp")]).unwrap_err();
        assert!(twice.message.contains("80 is already in use"), "{twice}");
    }

    #[test]
    fn a_check_has_defaults_and_bounds() {
        let usual = check(None).unwrap();
        assert_eq!((usual.interval.as_secs(), usual.healthy, usual.unhealthy, usual.port), (10, 3, 5, 80));
        for wrong in [
            HealthCheck { check_interval_seconds: 2, ..HealthCheck::default() },
            HealthCheck { response_timeout_seconds: 301, ..HealthCheck::default() },
            HealthCheck { healthy_threshold: 1, ..HealthCheck::default() },
            HealthCheck { unhealthy_threshold: 11, ..HealthCheck::default() },
            HealthCheck { port: 0, ..HealthCheck::default() },
            HealthCheck { path: "health".to_owned(), ..HealthCheck::default() },
            HealthCheck { path: "/a b".to_owned(), ..HealthCheck::default() },
            HealthCheck { path: "/\nmore".to_owned(), ..HealthCheck::default() },
        ] {
            assert_eq!(check(Some(&wrong)).unwrap_err().status, 422, "{wrong:?}");
        }
    }

    #[test]
    fn sources_are_addresses_and_networks() {
        let allow = |rules: &[&str]| Firewall {
            allow: Some(rules.iter().map(|rule| (*rule).to_owned()).collect()),
            deny: None,
        };
        let read = sources(Some(&allow(&["ip:192.0.2.1", "cidr:10.0.0.0/8"]))).unwrap();
        assert_eq!(Firewall::of(&read).allow.unwrap(), ["ip:192.0.2.1", "cidr:10.0.0.0/8"]);
        for wrong in ["192.0.2.1", "ip:10.0.0.0/8", "cidr:10.0.0.0/33", ""] {
            assert!(sources(Some(&allow(&[wrong]))).is_err(), "{wrong}");
        }
    }
}
