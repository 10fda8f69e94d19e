//! Asking the service at an address, from here.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use super::{EngineError, EngineErrorKind};
use crate::{
    context::Context,
    health::{Probe, ProbeRun, wait_healthy},
    manifest::HealthCheck,
    provider::Address,
    remote::Session,
};

/// How often the service is asked while the address moves.
const PROBE_EVERY: Duration = Duration::from_millis(50);

/// The manifest's health check of the service at an address. `session` is the way in for a check by command.
pub(super) async fn probe_of(
    ctx: &Context,
    address: &Address,
    session: Option<Arc<dyn Session>>,
) -> Result<Probe, EngineError> {
    Probe::of(&ctx.loaded, &ctx.services, address, session)
        .await
        .map_err(|reason| EngineError::new(EngineErrorKind::Manifest, format!("{reason} (health.check)")))
}

/// Whether nobody can ask from here: a command needs a session, and this run may not read the secrets of a header.
fn is_silent(ctx: &Context) -> bool {
    matches!(ctx.loaded.manifest.health.check, HealthCheck::Command(_)) || ctx.loaded.health_is_sealed()
}

/// Whether the service at an address is healthy now: asked once. `None` where the check cannot be asked from outside.
pub(super) async fn ask(ctx: &Context, address: &Address) -> Option<Result<(), String>> {
    if is_silent(ctx) {
        return None;
    }
    let probe = probe_of(ctx, address, None).await.ok()?;
    Some(probe.ask().await.map_err(|answer| answer.to_string()))
}

/// Whether the service at an address is healthy for so long, and before that, becomes so in time.
pub(super) async fn observe(ctx: &Context, address: &Address, during: Duration) -> Result<(), EngineError> {
    let health = &ctx.loaded.manifest.health;
    if is_silent(ctx) {
        sleep(during).await;
        return Ok(());
    }
    let probe = probe_of(ctx, address, None).await?;
    let started = Instant::now();
    loop {
        wait_healthy(&probe, health, None, &ctx.cancel, &mut |_| {}).await?;
        if started.elapsed() >= during {
            return Ok(());
        }
        sleep(health.interval.0).await;
    }
}

/// Starts to ask the service at an address again and again. `None` where the check cannot be asked from outside.
pub(super) async fn watch(ctx: &Context, address: &Address) -> Option<ProbeRun> {
    if is_silent(ctx) {
        return None;
    }
    let probe = probe_of(ctx, address, None).await.ok()?;
    Some(ProbeRun::start(probe, PROBE_EVERY))
}
