//! Deploying: what serves becomes what the manifest says.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::{
    EngineError, Plan, configuration,
    engine::{Engine, Session},
    facts::facts,
    observe::{Wanted, World},
    planner::{Facts, decide},
    preflight,
    walk::Run,
};
use crate::{
    bake::BakeError,
    context::Context,
    events::Event,
    journal::{Phase, Release, ReleaseRecord, current},
    manifest::Git,
    provider::{CallCount, Fingerprint, ImageId, ReleaseId},
    recipe::InputDigest,
    spawn,
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

/// How a deploy ended, and what it took. Commands print it as their result.
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
/// Bakes the image where there is none. A release that an earlier run left unfinished is finished first, or undone where
/// it is not what is wanted any more.
///
/// # Errors
///
/// [`EngineError`]; by then what was begun is undone, unless the error's hints say otherwise.
pub async fn deploy(ctx: &Context, options: DeployOptions) -> Result<DeployReport, EngineError> {
    deploy_with(&Engine::new(ctx)?, options).await
}

pub(super) async fn deploy_with(engine: &Engine<'_>, options: DeployOptions) -> Result<DeployReport, EngineError> {
    let mut session = engine.begin("deploy").await?;
    let result = deploy_locked(engine, &mut session, options).await;
    engine.give_back(session.lock).await;
    result
}

async fn deploy_locked(
    engine: &Engine<'_>,
    session: &mut Session,
    options: DeployOptions,
) -> Result<DeployReport, EngineError> {
    let ctx = engine.ctx;
    let meter = Meter::start(ctx);
    let unfinished = session.unfinished();
    let mut settled = None;
    if let Some(last) = &unfinished {
        // Whatever the manifest says now, what was begun comes to its end first.
        settled = Some((last.id(), last.phase()));
        settle(engine, session, last, &options).await?;
        session.look_again(engine.journal()).await?;
    }
    let session: &Session = session;
    let standing = unfinished.is_none().then(|| session.standing.clone());
    let look = async {
        let (world, wanted) = tokio::try_join!(
            World::observe(ctx, engine.journal(), standing),
            Wanted::resolve(ctx, engine.journal(), options.image.as_ref())
        )?;
        let found = facts(ctx, &world, &wanted, options.force).await?;
        Ok::<_, EngineError>((world, wanted, found))
    };
    let (world, wanted, found) = engine.until_interrupted(look).await?;
    let plan = decide(&found);
    let told = decide(&Facts { unfinished: settled, ..found.clone() });
    let mut report = meter.report(told, current(&world.history).map(Release::id));
    if !plan.changes() {
        // Nothing was to be changed, so nothing has asked yet whether the lock still holds.
        session.lock.check().await?;
        return Ok(report);
    }
    if !plan.makes_release() {
        repair(engine, session, &world).await?;
        return Ok(meter.report(report.plan, report.release));
    }
    engine.until_interrupted(preflight::check(ctx, &world, &wanted, &found, &plan)).await?;
    let keeps = found.keeps();
    let serving = current(&world.history);
    let kept_image = serving.filter(|_| !plan.launches()).map(|serving| serving.record.image.clone());
    let image = match (&found.image, kept_image) {
        (_, Some(image)) => image,
        (Some(image), None) => {
            announce(ctx, image, &found.fingerprint);
            image.clone()
        }
        (None, None) => {
            report.baked = true;
            bake(engine, session).await?
        }
    };
    if ctx.cancel.is_cancelled() {
        return Err(EngineError::interrupted());
    }
    let chosen = Chosen {
        image,
        fingerprint: found.fingerprint.clone(),
        inputs: wanted.recipe.inputs.clone(),
        rollback_of: None,
        // Where instances stay, the configuration that they were launched with is the one that is wanted.
        stands: serving.filter(|_| !keeps.is_empty()).map(|serving| serving.record.clone()),
    };
    let release = new_release(engine, session, &world, chosen).await?;
    let mut run = Run::new(engine, session, release, true).await?;
    if let Some(serving) = serving.filter(|_| !keeps.is_empty()) {
        run.keep_instances(&keeps, serving.id()).await?;
    }
    let finished = run.finish().await?;
    let baked = report.baked;
    report = meter.report(report.plan, Some(finished.id()));
    report.baked = baked;
    let DeployReport { calls, elapsed, .. } = report;
    ctx.events.emit(Event::ReleaseFinished { release: finished.id(), calls, elapsed });
    Ok(report)
}

async fn bake(engine: &Engine<'_>, session: &Session) -> Result<ImageId, EngineError> {
    let report = super::bake::one(engine, session).await?;
    report.image.map(|image| image.id).ok_or_else(|| EngineError::bake(BakeError::NotCaptured))
}

/// The commit of the manifest's folder, where git knows one.
async fn commit(ctx: &Context) -> Option<String> {
    let folder = ctx.loaded.base_dir.clone();
    spawn::blocking(move || Git::new(&folder).get("sha").ok()).await
}

/// Reports an image that exists already; a bake reports its own.
pub(super) fn announce(ctx: &Context, image: &ImageId, fingerprint: &Fingerprint) {
    let (image, fingerprint) = (image.clone(), fingerprint.clone());
    ctx.events.emit(Event::ImageReady { image, fingerprint, reused: true });
}

/// Finishes the release that was left unfinished, or undoes it: where it has not switched yet and is not what is wanted.
async fn settle(
    engine: &Engine<'_>,
    session: &Session,
    last: &Release,
    options: &DeployOptions,
) -> Result<(), EngineError> {
    let mut run = Run::new(engine, session, last.clone(), false).await?;
    let ctx = engine.ctx;
    let unwanted = async { Ok(!last.entered(Phase::Switching) && !is_wanted(engine, last, options).await?) };
    if last.phase() == Phase::Failed || engine.until_interrupted(unwanted).await? {
        ctx.events.info(format!("{} was left unfinished in {}: undoing it", last.id(), last.phase()));
        return run.undo().await.map(drop);
    }
    ctx.events.info(format!("{} was left unfinished in {}: resuming it", last.id(), last.phase()));
    run.finish().await.map(drop)
}

async fn is_wanted(engine: &Engine<'_>, release: &Release, options: &DeployOptions) -> Result<bool, EngineError> {
    let (ctx, record) = (engine.ctx, &release.record);
    let manifest = &ctx.loaded.manifest;
    let other_fleet = (record.count, record.balanced) != (manifest.instance.count, manifest.load_balancer.is_some());
    let other_shape = record.place() != ctx.place() || record.size != ctx.loaded.section.size;
    if record.rollback_of.is_some() || other_fleet || other_shape {
        return Ok(false);
    }
    let wanted = Wanted::resolve(ctx, engine.journal(), options.image.as_ref()).await?;
    let resources = engine.journal().resources().await?;
    let static_ip = resources.static_ip().map(|(_, owned)| owned.address.ip);
    Ok(record.fingerprint == wanted.recipe.fingerprint
        && configuration::digest(ctx, &record.salt, static_ip).await? == record.config_digest)
}

/// Puts address, load balancer and record right where only they are wrong, and removes what is not wanted any more.
async fn repair(engine: &Engine<'_>, session: &Session, world: &World) -> Result<(), EngineError> {
    let Some(current) = current(&world.history) else { return Ok(()) };
    let mut run = Run::new(engine, session, current.clone(), false).await?;
    if current.record.balanced {
        run.put_right().await?;
    }
    run.switch().await?;
    run.remove_superseded(true).await
}

/// What a new release is made of.
pub(super) struct Chosen {
    pub(super) image: ImageId,
    pub(super) fingerprint: Fingerprint,
    pub(super) inputs: Vec<InputDigest>,
    pub(super) rollback_of: Option<ReleaseId>,
    /// What the instance that is taken over was launched with, where none is launched.
    pub(super) stands: Option<ReleaseRecord>,
}

pub(super) async fn new_release(
    engine: &Engine<'_>,
    session: &Session,
    world: &World,
    chosen: Chosen,
) -> Result<Release, EngineError> {
    let ctx = engine.ctx;
    let (region, size, salt, config_digest) = match chosen.stands {
        // What is taken over stays as it is: the next plan must see where it is not what the manifest says now.
        Some(former) => (former.region, former.size, former.salt, former.config_digest),
        None => {
            let salt = (engine.new_salt)();
            let static_ip = world.static_ip.as_ref().map(|ip| ip.address.ip);
            let digest = engine.until_interrupted(configuration::digest(ctx, &salt, static_ip)).await?;
            (ctx.loaded.section.region.clone(), ctx.loaded.section.size.clone(), salt, digest)
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
        balanced: ctx.loaded.manifest.load_balancer.is_some(),
        image: chosen.image,
        fingerprint: chosen.fingerprint,
        inputs: chosen.inputs,
        config_digest,
        salt,
        rollback_of: chosen.rollback_of,
        replaces: current(&world.history).map(Release::id),
        commit: commit(ctx).await,
        created_by: engine.holder().at(),
        ci: engine.holder().ci.clone(),
        created_at: crate::clock::wall(),
        adopted: false,
    };
    engine.journal().claim_place(&session.lock, &record.place()).await?;
    Ok(engine.journal().create(&session.lock, record).await?)
}

/// Time and calls of a command.
pub(super) struct Meter<'a> {
    ctx: &'a Context,
    started: Instant,
    before: CallCount,
}

impl<'a> Meter<'a> {
    pub(super) fn start(ctx: &'a Context) -> Self {
        Self { ctx, started: Instant::now(), before: ctx.provider.calls().count() }
    }

    pub(super) fn report(&self, plan: Plan, release: Option<ReleaseId>) -> DeployReport {
        let calls = self.ctx.provider.calls().count().since(self.before);
        DeployReport { release, plan, baked: false, elapsed: self.started.elapsed(), calls }
    }
}
