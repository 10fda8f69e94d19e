//! What a forwarding rule with a backend service comes to: a load balancer of the engine's.
//!
//! The rule's number is that of its load balancer, whose address is the rule's and whose listeners are the rule's ports. The
//! instances of all groups of the service are the members, and the service's health check is the check. What is said of any
//! of these is made so in [`settle`], which runs after each change and does not ask what was changed.
//!
//! The API is done with a change at once; the load balancer takes effect tens of seconds later.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{
    call::Call,
    instance::internal_address,
    model::{BackendService, ForwardingRule, Instance, ServiceSettings},
    operation::Failure,
    reference::full,
    resource::{path, path_of},
};
use crate::State;
use remint_sandbox_cloud::{
    Config,
    balancer::{BalancerSettings, Listener, MemberHealth, NoneHealthy, Protocol, Wanted},
    state::Work,
};

/// The port that `getHealth` shows, which is a backend service's own where it names none.
const SERVICE_PORT: u16 = 80;

/// How many ports a load balancer may have that the machines do not have open.
const FEW: usize = 64;

/// A backend service that has a group as a backend, as a path below the project.
pub(super) fn user_of_group(state: &State, group: u64) -> Option<String> {
    let uses = |service: &&BackendService| service.settings.backends.iter().any(|backend| backend.group == group);
    let user = state.own.backend_services.values().find(uses)?;
    Some(path::<BackendService>(&user.region, &user.name))
}

/// A group with a machine, which is none of these and is a backend of a service.
pub(super) fn other_group(state: &State, machine: u64, but: &BTreeSet<u64>) -> Option<u64> {
    let others = state.own.instance_groups.iter().filter(|(id, group)| {
        !but.contains(id) && group.instances.contains(&machine) && user_of_group(state, **id).is_some()
    });
    others.map(|(id, _)| *id).next()
}

/// Why an instance may not be where it would be in two groups that are balanced. `instance` is its path from `projects` on.
pub(super) fn several_groups(instance: &str) -> String {
    format!(
        "Validation failed for instance '{instance}': instance may belong to at most one load-balanced instance group."
    )
}

/// What an operation fails with that would have an instance in two groups that are balanced.
pub(super) fn failed_in_several_groups(state: &State, settings: &ServiceSettings) -> Option<Failure> {
    let groups: BTreeSet<u64> = settings.backends.iter().map(|backend| backend.group).collect();
    let mut seen = BTreeSet::new();
    let machines =
        groups.iter().filter_map(|group| state.own.instance_groups.get(group)).flat_map(|group| &group.instances);
    let several =
        machines.copied().find(|machine| !seen.insert(*machine) || other_group(state, *machine, &groups).is_some());
    several.map(|machine| {
        let instance = state.own.instances.get(&machine);
        let at = instance.map(|instance| path_of::<Instance>(state, machine, instance)).unwrap_or_default();
        Failure {
            status: 400,
            reason: "BAD REQUEST".to_owned(),
            code: "INSTANCE_IN_MULTIPLE_LOAD_BALANCED_IGS".to_owned(),
            message: several_groups(&full(&at)),
        }
    })
}

/// The ports that a rule's load balancer takes connections on. Of a long range, or of all, they are those that the machines
/// have open; there may be none.
fn ports(rule: &ForwardingRule, open: &[u16]) -> Vec<u16> {
    let ranges = rule.ranges();
    let all = ranges.iter().map(|range| range.len()).sum::<usize>();
    if all <= FEW {
        return ranges.into_iter().flatten().collect();
    }
    let open: BTreeSet<u16> = open.iter().copied().chain([22]).collect();
    open.into_iter().filter(|port| ranges.iter().any(|range| range.contains(port))).collect()
}

/// How a rule's load balancer is to be set up; `None` for a rule without a backend service.
pub(super) fn settings(state: &State, config: &Config, rule: &ForwardingRule) -> Option<BalancerSettings> {
    let ServiceSettings { check, backends, drain, .. } = &state.own.backend_services.get(&rule.service?)?.settings;
    let groups = backends.iter().filter_map(|backend| state.own.instance_groups.get(&backend.group));
    let listener = |port| Listener { port, protocol: Protocol::Tcp, target_port: port, pool: None };
    Some(BalancerSettings {
        listeners: ports(rule, &config.open).into_iter().map(listener).collect(),
        check: state.own.health_checks.get(check)?.check.clone(),
        sources: Vec::new(),
        wanted: Wanted::Instances(groups.flat_map(|group| &group.instances).copied().collect()),
        none_healthy: NoneHealthy::Spread,
        drain: Some(std::time::Duration::from_secs((*drain).into())),
        first_pass: false,
        late: false,
        pools: BTreeMap::new(),
    })
}

