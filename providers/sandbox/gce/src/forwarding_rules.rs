//! Forwarding rules: an address that leads to one instance, by way of a target instance, or to those of a backend service.
//!
//! Setting another target moves the address in one call: connections from then on go to the other instance, those that
//! are open stay where they are. All of the sandbox's open ports are forwarded, whatever the rule's range says.
//!
//! A rule with a backend service is a load balancer instead; see `balanced`.

use std::net::Ipv4Addr;

use axum::{Json, Router, extract::State as Axum, routing::post};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    balanced,
    call::{Body, Call, time},
    calls::{Shown, all_path, one_path, reads, set_labels},
    change::{Accepted, Done, Tell},
    error::{Refusal, Result},
    forwarding_rule::{Insert, Ports, Target, To, address, check_sources, target},
    labels::{check_labels, fingerprint},
    model::{BackendService, ForwardingRule, TargetInstance},
    operation::Sequel,
    reference::{differs, full},
    resource::{check_new, find, full_path, path, path_of},
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
        let mut view = json!({
            "kind": "compute#forwardingRule",
            "id": rule.id.to_string(),
            "creationTimestamp": time(rule.created_at),
            "name": rule.name,
            "description": rule.description,
            "region": call.link(&format!("regions/{}", rule.region)),
            "IPAddress": rule.ip.to_string(),
            "IPProtocol": "TCP",
            "selfLink": call.link(&path::<ForwardingRule>(&rule.region, &rule.name)),
            "loadBalancingScheme": "EXTERNAL",
            "networkTier": rule.tier,
            "labelFingerprint": fingerprint(&rule.labels),
            "fingerprint": fingerprint(&(rule.id, rule.target, rule.service)),
        });
        if let Some(service) = rule.service.and_then(|id| state.own.backend_services.get(&id)) {
            view["backendService"] = call.link(&path::<BackendService>(&service.region, &service.name)).into();
        }
        if let Some(id) = rule.target {
            let target = state.own.target_instances.get(&id);
            let target = target.map(|target| call.link(&path::<TargetInstance>(&target.zone, &target.name)));
            view["target"] = target.unwrap_or_default().into();
        }
        match &rule.port_range {
            Some(range) => view["portRange"] = range.as_str().into(),
            None if rule.all_ports => view["allPorts"] = true.into(),
            None if rule.ports.is_empty() => {}
            None => view["ports"] = rule.ports.iter().map(u16::to_string).collect(),
        }
        if !rule.labels.is_empty() {
            view["labels"] = json!(rule.labels);
        }
        view
    }
}

/// Begins to forward an address to a target. Gives the action's number.
fn forward(state: &mut State, config: &Config, ip: Ipv4Addr, target: &Target) -> u64 {
    let work = match target.machine {
        Some(instance) => Work::Assign { ip, instance },
        None => Work::Unassign { ip },
    };
    state.begin_on_ip(config, ip, "assign_ip", work).id
}

