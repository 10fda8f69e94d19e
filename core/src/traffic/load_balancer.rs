//! Traffic by a load balancer, which has several instances.

use std::{collections::BTreeMap, time::Duration};

use tokio::{sync::Mutex, time::Instant};

use crate::{
    context::Context,
    error::{EngineError, EngineErrorKind},
    journal::Resources,
    provider::{
        self, Address, Capability, Endpoint, Instance, InstanceId, LoadBalancer, LoadBalancerSpec, LoadBalancerState,
        LoadBalancers, Member, MemberHealth,
    },
    resources::{balancers, find_balancer},
    watch::{Observed, Wait, WatchError},
};

/// How long a load balancer may take to be active: most are after 1 to 4 minutes.
const ACTIVE_WITHIN: Duration = Duration::from_secs(900);
/// How long a load balancer may be busy with something else.
const BUSY_WITHIN: Duration = Duration::from_secs(300);
/// How long a cloud may take to tell what it makes of a new member. After that time, what it never tells is taken for good: the
/// instance has passed its gate, and the service is watched through the load balancer.
const TOLD_WITHIN: Duration = Duration::from_secs(30);

/// Creates the load balancer or sets it up as it is wanted, and waits until it takes connections.
///
/// # Errors
///
/// The cloud's; and its word where the load balancer will not become active.
pub(crate) async fn ensure(ctx: &Context, spec: &LoadBalancerSpec) -> Result<LoadBalancer, EngineError> {
    let all = balancers(ctx)?;
    let what = format!("load balancer {}", spec.name);
    let wait = Wait::new("to take its settings").timeout(BUSY_WITHIN);
    let order = || async move { all.ensure(spec).await.map(Observed::Done) };
    ctx.watcher.poll(&what, wait, order).await.map_err(EngineError::from)
}

/// Whether a load balancer will not become active and never had an address: no client was ever sent to it.
pub(crate) fn never_worked(balancer: &LoadBalancer) -> bool {
    matches!(balancer.state, LoadBalancerState::Failed(_)) && balancer.endpoint.is_none()
}

/// Waits until a load balancer takes connections and has an address.
///
/// # Errors
///
/// The cloud's; and its word where the load balancer will not become active.
pub(crate) async fn active(ctx: &Context, balancer: &LoadBalancer) -> Result<LoadBalancer, EngineError> {
    if balancer.state == LoadBalancerState::Active && address_of(balancer).is_ok() {
        return Ok(balancer.clone());
    }
    let all = balancers(ctx)?;
    let look = || async move {
        let now = all.get(&balancer.id).await?;
        Ok(match (&now.state, now.endpoint.as_ref().and_then(Endpoint::address)) {
            (LoadBalancerState::Active, Some(_)) => Observed::Done(Ok(now)),
            (LoadBalancerState::Failed(reason), _) => Observed::Done(Err(reason.clone())),
            (LoadBalancerState::Active, None) => Observed::NotYet("active, without an address".to_owned()),
            (LoadBalancerState::Pending, _) => Observed::NotYet("pending".to_owned()),
        })
    };
    let what = format!("load balancer {}", balancer.name);
    // One that has an address is only being changed.
    let new = balancer.endpoint.is_none();
    let at_best = if new { ctx.provider.descriptor().limits.balancer_time } else { Duration::ZERO };
    let wait = Wait::new("to be active").first(at_best).timeout(ACTIVE_WITHIN);
    let found = ctx.watcher.poll(&what, wait, look).await?;
    found.map_err(|reason| {
        EngineError::new(EngineErrorKind::Provider, format!("{what} does not become active: {reason}"))
            .hint("if it never had an address, the next deploy destroys it and creates another one")
    })
}

/// What the load balancer makes of each of its members, ours or not.
pub(crate) async fn members(
    ctx: &Context,
    balancer: &LoadBalancer,
) -> Result<BTreeMap<InstanceId, MemberHealth>, EngineError> {
    Ok(members_of(balancers(ctx)?, balancer).await?)
}

