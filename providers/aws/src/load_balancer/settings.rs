//! How a load balancer is set up, read from its parts.
//!
//! Not everything that a load balancer of AWS can be has words in the contract: a fixed answer, several target groups of one
//! port, a rule for a prefix list. Such a part is shown as what comes nearest.

use std::time::Duration;

use aws_sdk_elasticloadbalancingv2::types::{Listener as ListenerBody, ProtocolEnum, TargetGroup};
use remint_core::provider::{CheckProtocol, Listener, ListenerProtocol, LoadBalancerSettings, MemberCheck};

use super::{firewall, parts::Parts, shape::Kind};

/// The statuses that have passed a check of a path.
pub(super) const PASSES: &str = "200-299";

/// How a load balancer is set up.
pub(super) fn read(parts: &Parts, kind: Kind, leaves_within: Duration) -> LoadBalancerSettings {
    let late = if kind == Kind::Network { leaves_within } else { Duration::ZERO };
    let first = parts.groups.first();
    LoadBalancerSettings {
        listeners: parts.listeners.iter().map(|body| listener(body, parts)).collect(),
        check: member_check(first.map(|group| &group.body)),
        drain: first.and_then(|group| group.delay()).map(|delay| delay.saturating_sub(late)),
        sources: firewall::sources(&parts.firewall),
    }
}

/// A port, by a listener.
fn listener(body: &ListenerBody, parts: &Parts) -> Listener {
    let protocol = match body.protocol() {
        Some(ProtocolEnum::Http) => ListenerProtocol::Http,
        Some(ProtocolEnum::Https | ProtocolEnum::Tls) => ListenerProtocol::Https,
        _ => ListenerProtocol::Tcp,
    };
    let target = target(body).and_then(|arn| parts.groups.iter().find(|group| group.arn() == arn));
    Listener {
        port: port(body.port()),
        protocol,
        target_port: port(target.and_then(|group| group.body.port())),
        certificate: certificate(body).map(str::to_owned),
    }
}

/// The one target group that a listener leads to.
pub(super) fn target(body: &ListenerBody) -> Option<&str> {
    match body.default_actions() {
        [only] => only.target_group_arn(),
        _ => None,
    }
}

/// The certificate that a listener shows to clients which ask for no name.
pub(super) fn certificate(body: &ListenerBody) -> Option<&str> {
    body.certificates().first().and_then(|certificate| certificate.certificate_arn())
}

fn member_check(group: Option<&TargetGroup>) -> MemberCheck {
    let number = |value: Option<i32>| value.and_then(|value| u32::try_from(value).ok()).unwrap_or_default();
    let seconds = |value| Duration::from_secs(number(value).into());
    let path = group.and_then(|group| group.health_check_path()).unwrap_or("/");
    let protocol = match group.and_then(|group| group.health_check_protocol()) {
        Some(ProtocolEnum::Http | ProtocolEnum::Https) => CheckProtocol::Http { path: path.to_owned() },
        _ => CheckProtocol::Tcp,
    };
    let checked = group.and_then(|group| group.health_check_port()).and_then(|text| text.parse().ok());
    MemberCheck {
        protocol,
        // Otherwise it is the port that connections go to.
        port: checked.unwrap_or_else(|| port(group.and_then(|group| group.port()))),
        interval: seconds(group.and_then(|group| group.health_check_interval_seconds())),
        timeout: seconds(group.and_then(|group| group.health_check_timeout_seconds())),
        healthy: number(group.and_then(|group| group.healthy_threshold_count())),
        unhealthy: number(group.and_then(|group| group.unhealthy_threshold_count())),
    }
}

/// 0, which is no port, where there is none.
fn port(value: Option<i32>) -> u16 {
    value.and_then(|value| value.try_into().ok()).unwrap_or_default()
}

/// Whether a target group checks its targets like this.
pub(super) fn checks_as(group: &TargetGroup, wanted: &MemberCheck) -> bool {
    let passes = group.matcher().and_then(|matcher| matcher.http_code());
    let protocol = match wanted.protocol {
        CheckProtocol::Tcp => group.health_check_protocol() == Some(&ProtocolEnum::Tcp),
        CheckProtocol::Http { .. } => {
            group.health_check_protocol() == Some(&ProtocolEnum::Http) && passes == Some(PASSES)
        }
    };
    protocol && member_check(Some(group)) == *wanted
}
