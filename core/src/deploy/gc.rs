//! Removing: what nothing accounts for, and on request everything.

use std::time::Duration;

use jiff::SignedDuration;
use serde::Serialize;

use super::{
    DeployError,
    engine::{Engine, Run},
    images::prune_all,
    launch::destroy_all,
    observe::{instance_selector, instances, release_of},
};
use crate::{
    context::Context,
    journal::{Phase, Release, Resources, current},
    manifest::Retire,
    provider::{Instance, Selector, label},
    watch::{Observed, Wait},
};

/// After so long, a builder is no longer at work: longer than boot and capture may take by default.
const BUILDER_LASTS: SignedDuration = SignedDuration::from_hours(3);

/// Something that nothing accounts for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Leftover {
    /// `instance`, `builder`, `login key`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Why it is a leftover.
    pub why: String,
}

/// Finds what neither the journal nor a running bake accounts for, and removes it unless `dry`.
///
/// # Errors
///
/// The cloud's and the journal's.
pub async fn gc(ctx: &Context, dry: bool) -> Result<Vec<Leftover>, DeployError> {
    gc_with(&Engine::new(ctx)?, dry).await
}

pub(super) async fn gc_with(engine: &Engine<'_>, dry: bool) -> Result<Vec<Leftover>, DeployError> {
    let lock = if dry { None } else { Some(engine.lock("gc").await?) };
    let found = collect(engine, dry).await;
    if let Some(lock) = lock {
        engine.give_back(lock).await;
    }
    found
}

async fn collect(engine: &Engine<'_>, dry: bool) -> Result<Vec<Leftover>, DeployError> {
    let ctx = engine.ctx;
    let history = engine.journal().history().await?;
    let orphans: Vec<_> =
        instances(ctx).await?.into_iter().filter(|instance| !is_accounted_for(ctx, &history, instance)).collect();
    // Who bakes holds the lock; and so do we, unless nothing is to be removed.
    let quiet = !dry || engine.journal().held().await?.is_none();
    let builders = idle_builders(ctx, quiet).await?;
    let mut found: Vec<Leftover> = orphans.iter().map(orphan).chain(builders.iter().map(builder)).collect();
    let unfinished = history.last().filter(|last| !last.phase().is_final());
    if let (Some(keys), None) = (ctx.provider.login_keys(), unfinished) {
        let prefix = format!("remint-{}-{}-", ctx.loaded.manifest.service, ctx.loaded.environment);
        let of_a_run = |name: &str| {
            let rest = name.strip_prefix(&prefix).unwrap_or_default();
            rest.strip_prefix('r').is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit()))
                || (quiet && rest.starts_with("bake-"))
        };
        for key in keys.list(&prefix).await?.into_iter().filter(|key| of_a_run(&key.name)) {
            let why = "nothing is being baked or gated".to_owned();
            found.push(Leftover { kind: "login key", name: key.name, why });
            if !dry {
                keys.remove(&key.id).await?;
            }
        }
    }
    if !dry {
        destroy_all(ctx, &orphans).await?;
        destroy_all(ctx, &builders).await?;
    }
    Ok(found)
}

fn is_accounted_for(ctx: &Context, history: &[Release], instance: &Instance) -> bool {
    let Some(release) = release_of(instance).and_then(|id| history.iter().find(|release| release.id() == id)) else {
        return false;
    };
    let serving = current(history);
    let parked = serving
        .and_then(|release| release.record.replaces)
        .filter(|_| ctx.loaded.manifest.deploy.retire == Retire::Park);
    !release.phase().is_final() || serving.map(Release::id) == Some(release.id()) || parked == Some(release.id())
}

fn orphan(instance: &Instance) -> Leftover {
    let why = match release_of(instance) {
        Some(release) => format!("{release} neither serves nor is parked nor is being deployed"),
        None => "it belongs to no release".to_owned(),
    };
    Leftover { kind: "instance", name: instance.name.clone(), why }
}

fn builder(instance: &Instance) -> Leftover {
    Leftover { kind: "builder", name: instance.name.clone(), why: "nothing is being baked with it".to_owned() }
}

/// Builders that nobody works with: those of this environment where it is `quiet`, and those of others that are too old.
async fn idle_builders(ctx: &Context, quiet: bool) -> Result<Vec<Instance>, DeployError> {
    let service = Selector::all().with(label::SERVICE, &ctx.loaded.manifest.service);
    let oldest = crate::clock::wall() - BUILDER_LASTS;
    let mut old = Vec::new();
    for role in ["builder", "check"] {
        let all = ctx.provider.instances().list(&service.clone().with(label::ROLE, role)).await?;
        let here = Some(ctx.loaded.environment.as_str());
        old.extend(all.into_iter().filter(|instance| {
            (quiet && instance.labels.get(label::ENV) == here) || instance.created_at.is_some_and(|at| at < oldest)
        }));
    }
    Ok(old)
}

/// Removes an environment: record, instances, the static IP that Remint made, and with `images` the service's images.
///
/// # Errors
///
/// The cloud's and the journal's; running it again goes on.
pub async fn destroy(ctx: &Context, images: bool) -> Result<(), DeployError> {
    destroy_with(&Engine::new(ctx)?, images).await
}

pub(super) async fn destroy_with(engine: &Engine<'_>, images: bool) -> Result<(), DeployError> {
    let ctx = engine.ctx;
    let lock = engine.lock("destroy").await?;
    let mut resources = engine.journal().resources().await?;
    // Clients first, so that nobody is sent to an address that is gone.
    if let (Some(owned), Some(zones)) = (resources.record.take(), ctx.dns_provider().dns_zones()) {
        zones.remove(&owned.zone, &owned.name, owned.kind).await?;
        engine.journal().set_resources(&lock, &resources).await?;
    }
    let all = ctx.provider.instances().list(&instance_selector(ctx)).await?;
    destroy_all(ctx, &all).await?;
    give_back(ctx, &resources).await?;
    engine.journal().set_resources(&lock, &Resources::default()).await?;
    if images {
        prune_all(ctx).await?;
    }
    for release in engine.journal().history().await? {
        let end = match release.phase() {
            Phase::Done => Phase::Destroyed,
            phase if !phase.is_final() => Phase::Undone,
            _ => continue,
        };
        Run::new(engine, &lock, release, false).await?.enter(end).await?;
    }
    lock.release().await?;
    Ok(())
}

async fn give_back(ctx: &Context, resources: &Resources) -> Result<(), DeployError> {
    let (Some(owned), Some(static_ips)) = (&resources.static_ip, ctx.provider.static_ips()) else { return Ok(()) };
    if owned.made_by.is_none() {
        return Ok(());
    }
    let wait = Wait::new("to be given back").timeout(Duration::from_secs(120));
    let release = || async move { static_ips.release(&owned.id).await.map(Observed::Done) };
    Ok(ctx.watcher.poll(&format!("static IP {}", owned.id), wait, release).await?)
}
