//! The boot check: a throw-away instance from the new image must become healthy.
//!
//! It starts without the service's configuration, which belongs to a release and may hold secrets. A service that cannot
//! start without it has its real check at the gate of the deploy, and leaves `boot_check` off.

use std::sync::Arc;

use super::{
    Authority, BakeError,
    builder::{Builder, Plan},
    cleanup::Cleanup,
};
use crate::{
    context::Context,
    events::Event,
    health::{HealthError, Probe, wait_healthy},
    provider::{Fingerprint, Image},
};

/// Boots an instance from the image and asks the health check. An image that does not pass is deleted, so that no later run
/// takes it for baked.
pub(super) async fn boot_check(
    ctx: &Context,
    authority: &Authority<'_>,
    image: &Image,
    fingerprint: &Fingerprint,
    cleanup: &Cleanup,
) -> Result<(), BakeError> {
    let plan = Plan { role: "check", image, size: &ctx.loaded.section.size, fingerprint };
    let Builder { machine, instance, .. } = Builder::launch(ctx, authority, &plan, cleanup).await?;
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
    if let Err(error) = ctx.provider.images().delete(&image.id).await {
        ctx.events
            .warn(format!("could not delete the image {}: {error}; `remint images prune` removes it", image.name));
    }
    Err(BakeError::BootCheck { image: image.name.clone(), source })
}
