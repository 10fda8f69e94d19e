//! Power: what is asked for twice is done once.

use remint_core::provider::{ErrorKind, InstanceState, PowerOp};

use super::table;
use crate::{Case, CaseContext, Failure, steps::refused};

pub(super) const CASES: &[Case] = table! {
    "power.force_stop", "a forced stop stops, and one that is stopped stays so", force_stop;
    "power.stop", "a stop that the system obeys stops, and asking again is a success", stop;
    "power.start", "a start starts what is stopped, and leaves alone what runs", start;
    "power.unknown", "an instance that is gone has no power", unknown;
};

async fn force_stop(context: CaseContext) -> Result<(), Failure> {
    let stopped = context.stopped("web").await?;
    for op in [PowerOp::ForceStop, PowerOp::Stop] {
        context.instances().power(&stopped.id, op).await?;
    }
    context.reaches(&stopped.id, InstanceState::Stopped).await?;
    Ok(())
}

async fn stop(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let instances = context.instances();
    for _ in 0..3 {
        context.patiently("stop", || instances.power(&instance.id, PowerOp::Stop)).await?;
    }
    context.reaches(&instance.id, InstanceState::Stopped).await?;
    Ok(())
}

async fn start(context: CaseContext) -> Result<(), Failure> {
    let stopped = context.stopped("web").await?;
    let instances = context.instances();
    for _ in 0..3 {
        context.patiently("start", || instances.power(&stopped.id, PowerOp::Start)).await?;
    }
    context.reaches(&stopped.id, InstanceState::Running).await?;
    instances.power(&stopped.id, PowerOp::Start).await?;
    context.reaches(&stopped.id, InstanceState::Running).await?;
    Ok(())
}

async fn unknown(context: CaseContext) -> Result<(), Failure> {
    let former = context.former_instance().await?;
    for op in [PowerOp::Start, PowerOp::Stop, PowerOp::ForceStop] {
        let result = context.instances().power(&former, op).await;
        refused(result, &[ErrorKind::NotFound], "switching what is gone")?;
    }
    Ok(())
}
