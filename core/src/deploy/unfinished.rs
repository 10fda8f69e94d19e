//! What an interrupted run left behind: going on with it, or undoing it.

use super::{EngineError, engine::Engine, walk::Run};
use crate::{context::Context, journal::Phase, provider::ReleaseId};

/// Goes on with the release that was left unfinished.
///
/// # Errors
///
/// As [`super::deploy`].
pub async fn resume(ctx: &Context) -> Result<Option<ReleaseId>, EngineError> {
    unfinished(&Engine::new(ctx)?, "resume", false).await
}

/// Undoes the release that was left unfinished. One that is past the point of return is finished instead.
///
/// # Errors
///
/// As [`super::deploy`].
pub async fn abort(ctx: &Context) -> Result<Option<ReleaseId>, EngineError> {
    unfinished(&Engine::new(ctx)?, "abort", true).await
}

pub(super) async fn unfinished(
    engine: &Engine<'_>,
    command: &str,
    undo: bool,
) -> Result<Option<ReleaseId>, EngineError> {
    let session = engine.begin(command).await?;
    let result = async {
        let Some(last) = session.unfinished() else {
            session.lock.check().await?;
            return Ok(None);
        };
        let id = last.id();
        let mut run = Run::new(engine, &session, last.clone(), false).await?;
        if undo && last.phase() != Phase::Retiring {
            run.undo().await?;
        } else {
            run.finish().await?;
        }
        Ok(Some(id))
    }
    .await;
    engine.give_back(session.lock).await;
    result
}
