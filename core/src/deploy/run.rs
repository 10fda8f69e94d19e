//! The commands that change what serves.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::{
    Baker, DeployError, DeployErrorKind, Plan, Step,
    engine::{Engine, Run},
    observe::{World, release_of},
    plan::facts,
    planner::decide,
    preflight,
};
use crate::{
    context::Context,
    events::Event,
    journal::{Entry, LockGuard, Phase, Release, ReleaseRecord, current},
    provider::{
        CallCount, Capability, Fingerprint, ImageId, ImageState, Instance, InstanceState, Labels, ReleaseId, label,
    },
};

/// How a deploy is made.
#[derive(Debug, Clone, Default)]
pub struct DeployOptions {
    /// Replace the instances although nothing changed.
    pub force: bool,
    /// Launch this image, which Remint need not have made, and skip the bake: the cloud's id of it, or the name of a public
    /// one. The release's fingerprint says so, and the image is never deleted by [`super::prune`].
    pub image: Option<ImageId>,
}

/// What a deploy did.
#[derive(Debug, Clone, Serialize)]
pub struct DeployReport {
    /// The release that serves now.
    pub release: Option<ReleaseId>,
    /// What was planned; no steps when there was nothing to do.
    pub plan: Plan,
    /// Whether the image was baked now.
    pub baked: bool,
    /// How long it took.
    pub elapsed: Duration,
    /// What it cost in API calls.
    pub calls: CallCount,
}

/// Makes what serves be what the manifest says.
///
/// `baker` makes the image where there is none. A release that an earlier run left unfinished is finished first, or undone where it is not what is wanted any more.
///
/// # Errors
///
/// [`DeployError`]; by then what was begun is undone, unless the error's hints say otherwise.
pub async fn deploy(ctx: &Context, options: DeployOptions, baker: &dyn Baker) -> Result<DeployReport, DeployError> {
    let engine = Engine::new(ctx)?;
    deploy_with(&engine, options, baker).await
}

pub(super) async fn deploy_with(
    engine: &Engine<'_>,
    options: DeployOptions,
    baker: &dyn Baker,
) -> Result<DeployReport, DeployError> {
    let lock = engine.lock("deploy").await?;
    let result = deploy_locked(engine, &lock, options, baker).await;
    engine.give_back(lock).await;
    result
}

async fn deploy_locked(
    engine: &Engine<'_>,
    lock: &LockGuard,
    options: DeployOptions,
    baker: &dyn Baker,
) -> Result<DeployReport, DeployError> {
    let ctx = engine.ctx;
    let meter = Meter::start(ctx);
    let mut world = World::observe(ctx, engine.journal(), engine.outside(), options.image.as_ref()).await?;
    let mut found = facts(ctx, &world, engine.outside(), options.force).await?;
    let plan = decide(&found);
    if found.unfinished.is_some() {
        settle(engine, lock, &world).await?;
        world = World::observe(ctx, engine.journal(), engine.outside(), options.image.as_ref()).await?;
        found = facts(ctx, &world, engine.outside(), options.force).await?;
    }
    let now = decide(&found);
    let mut report = meter.report(plan, current(&world.history).map(Release::id));
    if !now.changes() {
        return Ok(report);
    }
    if !now.makes_release() {
        repair(engine, lock, &world).await?;
        return Ok(meter.report(report.plan, report.release));
    }
    preflight::check(ctx, &world, &found, engine.outside()).await?;
    let image = match &found.image {
        Some(image) => {
            announce(ctx, image, &found.fingerprint);
            image.clone()
        }
        None => {
            report.baked = true;
            baker.bake(ctx).await?
        }
    };
    if ctx.cancel.is_cancelled() {
        return Err(DeployError::interrupted());
    }
    let chosen = Chosen { image, fingerprint: found.fingerprint.clone(), rollback_of: None, stands: None };
    let release = new_release(engine, lock, &world, chosen).await?;
    let finished = Run::new(engine, lock, release, true).await?.finish().await?;
    let baked = report.baked;
    report = meter.report(report.plan, Some(finished.id()));
    report.baked = baked;
    let DeployReport { calls, elapsed, .. } = report;
    ctx.events.emit(Event::ReleaseFinished { release: finished.id(), calls, elapsed });
    Ok(report)
}

