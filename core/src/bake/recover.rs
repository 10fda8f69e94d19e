//! What a bake left behind that was killed, or that was interrupted while the cloud was capturing.
//!
//! That a builder is about to be captured is in the journal, because nothing else would show it in time: an image that
//! is not done has no labels on some clouds, and its builder cannot be destroyed until it is. A builder that is named
//! there is sealed and stopped, so anybody may finish its capture, and begin it again.

use tokio::time::Instant;

use super::{Authority, BakeError, capture, cleanup::sweep};
use crate::context::Context;

/// Finishes the capture that an earlier run began, and removes the builders and keys of a run that died.
///
/// Costs no call where the lock was given back by whoever held it before, and no capture is under way.
///
/// # Errors
///
/// The cloud's and the journal's; [`BakeError::Cancelled`].
pub async fn recover(ctx: &Context, authority: &Authority<'_>) -> Result<(), BakeError> {
    let work = async {
        finish_capture(ctx, authority).await?;
        if !authority.lock.took_over() {
            return Ok(());
        }
        sweep(ctx, authority).await?;
        remove_keys(ctx, authority).await.map_err(BakeError::cloud("cannot remove the login keys of an earlier run"))
    };
    tokio::select! {
        biased;
        done = work => done,
        () = ctx.interrupted() => Err(BakeError::Cancelled),
    }
}

/// Finishes the capture that the journal names, if it names one. Its note stays until there is an image, or certainly none.
pub(super) async fn finish_capture(ctx: &Context, authority: &Authority<'_>) -> Result<(), BakeError> {
    let Some(spec) = authority.journal.capture().await? else { return Ok(()) };
    ctx.events.info(format!("finishing the capture of {}, which was left under way", spec.name));
    match capture::until_done(ctx, &spec, Instant::now()).await {
        Ok(image) => ctx.events.info(format!("{} is captured", image.name)),
        Err(error) if error.is_settled() => {
            ctx.events.warn(format!("the capture of {} failed: {error}", spec.name));
        }
        Err(error) => {
            ctx.events
                .warn(format!("the capture of {} is not settled yet: {error}; it stays in the journal", spec.name));
            return Ok(());
        }
    }
    Ok(authority.journal.set_capture(authority.lock, None).await?)
}

/// Removes the login keys of this environment's builders, of the runs that the journal knows. The caller holds the lock, so no
/// builder needs them.
async fn remove_keys(ctx: &Context, authority: &Authority<'_>) -> crate::provider::Result<()> {
    let Some(keys) = ctx.provider.login_keys() else { return Ok(()) };
    let runs = authority.lock.known_runs();
    for key in keys.list(&authority.builder_keys()).await?.into_iter().filter(|key| runs.has_name(&key.name)) {
        keys.remove(&key.id).await?;
    }
    Ok(())
}
