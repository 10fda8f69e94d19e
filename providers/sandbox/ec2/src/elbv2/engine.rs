//! How the load balancers of this API are set up in the engine.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::model::{Balancer, Check, TargetGroup, TargetProtocol};
use crate::State;
use remint_sandbox_cloud::{
    Config,
    balancer::{BalancerStatus, CheckProtocol, Listener, MemberCheck, Pool, Protocol, Wanted},
    state::Work,
};

/// Brings the engine's settings of a load balancer in step with what is kept of it. While the engine is at work on it, it does
/// so again afterwards.
pub(super) fn sync(state: &mut State, config: &Config, arn: &str) {
    let Some(balancer) = state.own.elb.balancers.get(arn) else { return };
    let (listeners, pools) = (listeners(state, arn), pools(state, arn));
    let number = balancer.number;
    let Some(engine) = state.load_balancers.get_mut(&number) else { return };
    if (&engine.settings.listeners, &engine.settings.pools) == (&listeners, &pools) {
        return;
    }
    (engine.settings.listeners, engine.settings.pools) = (listeners, pools);
    let (status, busy) = (engine.status, engine.pending.is_some());
    if busy {
        if let Some(balancer) = state.own.elb.balancers.get_mut(arn) {
            balancer.behind = true;
        }
    } else if status == BalancerStatus::Active {
        state.begin_on_balancer(config, number, "update", Work::ChangeBalancer { balancer: number });
    }
}

/// The same for the load balancers that send to a target group.
pub(super) fn sync_group(state: &mut State, config: &Config, group: &str) {
    let users: BTreeSet<String> = state.own.elb.users(group).map(|listener| listener.balancer.clone()).collect();
    for arn in users {
        sync(state, config, &arn);
    }
}

/// Begins to destroy a load balancer, with its listeners; it is shown no more.
pub(super) fn destroy(state: &mut State, config: &Config, arn: &str) {
    let listeners: Vec<String> =
        state.own.elb.listeners_of(arn).into_iter().map(|listener| listener.arn.clone()).collect();
    for listener in listeners {
        state.own.elb.listeners.remove(&listener);
        state.own.tags.remove(&listener);
    }
    state.own.tags.remove(arn);
    if let Some(balancer) = state.own.elb.balancers.get_mut(arn) {
        balancer.doomed = true;
    }
    settle(state, config);
}

/// Goes on with load balancers that the engine was at work on. Called when an action has ended.
pub(crate) fn settle(state: &mut State, config: &Config) {
    let engines = &state.load_balancers;
    state.own.elb.balancers.retain(|_, balancer| !balancer.doomed || engines.contains_key(&balancer.number));
    let free = |number: &u64| engines.get(number).is_some_and(|engine| engine.pending.is_none());
    let mut begin = Vec::new();
    for balancer in state.own.elb.balancers.values_mut().filter(|balancer| free(&balancer.number)) {
        let number = balancer.number;
        if balancer.doomed {
            begin.push((number, "destroy", Work::DestroyBalancer { balancer: number }));
        } else if std::mem::take(&mut balancer.behind) {
            begin.push((number, "update", Work::ChangeBalancer { balancer: number }));
        }
    }
    for (number, kind, work) in begin {
        state.begin_on_balancer(config, number, kind, work);
    }
}

/// An instance that is gone is a target no more.
pub(crate) fn forget_instance(state: &mut State, machine: u64) {
    for group in state.own.elb.groups.values_mut() {
        group.targets.retain(|_, target| *target != machine);
        group.leaving.retain(|_, left| left.machine != machine);
    }
}

/// Whether a load balancer works.
pub(super) fn status(state: &State, balancer: &Balancer) -> BalancerStatus {
    balancer.engine(state).map_or(BalancerStatus::Failed, |engine| engine.status)
}

fn listeners(state: &State, arn: &str) -> Vec<Listener> {
    let elb = &state.own.elb;
    let listener = |listener: &super::model::Listener| {
        let group = elb.groups.get(&listener.group)?;
        let protocol = match listener.protocol {
            TargetProtocol::Http => Protocol::Http,
            TargetProtocol::Tcp => Protocol::Tcp,
        };
        Some(Listener { port: listener.port, protocol, target_port: group.port, pool: Some(group.number) })
    };
    elb.listeners_of(arn).into_iter().filter_map(listener).collect()
}

fn pools(state: &State, arn: &str) -> BTreeMap<u64, Pool> {
    let elb = &state.own.elb;
    let groups = elb.listeners_of(arn).into_iter().filter_map(|listener| elb.groups.get(&listener.group));
    groups.map(|group| (group.number, pool(group))).collect()
}

fn pool(group: &TargetGroup) -> Pool {
    let Check { protocol, port, path, interval, timeout, healthy, unhealthy, .. } = &group.check;
    let check = MemberCheck {
        protocol: match protocol {
            TargetProtocol::Http => CheckProtocol::Http { path: path.clone() },
            TargetProtocol::Tcp => CheckProtocol::Tcp,
        },
        port: port.unwrap_or(group.port),
        interval: Duration::from_secs(*interval),
        timeout: Duration::from_secs(*timeout),
        healthy: *healthy,
        unhealthy: *unhealthy,
    };
    let wanted = Wanted::Instances(group.targets.values().copied().collect());
    Pool { check, wanted, drain: Some(Duration::from_secs(group.delay())), cuts: group.cuts() }
}
