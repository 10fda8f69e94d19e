//! Targets: instances that join and leave target groups.

use super::{engine::sync_group, model::Left, refusal::invalid, target_groups::find};
use crate::{
    State,
    call::Call,
    instance::Phase,
    query::Params,
    reply::{refuse, unsupported},
    xml::Xml,
};
use remint_sandbox_cloud::{ApiResult, now};

/// How many a group has.
pub(super) const MOST: usize = 1000;

/// The instances that a call names, each at the port of the group.
pub(super) fn named(params: &Params, port: u16) -> ApiResult<Vec<String>> {
    let read = |target: &Params| {
        let id = target.need("Id")?.to_owned();
        match super::read::port(target, "Port")? {
            Some(other) if other != port => Err(unsupported("a target at another port than its group's")),
            _ => Ok(id),
        }
    };
    params.groups("Targets.member").iter().map(read).collect()
}

/// `RegisterTargets`: instances that run, or none of them.
pub(super) fn register(call: &Call<'_>, _: &mut Xml) -> ApiResult<()> {
    let arn = call.params.need("TargetGroupArn")?;
    call.change(|state| {
        let group = find(state, call.region, arn)?;
        let ids = named(&call.params, group.port)?;
        if ids.is_empty() {
            return Err(invalid("At least one target must be specified"));
        }
        let new = ids.iter().filter(|id| !group.targets.contains_key(*id)).count();
        if group.targets.len() + new > MOST {
            return Err(refuse("TooManyTargets", format!("The limit of {MOST} targets of a target group is reached")));
        }
        let machines: Vec<(String, u64)> =
            ids.into_iter().map(|id| Ok((id.clone(), machine(state, call.region, &id)?))).collect::<ApiResult<_>>()?;
        if let Some(group) = state.own.elb.groups.get_mut(arn) {
            for (id, machine) in machines {
                group.leaving.remove(&id);
                group.targets.insert(id, machine);
            }
        }
        sync_group(state, call.config(), arn);
        Ok(())
    })
}

/// `DeregisterTargets`: one that is no target is a success.
pub(super) fn deregister(call: &Call<'_>, _: &mut Xml) -> ApiResult<()> {
    let arn = call.params.need("TargetGroupArn")?;
    call.change(|state| {
        let group = find(state, call.region, arn)?;
        let ids = named(&call.params, group.port)?;
        if ids.is_empty() {
            return Err(invalid("At least one target must be specified"));
        }
        let used = state.own.elb.users(arn).next().is_some();
        if let Some(group) = state.own.elb.groups.get_mut(arn) {
            for id in ids {
                if let Some(machine) = group.targets.remove(&id).filter(|_| used) {
                    group.leaving.insert(id, Left { machine, at: now() });
                }
            }
        }
        sync_group(state, call.config(), arn);
        Ok(())
    })
}

/// The number of the machine of an instance that can be a target.
fn machine(state: &State, region: &str, id: &str) -> ApiResult<u64> {
    let invalid = |message: String| refuse("InvalidTarget", message);
    let found = state.own.instances.get(id).filter(|instance| instance.region == region);
    let instance = found.ok_or_else(|| invalid(format!("Instance ID '{id}' is not valid")))?;
    match instance.phase(state) {
        Phase::Running => Ok(instance.machine),
        _ => Err(invalid(format!("The following targets are not in a running state and cannot be registered: '{id}'"))),
    }
}
