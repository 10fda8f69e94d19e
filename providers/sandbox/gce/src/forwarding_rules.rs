//! Forwarding rules: an address that leads to one instance, by way of a target instance.
//!
//! Setting another target moves the address in one call: connections from then on go to the other instance, those that
//! are open stay where they are. All of the sandbox's open ports are forwarded, whatever the rule's range says.

use axum::{
    Json, Router,
    extract::{Path, State as Axum},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    access,
    call::{Accepted, Body, Call, Done, Tell, time},
    catalogue,
    error::{Refusal, Result},
    labels::{Labels, SetLabels, check_label_fingerprint, check_labels, fingerprint},
    operations::Sequel,
    reference::{Reference, check_name, full},
    state::{ForwardingRule, TargetInstance, machine_of},
    target_instances,
};
use crate::{Cloud, State};
use remint_sandbox_cloud::{
    now,
    state::{StaticIp, Work},
};

pub(super) fn routes() -> Router<Cloud> {
    const LIST: &str = "/compute/v1/projects/{project}/regions/{region}/forwardingRules";
    Router::new()
        .route(LIST, get(list).post(insert))
        .route("/compute/v1/projects/{project}/aggregated/forwardingRules", get(aggregated))
        .route(&format!("{LIST}/{{rule}}"), get(show).delete(delete))
        .route(&format!("{LIST}/{{rule}}/setTarget"), post(set_target))
        .route(&format!("{LIST}/{{rule}}/setLabels"), post(set_labels))
}

type Named = Path<(String, String, String)>;

fn path(region: &str, name: &str) -> String {
    format!("regions/{region}/forwardingRules/{name}")
}

fn find<'a>(state: &'a State, region: &str, name: &str) -> Result<&'a ForwardingRule> {
    let found = state.own.forwarding_rules.values().find(|rule| rule.region == region && rule.name == name);
    found.ok_or_else(|| Refusal::not_found(full(&path(region, name))))
}

fn view(call: &Call, state: &State, rule: &ForwardingRule) -> Value {
    let target = state.own.target_instances.get(&rule.target);
    let target = target.map(|target| call.link(&target_instances::path(&target.zone, &target.name)));
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
        "selfLink": call.link(&path(&rule.region, &rule.name)),
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

async fn list(Axum(cloud): Axum<Cloud>, call: Call, Path((_, region)): Path<(String, String)>) -> Result<Json<Value>> {
    let items = cloud.read(|state| {
        let here = state.own.forwarding_rules.values().filter(|rule| rule.region == region);
        here.map(|rule| view(&call, state, rule)).collect()
    });
    call.list("compute#forwardingRuleList", &format!("regions/{region}/forwardingRules"), items)
}

async fn aggregated(Axum(cloud): Axum<Cloud>, call: Call) -> Result<Json<Value>> {
    let items = cloud.read(|state| state.own.forwarding_rules.values().map(|rule| view(&call, state, rule)).collect());
    call.aggregated("compute#forwardingRuleAggregatedList", "forwardingRules", items)
}

async fn show(Axum(cloud): Axum<Cloud>, call: Call, Path((_, region, name)): Named) -> Result<Json<Value>> {
    cloud.read(|state| find(state, &region, &name).map(|rule| Json(view(&call, state, rule))))
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
    backend_service: Option<String>,
    load_balancing_scheme: Option<String>,
    network_tier: Option<String>,
    labels: Labels,
}

/// The target instance that a rule of a region names.
fn target<'a>(state: &'a State, region: &str, text: &str) -> Result<&'a TargetInstance> {
    let field = "resource.target";
    match *Reference::parse(text).path {
        ["zones", zone, "targetInstances", name] if catalogue::region_of(zone) == region => {
            target_instances::find(state, zone, name)
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

/// The machine behind a target instance, while there is one.
fn machine(state: &State, target: &TargetInstance) -> Option<u64> {
    machine_of(state, &target.zone, &target.instance).map(|machine| machine.id)
}

/// A range of ports, as the API writes it.
fn port_range(text: &str) -> Result<String> {
    let bad = || Refusal::invalid("resource.portRange", text, "The port range must be numbers from 1 to 65535.");
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(bad);
    let (first, last) = (number(first)?, number(last)?);
    if first > last { Err(bad()) } else { Ok(format!("{first}-{last}")) }
}

async fn insert(
    Axum(cloud): Axum<Cloud>,
    call: Call,
    Path((_, region)): Path<(String, String)>,
    Body(sent): Body<Insert>,
) -> Result<Json<Value>> {
    call.mutate(&cloud, |state, _| {
        check_name("resource.name", &sent.name)?;
        if find(state, &region, &sent.name).is_ok() {
            return Err(Refusal::already_exists(full(&path(&region, &sent.name))));
        }
        check_labels(&sent.labels)?;
        let is =
            |text: &Option<String>, usual: &str| text.as_deref().is_none_or(|text| text.is_empty() || text == usual);
        for (good, what) in [
            (is(&sent.ip_protocol, "TCP"), "forwarding rules of other protocols than TCP"),
            (is(&sent.load_balancing_scheme, "EXTERNAL"), "load balancing schemes other than EXTERNAL"),
            (is(&sent.backend_service, ""), "backend services"),
            (sent.ports.is_empty(), "`ports` of forwarding rules; `portRange` is read"),
        ] {
            if !good {
                return Err(Refusal::not_implemented(what));
            }
        }
        let named = sent.target.as_deref().ok_or_else(|| Refusal::required("resource.target"))?;
        let target = target(state, &region, named)?;
        let (target_id, machine) = (target.id, machine(state, target));
        let port_range = sent.port_range.as_deref().filter(|text| !text.is_empty()).map(port_range).transpose()?;
        let given = sent.ip_address.as_deref().filter(|text| !text.is_empty());
        let given = given.map(|text| address(state, &region, text)).transpose()?;
        Ok(Accepted::engine("insert", path(&region, &sent.name), move |state, config| {
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
                target: target_id,
                description: sent.description,
                labels: sent.labels,
                tier: sent.network_tier.unwrap_or_else(|| "PREMIUM".to_owned()),
                created_at: now(),
            };
            state.own.forwarding_rules.insert(id, rule);
            let work = match machine {
                Some(machine) => Work::Assign { ip, instance: machine },
                None => Work::Unassign { ip },
            };
            let action = state.begin_on_ip(config, ip, "assign_ip", work);
            Done::by(id, [action.id]).then(Sequel::Rule { rule: id })
        }))
    })
    .await
}

/// A static address of the region that nothing uses, by itself or by its URL.
fn address(state: &State, region: &str, text: &str) -> Result<std::net::Ipv4Addr> {
    let field = "resource.IPAddress";
    let named = Reference::parse(text).regional("addresses", region).unwrap_or(text);
    let here = state.own.addresses.values().filter(|address| address.region == region);
    let found = here.into_iter().find(|address| address.name == named || address.ip.to_string() == named);
    let why = "The specified external IP address was not found to be reserved in the region.";
    let address = found.ok_or_else(|| Refusal::invalid(field, text, why))?;
    if let Some(user) = access::user_of(state, address.ip) {
        let why = format!("Specified IP address is in-use and would result in a conflict with '{user}'.");
        return Err(Refusal::invalid(field, text, why));
    }
    match state.static_ips.get(&address.ip) {
        Some(reserved) if reserved.pending.is_none() => Ok(address.ip),
        _ => Err(Refusal::not_ready(full(&format!("regions/{region}/addresses/{}", address.name)))),
    }
}

/// The same rule, while nothing runs on its address.
fn find_ready<'a>(state: &'a State, region: &str, name: &str) -> Result<&'a ForwardingRule> {
    let rule = find(state, region, name)?;
    match state.static_ips.get(&rule.ip) {
        Some(reserved) if reserved.pending.is_some() => Err(Refusal::not_ready(full(&path(region, name)))),
        _ => Ok(rule),
    }
}

