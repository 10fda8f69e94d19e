//! What a client says of a forwarding rule: where it leads, and the ports and the address that it has.

use std::{net::Ipv4Addr, ops::RangeInclusive};

use ipnet::Ipv4Net;
use serde::Deserialize;

use super::{
    catalogue,
    error::{Refusal, Result},
    labels::Labels,
    model::{Address, BackendService, ForwardingRule, Instance, TargetInstance},
    reference::Reference,
    resource::{find, path_of},
    static_address::{instance_of, reserved, unused},
};
use crate::State;

/// How many ports, and how many ranges of sources, a rule may name.
const PORTS: usize = 5;
const SOURCES: usize = 64;

/// The body of `forwardingRules.insert`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Insert {
    pub(super) name: String,
    pub(super) description: String,
    #[serde(rename = "IPAddress")]
    pub(super) ip_address: Option<String>,
    #[serde(rename = "IPProtocol")]
    pub(super) ip_protocol: Option<String>,
    pub(super) port_range: Option<String>,
    pub(super) ports: Vec<String>,
    pub(super) all_ports: bool,
    pub(super) target: Option<String>,
    pub(super) ip_version: Option<String>,
    pub(super) backend_service: Option<String>,
    pub(super) load_balancing_scheme: Option<String>,
    pub(super) network_tier: Option<String>,
    pub(super) source_ip_ranges: Vec<String>,
    pub(super) labels: Labels,
}

/// Where a rule leads.
pub(super) enum To {
    Target(Target),
    /// The number of a backend service.
    Service(u64),
}

/// A target instance, and the machine behind it while there is one.
pub(super) struct Target {
    pub(super) id: u64,
    pub(super) machine: Option<u64>,
}

/// The ports of a rule: numbers, a range or all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ports {
    pub(super) ports: Vec<u16>,
    pub(super) range: Option<String>,
    pub(super) all: bool,
}

impl ForwardingRule {
    /// The ranges of its ports; a rule that says nothing of ports has all.
    pub(super) fn ranges(&self) -> Vec<RangeInclusive<u16>> {
        let ports = Ports { ports: self.ports.clone(), range: self.port_range.clone(), all: self.all_ports };
        ports.ranges()
    }
}

impl Ports {
    pub(super) fn read(sent: &Insert) -> Result<Self> {
        let range = sent.port_range.as_deref().filter(|text| !text.is_empty()).map(port_range).transpose()?;
        let said = [!sent.ports.is_empty(), range.is_some(), sent.all_ports];
        if said.into_iter().filter(|said| *said).count() > 1 {
            let why = "Only one of ports, portRange and allPorts may be specified.";
            return Err(Refusal::invalid("resource.ports", sent.ports.join(","), why));
        }
        if sent.ports.len() > PORTS {
            return Err(Refusal::too_many("resource.ports", PORTS, sent.ports.len()));
        }
        let mut ports = Vec::new();
        for (index, text) in sent.ports.iter().enumerate() {
            let port = number(text).filter(|port| !ports.contains(port));
            let why = "Each port must be a number from 1 to 65535, and there once.";
            ports.push(port.ok_or_else(|| Refusal::invalid(&format!("resource.ports[{index}]"), text, why))?);
        }
        Ok(Self { ports, range, all: sent.all_ports })
    }

    fn ranges(&self) -> Vec<RangeInclusive<u16>> {
        if !self.ports.is_empty() {
            return self.ports.iter().map(|port| *port..=*port).collect();
        }
        let ends = self.range.as_deref().and_then(|range| range.split_once('-'));
        let range = ends.and_then(|(first, last)| Some(number(first)?..=number(last)?));
        vec![range.unwrap_or(1..=u16::MAX)]
    }

    /// Whether a rule has one of these ports.
    fn meet(&self, rule: &ForwardingRule) -> bool {
        let meet = |one: &RangeInclusive<u16>, other: &RangeInclusive<u16>| {
            one.start() <= other.end() && other.start() <= one.end()
        };
        self.ranges().iter().any(|one| rule.ranges().iter().any(|other| meet(one, other)))
    }
}

fn number(text: &str) -> Option<u16> {
    text.trim().parse().ok().filter(|port| *port > 0)
}

/// A range of ports, as the API writes it.
fn port_range(text: &str) -> Result<String> {
    let bad = || Refusal::invalid("resource.portRange", text, "The port range must be numbers from 1 to 65535.");
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(first).ok_or_else(bad)?, number(last).ok_or_else(bad)?);
    if first > last { Err(bad()) } else { Ok(format!("{first}-{last}")) }
}

impl To {
    /// Where a rule of a region is to lead.
    pub(super) fn read(state: &State, region: &str, sent: &Insert) -> Result<Self> {
        let said = |text: &'_ Option<String>| text.clone().filter(|text| !text.is_empty());
        match (said(&sent.target), said(&sent.backend_service)) {
            (Some(text), None) => target(state, region, &text).map(Self::Target),
            (None, Some(text)) => service(state, region, &text).map(Self::Service),
            (Some(_), Some(text)) => {
                let why = "Only one of target and backendService may be specified.";
                Err(Refusal::invalid("resource.backendService", text, why))
            }
            (None, None) => Err(Refusal::required("resource.target")),
        }
    }
}