/// Begins to make each load balancer as it is to be. What was changed while one was being changed is seen when that has
/// ended.
pub(super) fn settle(state: &mut State, config: &Config) {
    let rules = state.own.forwarding_rules.values();
    let wanted: Vec<(u64, BalancerSettings)> =
        rules.filter_map(|rule| Some((rule.id, settings(state, config, rule)?))).collect();
    for (id, settings) in wanted {
        let Some(balancer) = state.load_balancers.get_mut(&id) else { continue };
        // The engine looks itself for who is to be a member.
        balancer.settings.wanted = settings.wanted.clone();
        if balancer.pending.is_none() && balancer.settings != settings {
            balancer.settings = settings;
            state.begin_on_balancer(config, id, "update", Work::ChangeBalancer { balancer: id });
        }
    }
}

/// What a service's group, by way of one rule, makes of its instances. All three are numbers.
///
/// An instance that was removed is shown for as long as it may get new connections, and one that was added is unhealthy until
/// its checks have passed.
pub(super) fn health(
    call: &Call,
    state: &State,
    (service, group, rule): (u64, u64, u64),
    health: &BTreeMap<u64, MemberHealth>,
) -> Vec<Value> {
    let own = &state.own;
    let (Some(service), Some(rule)) = (own.backend_services.get(&service), own.forwarding_rules.get(&rule)) else {
        return Vec::new();
    };
    let (Some(group), Some(balancer)) = (own.instance_groups.get(&group), state.load_balancers.get(&rule.id)) else {
        return Vec::new();
    };
    let groups = service.settings.backends.iter().filter_map(|backend| own.instance_groups.get(&backend.group));
    let members: BTreeSet<u64> = groups.flat_map(|group| &group.instances).copied().collect();
    let leaving = group.left.difference(&members).filter(|machine| balancer.members.contains(machine));
    let shown = group.instances.iter().chain(leaving).filter_map(|id| {
        let (machine, instance) = (state.instances.get(id)?, own.instances.get(id)?);
        let healthy = health.get(id) == Some(&MemberHealth::Healthy);
        Some(json!({
            "instance": call.link(&path_of::<Instance>(state, *id, instance)),
            "ipAddress": internal_address(machine).to_string(),
            "port": SERVICE_PORT,
            "healthState": if healthy { "HEALTHY" } else { "UNHEALTHY" },
            "forwardingRule": call.link(&path::<ForwardingRule>(&rule.region, &rule.name)),
            "forwardingRuleIp": rule.ip.to_string(),
        }))
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ForwardingRule;

    fn rule(others: Value) -> ForwardingRule {
        let mut rule = json!({
            "id": 1, "name": "web", "region": "us-central1", "ip": "127.7.208.10", "ephemeral": true, "port_range": null,
            "all_ports": false, "description": "", "labels": {}, "tier": "PREMIUM", "created_at": "2026-11-30T00:00:00Z",
        });
        rule.as_object_mut().unwrap().extend(others.as_object().unwrap().clone());
        serde_json::from_value(rule).unwrap()
    }

    #[test]
    fn a_long_range_is_what_the_machines_have_open() {
        let open = [443, 8080];
        assert_eq!(ports(&rule(json!({ "ports": [80, 443] })), &open), [80, 443]);
        assert_eq!(ports(&rule(json!({ "port_range": "80-82" })), &open), [80, 81, 82]);
        assert_eq!(ports(&rule(json!({ "port_range": "1-1000" })), &open), [22, 443]);
        assert_eq!(ports(&rule(json!({ "all_ports": true })), &open), [22, 443, 8080]);
        assert_eq!(ports(&rule(json!({ "port_range": "9000-9999" })), &open), [0_u16; 0]);
    }

    #[test]
    fn a_rule_of_an_older_file_leads_to_its_target() {
        let old = rule(json!({ "target": 7 }));
        assert_eq!((old.target, old.service, old.ports.len()), (Some(7), None, 0));
    }
}
