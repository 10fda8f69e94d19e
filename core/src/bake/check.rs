//! The boot check: a throw-away instance from the new image must become healthy.
//!
//! It starts without the service's configuration, which belongs to a release and may hold secrets. A service that cannot
//! start without it has its real check at the gate of the deploy, and leaves `boot_check` off.

use std::sync::Arc;

use super::{
    Authority, BakeError,
    builder::{Blueprint, Builder},
    cleanup::Cleanup,
};
use crate::{
    context::Context,
    events::Event,
    health::{HealthError, Probe, wait_healthy},
    journal::Phase,
    provider::{Fingerprint, Image},
};

/// Boots an instance from the image and asks the health check. An image that does not pass is deleted, so that no later run
/// takes it for baked, unless something was launched from it.
pub(super) async fn boot_check(
    ctx: &Context,
    authority: &Authority<'_>,
    image: &Image,
    fingerprint: &Fingerprint,
    cleanup: &Cleanup,
) -> Result<(), BakeError> {
    let blueprint = Blueprint { role: "check", image, size: &ctx.loaded.section.size, fingerprint };
    let Builder { machine, instance, .. } = Builder::launch(ctx, authority, &blueprint, cleanup).await?;
    machine.first_boot_done(false, Some(ctx.loaded.manifest.image.boot_timeout.0)).await?;
    machine.progress("checking its health");
    let health = &ctx.loaded.manifest.health;
    let session = Some(Arc::clone(machine.session()));
    let probe = Probe::of(&ctx.loaded, &ctx.services, machine.address(), session).await.map_err(BakeError::Probe)?;
    let mut on_change = |answer: &str| machine.progress(answer);
    let source = match wait_healthy(&probe, health, None, &ctx.cancel, &mut on_change).await {
        Ok(()) => {
            let (instance, name) = (instance.id, machine.name().to_owned());
            ctx.events.emit(Event::InstanceHealthy { instance, name });
            return Ok(());
        }
        Err(HealthError::Cancelled) => return Err(BakeError::Cancelled),
        Err(source) => source,
    };
    if is_in_use(authority, image).await? {
        ctx.events.warn(format!("the image {} stays: a release of an environment was launched from it", image.name));
    } else if let Err(error) = ctx.provider.images().delete(&image.id).await {
        ctx.events
            .warn(format!("could not delete the image {}: {error}; `remint images prune` removes it", image.name));
    }
    Err(BakeError::BootCheck { image: image.name.clone(), source })
}

/// Whether a release of any environment of the journal is there that was launched from the image. An environment that asks for no
/// boot check may have deployed it before.
async fn is_in_use(authority: &Authority<'_>, image: &Image) -> Result<bool, BakeError> {
    let journal = authority.journal;
    for environment in journal.environments().await? {
        let history = journal.sibling(&environment).history().await?;
        let is_gone = |phase| matches!(phase, Phase::Destroyed | Phase::Undone);
        if history.iter().any(|release| release.record.image == image.id && !is_gone(release.phase())) {
            return Ok(true);
        }
    }
    Ok(false)
}
