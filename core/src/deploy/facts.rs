//! What the planner decides on, and what is refused because it is somebody else's.

use std::collections::BTreeSet;

use super::{
    EngineError, EngineErrorKind, configuration,
    fleet::{BalancerFacts, FleetFacts},
    health,
    observe::{Wanted, World},
    planner::{AddressFacts, CurrentFacts, Facts, RecordFacts, Superfluous},
    waves::Rollout,
};
use crate::{
    context::Context,
    journal::{Owned, Release, Resource, Retired, current},
    manifest::{Retire, StaticIpChoice},
    provider::{Endpoint, EnvironmentId, Instance, InstanceState, MemberHealth, ReleaseId, label},
    recipe::changed,
    resources::{balancers, may_write, record_ttl, release_of, wanted_balancer, wanted_record_name},
    traffic::{endpoint_of, never_worked, points_elsewhere, serves},
};

/// Puts together what the planner decides on, and refuses what belongs to somebody else.
pub(super) async fn facts(ctx: &Context, world: &World, wanted: &Wanted, force: bool) -> Result<Facts, EngineError> {
    check(ctx, world)?;
    let manifest = &ctx.loaded.manifest;
    let current = match current(&world.history) {
        Some(release) => Some(current_facts(ctx, world, wanted, release).await?),
        None => None,
    };
    let address = match (manifest.static_ip(), &world.static_ip) {
        (StaticIpChoice::None, _) => AddressFacts::None,
        (_, None) => AddressFacts::Missing,
        (_, Some(ip)) => AddressFacts::Stands { address: ip.address.ip, points_at: ip.assigned_to.clone() },
    };
    let own = current.as_ref().and_then(|current| current.instances.first());
    let own = world.instances.iter().find(|instance| Some(&instance.id) == own);
    let fleet = fleet_facts(ctx, world);
    let balancer = world.balancer.as_ref().and_then(|balancer| endpoint_of(balancer).ok());
    let record_target = match &address {
        AddressFacts::None if fleet.is_some() => balancer.map(Endpoint::record_value),
        AddressFacts::Stands { address, .. } => Some(address.to_string()),
        AddressFacts::None => own.and_then(|instance| instance.address.as_ref()).map(|address| address.ip.to_string()),
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
        fleet,
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

/// How the manifest's choice of the way in differs from what the environment serves under.
fn address_change(ctx: &Context, world: &World) -> Option<String> {
    let choice = ctx.loaded.manifest.static_ip();
    let standing = world.resources.static_ip();
    let balanced = world.resources.load_balancer().is_some();
    let now = match standing {
        Some((_, owned)) => owned.address.ip.to_string(),
        None if balanced => "that of the load balancer".to_owned(),
        None => "the instance's own".to_owned(),
    };
    if ctx.loaded.manifest.load_balancer.is_some() {
        return (!balanced).then(|| format!("the address changes from {now} to that of a load balancer"));
    }
    match (choice, standing) {
        (StaticIpChoice::None, None) if !balanced => None,
        (StaticIpChoice::Managed, Some((owned, _))) if owned.made_by.is_some() => None,
        (StaticIpChoice::Existing(ip), Some((_, owned))) if owned.address.ip == *ip => None,
        (StaticIpChoice::None, _) => Some(format!("the address changes from {now} to the instance's own")),
        (StaticIpChoice::Managed, _) => Some(format!("the address changes from {now} to a new static IP")),
        (StaticIpChoice::Existing(ip), _) => Some(format!("the address changes from {now} to {ip}")),
    }
}

/// What there is behind the load balancer, where the manifest asks for one. Its verdict counts, and not an answer from here: it is
/// the one that sends clients.
fn fleet_facts(ctx: &Context, world: &World) -> Option<FleetFacts> {
    let wanted = ctx.loaded.manifest.load_balancer_settings()?;
    let balancer = match &world.balancer {
        None => BalancerFacts::Missing,
        Some(now) if never_worked(now) => BalancerFacts::Missing,
        Some(now) => {
            let owned = world.resources.load_balancer();
            let same_certificates = owned.is_some_and(|(_, owned)| owned.certificates == wanted.certificates());
            let same = now.settings.without_certificates().is_as(&wanted.without_certificates());
            BalancerFacts::Stands { name: now.name.clone(), differs: !(same && same_certificates) }
        }
    };
    let serving = current(&world.history).filter(|release| release.record.balanced);
    let gated: BTreeSet<_> = world.history.iter().flat_map(Release::gated).collect();
    let (mut good, mut detached, mut bad, mut old) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for instance in &world.instances {
        let health = world.members.get(&instance.id);
        let is_current = serving.is_some_and(|release| release_of(instance) == Some(release.id()));
        let problem = match health {
            _ if !is_current || !gated.contains(&instance.id) => Some(None),
            _ if instance.state != InstanceState::Running => Some(Some(instance.state.as_str().to_owned())),
            Some(MemberHealth::OutOfService(reason)) if reason.is_empty() => Some(Some("out of service".to_owned())),
            Some(MemberHealth::OutOfService(reason)) => Some(Some(format!("out of service: {reason}"))),
            _ if instance.labels.get(label::TOUCHED).is_some() => Some(Some("somebody logged in to it".to_owned())),
            _ => None,
        };
        match problem {
            None => {
                good.push(instance.id.clone());
                if health.is_none() {
                    detached.push(instance.id.clone());
                }
            }
            Some(problem) => {
                bad.extend(problem.map(|problem| format!("{} is to be replaced: {problem}", instance.name)));
                old += u32::from(serves(health));
            }
        }
    }
    let found = good.len() + bad.len();
    if let Some(release) = serving.filter(|release| found < release.record.count as usize) {
        bad.push(format!(
            "{} of {} instances of {} are gone",
            release.record.count as usize - found,
            release.record.count,
            release.id()
        ));
    }
    let rollout = Rollout::of(&ctx.loaded.manifest, ctx.loaded.manifest.instance.count);
    let count_before = serving.map(|release| release.record.count);
    Some(FleetFacts { balancer, good, detached, old, bad, count_before, rollout })
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
        Resource::StaticIp(_) | Resource::LoadBalancer(_) => address_change(ctx, world).is_none(),
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
    check_balancer(ctx)?;
    check_place(ctx, world)?;
    check_address(world)?;
    check_record(ctx, world)?;
    check_others(ctx, world)
}

/// What the provider cannot do of the load balancer that the manifest asks for. Loading the manifest says so, too, at its line,
/// where the provider is known then.
fn check_balancer(ctx: &Context) -> Result<(), EngineError> {
    let (provider, dns) = (ctx.provider.descriptor(), ctx.dns_provider().descriptor());
    if let Some(beyond) = ctx.loaded.manifest.beyond(provider, dns).into_iter().next() {
        return Err(EngineError::new(EngineErrorKind::Manifest, beyond.message).hint(beyond.help));
    }
    // Of whose environment it is, nothing depends here.
    let Some(spec) = wanted_balancer(ctx, &EnvironmentId::from("0000000000000000")) else { return Ok(()) };
    balancers(ctx)?.accepts(&spec).map_err(|error| {
        let message = format!("{} cannot set up a load balancer like this: {}", provider.title, error.message());
        let refused = EngineError::new(EngineErrorKind::Manifest, message);
        refused.hint(error.hint().unwrap_or("change `[load_balancer]`, or the check of `[health]` where it has none"))
    })
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
            // Its name holds the environment's id.
            Resource::LoadBalancer(_) => false,
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