#[derive(Deserialize)]
struct SetTarget {
    target: Option<String>,
}

async fn set_target(
    Axum(cloud): Axum<Cloud>,
    call: Call,
    Path((_, region, name)): Named,
    Body(sent): Body<SetTarget>,
) -> Result<Json<Value>> {
    call.mutate(&cloud, |state, _| {
        let rule = find_ready(state, &region, &name)?;
        let named = sent.target.as_deref().ok_or_else(|| Refusal::required("target"))?;
        let target = target(state, &region, named)?;
        let (id, ip, target_id, machine) = (rule.id, rule.ip, target.id, machine(state, target));
        Ok(Accepted::engine("SetTarget", path(&region, &name), move |state, config| {
            let work = match machine {
                Some(machine) => Work::Assign { ip, instance: machine },
                None => Work::Unassign { ip },
            };
            let action = state.begin_on_ip(config, ip, "assign_ip", work);
            Done::by(id, [action.id]).then(Sequel::Target { rule: id, target: target_id })
        }))
    })
    .await
}

async fn delete(Axum(cloud): Axum<Cloud>, call: Call, Path((_, region, name)): Named) -> Result<Json<Value>> {
    call.mutate(&cloud, |state, _| {
        let rule = find_ready(state, &region, &name)?;
        let (id, ip, ephemeral) = (rule.id, rule.ip, rule.ephemeral);
        Ok(Accepted::own("delete", path(&region, &name), move |state, _| {
            state.own.forwarding_rules.remove(&id);
            if ephemeral {
                state.static_ips.remove(&ip);
            } else if let Some(reserved) = state.static_ips.get_mut(&ip) {
                reserved.instance = None;
            }
            Done::at_once(id).tell(Tell::Address(ip))
        }))
    })
    .await
}

async fn set_labels(
    Axum(cloud): Axum<Cloud>,
    call: Call,
    Path((_, region, name)): Named,
    Body(sent): Body<SetLabels>,
) -> Result<Json<Value>> {
    check_labels(&sent.labels)?;
    call.mutate(&cloud, |state, _| {
        let rule = find(state, &region, &name)?;
        check_label_fingerprint(&rule.labels, sent.label_fingerprint.as_deref())?;
        let id = rule.id;
        Ok(Accepted::own("setLabels", path(&region, &name), move |state, _| {
            if let Some(rule) = state.own.forwarding_rules.get_mut(&id) {
                rule.labels = sent.labels;
            }
            Done::at_once(id)
        }))
    })
    .await
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
