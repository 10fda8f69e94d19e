//! Baking under the environment's lock, on one provider or on several side by side.

use futures::future::join_all;

use super::{
    EngineError, EngineErrorKind,
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
/// [`EngineError`]; nothing half-made is left, or an event has named it.
pub async fn bake(ctx: &Context) -> Result<BakeReport, EngineError> {
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
pub async fn bake_each(contexts: &[Context]) -> Result<Vec<Result<BakeReport, EngineError>>, EngineError> {
    let mut reports = Vec::new();
    let mut contexts = contexts.iter();
    // The lock is taken with the first cloud that answers; one that does not fails alone.
    let mut begun = None;
    for ctx in contexts.by_ref() {
        let engine = Engine::new(ctx)?;
        match engine.begin("bake").await {
            Ok(session) => {
                begun = Some((engine, session));
                break;
            }
            Err(error) if is_of_the_cloud(&error) => reports.push(Err(error)),
            Err(error) => return Err(error),
        }
    }
    let Some((engine, session)) = begun else { return Ok(reports) };
    let others: Vec<_> = contexts.collect();
    for ctx in &others {
        engine.journal().claim_place(&session.lock, &ctx.place()).await?;
    }
    let further = others.into_iter().map(|ctx| async {
        let engine = Engine::new(ctx)?;
        engine.join(&session).await?;
        one(&engine, &session).await
    });
    let (first, further) = tokio::join!(one(&engine, &session), join_all(further));
    engine.give_back(session.lock).await;
    reports.push(first);
    reports.extend(further);
    Ok(reports)
}

/// Whether an error says something of one cloud only.
fn is_of_the_cloud(error: &EngineError) -> bool {
    matches!(error.kind(), EngineErrorKind::Credentials | EngineErrorKind::Provider)
}

pub(super) async fn one(engine: &Engine<'_>, session: &Session) -> Result<BakeReport, EngineError> {
    let baked = bake::bake(engine.ctx, &session.authority(engine.journal())).await;
    baked.map_err(|error| session.blame(EngineError::bake(error)))
}
