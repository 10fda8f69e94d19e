//! What a bake left behind that was killed, or that was interrupted while the cloud was capturing.
//!
//! That a builder is about to be captured stands in the journal, because nothing else would show it in time: an image that
//! is not done has no labels on some clouds, and its builder cannot be destroyed until it is. A builder that is named
//! there is sealed and stopped, so its capture may be finished, and begun anew, by anybody.

use tokio::time::Instant;

use super::{BakeError, builder::key_prefix, capture, cleanup::sweep};
use crate::{
    context::Context,
    journal::{Journal, LockGuard},
};

/// Finishes the capture that an earlier run began, and removes the builders and keys of a run that died.
///
/// Costs no call where the lock was given back by whoever held it before, and no capture is under way.
///
/// # Errors
///
/// The cloud's and the journal's; [`BakeError::Cancelled`].
pub async fn recover(ctx: &Context, journal: &Journal, lock: &LockGuard) -> Result<(), BakeError> {
    let work = async {
        finish_capture(ctx, journal).await?;
        if !lock.took_over() {
            return Ok(());
        }
        sweep(ctx).await.map_err(BakeError::cloud("cannot remove what an earlier run left behind"))?;
        remove_keys(ctx).await.map_err(BakeError::cloud("cannot remove the login keys of an earlier run"))
    };
    tokio::select! {
        biased;
        done = work => done,
        () = ctx.cancel.cancelled() => Err(BakeError::Cancelled),
    }
}

/// Finishes the capture that the journal names, if it names one.
pub(super) async fn finish_capture(ctx: &Context, journal: &Journal) -> Result<(), BakeError> {
    let Some(spec) = journal.capture().await? else { return Ok(()) };
    ctx.events.info(format!("finishing the capture of {}, which was left under way", spec.name));
    if let Err(error) = capture::until_done(ctx, &spec, Instant::now()).await {
        ctx.events.warn(format!("the capture of {} came to nothing: {error}", spec.name));
    }
    Ok(journal.set_capture(None).await?)
}

/// Removes the login keys of this environment's builders. The caller holds the lock, so no builder needs them.
async fn remove_keys(ctx: &Context) -> crate::provider::Result<()> {
    let Some(keys) = ctx.provider.login_keys() else { return Ok(()) };
    for key in keys.list(&key_prefix(ctx)).await? {
        keys.remove(&key.id).await?;
    }
    Ok(())
}
