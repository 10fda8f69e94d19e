//! Planning: observe, then decide.

use std::net::IpAddr;

use super::{
    DeployError, DeployErrorKind, DeployOptions,
    engine::Engine,
    observe::{World, release_of},
    outside::Outside,
    planner::{AddressFacts, CurrentFacts, Facts, Plan, decide},
    preflight,
};
use crate::{
    bake::fingerprint::changed,
    context::Context,
    journal::{Release, Retired, current},
    manifest::{Retire, StaticIpChoice},
    provider::{Instance, InstanceState, RecordSet, ReleaseId},
};

/// Says what a deploy would do, and changes nothing. At most six calls to the cloud where nothing changed.
///
/// # Errors
///
/// Whatever would stop the deploy before it changes anything.
pub async fn plan(ctx: &Context, options: &DeployOptions) -> Result<Plan, DeployError> {
    let engine = Engine::new(ctx)?;
    let world = World::observe(ctx, engine.journal(), engine.outside(), options.image.as_ref()).await?;
    let facts = facts(ctx, &world, engine.outside(), options.force).await?;
    let plan = decide(&facts);
    if plan.makes_release() {
        preflight::check(ctx, &world, &facts, engine.outside()).await?;
    }
    Ok(plan)
}

/// Puts together what the planner decides on, and refuses what belongs to somebody else.
pub(super) async fn facts(
    ctx: &Context,
    world: &World,
    outside: &dyn Outside,
    force: bool,
) -> Result<Facts, DeployError> {
    check_manifest(ctx)?;
    check_address(world)?;
    check_record(ctx, world)?;
    let manifest = &ctx.loaded.manifest;
    let current = match current(&world.history) {
        Some(release) => Some(current_facts(ctx, world, outside, release).await?),
        None => None,
    };
    let address = match (&manifest.address.static_ip, &world.static_ip) {
        (StaticIpChoice::None, _) => AddressFacts::None,
        (_, None) => AddressFacts::Missing,
        (_, Some(ip)) => AddressFacts::Stands { address: ip.address.ip, points_at: ip.assigned_to.clone() },
    };
    let own = current.as_ref().and_then(|current| current.instances.first());
    let own = world.instances.iter().find(|instance| Some(&instance.id) == own);
    let record_target = match &address {
        AddressFacts::Stands { address, .. } => Some(*address),
        AddressFacts::None => own.and_then(|instance| instance.address.as_ref()).map(|address| address.ip),
        AddressFacts::Missing => None,
    };
    let fqdn = manifest
        .dns
        .as_ref()
        .map(|dns| if dns.name == "@" { dns.zone.clone() } else { format!("{}.{}", dns.name, dns.zone) });
    let last = world.history.last();
    Ok(Facts {
        service: manifest.service.clone(),
        environment: ctx.loaded.environment.to_string(),
        unfinished: last.filter(|last| !last.phase().is_final()).map(|last| (last.id(), last.phase())),
        next: ReleaseId(last.map_or(1, |last| last.id().0 + 1)),
        current,
        fingerprint: world.recipe.fingerprint.clone(),
        image: world.image(&world.recipe.fingerprint).map(|image| image.id.clone()),
        size: ctx.loaded.section.size.clone(),
        region: ctx.loaded.section.region.clone(),
        count: manifest.instance.count,
        address,
        record: fqdn.map(|fqdn| (fqdn, world.record.as_ref().map(|record| record.values.clone()))),
        record_target,
        standing: world.instances.iter().map(|instance| instance.id.clone()).collect(),
        retire: match manifest.deploy.retire {
            Retire::Destroy => Retired::Destroyed,
            Retire::Park => Retired::Parked,
        },
        force,
    })
}

async fn current_facts(
    ctx: &Context,
    world: &World,
    outside: &dyn Outside,
    release: &Release,
) -> Result<CurrentFacts, DeployError> {
    let record = &release.record;
    let static_ip = world.static_ip.as_ref().map(|ip| ip.address.ip);
    let digest = outside.config_digest(ctx, &record.salt, static_ip).await?;
    let runs =
        |instance: &&Instance| release_of(instance) == Some(record.id) && instance.state == InstanceState::Running;
    let running: Vec<_> = world.instances.iter().filter(runs).collect();
    let mut unhealthy = None;
    if let Some(address) = running.first().and_then(|instance| instance.address.as_ref())
        && let Some(Err(reason)) = outside.ask(ctx, address).await
    {
        unhealthy = Some(reason);
    }
    Ok(CurrentFacts {
        release: record.id,
        fingerprint: record.fingerprint.clone(),
        size: record.size.clone(),
        region: record.region.clone(),
        same_config: digest == record.config_digest,
        changed_inputs: changed(&record.inputs, &world.recipe.inputs),
        instances: running.iter().map(|instance| instance.id.clone()).collect(),
        unhealthy,
    })
}

fn check_manifest(ctx: &Context) -> Result<(), DeployError> {
    if ctx.loaded.manifest.instance.count == 1 {
        return Ok(());
    }
    let count = ctx.loaded.manifest.instance.count;
    let message = format!("{count} instances need a load balancer, which this provider does not have (instance.count)");
    Err(DeployError::new(DeployErrorKind::Manifest, message).hint("write `count = 1` in `[instance]`"))
}

/// A static IP that points at something that is not ours is left alone.
fn check_address(world: &World) -> Result<(), DeployError> {
    let Some(ip) = &world.static_ip else { return Ok(()) };
    let Some(to) = &ip.assigned_to else { return Ok(()) };
    if world.instances.iter().any(|instance| instance.id == *to) {
        return Ok(());
    }
    let address: IpAddr = ip.address.ip;
    let message = format!("static IP {address} points at {to}, which is no instance of this environment");
    Err(DeployError::new(DeployErrorKind::Conflict, message)
        .hint("take the address from that instance first, or choose another one in `[address]`"))
}

fn check_record(ctx: &Context, world: &World) -> Result<(), DeployError> {
    let (Some(dns), Some(record)) = (&ctx.loaded.manifest.dns, &world.record) else { return Ok(()) };
    if dns.adopt || owns(world, record) {
        return Ok(());
    }
    let message =
        format!("{} {} exists ({}) and was not made by remint", record.fqdn(), record.kind, record.values.join(", "));
    Err(DeployError::new(DeployErrorKind::Conflict, message)
        .hint("remove the record, choose another name, or take it over: `adopt = true` in `[dns]`"))
}

fn owns(world: &World, record: &RecordSet) -> bool {
    world
        .resources
        .record
        .as_ref()
        .is_some_and(|owned| owned.zone == record.zone && owned.name == record.name && owned.kind == record.kind)
}