/// Tells of an image that is there; a bake tells of its own.
fn announce(ctx: &Context, image: &ImageId, fingerprint: &Fingerprint) {
    let (image, fingerprint) = (image.clone(), fingerprint.clone());
    ctx.events.emit(Event::ImageReady { image, fingerprint, reused: true });
}

/// Finishes the release that was left unfinished, or undoes it: where it has not switched yet and is not what is wanted.
async fn settle(engine: &Engine<'_>, lock: &LockGuard, world: &World) -> Result<(), DeployError> {
    let Some(last) = world.history.last().filter(|last| !last.phase().is_final()) else { return Ok(()) };
    let ctx = engine.ctx;
    let mut run = Run::new(engine, lock, last.clone(), false).await?;
    if last.phase() == Phase::Failed || (!last.entered(Phase::Switching) && !is_wanted(engine, world, last).await?) {
        ctx.events.info(format!("{} was left unfinished in {}: undoing it", last.id(), last.phase()));
        return run.undo().await;
    }
    ctx.events.info(format!("{} was left unfinished in {}: going on", last.id(), last.phase()));
    run.finish().await.map(|_| ())
}

async fn is_wanted(engine: &Engine<'_>, world: &World, release: &Release) -> Result<bool, DeployError> {
    let ctx = engine.ctx;
    let record = &release.record;
    let static_ip = world.static_ip.as_ref().map(|ip| ip.address.ip);
    Ok(record.rollback_of.is_none()
        && record.fingerprint == world.recipe.fingerprint
        && record.size == ctx.loaded.section.size
        && record.region == ctx.loaded.section.region
        && engine.outside().config_digest(ctx, &record.salt, static_ip).await? == record.config_digest)
}

/// Puts address and record right where only they are wrong.
async fn repair(engine: &Engine<'_>, lock: &LockGuard, world: &World) -> Result<(), DeployError> {
    let Some(current) = current(&world.history) else { return Ok(()) };
    let mut run = Run::new(engine, lock, current.clone(), false).await?;
    run.switch().await
}

struct Chosen {
    image: ImageId,
    fingerprint: Fingerprint,
    rollback_of: Option<ReleaseId>,
    /// What the instance that is taken over was launched with, where none is launched.
    stands: Option<ReleaseRecord>,
}

async fn new_release(
    engine: &Engine<'_>,
    lock: &LockGuard,
    world: &World,
    chosen: Chosen,
) -> Result<Release, DeployError> {
    let ctx = engine.ctx;
    let (region, size, salt, config_digest) = match chosen.stands {
        // What is taken over stays as it is: the next plan must see where it is not what the manifest says now.
        Some(former) => (former.region, former.size, former.salt, former.config_digest),
        None => {
            let salt = hex::encode(crate::chance::bytes::<16>());
            let static_ip = world.static_ip.as_ref().map(|ip| ip.address.ip);
            let digest = engine.outside().config_digest(ctx, &salt, static_ip).await?;
            (ctx.loaded.section.region.clone(), ctx.loaded.section.size.clone(), salt, digest)
        }
    };
    let inputs = match chosen.rollback_of {
        None => world.recipe.inputs.clone(),
        Some(of) => {
            let former = world.history.iter().find(|release| release.id() == of);
            former.map(|release| release.record.inputs.clone()).unwrap_or_default()
        }
    };
    let record = ReleaseRecord {
        id: ReleaseId(world.history.last().map_or(1, |last| last.id().0 + 1)),
        service: ctx.loaded.manifest.service.clone(),
        environment: ctx.loaded.environment.clone(),
        provider: ctx.loaded.provider.clone(),
        region,
        size,
        count: ctx.loaded.manifest.instance.count,
        image: chosen.image,
        fingerprint: chosen.fingerprint,
        inputs,
        config_digest,
        salt,
        rollback_of: chosen.rollback_of,
        replaces: current(&world.history).map(Release::id),
        commit: engine.outside().commit(ctx).await,
        created_by: engine.author(),
        created_at: crate::clock::wall(),
    };
    Ok(engine.journal().create(lock, record).await?)
}

