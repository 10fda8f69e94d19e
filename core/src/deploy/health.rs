//! Asking the service at an address, from here.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use super::{EngineError, EngineErrorKind};
use crate::{
    context::Context,
    health::{Probe, ProbeRun, wait_healthy},
    manifest::{HealthCheck, HttpCheck, TcpCheck},
    provider::{Address, ListenerProtocol, LoadBalancer, LoadBalancerSettings},
    remote::Session,
    traffic::address_of,
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
    if is_silent(ctx) {
        sleep(during).await;
        return Ok(());
    }
    let probe = probe_of(ctx, address, None).await?;
    observe_by(ctx, &probe, during).await
}

async fn observe_by(ctx: &Context, probe: &Probe, during: Duration) -> Result<(), EngineError> {
    let health = &ctx.loaded.manifest.health;
    let started = Instant::now();
    loop {
        wait_healthy(probe, health, None, &ctx.cancel, &mut |_| {}).await?;
        if started.elapsed() >= during {
            return Ok(());
        }
        sleep(health.interval.0).await;
    }
}

/// As [`observe`], of the service behind a load balancer, through its own address. Where nobody can ask from here, it only waits.
pub(super) async fn observe_balancer(
    ctx: &Context,
    balancer: &LoadBalancer,
    during: Duration,
) -> Result<(), EngineError> {
    match probe_of_balancer(ctx, balancer).await? {
        Some(probe) => observe_by(ctx, &probe, during).await,
        None => {
            sleep(during).await;
            Ok(())
        }
    }
}

/// Whether clients of a load balancer are answered as they should be, asked once; `true` where nobody can ask from here.
pub(super) async fn is_well_behind(ctx: &Context, balancer: &LoadBalancer) -> Result<bool, EngineError> {
    match probe_of_balancer(ctx, balancer).await? {
        Some(probe) => Ok(probe.ask().await.is_ok()),
        None => Ok(true),
    }
}

async fn probe_of_balancer(ctx: &Context, balancer: &LoadBalancer) -> Result<Option<Probe>, EngineError> {
    let check = through(&ctx.loaded.manifest.health.check, &balancer.settings).filter(|_| !is_silent(ctx));
    let Some(check) = check else { return Ok(None) };
    let address = address_of(balancer)?;
    let probe = Probe::asking(&check, &ctx.loaded, &ctx.services, address, None).await;
    probe.map(Some).map_err(|reason| EngineError::new(EngineErrorKind::Manifest, format!("{reason} (health.check)")))
}

/// The check of an instance, as it is asked through a load balancer; `None` where no listener leads to the service, or where only
/// others may connect.
fn through(check: &HealthCheck, settings: &LoadBalancerSettings) -> Option<HealthCheck> {
    if !settings.sources.is_empty() {
        return None;
    }
    let port = check.port()?;
    let listener = settings.listeners.iter().find(|listener| listener.target_port == port)?;
    match check {
        HealthCheck::Http(http) => {
            let https = http.https || listener.protocol == ListenerProtocol::Https;
            Some(HealthCheck::Http(HttpCheck { port: Some(listener.port), https, ..http.clone() }))
        }
        HealthCheck::Tcp(_) => Some(HealthCheck::Tcp(TcpCheck { port: listener.port })),
        HealthCheck::Command(_) => None,
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
