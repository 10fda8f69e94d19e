//! What a spec asks for in AWS's words: of which type the load balancer is, and what no such one can hold.

use std::{collections::BTreeSet, fmt, ops::RangeInclusive, time::Duration};

use aws_sdk_elasticloadbalancingv2::types::{LoadBalancerTypeEnum, ProtocolEnum};
use ipnet::IpNet;
use remint_core::provider::{
    CheckProtocol, Error, ErrorKind, Listener, ListenerProtocol, LoadBalancerSettings, LoadBalancerSpec, MemberCheck,
    Region, Result,
};

use super::ENSURE;

/// Elastic Load Balancing API reference, `CreateTargetGroup`; all in seconds.
const INTERVALS: RangeInclusive<u64> = 5..=300;
const TIMEOUTS: RangeInclusive<u64> = 2..=120;
const THRESHOLDS: RangeInclusive<u32> = 2..=10;
/// The longest deregistration delay (API reference, `TargetGroupAttribute`).
const LONGEST_DELAY: Duration = Duration::from_secs(3600);
/// The longest name of a target group, in characters.
const LONGEST_NAME: usize = 32;
const ONE_KIND: &str = "give all listeners the protocol \"tcp\", or none of them";

/// The two types of load balancers that Remint creates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Understands requests.
    Application,
    /// Passes bytes.
    Network,
}

impl Kind {
    /// `None` where the listeners are of both kinds.
    fn of(listeners: &[Listener]) -> Option<Self> {
        let bytes = |listener: &Listener| listener.protocol == ListenerProtocol::Tcp;
        match (listeners.iter().any(bytes), listeners.iter().all(bytes)) {
            (true, true) => Some(Self::Network),
            (true, false) => None,
            _ => Some(Self::Application),
        }
    }

    pub(super) fn type_name(self) -> LoadBalancerTypeEnum {
        match self {
            Self::Application => LoadBalancerTypeEnum::Application,
            Self::Network => LoadBalancerTypeEnum::Network,
        }
    }

    /// What it speaks with its targets.
    pub(super) fn protocol(self) -> ProtocolEnum {
        match self {
            Self::Application => ProtocolEnum::Http,
            Self::Network => ProtocolEnum::Tcp,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Application => "an Application Load Balancer",
            Self::Network => "a Network Load Balancer",
        })
    }
}

/// The name of the target group of a port.
pub(super) fn group_name(balancer: &str, port: u16) -> String {
    format!("{balancer}-{port}")
}

/// A load balancer as it is wanted.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) kind: Kind,
    pub(super) settings: LoadBalancerSettings,
    /// How long a target group shows a target that was deregistered. `None` leaves that as it is.
    pub(super) delay: Option<Duration>,
}

impl Wanted {
    /// Reads a spec. `leaves_within` is how long a Network Load Balancer sends new connections to a target that was deregistered.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for what AWS cannot hold.
    pub(super) fn of(spec: &LoadBalancerSpec, leaves_within: Duration) -> Result<Self> {
        let invalid = |problem: String, hint: &str| {
            let error = Error::new(ErrorKind::InvalidInput, ENSURE, problem).with_resource(&spec.name);
            if hint.is_empty() { error } else { error.with_hint(hint) }
        };
        let settings = &spec.settings;
        let Some(kind) = Kind::of(&settings.listeners) else {
            let problem = "AWS has no load balancer for both requests and bytes, and the listeners are tcp and others";
            return Err(invalid(problem.to_owned(), ONE_KIND));
        };
        if let Some((problem, hint)) = bad_check(kind, &settings.check) {
            return Err(invalid(problem, hint));
        }
        let longest = settings.ports().map(|port| group_name(&spec.name, port)).max_by_key(String::len);
        if let Some(name) = longest.filter(|name| name.len() > LONGEST_NAME) {
            let problem =
                format!("its target group would be named `{name}`; names have {LONGEST_NAME} characters at most");
            return Err(invalid(problem, "choose a shorter name"));
        }
        if let Some((problem, hint)) = settings.listeners.iter().find_map(|one| bad_certificate(one, &spec.region)) {
            return Err(invalid(problem, hint));
        }
        let late = if kind == Kind::Network { leaves_within } else { Duration::ZERO };
        let most = LONGEST_DELAY.saturating_sub(late);
        if let Some(drain) = settings.drain.filter(|drain| *drain > most) {
            let problem = format!("a drain time of {} s; {kind} takes {} s at most", drain.as_secs(), most.as_secs());
            return Err(invalid(problem, "set a shorter `deploy.drain`"));
        }
        // As AWS keeps them: without the bits of a host.
        let sources = settings.sources.iter().map(IpNet::trunc).collect();
        let settings = LoadBalancerSettings { sources, ..settings.clone() };
        Ok(Self { kind, delay: settings.drain.map(|drain| drain + late), settings })
    }