async fn members_of(
    all: &dyn LoadBalancers,
    balancer: &LoadBalancer,
) -> provider::Result<BTreeMap<InstanceId, MemberHealth>> {
    let members = all.members(&balancer.id).await?;
    Ok(members.into_iter().map(|Member { instance, health }| (instance, health)).collect())
}

/// Makes instances members, and waits until the load balancer says that all of them are in service. `started` is when the wave
/// began whose wait this is.
///
/// # Errors
///
/// [`EngineErrorKind::Gate`] with what the load balancer says of those that are not in time; the cloud's.
pub(crate) async fn put_in_service(
    ctx: &Context,
    balancer: &LoadBalancer,
    instances: &[Instance],
    within: Duration,
    started: Instant,
) -> Result<(), EngineError> {
    let all = balancers(ctx)?;
    let what = format!("load balancer {}", balancer.name);
    let ids: Vec<InstanceId> = instances.iter().map(|instance| instance.id.clone()).collect();
    attach(ctx, all, balancer, &ids).await?;
    let told_by = Instant::now() + balancer.settings.check.passes_within() + TOLD_WITHIN;
    let wanted = &ids;
    let look = || async move {
        let now = members_of(all, balancer).await?;
        // A member that somebody took out meanwhile is put in again.
        if wanted.iter().any(|id| !now.contains_key(id)) {
            all.attach(&balancer.id, wanted).await?;
        }
        let told = Instant::now() > told_by;
        let waiting: Vec<String> = instances.iter().filter_map(|instance| verdict(&now, instance, told)).collect();
        Ok(if waiting.is_empty() { Observed::Done(()) } else { Observed::NotYet(waiting.join("\n")) })
    };
    let wait = Wait::new("to put all new instances in service").of_run(started).timeout(within);
    match ctx.watcher.poll(&what, wait, look).await {
        Err(WatchError::TimedOut { last, .. }) => {
            let message = format!("{what} did not put all new instances in service within {} s", within.as_secs());
            Err(EngineError::new(EngineErrorKind::Gate, message)
                .details(last.lines().map(str::to_owned).collect())
                .hint("they pass their own health check: compare `[load_balancer]` with `[health]`, and the firewall"))
        }
        ended => Ok(ended?),
    }
}

async fn attach(
    ctx: &Context,
    all: &dyn LoadBalancers,
    balancer: &LoadBalancer,
    instances: &[InstanceId],
) -> Result<(), EngineError> {
    let order = || async move { all.attach(&balancer.id, instances).await.map(Observed::Done) };
    let wait = Wait::new("to take new members").timeout(BUSY_WITHIN);
    Ok(ctx.watcher.poll(&format!("load balancer {}", balancer.name), wait, order).await?)
}

/// Why an instance does not get connections, in a line; `None` where it does.
fn verdict(now: &BTreeMap<InstanceId, MemberHealth>, instance: &Instance, told: bool) -> Option<String> {
    let name = &instance.name;
    match now.get(&instance.id) {
        Some(MemberHealth::InService) => None,
        Some(MemberHealth::Unknown) if told => None,
        Some(MemberHealth::OutOfService(reason)) if !reason.is_empty() => Some(format!("{name}: {reason}")),
        Some(health) => Some(format!("{name}: {}", health.as_str())),
        None => Some(format!("{name}: not a member")),
    }
}

/// Whether a member gets connections, as far as the cloud tells.
pub(crate) fn serves(health: Option<&MemberHealth>) -> bool {
    matches!(health, Some(MemberHealth::InService | MemberHealth::Unknown))
}

