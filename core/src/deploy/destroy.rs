//! Destroying an environment, on request.

use std::collections::BTreeSet;

use super::{
    EngineError, EngineErrorKind,
    engine::{Engine, Session},
    images::prune_all,
    observe::{instance_selector, ownership_of_images},
    walk::Run,
};
use crate::{
    bake,
    context::Context,
    journal::{Owned, Phase, Place, Resource, Resources},
    machine::destroy_all,
    provider::{EnvironmentId, Instance, LoginKeys},
    resources::{Ownership, Standing, destroy_balancer, foreign, foreign_user, give_back, remove_record, written},
};

/// Removes an environment, wherever it was: records, instances, the static IPs that Remint made, and with `images` the service's
/// images that no other environment needs.
///
/// # Errors
///
/// [`EngineErrorKind::Conflict`] when somebody else uses one of the static IPs, before anything is destroyed; the cloud's and the
/// journal's. Running it again goes on.
pub async fn destroy(ctx: &Context, images: bool) -> Result<(), EngineError> {
    destroy_with(&Engine::new(ctx)?, images).await
}

pub(super) async fn destroy_with(engine: &Engine<'_>, images: bool) -> Result<(), EngineError> {
    let session = engine.begin("destroy").await?;
    let result = engine.until_interrupted(destroy_locked(engine, &session, images)).await;
    engine.give_back_after(session.lock, &result).await;
    result
}

async fn destroy_locked(engine: &Engine<'_>, session: &Session, images: bool) -> Result<(), EngineError> {
    let (ctx, journal) = (engine.ctx, engine.journal());
    let ownership = Ownership::new(Some(&session.identity), &session.history);
    if let Some(last) = session.history.last() {
        let mut run = Run::new(engine, session, last.clone(), false).await?;
        if !last.phase().is_final() {
            run.settle_launches().await?;
            // While its instance is there: on some clouds nothing else shows which one it is.
            run.own_intended_address().await?;
        }
        run.settle_record(false).await?;
    }
    let mut resources = journal.resources().await?;
    let mut places = Vec::new();
    // Some clouds list all regions at once.
    let mut seen = BTreeSet::new();
    for place in &session.identity.environment.places {
        let at = engine.at(place, &session.lock).await?;
        let all = at.provider.instances().list(&instance_selector(&at)).await?;
        let standing = Standing::sort(all, &ownership);
        if !standing.foreign.is_empty() {
            return Err(foreign(&at, &session.history, &standing.foreign));
        }
        let mut fresh = |instance: &Instance| seen.insert((place.provider.clone(), instance.id.clone()));
        let ours = standing.ours.into_iter().filter(|instance| fresh(instance)).collect();
        places.push((place.clone(), at, ours));
    }
    for (owned, ip) in resources.static_ips().filter(|(owned, _)| owned.made_by.is_some()) {
        let at = owned.place().and_then(|place| at_place(&places, &place)).unwrap_or(ctx);
        if let Some(user) = foreign_user(at, ip, &ownership).await? {
            let message =
                format!("static IP {} points at {user}, which is no instance of this environment", ip.address.ip);
            return Err(EngineError::new(EngineErrorKind::Conflict, message)
                .hint("take the address from that instance first; nothing was destroyed"));
        }
    }
    // Written down first: should this run die, a request of it may come late, so nothing may count on what is there.
    for release in journal.history().await? {
        let end = match release.phase() {
            Phase::Done => Phase::Destroyed,
            phase if !phase.is_final() => Phase::Undone,
            _ => continue,
        };
        Run::new(engine, session, release, false).await?.enter(end).await?;
    }
    // Clients first, so that nobody is sent to an address that is gone.
    let values = written(&session.history, None);
    for owned in resources.owned.clone() {
        if let Resource::Record(record) = &owned.resource {
            remove_record(ctx, &owned.provider, record, &values).await?;
            forget(engine, session, &mut resources, &owned).await?;
        }
    }
    for (_, at, ours) in &places {
        destroy_all(at, &instance_selector(at), ours).await?;
        // Builders that somebody wanted to keep would outlive the last journal entry that knows of them.
        bake::destroy_machines(at, &session.authority(journal)).await?;
        remove_keys(at, &session.identity.environment.id).await?;
    }
    for owned in resources.owned.clone() {
        let at = owned.place().and_then(|place| at_place(&places, &place)).unwrap_or(ctx);
        match (&owned.resource, owned.made_by) {
            (Resource::StaticIp(ip), Some(_)) => drop(give_back(at, ip, &ownership).await?),
            (Resource::LoadBalancer(balancer), Some(_)) => destroy_balancer(at, balancer).await?,
            _ => {}
        }
        forget(engine, session, &mut resources, &owned).await?;
    }
    if images {
        let ownership = ownership_of_images(ctx, journal).await?;
        for (_, at, _) in &places {
            prune_all(at, journal, &ownership).await?;
        }
    }
    Ok(())
}

async fn forget(
    engine: &Engine<'_>,
    session: &Session,
    resources: &mut Resources,
    owned: &Owned,
) -> Result<(), EngineError> {
    resources.forget(&owned.resource);
    Ok(engine.journal().set_resources(&session.lock, resources).await?)
}

/// The context of a place.
fn at_place<'a>(places: &'a [(Place, Context, Vec<Instance>)], place: &Place) -> Option<&'a Context> {
    places.iter().find(|(known, ..)| known == place).map(|(_, at, _)| at)
}

/// Removes the login keys of all runs of the environment. The caller holds the lock, so nobody needs them.
async fn remove_keys(ctx: &Context, environment: &EnvironmentId) -> Result<(), EngineError> {
    let Some(keys) = ctx.provider.login_keys() else { return Ok(()) };
    for key in LoginKeys::list(keys, &bake::key_prefix(environment)).await? {
        keys.remove(&key.id).await?;
    }
    Ok(())
}
