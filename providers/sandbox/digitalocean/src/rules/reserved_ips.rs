//! Reserved IPs: addresses of an account that point at one droplet of their region, or at none.

use std::net::Ipv4Addr;

use crate::State;
use remint_sandbox_cloud::{
    ApiError, ApiResult, Config, now,
    state::{Action, StaticIp, Work},
};

/// Reserves an address for a region, or in the region of a droplet and on its way to it.
pub(crate) fn reserve_ip(
    state: &mut State,
    config: &Config,
    region: Option<&str>,
    droplet: Option<u64>,
) -> ApiResult<(StaticIp, Option<Action>)> {
    let region = match (droplet, region) {
        (Some(id), _) => {
            check_target(state, id, None)?;
            state.instances.get(&id).map(|droplet| droplet.region.clone())
        }
        (None, Some(slug)) => State::find_region(slug).map(|region| region.slug.to_owned()),
        (None, None) => None,
    };
    let region = region.ok_or_else(|| ApiError::unprocessable("You specified an invalid region."))?;
    let limit = config.limits.static_ips;
    if state.static_ips.len() >= limit {
        return Err(ApiError::unprocessable(format!(
            "You have reached the limit of {limit} reserved IPs. Please open a support ticket to increase it."
        )));
    }
    let ip = state.next_static_ip(config.slot);
    state.static_ips.insert(ip, StaticIp { ip, region, instance: None, pending: None, created_at: now() });
    let action =
        droplet.map(|droplet| state.begin_on_ip(config, ip, "assign_ip", Work::Assign { ip, instance: droplet }));
    Ok((state.static_ips[&ip].clone(), action))
}

/// Begins to point a reserved IP at a droplet; one that points elsewhere moves.
pub(crate) fn assign_ip(state: &mut State, config: &Config, ip: Ipv4Addr, droplet: u64) -> ApiResult<Action> {
    let reserved = unlocked_ip(state, ip)?;
    if reserved.instance == Some(droplet) {
        return Err(ApiError::unprocessable("The reserved IP is already assigned to that Droplet."));
    }
    let region = reserved.region.clone();
    check_target(state, droplet, Some(ip))?;
    if state.instances.get(&droplet).is_some_and(|droplet| droplet.region != region) {
        return Err(ApiError::unprocessable("The reserved IP and the Droplet must be in the same region."));
    }
    Ok(state.begin_on_ip(config, ip, "assign_ip", Work::Assign { ip, instance: droplet }))
}

/// Begins to point a reserved IP at nothing.
pub(crate) fn unassign_ip(state: &mut State, config: &Config, ip: Ipv4Addr) -> ApiResult<Action> {
    if unlocked_ip(state, ip)?.instance.is_none() {
        return Err(ApiError::unprocessable("The reserved IP is not assigned to a Droplet."));
    }
    Ok(state.begin_on_ip(config, ip, "unassign_ip", Work::Unassign { ip }))
}

/// Releases a reserved IP, assigned or not.
pub(crate) fn release_ip(state: &mut State, ip: Ipv4Addr) -> ApiResult<()> {
    unlocked_ip(state, ip)?;
    state.static_ips.remove(&ip);
    Ok(())
}

fn unlocked_ip(state: &State, ip: Ipv4Addr) -> ApiResult<&StaticIp> {
    let reserved = state.static_ips.get(&ip).ok_or_else(ApiError::not_found)?;
    if reserved.pending.is_some() {
        return Err(ApiError::unprocessable("The reserved IP already has a pending event."));
    }
    Ok(reserved)
}

/// Refuses a droplet that cannot take a reserved IP now; `moving` is one that it may have already.
fn check_target(state: &State, id: u64, moving: Option<Ipv4Addr>) -> ApiResult<()> {
    let droplet =
        state.instances.get(&id).ok_or_else(|| ApiError::unprocessable("The Droplet you specified does not exist."))?;
    if droplet.pending.is_some() {
        return Err(super::droplets::pending_event());
    }
    let coming = |ip: &StaticIp| {
        let action = ip.pending.and_then(|id| state.actions.get(&id)).and_then(|action| action.pending.as_ref());
        matches!(action, Some(pending) if matches!(pending.work, Work::Assign { instance, .. } if instance == id))
    };
    let taken = |ip: &StaticIp| Some(ip.ip) != moving && (ip.instance == Some(id) || coming(ip));
    if state.static_ips.values().any(taken) {
        return Err(ApiError::unprocessable("The Droplet already has a reserved IP."));
    }
    Ok(())
}