/// The target instance that a rule of a region names.
pub(super) fn target(state: &State, region: &str, text: &str) -> Result<Target> {
    let field = "resource.target";
    match *Reference::parse(text).path {
        ["zones", zone, "targetInstances", name] if catalogue::region_of(zone) == region => {
            let (id, target) = find::<TargetInstance>(state, zone, name)?;
            let machine = find::<Instance>(state, zone, &target.instance).map(|(machine, _)| machine);
            Ok(Target { id, machine: machine.ok() })
        }
        ["zones", _, "targetInstances", _] => {
            Err(Refusal::invalid(field, text, "The target must be in the forwarding rule's region."))
        }
        [.., "targetPools" | "targetVpnGateways" | "targetHttpProxies" | "targetHttpsProxies", _] => {
            Err(Refusal::not_implemented("targets other than target instances"))
        }
        _ => Err(Refusal::invalid(field, text, "The URL is malformed.")),
    }
}

/// The backend service that a rule of a region names.
fn service(state: &State, region: &str, text: &str) -> Result<u64> {
    let field = "resource.backendService";
    match *Reference::parse(text).path {
        ["regions", found, "backendServices", name] if found == region => {
            find::<BackendService>(state, region, name).map(|(id, _)| id)
        }
        ["regions", _, "backendServices", _] | ["global", "backendServices", _] => {
            Err(Refusal::invalid(field, text, "The backend service must be in the forwarding rule's region."))
        }
        _ => Err(Refusal::invalid(field, text, "The URL is malformed.")),
    }
}

/// The static address of the region that a rule names, by itself, its name or its URL. Rules with backend services may share
/// one, if they share no port.
pub(super) fn address(state: &State, region: &str, sent: &Insert, ports: &Ports) -> Result<Option<Ipv4Addr>> {
    let field = "resource.IPAddress";
    let Some(text) = sent.ip_address.as_deref().filter(|text| !text.is_empty()) else { return Ok(None) };
    let named = Reference::parse(text).regional("addresses", region).unwrap_or(text);
    let in_use = |user: &str| {
        let why = format!("Specified IP address is in-use and would result in a conflict with '{user}'.");
        Refusal::invalid(field, text, why)
    };
    let is = |address: &Address| address.name == named || address.ip.to_string() == named;
    if sent.backend_service.is_none() {
        return unused(state, region, field, text, is, in_use).map(Some);
    }
    let conflict = |ip: Ipv4Addr| {
        let conflicts = |rule: &ForwardingRule| rule.ip == ip && (rule.service.is_none() || ports.meet(rule));
        let rule = state.own.forwarding_rules.iter().find(|(_, rule)| conflicts(rule));
        rule.map(|(id, rule)| path_of(state, *id, rule)).or_else(|| instance_of(state, ip))
    };
    reserved(state, region, (field, text), is, conflict, in_use).map(Some)
}

/// Refuses ranges of sources. At Google they do not say who may connect, which firewall rules do: a rule that has some takes
/// what comes from there from the rule that has the same address and ports and no ranges.
pub(super) fn check_sources(sent: &[String]) -> Result<()> {
    let field = "resource.sourceIpRanges";
    if sent.len() > SOURCES {
        return Err(Refusal::too_many(field, SOURCES, sent.len()));
    }
    let good = |text: &str| text.parse::<Ipv4Addr>().is_ok() || text.parse::<Ipv4Net>().is_ok();
    match sent.iter().find(|text| !good(text)) {
        Some(bad) => Err(Refusal::invalid(field, bad, "Must be an IP address or a CIDR range.")),
        None if sent.is_empty() => Ok(()),
        None => Err(Refusal::not_implemented("steering by source: forwarding rules with `sourceIpRanges`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_ranges() {
        assert_eq!(port_range("80").unwrap(), "80-80");
        assert_eq!(port_range("1-65535").unwrap(), "1-65535");
        for bad in ["", "0", "90-80", "1-70000", "http"] {
            assert!(port_range(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ports_are_numbers_a_range_or_all() {
        let ports = |ports: &[&str], range: Option<&str>, all_ports| {
            let ports = ports.iter().map(|port| (*port).to_owned()).collect();
            Ports::read(&Insert { ports, port_range: range.map(str::to_owned), all_ports, ..Insert::default() })
        };
        assert_eq!(ports(&["80", "443"], None, false).unwrap().ranges(), [80..=80, 443..=443]);
        assert_eq!(ports(&[], Some("80-90"), false).unwrap().ranges(), [80..=90]);
        assert_eq!(ports(&[], None, true).unwrap().ranges(), [1..=65535]);
        for bad in
            [ports(&["80", "80"], None, false), ports(&["80-90"], None, false), ports(&["80"], Some("80"), false)]
        {
            assert_eq!(bad.unwrap_err().reason, "invalid");
        }
        assert_eq!(ports(&["1", "2", "3", "4", "5", "6"], None, false).unwrap_err().code, 413);
    }

    #[test]
    fn ranges_of_sources_are_checked_and_not_had() {
        let refused = |sent: &[&str]| {
            let sent: Vec<String> = sent.iter().map(|text| (*text).to_owned()).collect();
            check_sources(&sent).map_err(|refusal| refusal.code)
        };
        assert_eq!(refused(&[]), Ok(()));
        assert_eq!(refused(&["192.0.2.1", "198.51.100.0/24"]), Err(501));
        assert_eq!(refused(&["192.0.2.1", "here"]), Err(400));
        assert_eq!(refused(&["192.0.2.1"; 65]), Err(413));
    }
}
