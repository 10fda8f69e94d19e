//! What is made of targets.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    engine::status,
    model::{BalancerKind, TargetGroup},
    target_groups::find,
    targets::named,
};
use crate::{State, call::Call, instance::Phase, reply::refuse, xml::Xml};
use remint_sandbox_cloud::{
    ApiResult, Config, Profile,
    balancer::{BalancerStatus, MemberHealth},
    now,
};

/// A state, and why: a code and a description.
type Verdict = (&'static str, Option<(&'static str, String)>);

/// `DescribeTargetHealth`.
pub(super) async fn describe(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let arn = call.params.need("TargetGroupArn")?;
    let number = call.read(|state| {
        find(state, call.region, arn)?;
        let user = state.own.elb.users(arn).next().and_then(|user| state.own.elb.balancers.get(&user.balancer));
        Ok(user.map(|balancer| balancer.number))
    })?;
    let health = match number {
        Some(number) => call.cloud.listener_health(number).await,
        None => BTreeMap::new(),
    };
    call.read(|state| {
        let group = find(state, call.region, arn)?;
        let ports: BTreeSet<u16> = state.own.elb.users(arn).map(|listener| listener.port).collect();
        let health = merged(&health, &ports);
        let mut all: BTreeMap<&String, Verdict> = BTreeMap::new();
        for (id, left) in &group.leaving {
            if let Some(verdict) = leaving(state, call.config(), group, left, health.get(&left.machine).copied()) {
                all.insert(id, verdict);
            }
        }
        for (id, machine) in &group.targets {
            all.insert(id, verdict(state, group, id, health.get(machine).copied()));
        }
        let asked = named(&call.params, group.port)?;
        let unknown = asked.iter().find(|id| !all.contains_key(id) && !state.own.instances.contains_key(*id));
        if let Some(id) = unknown {
            return Err(refuse("InvalidTarget", format!("Instance ID '{id}' is not valid")));
        }
        let described: Vec<(&String, Verdict)> = match asked.is_empty() {
            true => all.into_iter().collect(),
            false => asked.iter().map(|id| (id, all.remove(id).unwrap_or_else(not_registered))).collect(),
        };
        xml.members("TargetHealthDescriptions", described, |xml, (id, (state, reason))| {
            xml.node("Target", |xml| {
                xml.text("Id", id).text("Port", group.port);
            });
            xml.text("HealthCheckPort", group.check.port.unwrap_or(group.port));
            xml.node("TargetHealth", |xml| {
                xml.text("State", state);
                if let Some((code, description)) = reason {
                    xml.text("Reason", code).text("Description", description);
                }
            });
        });
        Ok(())
    })
}

/// What the listeners of a group make of its members: healthy is what is so on all of them.
fn merged(health: &BTreeMap<u16, BTreeMap<u64, MemberHealth>>, ports: &BTreeSet<u16>) -> BTreeMap<u64, MemberHealth> {
    let mut all = BTreeMap::new();
    for (_, members) in health.iter().filter(|(port, _)| ports.contains(port)) {
        for (machine, here) in members {
            let known = all.entry(*machine).or_insert(*here);
            if *here != MemberHealth::Healthy {
                *known = *here;
            }
        }
    }
    all
}

fn not_registered() -> Verdict {
    let description = "Target is not registered to the target group".to_owned();
    ("unused", Some(("Target.NotRegistered", description)))
}

/// The state of a target.
fn verdict(state: &State, group: &TargetGroup, id: &str, health: Option<MemberHealth>) -> Verdict {
    let because = |code, description: &str| Some((code, description.to_owned()));
    let mut users = state.own.elb.users(&group.arn);
    let Some(balancer) = users.next().and_then(|listener| state.own.elb.balancers.get(&listener.balancer)) else {
        let description = "Target group is not configured to receive traffic from the load balancer";
        return ("unused", because("Target.NotInUse", description));
    };
    let phase = state.own.instances.get(id).map_or(Phase::Terminated, |instance| instance.phase(state));
    if phase != Phase::Running {
        let description = format!("Target is in the {} state", phase.name());
        return ("unused", Some(("Target.InvalidState", description)));
    }
    let health = health.filter(|_| status(state, balancer) == BalancerStatus::Active);
    match health {
        None | Some(MemberHealth::Draining) => {
            ("initial", because("Elb.RegistrationInProgress", "Target registration is in progress"))
        }
        Some(MemberHealth::Unchecked) => {
            ("initial", because("Elb.InitialHealthChecking", "Initial health checks in progress"))
        }
        Some(MemberHealth::Healthy) => ("healthy", None),
        Some(MemberHealth::Unhealthy) => ("unhealthy", because("Target.FailedHealthChecks", "Health checks failed")),
    }
}

/// The state of a target that left; `None` when it is one no more. An application load balancer shows that it drains when it
/// gets no new connections; a network load balancer at once, and it goes on to get some.
fn leaving(
    state: &State,
    config: &Config,
    group: &TargetGroup,
    left: &super::model::Left,
    health: Option<MemberHealth>,
) -> Option<Verdict> {
    let user = state.own.elb.users(&group.arn).next()?;
    let balancer = state.own.elb.balancers.get(&user.balancer)?;
    let draining = || {
        let description = "Target deregistration is in progress".to_owned();
        Some(("draining", Some(("Target.DeregistrationInProgress", description))))
    };
    match health {
        Some(MemberHealth::Healthy) if balancer.kind == BalancerKind::Application => Some(("healthy", None)),
        Some(_) => draining(),
        // AWS shows it for the whole time, also where it has no connections; in an instant sandbox nothing takes time.
        None if config.profile == Profile::Realistic => {
            let delay = Duration::from_secs(group.delay()).div_f64(config.speed.max(0.1));
            (now().duration_since(left.at).unsigned_abs() < delay).then(draining)?
        }
        None => None,
    }
}