/// Takes instances out of the load balancer, and waits until their connections have ended, or `drain` is over. `started` is when the
/// wave began whose wait this is.
///
/// # Errors
///
/// The cloud's.
pub(crate) async fn drain(
    ctx: &Context,
    balancer: &LoadBalancer,
    instances: &[Instance],
    drain: Duration,
    started: Instant,
) -> Result<(), EngineError> {
    let all = balancers(ctx)?;
    let now = members(ctx, balancer).await?;
    let ids: Vec<InstanceId> =
        instances.iter().map(|instance| instance.id.clone()).filter(|id| now.contains_key(id)).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let what = format!("load balancer {}", balancer.name);
    let leaving = &ids;
    let detach = || async move { all.detach(&balancer.id, leaving).await.map(Observed::Done) };
    ctx.watcher.poll(&what, Wait::new("to let members go").timeout(BUSY_WITHIN), detach).await?;
    let shows_drain = ctx.provider.descriptor().has(Capability::LoadBalancerDrain);
    // An order takes a while to be carried out, and to show.
    let shows_after = ctx.provider.descriptor().limits.settle_time;
    let ordered = &Mutex::new(Instant::now());
    let look = || async move {
        let now = all.members(&balancer.id).await?;
        let stays = |member: &&Member| {
            leaving.contains(&member.instance) && (shows_drain || member.health != MemberHealth::Draining)
        };
        let left: Vec<&Member> = now.iter().filter(stays).collect();
        // Others were not carried out, or somebody has put a member in again.
        let back = left.iter().filter(|member| member.health != MemberHealth::Draining);
        let back: Vec<InstanceId> = back.map(|member| member.instance.clone()).collect();
        if !back.is_empty() && ordered.lock().await.elapsed() >= shows_after {
            all.detach(&balancer.id, &back).await?;
            *ordered.lock().await = Instant::now();
        }
        Ok(if left.is_empty() {
            Observed::Done(())
        } else {
            Observed::NotYet(format!("{} have connections", left.len()))
        })
    };
    let within = BUSY_WITHIN + drain;
    let wait = Wait::new("to have drained its members").of_run(started).timeout(within);
    ctx.watcher.poll(&what, wait, look).await?;
    if shows_drain { Ok(()) } else { pause(ctx, drain).await }
}

/// Waits; an interruption ends it, unless it has come before: what is done then is to be done in order.
async fn pause(ctx: &Context, time: Duration) -> Result<(), EngineError> {
    if ctx.cancel.is_cancelled() {
        tokio::time::sleep(time).await;
        return Ok(());
    }
    tokio::select! {
        biased;
        () = ctx.cancel.cancelled() => Err(EngineError::interrupted()),
        () = tokio::time::sleep(time) => Ok(()),
    }
}

/// Fails when a load balancer of the environment has one of these instances as a member.
pub(super) async fn check_no_members(
    ctx: &Context,
    resources: &Resources,
    doomed: &[Instance],
) -> Result<(), EngineError> {
    let here = ctx.place();
    for (_, known) in resources.load_balancers().filter(|(owned, _)| owned.place().is_some_and(|place| place == here)) {
        let Some(balancer) = find_balancer(balancers(ctx)?, &known.id).await? else { continue };
        let now = members(ctx, &balancer).await?;
        let in_use = |instance: &&Instance| {
            now.get(&instance.id)
                .is_some_and(|health| !matches!(health, MemberHealth::Draining | MemberHealth::OutOfService(_)))
        };
        let Some(used) = doomed.iter().find(in_use) else { continue };
        let message =
            format!("load balancer {} has {} as a member, which was about to be destroyed", known.name, used.name);
        return Err(EngineError::new(EngineErrorKind::Conflict, message)
            .hint("somebody put it there; run `remint status`, and then the command again"));
    }
    Ok(())
}

/// Where clients of a load balancer that is active connect.
///
/// # Errors
///
/// [`EngineErrorKind::Provider`] where the cloud shows nothing yet.
pub(crate) fn endpoint_of(balancer: &LoadBalancer) -> Result<&Endpoint, EngineError> {
    balancer.endpoint.as_ref().ok_or_else(|| no_address(balancer))
}

/// An address through which the service behind a load balancer that is active can be asked.
///
/// # Errors
///
/// [`EngineErrorKind::Provider`] where the cloud shows none yet.
pub(crate) fn address_of(balancer: &LoadBalancer) -> Result<&Address, EngineError> {
    balancer.endpoint.as_ref().and_then(Endpoint::address).ok_or_else(|| no_address(balancer))
}

fn no_address(balancer: &LoadBalancer) -> EngineError {
    let message = format!("load balancer {} has no address yet", balancer.name);
    EngineError::new(EngineErrorKind::Provider, message).hint("run the command again")
}
