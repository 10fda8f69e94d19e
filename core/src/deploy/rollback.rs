//! Going back to an earlier release.

use super::{
    DeployReport, EngineError, EngineErrorKind, Plan, Step,
    engine::{Engine, Session},
    facts::check,
    health,
    observe::World,
    run::{Chosen, Meter, announce, new_release},
    walk::Run,
};
use crate::{
    context::Context,
    events::Event,
    journal::{Entry, Phase, Release, current},
    provider::{Capability, ErrorKind, ImageState, Instance, InstanceState, Labels, ReleaseId, label},
    resources::release_of,
};

/// Goes back to an earlier release: the one before the current one, or the one that is named.
///
/// At once where its instance is parked and healthy; else from its image. Nothing is baked, and neither the recipe nor its base
/// image need exist any more.
///
/// # Errors
///
/// [`EngineErrorKind::Conflict`] when there is no such release, it is the current one, or its image is gone; else as
/// [`super::deploy`].
pub async fn rollback(ctx: &Context, to: Option<ReleaseId>) -> Result<DeployReport, EngineError> {
    rollback_with(&Engine::new(ctx)?, to).await
}

pub(super) async fn rollback_with(engine: &Engine<'_>, to: Option<ReleaseId>) -> Result<DeployReport, EngineError> {
    let mut session = engine.begin("rollback").await?;
    let result = rollback_locked(engine, &mut session, to).await;
    engine.give_back(session.lock).await;
    result
}

async fn rollback_locked(
    engine: &Engine<'_>,
    session: &mut Session,
    to: Option<ReleaseId>,
) -> Result<DeployReport, EngineError> {
    let ctx = engine.ctx;
    let meter = Meter::start(ctx);
    let unfinished = session.unfinished();
    if let Some(last) = &unfinished {
        let finished = finish_or_undo(engine, session, last).await?;
        session.look_again(engine.journal()).await?;
        // An earlier run of this command began it and is finished now: to go back once more would be one release too far.
        let asked = |back| to.is_none_or(|to| to == back);
        if let Some(finished) = finished.filter(|finished| finished.record.rollback_of.is_some_and(asked)) {
            let step = Step::Settle { release: last.id(), phase: last.phase() };
            return Ok(report(ctx, &meter, Some(finished.id()), step, &finished));
        }
    }
    let session: &Session = session;
    let standing = unfinished.is_none().then(|| session.standing.clone());
    let world = engine.until_interrupted(World::observe(ctx, engine.journal(), standing)).await?;
    check(ctx, &world)?;
    let target = target(ctx, &world, to)?.clone();
    let parked = parked(engine, &world, &target).await;
    // A parked instance needs no image any more.
    if parked.is_none() {
        engine.until_interrupted(check_image(ctx, &target)).await?;
    }
    let (image, fingerprint) = (target.record.image.clone(), target.record.fingerprint.clone());
    announce(ctx, &image, &fingerprint);
    let step = Step::Reuse { image: image.clone(), fingerprint: fingerprint.clone() };
    let before = current(&world.history).map(Release::id);
    let stands = parked.as_ref().map(|_| target.record.clone());
    let inputs = target.record.inputs.clone();
    let chosen = Chosen { image, fingerprint, inputs, rollback_of: Some(target.id()), stands };
    let release = new_release(engine, session, &world, chosen).await?;
    let mut run = Run::new(engine, session, release, true).await?;
    if let Some(parked) = parked {
        adopt(&mut run, &parked, target.id()).await?;
    }
    let finished = run.finish().await?;
    Ok(report(ctx, &meter, before, step, &finished))
}

/// Reports the release that serves now. `before` served when the plan was made.
fn report(ctx: &Context, meter: &Meter<'_>, before: Option<ReleaseId>, step: Step, finished: &Release) -> DeployReport {
    let plan = Plan {
        service: ctx.loaded.manifest.service.clone(),
        environment: ctx.loaded.environment.to_string(),
        current: before,
        steps: vec![step],
        config_compared: true,
        refused: None,
    };
    let report = meter.report(plan, Some(finished.id()));
    let DeployReport { calls, elapsed, .. } = report;
    ctx.events.emit(Event::ReleaseFinished { release: finished.id(), calls, elapsed });
    report
}