/// Goes back to an earlier release: the one before the current one, or the one that is named.
///
/// At once where its instance is parked and healthy; else from its image. Nothing is baked.
///
/// # Errors
///
/// [`DeployErrorKind::Conflict`] when there is no such release or its image is gone; else as [`deploy`].
pub async fn rollback(ctx: &Context, to: Option<ReleaseId>) -> Result<DeployReport, DeployError> {
    let engine = Engine::new(ctx)?;
    rollback_with(&engine, to).await
}

pub(super) async fn rollback_with(engine: &Engine<'_>, to: Option<ReleaseId>) -> Result<DeployReport, DeployError> {
    let lock = engine.lock("rollback").await?;
    let result = rollback_locked(engine, &lock, to).await;
    engine.give_back(lock).await;
    result
}

async fn rollback_locked(
    engine: &Engine<'_>,
    lock: &LockGuard,
    to: Option<ReleaseId>,
) -> Result<DeployReport, DeployError> {
    let ctx = engine.ctx;
    let meter = Meter::start(ctx);
    let mut world = World::observe(ctx, engine.journal(), engine.outside(), None).await?;
    if world.history.last().is_some_and(|last| !last.phase().is_final()) {
        settle(engine, lock, &world).await?;
        world = World::observe(ctx, engine.journal(), engine.outside(), None).await?;
    }
    let target = target(ctx, &world, to)?.clone();
    let image = match ctx.provider.images().get(&target.record.image).await {
        Ok(image) if image.state == ImageState::Available => image,
        _ => {
            let message = format!("the image of {} ({}) is gone", target.id(), target.record.image);
            return Err(DeployError::new(DeployErrorKind::Conflict, message)
                .hint("check out the commit of that release and run `remint deploy`, which bakes it again"));
        }
    };
    let fingerprint = target.record.fingerprint.clone();
    announce(ctx, &image.id, &fingerprint);
    let plan = Plan {
        service: ctx.loaded.manifest.service.clone(),
        environment: ctx.loaded.environment.to_string(),
        current: current(&world.history).map(Release::id),
        steps: vec![Step::Reuse { image: image.id.clone(), fingerprint: fingerprint.clone() }],
    };
    let parked = parked(engine, &world, &target).await;
    let stands = parked.as_ref().map(|_| target.record.clone());
    let chosen = Chosen { image: image.id, fingerprint, rollback_of: Some(target.id()), stands };
    let release = new_release(engine, lock, &world, chosen).await?;
    let mut run = Run::new(engine, lock, release, true).await?;
    if let Some(parked) = parked {
        adopt(&mut run, &parked).await?;
    }
    let finished = run.finish().await?;
    let report = meter.report(plan, Some(finished.id()));
    let DeployReport { calls, elapsed, .. } = report;
    ctx.events.emit(Event::ReleaseFinished { release: finished.id(), calls, elapsed });
    Ok(report)
}