async fn insert(Axum(cloud): Axum<Cloud>, call: Call, Body(sent): Body<Insert>) -> Result<Json<Value>> {
    let region = call.names().0.to_owned();
    let balanced = sent.backend_service.as_deref().is_some_and(|service| !service.is_empty());
    if balanced {
        cloud.can_balance()?;
    }
    call.mutate(&cloud, |state, config| {
        check_new::<ForwardingRule>(state, &region, &sent.name)?;
        check_labels(&sent.labels)?;
        Refusal::unless_had([
            (differs(&sent.ip_protocol, "TCP"), "forwarding rules of other protocols than TCP"),
            (differs(&sent.ip_version, "IPV4"), "IPv6 addresses"),
            (differs(&sent.load_balancing_scheme, "EXTERNAL"), "load balancing schemes other than EXTERNAL"),
            (!balanced && !sent.ports.is_empty(), "`ports` of rules with a target; `portRange` is read"),
        ])?;
        let to = To::read(state, &region, &sent)?;
        let ports = Ports::read(&sent)?;
        check_sources(&sent.source_ip_ranges)?;
        let given = address(state, &region, &sent, &ports)?;
        let mut rule = ForwardingRule {
            id: 0,
            name: sent.name,
            region,
            ip: given.unwrap_or(Ipv4Addr::UNSPECIFIED),
            ephemeral: given.is_none(),
            port_range: ports.range,
            all_ports: ports.all,
            ports: ports.ports,
            target: None,
            service: None,
            description: sent.description,
            labels: sent.labels,
            tier: sent.network_tier.unwrap_or_else(|| "PREMIUM".to_owned()),
            created_at: now(),
        };
        let path = path::<ForwardingRule>(&rule.region, &rule.name);
        match to {
            To::Target(target) => Ok(Accepted::engine("insert", path, move |state, config| {
                let ip = given.unwrap_or_else(|| state.next_static_ip(config.slot));
                (rule.id, rule.ip, rule.target) = (state.next_id(), ip, Some(target.id));
                point(state, config, rule, &target)
            })),
            To::Service(service) => {
                rule.service = Some(service);
                if rule.ports.is_empty() && rule.port_range.is_none() && !rule.all_ports {
                    return Err(Refusal::required("resource.ports"));
                }
                let settings = balanced::settings(state, config, &rule)
                    .ok_or_else(|| Refusal::not_ready(full_path::<ForwardingRule>(&rule.region, &rule.name)))?;
                let none = settings.listeners.is_empty();
                Refusal::unless_had([(none, "long ranges of ports of which its machines have none open")])?;
                Ok(Accepted::own("insert", path, move |state, config| {
                    let balancer = state.create_balancer_at(config, &rule.name, &rule.region, settings, given);
                    (rule.id, rule.ip) = (balancer.id, balancer.address);
                    state.own.forwarding_rules.insert(rule.id, rule);
                    Done::at_once(balancer.id)
                }))
            }
        }
    })
    .await
}

/// Makes a rule whose address is to lead to a target.
fn point(state: &mut State, config: &Config, rule: ForwardingRule, target: &Target) -> Done {
    let (id, ip) = (rule.id, rule.ip);
    let reserved = || StaticIp { ip, region: rule.region.clone(), instance: None, pending: None, created_at: now() };
    state.static_ips.entry(ip).or_insert_with(reserved);
    state.own.forwarding_rules.insert(id, rule);
    Done::by(id, [forward(state, config, ip, target)]).then(Sequel::Rule { rule: id })
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
        if rule.service.is_some() {
            let why = "The target of a forwarding rule with a backend service cannot be set.";
            return Err(Refusal::invalid("target", named, why));
        }
        let (ip, target) = (rule.ip, target(state, region, named)?);
        Ok(Accepted::engine("SetTarget", path_of(state, id, rule), move |state, config| {
            let action = forward(state, config, ip, &target);
            Done::by(id, [action]).then(Sequel::Target { rule: id, target: target.id })
        }))
    })
    .await
}

async fn delete(Axum(cloud): Axum<Cloud>, call: Call) -> Result<Json<Value>> {
    let (region, name) = call.names();
    call.mutate(&cloud, |state, _| {
        let (id, rule) = find::<ForwardingRule>(state, region, name)?;
        check_ready(state, rule)?;
        let path = path_of(state, id, rule);
        if state.load_balancers.contains_key(&id) {
            if state.balancer_ends(id) {
                return Err(Refusal::not_ready(full(&path)));
            }
            return Ok(Accepted::engine("delete", path, move |state, config| {
                state.begin_on_balancer(config, id, "destroy", Work::DestroyBalancer { balancer: id });
                let action = state.load_balancers.get(&id).and_then(|balancer| balancer.pending);
                Done::by(id, action).then(Sequel::Gone { rule: id })
            }));
        }
        Ok(Accepted::own("delete", path, move |state, _| {
            let Some(rule) = state.own.forwarding_rules.remove(&id) else { return Done::at_once(id) };
            if rule.ephemeral {
                state.static_ips.remove(&rule.ip);
            } else if let Some(reserved) = state.static_ips.get_mut(&rule.ip) {
                reserved.instance = None;
            }
            Done::at_once(id).tell(Tell::Address(rule.ip))
        }))
    })
    .await
}
