//! Baking under the environment's lock, on one provider or on several side by side.

use futures::future::join_all;

use super::{
    DeployError,
    engine::{Engine, Session},
};
use crate::{
    bake::{self, BakeReport},
    context::Context,
};

/// Makes sure that an image of the manifest's recipe exists.
///
/// # Errors
///
/// [`DeployError`]; nothing half-made is left, or an event has named it.
pub async fn bake(ctx: &Context) -> Result<BakeReport, DeployError> {
    let engine = Engine::new(ctx)?;
    let session = engine.begin("bake").await?;
    let report = one(&engine, &session).await;
    engine.give_back(session.lock).await;
    report
}

/// Bakes on each provider at the same time, under one lock, as the contexts are of one environment. One that fails stops no
/// other.
///
/// # Errors
///
/// The lock's, and what [`bake`] refuses before anything is created.
pub async fn bake_each(contexts: &[Context]) -> Result<Vec<Result<BakeReport, DeployError>>, DeployError> {
    let Some((first, others)) = contexts.split_first() else { return Ok(Vec::new()) };
    let engine = Engine::new(first)?;
    let session = engine.begin("bake").await?;
    for ctx in contexts {
        engine.journal().claim_place(&session.lock, &ctx.place()).await?;
    }
    let further = others.iter().map(|ctx| async {
        let engine = Engine::new(ctx)?;
        engine.join(&session).await?;
        one(&engine, &session).await
    });
    let (first, further) = tokio::join!(one(&engine, &session), join_all(further));
    engine.give_back(session.lock).await;
    Ok([first].into_iter().chain(further).collect())
}

async fn one(engine: &Engine<'_>, session: &Session) -> Result<BakeReport, DeployError> {
    let baked = bake::bake(engine.ctx, &session.authority(engine.journal())).await;
    baked.map_err(|error| session.blame(DeployError::bake(error)))
}
