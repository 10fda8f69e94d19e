//! Forwarding rules: an address that leads to one instance, by way of a target instance.
//!
//! Setting another target moves the address in one call: connections from then on go to the other instance, those that
//! are open stay where they are. All of the sandbox's open ports are forwarded, whatever the rule's range says.

use std::net::Ipv4Addr;

use axum::{Json, Router, extract::State as Axum, routing::post};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    call::{Body, Call, time},
    calls::{Shown, all_path, one_path, reads, remove, set_labels},
    catalogue,
    change::{Accepted, Done, Tell},
    error::{Refusal, Result},
    labels::{Labels, check_labels, fingerprint},
    model::{Address, ForwardingRule, Instance, TargetInstance},
    operation::Sequel,
    reference::{Reference, differs},
    resource::{check_new, find, full_path, path, path_of},
    static_address::unused,
};
use crate::{Cloud, State};
use remint_sandbox_cloud::{
    Config, now,
    state::{StaticIp, Work},
};

pub(super) fn routes() -> Router<Cloud> {
    let at = one_path::<ForwardingRule>;
    reads::<ForwardingRule>()
        .route(&all_path::<ForwardingRule>(), post(insert))
        .route(&at(""), axum::routing::delete(delete))
        .route(&at("/setTarget"), post(set_target))
        .route(&at("/setLabels"), post(set_labels::<ForwardingRule>))
}