    /// The ports of the members, in order.
    pub(super) fn ports(&self) -> BTreeSet<u16> {
        self.settings.ports().collect()
    }
}

trait Ports {
    /// The ports of the members, some perhaps twice.
    fn ports(&self) -> impl Iterator<Item = u16>;
}

impl Ports for LoadBalancerSettings {
    fn ports(&self) -> impl Iterator<Item = u16> {
        self.listeners.iter().map(|listener| listener.target_port)
    }
}

/// A problem with a check, and what to do.
fn bad_check(kind: Kind, check: &MemberCheck) -> Option<(String, &'static str)> {
    let MemberCheck { protocol, interval, timeout, healthy, unhealthy, .. } = check;
    let (interval, timeout) = (interval.as_secs(), timeout.as_secs());
    let range = |range: &RangeInclusive<u64>| format!("{} to {} s", range.start(), range.end());
    let problem = if kind == Kind::Application && *protocol == CheckProtocol::Tcp {
        let hint = "give `[load_balancer.check]` a `path`, or the listeners the protocol \"tcp\"";
        return Some((format!("{kind} cannot check by opening a connection: it asks for a path"), hint));
    } else if !INTERVALS.contains(&interval) {
        format!("a check every {interval} s; AWS takes {}", range(&INTERVALS))
    } else if !TIMEOUTS.contains(&timeout) {
        format!("a check that may take {timeout} s; AWS takes {}", range(&TIMEOUTS))
    } else if timeout >= interval {
        format!("a check every {interval} s that may take {timeout} s; AWS takes a shorter time than the interval")
    } else if ![healthy, unhealthy].iter().all(|count| THRESHOLDS.contains(count)) {
        let (least, most) = (THRESHOLDS.start(), THRESHOLDS.end());
        format!("{healthy} passed and {unhealthy} failed checks decide; AWS takes {least} to {most} for both")
    } else {
        return None;
    };
    Some((problem, "change `[load_balancer.check]`"))
}

/// A problem with a certificate's name, and what to do. Whether it exists, only the listener tells.
fn bad_certificate(listener: &Listener, region: &Region) -> Option<(String, &'static str)> {
    const HINT: &str = "`aws acm list-certificates` shows the ARNs of those that there are";
    let certificate = listener.certificate.as_deref()?;
    let mut parts = certificate.splitn(6, ':');
    let (arn, _, service) = (parts.next(), parts.next(), parts.next());
    let (there, _, resource) = (parts.next().unwrap_or_default(), parts.next(), parts.next().unwrap_or_default());
    let fits = match service {
        Some("acm") => resource.starts_with("certificate/"),
        Some("iam") => resource.starts_with("server-certificate/"),
        _ => false,
    };
    if arn != Some("arn") || !fits {
        return Some((
            format!("`{certificate}` is not the ARN of a certificate (`arn:aws:acm:…:certificate/…`)"),
            HINT,
        ));
    }
    let elsewhere = service == Some("acm") && there != region.as_str();
    elsewhere.then(|| (format!("the certificate is in {there}, and the load balancer in {region}"), HINT))
}
