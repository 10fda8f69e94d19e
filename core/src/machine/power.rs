//! Stopping a machine.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Machine, MachineError};
use crate::{
    context::Context,
    provider::{ErrorKind, Instance, InstanceState, PowerOp, Result, Selector},
    watch::{Wait, WatchError},
};

/// How long a machine may take to heed the order to stop.
const HEEDS: Duration = Duration::from_secs(90);
/// How long it may take once its power is cut.
const CUT: Duration = Duration::from_secs(300);
/// How long the cloud may be busy with it.
const BUSY: Duration = Duration::from_secs(300);

/// Stops a machine: asks, waits, then cuts the power. `launched` is when the work with it began.
pub(crate) async fn stop(
    ctx: &Context,
    machine: &Machine,
    instance: &Instance,
    selector: &Selector,
    launched: Instant,
) -> std::result::Result<(), MachineError> {
    machine.progress("stopping");
    let limits = &ctx.provider.descriptor().limits;
    let instances = ctx.provider.instances();
    let stopped = |instance: &Instance| instance.state == InstanceState::Stopped && !instance.busy;
    for (op, patience) in [(PowerOp::Stop, HEEDS), (PowerOp::ForceStop, CUT)] {
        let asked = patiently(ctx, || instances.power(&instance.id, op)).await;
        asked.map_err(MachineError::cloud("cannot stop the builder"))?;
        let asked = Instant::now();
        // The connection breaks when the system goes down: waiting for that costs no calls.
        while op == PowerOp::Stop && !machine.session().is_closed() && asked.elapsed() < HEEDS / 3 {
            sleep(Duration::from_millis(100)).await;
        }
        let first = limits.assign_time.saturating_sub(asked.elapsed());
        let wait = Wait::new("to be stopped").first(first).short_part(launched).timeout(patience);
        match ctx.watcher.instance(selector, &instance.id, wait, stopped).await {
            Ok(_) => return Ok(()),
            Err(WatchError::TimedOut { .. }) if op == PowerOp::Stop => {
                ctx.events.warn(format!("{} does not shut down; cutting its power", machine.name()));
            }
            Err(error) => return Err(MachineError::Watch("the builder does not stop", error)),
        }
    }
    Ok(())
}

/// Repeats a call while the cloud is busy with the resource.
pub(crate) async fn patiently<T, F, Fut>(ctx: &Context, mut call: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T>>,
{
    let started = Instant::now();
    loop {
        match call().await {
            Err(error) if error.kind() == ErrorKind::Busy && started.elapsed() < BUSY => {
                let pause = ctx.provider.descriptor().limits.assign_time / 2;
                sleep(error.retry_after().unwrap_or(pause.max(Duration::from_millis(200)))).await;
            }
            other => return other,
        }
    }
}
