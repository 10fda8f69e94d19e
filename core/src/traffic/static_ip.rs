//! Traffic by a static IP, which points at one instance.

use std::{net::IpAddr, time::Duration};

use tokio::time::Instant;

use crate::{
    context::Context,
    error::{EngineError, EngineErrorKind},
    journal::Resources,
    provider::{Instance, InstanceId, StaticIp, StaticIpId, StaticIps},
    resources::find,
    watch::{Observed, Wait},
};

/// How long a static IP may take to move.
const MOVED_WITHIN: Duration = Duration::from_secs(300);
/// How often a move is asked for that the cloud accepts and does not carry out.
const ORDERS: u32 = 3;

/// Moves a static IP to an instance, and waits until it points there. `started` is when the run began whose wait this is.
///
/// # Errors
///
/// The cloud's; and when it accepts the orders and does not carry them out.
pub(crate) async fn move_to(
    ctx: &Context,
    static_ips: &dyn StaticIps,
    ip: &StaticIp,
    to: &InstanceId,
    started: Instant,
) -> Result<(), EngineError> {
    let assign_time = ctx.provider.descriptor().limits.assign_time;
    let at_rest = |ip: &StaticIp| !ip.busy;
    let mut seen = ip.clone();
    if seen.busy {
        // Made a moment ago, or left on its way by a run that died: it may be going there already.
        let wait = Wait::new("to come to rest").first(assign_time).timeout(MOVED_WITHIN);
        seen = ctx.watcher.static_ip(&ip.id, wait, at_rest).await?;
    }
    for attempt in 1..=ORDERS {
        if seen.assigned_to.as_ref() == Some(to) {
            break;
        }
        if attempt > 1 {
            ctx.events.warn(format!("static IP {} did not move; asking again", ip.address.ip));
        }
        order(ctx, static_ips, &ip.id, to).await?;
        let wait = Wait::new(format!("to point at {to}")).first(assign_time).short_part(started);
        let wait = wait.timeout(MOVED_WITHIN);
        seen = ctx.watcher.static_ip(&ip.id, wait, at_rest).await?;
    }
    if seen.assigned_to.as_ref() != Some(to) {
        let message = format!("static IP {} does not move to {to}, asked {ORDERS} times", ip.address.ip);
        return Err(EngineError::new(EngineErrorKind::Provider, message)
            .hint("the cloud does not say why; look at its status page, and try again"));
    }
    Ok(())
}

/// Orders the move, coming back while the cloud is busy.
async fn order(ctx: &Context, static_ips: &dyn StaticIps, ip: &StaticIpId, to: &InstanceId) -> Result<(), EngineError> {
    let wait = Wait::new("to take the order to move").timeout(MOVED_WITHIN);
    let order = || async move { static_ips.assign(ip, to).await.map(Observed::Done) };
    Ok(ctx.watcher.poll(&format!("static IP {ip}"), wait, order).await?)
}

/// Takes a static IP from its instance, and waits until it points nowhere.
///
/// # Errors
///
/// The cloud's.
pub(crate) async fn take_away(ctx: &Context, static_ips: &dyn StaticIps, ip: &StaticIp) -> Result<(), EngineError> {
    let wait = Wait::new("to be taken from its instance").timeout(MOVED_WITHIN);
    let order = || async move { static_ips.unassign(&ip.id).await.map(Observed::Done) };
    ctx.watcher.poll(&format!("static IP {}", ip.id), wait, order).await?;
    let wait = Wait::new("to point nowhere").timeout(MOVED_WITHIN);
    ctx.watcher.static_ip(&ip.id, wait, |ip| !ip.busy && ip.assigned_to.is_none()).await?;
    Ok(())
}

/// An address that somebody gave to an instance that is not ours.
pub(crate) fn points_elsewhere(address: IpAddr, to: &InstanceId) -> EngineError {
    let message = format!("static IP {address} points at {to}, which is no instance of this environment");
    EngineError::new(EngineErrorKind::Conflict, message)
        .hint("take the address from that instance first, or choose another one in `[address]`")
}

/// Fails when a static IP of the environment points at one of these instances.
pub(super) async fn check_unused(ctx: &Context, resources: &Resources, doomed: &[Instance]) -> Result<(), EngineError> {
    let Some(static_ips) = ctx.provider.static_ips() else { return Ok(()) };
    let here = ctx.place();
    for (_, known) in resources.static_ips().filter(|(owned, _)| owned.place().is_some_and(|place| place == here)) {
        let Some(ip) = find(static_ips, &known.id).await? else { continue };
        let Some(used) = doomed.iter().find(|instance| ip.assigned_to.as_ref() == Some(&instance.id)) else { continue };
        let message = format!("static IP {} points at {}, which was about to be destroyed", ip.address.ip, used.name);
        return Err(EngineError::new(EngineErrorKind::Conflict, message)
            .hint("somebody moved the address; run `remint status`, and then the command again"));
    }
    Ok(())
}