/// A release that has switched is finished, one that has not is undone: what is wanted now is an earlier one. Returns the one
/// that was finished.
async fn finish_or_undo(
    engine: &Engine<'_>,
    session: &Session,
    last: &Release,
) -> Result<Option<Release>, EngineError> {
    let mut run = Run::new(engine, session, last.clone(), false).await?;
    if last.phase() == Phase::Failed || !last.entered(Phase::Switching) {
        engine.ctx.events.info(format!("{} was left unfinished in {}: undoing it", last.id(), last.phase()));
        run.undo().await?;
        return Ok(None);
    }
    engine.ctx.events.info(format!("{} was left unfinished in {}: resuming it", last.id(), last.phase()));
    run.finish().await.map(Some)
}

fn target<'a>(ctx: &Context, world: &'a World, to: Option<ReleaseId>) -> Result<&'a Release, EngineError> {
    let serving = current(&world.history);
    let environment = &ctx.loaded.environment;
    let refuse = |message: String, hint: &str| Err(EngineError::new(EngineErrorKind::Conflict, message).hint(hint));
    let Some(serving) = serving else {
        return refuse(format!("no release serves in {environment}"), "run `remint deploy`");
    };
    let found = match to {
        Some(id) if id == serving.id() => {
            return refuse(
                format!("{id} is the current release of {environment}"),
                "to replace its instance, run `remint deploy --force`",
            );
        }
        Some(id) => world.history.iter().find(|release| release.id() == id && release.phase() == Phase::Done),
        None => {
            // What was rolled back from is not what one goes back to next.
            let skip = serving.record.rollback_of;
            let before = |release: &&Release| release.phase() == Phase::Done && release.id() < serving.id();
            world.history.iter().rev().filter(before).find(|release| skip.is_none_or(|skip| release.id() < skip))
        }
    };
    match (found, to) {
        (Some(found), _) => Ok(found),
        (None, Some(id)) => {
            refuse(format!("{id} in {environment} never served"), "`remint history` lists the releases")
        }
        (None, None) => {
            refuse(format!("{environment} has no release to go back to"), "`remint history` lists the releases")
        }
    }
}

/// Whether a release can be launched from its image. Only the cloud's word that there is none means that it is gone.
async fn check_image(ctx: &Context, target: &Release) -> Result<(), EngineError> {
    let image = match ctx.provider.images().get(&target.record.image).await {
        Ok(image) => Some(image),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    let refuse = |message: String| {
        Err(EngineError::new(EngineErrorKind::Conflict, message)
            .hint("check out the commit of that release and run `remint deploy`, which bakes it again"))
    };
    match image.map(|image| image.state) {
        Some(ImageState::Available) => Ok(()),
        Some(ImageState::Pending) => refuse(format!("the image of {} is not finished yet", target.id())),
        Some(ImageState::Failed(reason)) => refuse(format!("the image of {} is broken: {reason}", target.id())),
        None => refuse(format!("the image of {} ({}) is gone", target.id(), target.record.image)),
    }
}

/// The parked instance of a release, if it is healthy, and can be handed to a new release.
async fn parked(engine: &Engine<'_>, world: &World, target: &Release) -> Option<Instance> {
    let ctx = engine.ctx;
    if !ctx.provider.descriptor().has(Capability::InstanceRelabel) {
        return None;
    }
    if ctx.loaded.manifest.load_balancer.is_some() {
        return None;
    }
    let gated = target.gated();
    let stands = |instance: &&Instance| {
        release_of(instance) == Some(target.id())
            && instance.state == InstanceState::Running
            && gated.contains(&instance.id)
    };
    let instance = world.instances.iter().find(stands)?;
    match health::ask(ctx, instance.address.as_ref()?).await {
        Some(Ok(())) => Some(instance.clone()),
        _ => None,
    }
}

/// Hands a parked instance, which passed its gate under its own release, to a new release. That it does so is written down
/// first: should the release be undone, the instance goes back.
async fn adopt(run: &mut Run<'_>, parked: &Instance, from: ReleaseId) -> Result<(), EngineError> {
    run.enter(Phase::Launching).await?;
    run.fresh = false;
    run.note(Entry::Adopting { instance: parked.id.clone(), from }).await?;
    let labels = Labels::new().with(label::RELEASE, run.release.id().0.to_string());
    run.ctx.provider.instances().label(&parked.id, &labels).await?;
    run.note(Entry::Launched { instances: vec![parked.id.clone()], host_key: None }).await?;
    run.note(Entry::GatePassed { instances: vec![parked.id.clone()] }).await
}