impl Shown for ForwardingRule {
    fn view(&self, _: u64, call: &Call, state: &State) -> Value {
        let rule = self;
        let target = state.own.target_instances.get(&rule.target);
        let target = target.map(|target| call.link(&path::<TargetInstance>(&target.zone, &target.name)));
        let mut view = json!({
            "kind": "compute#forwardingRule",
            "id": rule.id.to_string(),
            "creationTimestamp": time(rule.created_at),
            "name": rule.name,
            "description": rule.description,
            "region": call.link(&format!("regions/{}", rule.region)),
            "IPAddress": rule.ip.to_string(),
            "IPProtocol": "TCP",
            "target": target.unwrap_or_default(),
            "selfLink": call.link(&path::<ForwardingRule>(&rule.region, &rule.name)),
            "loadBalancingScheme": "EXTERNAL",
            "networkTier": rule.tier,
            "labelFingerprint": fingerprint(&rule.labels),
            "fingerprint": fingerprint(&(rule.id, rule.target)),
        });
        match &rule.port_range {
            Some(range) => view["portRange"] = range.as_str().into(),
            None if rule.all_ports => view["allPorts"] = true.into(),
            None => {}
        }
        if !rule.labels.is_empty() {
            view["labels"] = json!(rule.labels);
        }
        view
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Insert {
    name: String,
    description: String,
    #[serde(rename = "IPAddress")]
    ip_address: Option<String>,
    #[serde(rename = "IPProtocol")]
    ip_protocol: Option<String>,
    port_range: Option<String>,
    ports: Vec<String>,
    all_ports: bool,
    target: Option<String>,
    ip_version: Option<String>,
    backend_service: Option<String>,
    load_balancing_scheme: Option<String>,
    network_tier: Option<String>,
    labels: Labels,
}

/// A target instance, and the machine behind it while there is one.
struct Target {
    id: u64,
    machine: Option<u64>,
}

/// Begins to forward an address to a target. Gives the action's number.
fn forward(state: &mut State, config: &Config, ip: Ipv4Addr, target: &Target) -> u64 {
    let work = match target.machine {
        Some(instance) => Work::Assign { ip, instance },
        None => Work::Unassign { ip },
    };
    state.begin_on_ip(config, ip, "assign_ip", work).id
}

/// The target instance that a rule of a region names.
fn target(state: &State, region: &str, text: &str) -> Result<Target> {
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

/// A range of ports, as the API writes it.
fn port_range(text: &str) -> Result<String> {
    let bad = || Refusal::invalid("resource.portRange", text, "The port range must be numbers from 1 to 65535.");
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(bad);
    let (first, last) = (number(first)?, number(last)?);
    if first > last { Err(bad()) } else { Ok(format!("{first}-{last}")) }
}

async fn insert(Axum(cloud): Axum<Cloud>, call: Call, Body(sent): Body<Insert>) -> Result<Json<Value>> {
    let region = call.names().0.to_owned();
    call.mutate(&cloud, |state, _| {
        check_new::<ForwardingRule>(state, &region, &sent.name)?;
        check_labels(&sent.labels)?;
        Refusal::unless_had([
            (differs(&sent.ip_protocol, "TCP"), "forwarding rules of other protocols than TCP"),
            (differs(&sent.ip_version, "IPV4"), "IPv6 addresses"),
            (differs(&sent.load_balancing_scheme, "EXTERNAL"), "load balancing schemes other than EXTERNAL"),
            (differs(&sent.backend_service, ""), "backend services"),
            (!sent.ports.is_empty(), "`ports` of forwarding rules; `portRange` is read"),
        ])?;
        let named = sent.target.as_deref().ok_or_else(|| Refusal::required("resource.target"))?;
        let target = target(state, &region, named)?;
        let port_range = sent.port_range.as_deref().filter(|text| !text.is_empty()).map(port_range).transpose()?;
        let given = sent.ip_address.as_deref().filter(|text| !text.is_empty());
        let given = given.map(|text| address(state, &region, text)).transpose()?;
        Ok(Accepted::engine("insert", path::<ForwardingRule>(&region, &sent.name), move |state, config| {
            let id = state.next_id();
            let ip = given.unwrap_or_else(|| state.next_static_ip(config.slot));
            state.static_ips.entry(ip).or_insert_with(|| StaticIp {
                ip,
                region: region.clone(),
                instance: None,
                pending: None,
                created_at: now(),
            });
            let rule = ForwardingRule {
                id,
                name: sent.name,
                region,
                ip,
                ephemeral: given.is_none(),
                port_range,
                all_ports: sent.all_ports,
                target: target.id,
                description: sent.description,
                labels: sent.labels,
                tier: sent.network_tier.unwrap_or_else(|| "PREMIUM".to_owned()),
                created_at: now(),
            };
            state.own.forwarding_rules.insert(id, rule);
            Done::by(id, [forward(state, config, ip, &target)]).then(Sequel::Rule { rule: id })
        }))
    })
    .await
}

/// A static address of the region that nothing uses, by itself, its name or its URL.
fn address(state: &State, region: &str, text: &str) -> Result<Ipv4Addr> {
    let field = "resource.IPAddress";
    let named = Reference::parse(text).regional("addresses", region).unwrap_or(text);
    let in_use = |user: &str| {
        let why = format!("Specified IP address is in-use and would result in a conflict with '{user}'.");
        Refusal::invalid(field, text, why)
    };
    let is = |address: &Address| address.name == named || address.ip.to_string() == named;
    unused(state, region, field, text, is, in_use)
}

/// Refuses a rule on whose address something runs.
fn check_ready(state: &State, rule: &ForwardingRule) -> Result<()> {
    match state.static_ips.get(&rule.ip) {
        Some(reserved) if reserved.pending.is_some() => {
            Err(Refusal::not_ready(full_path::<ForwardingRule>(&rule.region, &rule.name)))
        }
        _ => Ok(()),
    }
}

#[derive(Deserialize)]
struct SetTarget {
    target: Option<String>,
}

async fn set_target(Axum(cloud): Axum<Cloud>, call: Call, Body(sent): Body<SetTarget>) -> Result<Json<Value>> {
    let (region, name) = call.names();
    call.mutate(&cloud, |state, _| {
        let (id, rule) = find::<ForwardingRule>(state, region, name)?;
        check_ready(state, rule)?;
        let named = sent.target.as_deref().ok_or_else(|| Refusal::required("target"))?;
        let (ip, target) = (rule.ip, target(state, region, named)?);
        Ok(Accepted::engine("SetTarget", path_of(state, id, rule), move |state, config| {
            let action = forward(state, config, ip, &target);
            Done::by(id, [action]).then(Sequel::Target { rule: id, target: target.id })
        }))
    })
    .await
}

async fn delete(Axum(cloud): Axum<Cloud>, call: Call) -> Result<Json<Value>> {
    let after = |state: &mut State, rule: ForwardingRule| {
        if rule.ephemeral {
            state.static_ips.remove(&rule.ip);
        } else if let Some(reserved) = state.static_ips.get_mut(&rule.ip) {
            reserved.instance = None;
        }
        Some(Tell::Address(rule.ip))
    };
    remove(&cloud, &call, |state, _, rule| check_ready(state, rule), after).await
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
}
