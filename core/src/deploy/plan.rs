//! Planning: observe, then decide.

use super::{
    DeployOptions, EngineError,
    engine::Engine,
    facts::facts,
    observe::{Wanted, World},
    planner::{Plan, Refusal, decide},
    preflight,
    status::undeclared,
};
use crate::{
    context::Context,
    journal::{Release, current},
    resources::foreign,
};

/// Says what a deploy would do, and changes nothing. At most six calls to the cloud where nothing changed.
///
/// # Errors
///
/// Whatever would stop the deploy before it changes anything.
pub async fn plan(ctx: &Context, options: &DeployOptions) -> Result<Plan, EngineError> {
    plan_with(&Engine::new(ctx)?, options).await
}

pub(super) async fn plan_with(engine: &Engine<'_>, options: &DeployOptions) -> Result<Plan, EngineError> {
    let ctx = engine.ctx;
    engine.journal().check_service(&ctx.loaded.manifest.service).await?;
    let (world, wanted) = tokio::try_join!(
        World::observe(ctx, engine.journal(), None),
        Wanted::resolve(ctx, engine.journal(), options.image.as_ref())
    )?;
    engine.report_notes();
    let undeclared = undeclared(ctx, engine.journal()).await?;
    if !undeclared.is_empty() {
        let names = undeclared.join(", ");
        ctx.events.info(format!("the journal has environments without a section in the manifest: {names} (`-e NAME`)"));
    }
    if !world.foreign.is_empty() {
        let refused = Refusal::from(&foreign(ctx, &world.history, &world.foreign));
        return Ok(Plan {
            service: ctx.loaded.manifest.service.clone(),
            environment: ctx.loaded.environment.to_string(),
            current: current(&world.history).map(Release::id),
            steps: Vec::new(),
            config_compared: true,
            refused: Some(refused),
        });
    }
    let facts = facts(ctx, &world, &wanted, options.force).await?;
    let plan = decide(&facts);
    if plan.makes_release() {
        preflight::check(ctx, &world, &wanted, &facts, &plan).await?;
    }
    Ok(plan)
}
