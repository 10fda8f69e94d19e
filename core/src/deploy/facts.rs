//! What the planner decides on, and what is refused because it is somebody else's.

use super::{
    EngineError, EngineErrorKind, configuration, health,
    observe::{Wanted, World},
    planner::{AddressFacts, CurrentFacts, Facts, RecordFacts, Superfluous},
};
use crate::{
    context::Context,
    journal::{Owned, Release, Resource, Retired, current},
    manifest::{Retire, StaticIpChoice},
    provider::{Instance, InstanceState, ReleaseId},
    recipe::changed,
    resources::{may_write, record_ttl, release_of, wanted_record_name},
    traffic::points_elsewhere,
};

/// Puts together what the planner decides on, and refuses what belongs to somebody else.
pub(super) async fn facts(ctx: &Context, world: &World, wanted: &Wanted, force: bool) -> Result<Facts, EngineError> {
    check(ctx, world)?;
    let manifest = &ctx.loaded.manifest;
    let current = match current(&world.history) {
        Some(release) => Some(current_facts(ctx, world, wanted, release).await?),
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
    let last = world.history.last();
    Ok(Facts {
        service: manifest.service.clone(),
        environment: ctx.loaded.environment.to_string(),
        unfinished: last.filter(|last| !last.phase().is_final()).map(|last| (last.id(), last.phase())),
        next: ReleaseId(last.map_or(1, |last| last.id().0 + 1)),
        address_change: current.as_ref().and_then(|_| address_change(ctx, world)),
        current,
        fingerprint: wanted.recipe.fingerprint.clone(),
        image: wanted.image().map(|image| image.id.clone()),
        size: ctx.loaded.section.size.clone(),
        region: ctx.loaded.section.region.clone(),
        count: manifest.instance.count,
        address,
        record: record_facts(ctx, world),
        record_target,
        standing: world.instances.iter().map(|instance| instance.id.clone()).collect(),
        superfluous: superfluous(ctx, world),
        retire: match manifest.deploy.retire {
            Retire::Destroy => Retired::Destroyed,
            Retire::Park => Retired::Parked,
        },
        force,
    })
}

/// How the manifest's choice of the address differs from what the environment serves under.
fn address_change(ctx: &Context, world: &World) -> Option<String> {
    let choice = &ctx.loaded.manifest.address.static_ip;
    let standing = world.resources.static_ip();
    let now = match standing {
        Some((_, owned)) => owned.address.ip.to_string(),
        None => "the instance's own".to_owned(),
    };
    match (choice, standing) {
        (StaticIpChoice::None, None) => None,
        (StaticIpChoice::Managed, Some((owned, _))) if owned.made_by.is_some() => None,
        (StaticIpChoice::Existing(ip), Some((_, owned))) if owned.address.ip == *ip => None,
        (StaticIpChoice::None, Some(_)) => Some(format!("the address changes from {now} to the instance's own")),
        (StaticIpChoice::Managed, _) => Some(format!("the address changes from {now} to a new static IP")),
        (StaticIpChoice::Existing(ip), _) => Some(format!("the address changes from {now} to {ip}")),
    }
}

fn record_facts(ctx: &Context, world: &World) -> Option<RecordFacts> {
    let dns = ctx.loaded.manifest.dns.as_ref()?;
    let ttl = record_ttl(ctx)?;
    Some(RecordFacts {
        fqdn: ctx.loaded.fqdn().unwrap_or_default(),
        before: world.record.as_ref().map(|record| (record.values.clone(), record.ttl)),
        ttl,
        raised_from: (ttl > dns.ttl.0).then_some(dns.ttl.0),
    })
}

/// What the environment has and the manifest does not want any more.
fn superfluous(ctx: &Context, world: &World) -> Vec<Superfluous> {
    let record = wanted_record_name(ctx);
    let stays = |owned: &Owned| match &owned.resource {
        Resource::StaticIp(_) => address_change(ctx, world).is_none(),
        Resource::Record(standing) => record
            .as_ref()
            .is_some_and(|(provider, wanted)| owned.provider.as_str() == *provider && standing.is_same(wanted)),
    };
    let wanted = world.resources.wanted().filter(|owned| !stays(owned));
    // A record that is wanted again stays, whatever it was before.
    let superseded = world.resources.superseded().filter(|owned| owned.as_record().is_none() || !stays(owned));
    let all = superseded.chain(wanted);
    all.map(|owned| Superfluous { resource: owned.title(), keeps: owned.made_by.is_none() }).collect()
}

async fn current_facts(
    ctx: &Context,
    world: &World,
    wanted: &Wanted,
    release: &Release,
) -> Result<CurrentFacts, EngineError> {
    let record = &release.record;
    let static_ip = world.static_ip.as_ref().map(|ip| ip.address.ip);
    let same_config = match ctx.loaded.config_is_sealed() {
        true => None,
        false => Some(configuration::digest(ctx, &record.salt, static_ip).await? == record.config_digest),
    };
    let runs =
        |instance: &&Instance| release_of(instance) == Some(record.id) && instance.state == InstanceState::Running;
    let running: Vec<_> = world.instances.iter().filter(runs).collect();
    let mut unhealthy = None;
    if let Some(address) = running.first().and_then(|instance| instance.address.as_ref())
        && let Some(Err(reason)) = health::ask(ctx, address).await
    {
        unhealthy = Some(reason);
    }
    Ok(CurrentFacts {
        release: record.id,
        fingerprint: record.fingerprint.clone(),
        size: record.size.clone(),
        same_config,
        changed_inputs: changed(&record.inputs, &wanted.recipe.inputs),
        instances: running.iter().map(|instance| instance.id.clone()).collect(),
        unhealthy,
    })
}

/// Refuses what cannot be, and what belongs to somebody else, before anything is created.
pub(super) fn check(ctx: &Context, world: &World) -> Result<(), EngineError> {
    check_count(ctx)?;
    check_place(ctx, world)?;
    check_address(world)?;
    check_record(ctx, world)?;
    check_others(ctx, world)
}

fn check_count(ctx: &Context) -> Result<(), EngineError> {
    if ctx.loaded.manifest.instance.count == 1 {
        return Ok(());
    }
    let count = ctx.loaded.manifest.instance.count;
    let message = format!("{count} instances need a load balancer, which this provider does not have (instance.count)");
    Err(EngineError::new(EngineErrorKind::Manifest, message).hint("write `count = 1` in `[instance]`"))
}

/// An environment does not move to another provider or region: its address cannot go with it.
fn check_place(ctx: &Context, world: &World) -> Result<(), EngineError> {
    let Some(release) = current(&world.history) else { return Ok(()) };
    let (from, to) = (release.record.place(), ctx.place());
    if from == to {
        return Ok(());
    }
    let environment = &ctx.loaded.environment;
    let message = format!("{environment} runs in {from} ({}), and the manifest asks for {to}", release.id());
    let what = if from.provider == to.provider { "region" } else { "provider" };
    Err(EngineError::new(EngineErrorKind::Manifest, message)
        .hint(format!(
            "to move without a gap, deploy a second environment in {to} (`[environments.NAME]`, `remint -e NAME deploy`), switch \
             clients to it, and run `remint -e {environment} destroy` with the former {what}"
        ))
        .hint(format!("to move with a gap, run `remint destroy` with the former {what}, then deploy")))
}

/// A static IP that points at something that is not ours is left alone.
fn check_address(world: &World) -> Result<(), EngineError> {
    let Some(ip) = &world.static_ip else { return Ok(()) };
    if !world.ownership.may_be(ip) {
        let message = format!("static IP {} belongs to another environment, by its labels", ip.address.ip);
        return Err(EngineError::new(EngineErrorKind::Conflict, message).hint("choose another one in `[address]`"));
    }
    let Some(to) = &ip.assigned_to else { return Ok(()) };
    if world.instances.iter().any(|instance| instance.id == *to) {
        return Ok(());
    }
    Err(points_elsewhere(ip.address.ip, to))
}

/// A record that somebody else made is left alone, unless the manifest takes it over.
pub(super) fn check_record(ctx: &Context, world: &World) -> Result<(), EngineError> {
    match &world.record {
        Some(record) => may_write(ctx, &world.resources, record),
        None => Ok(()),
    }
}

/// Two environments cannot serve under one record or one static IP.
fn check_others(ctx: &Context, world: &World) -> Result<(), EngineError> {
    let record = wanted_record_name(ctx);
    for (environment, resources) in &world.others {
        let taken = resources.wanted().find(|owned| match &owned.resource {
            Resource::StaticIp(ip) => world.static_ip.as_ref().is_some_and(|wanted| wanted.id == ip.id),
            Resource::Record(standing) => record
                .as_ref()
                .is_some_and(|(provider, wanted)| owned.provider.as_str() == *provider && standing.is_same(wanted)),
        });
        if let Some(owned) = taken {
            let message = format!("{} belongs to environment {environment}", owned.title());
            return Err(EngineError::new(EngineErrorKind::Conflict, message).hint(format!(
                "give each environment its own (`[environments.{}.dns]` or `.address`)",
                ctx.loaded.environment
            )));
        }
    }
    Ok(())
}