fn target<'a>(ctx: &Context, world: &'a World, to: Option<ReleaseId>) -> Result<&'a Release, DeployError> {
    let serving = current(&world.history).map(Release::id);
    let before = |release: &&Release| release.phase() == Phase::Done && Some(release.id()) < serving;
    let found = match to {
        Some(id) => world.history.iter().find(|release| release.id() == id && release.phase() == Phase::Done),
        None => {
            // What was rolled back from is not what one goes back to next.
            let skip = current(&world.history).and_then(|release| release.record.rollback_of);
            world.history.iter().rev().filter(before).find(|release| skip.is_none_or(|skip| release.id() < skip))
        }
    };
    found.ok_or_else(|| {
        let environment = &ctx.loaded.environment;
        let message = match to {
            Some(id) => format!("{id} in {environment} never served"),
            None => format!("there is no release in {environment} to go back to"),
        };
        DeployError::new(DeployErrorKind::Conflict, message).hint("`remint history` lists the releases")
    })
}

/// The parked instance of a release, if it is healthy, and can be handed to a new release.
async fn parked(engine: &Engine<'_>, world: &World, target: &Release) -> Option<Instance> {
    let ctx = engine.ctx;
    if !ctx.provider.descriptor().has(Capability::InstanceRelabel) {
        return None;
    }
    let gated = target.gated();
    let stands = |instance: &&Instance| {
        release_of(instance) == Some(target.id())
            && instance.state == InstanceState::Running
            && gated.contains(&instance.id)
    };
    let instance = world.instances.iter().find(stands)?;
    match engine.outside().ask(ctx, instance.address.as_ref()?).await {
        Some(Ok(())) => Some(instance.clone()),
        _ => None,
    }
}

/// Hands a parked instance, which passed its gate under its own release, to a new release.
async fn adopt(run: &mut Run<'_>, parked: &Instance) -> Result<(), DeployError> {
    run.enter(Phase::Launching).await?;
    run.fresh = false;
    run.note(Entry::Launching { names: vec![parked.name.clone()] }).await?;
    let labels = Labels::new().with(label::RELEASE, run.release.id().0.to_string());
    run.ctx.provider.instances().label(&parked.id, &labels).await?;
    run.note(Entry::Launched { instances: vec![parked.id.clone()], host_key: None }).await?;
    run.note(Entry::GatePassed { instance: parked.id.clone() }).await
}

/// Goes on with the release that was left unfinished.
///
/// # Errors
///
/// As [`deploy`].
pub async fn resume(ctx: &Context) -> Result<Option<ReleaseId>, DeployError> {
    let engine = Engine::new(ctx)?;
    unfinished(&engine, "resume", false).await
}

/// Undoes the release that was left unfinished. One that is past the point of return is finished instead.
///
/// # Errors
///
/// As [`deploy`].
pub async fn abort(ctx: &Context) -> Result<Option<ReleaseId>, DeployError> {
    let engine = Engine::new(ctx)?;
    unfinished(&engine, "abort", true).await
}

pub(super) async fn unfinished(
    engine: &Engine<'_>,
    command: &str,
    undo: bool,
) -> Result<Option<ReleaseId>, DeployError> {
    let lock = engine.lock(command).await?;
    let result = async {
        let history = engine.journal().history().await?;
        let Some(last) = history.last().filter(|last| !last.phase().is_final()) else { return Ok(None) };
        let id = last.id();
        let mut run = Run::new(engine, &lock, last.clone(), false).await?;
        if undo && last.phase() != Phase::Retiring {
            run.undo().await?;
        } else {
            run.finish().await?;
        }
        Ok(Some(id))
    }
    .await;
    engine.give_back(lock).await;
    result
}

/// Time and calls of a command.
struct Meter<'a> {
    ctx: &'a Context,
    started: Instant,
    before: CallCount,
}

impl<'a> Meter<'a> {
    fn start(ctx: &'a Context) -> Self {
        Self { ctx, started: Instant::now(), before: ctx.provider.calls().count() }
    }

    fn report(&self, plan: Plan, release: Option<ReleaseId>) -> DeployReport {
        let calls = self.ctx.provider.calls().count().since(self.before);
        DeployReport { release, plan, baked: false, elapsed: self.started.elapsed(), calls }
    }
}
