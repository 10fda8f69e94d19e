//! Power: what is asked for twice is done once.

use remint_core::provider::{ErrorKind, InstanceState, PowerOp};

use super::table;
use crate::{
    Case, CaseContext, Failure, Setting,
    context::check,
    inside::{Keys, output},
    steps::refused,
};

pub(super) const CASES: &[Case] = table! {
    "power.force_stop", "a forced stop stops, and one that is stopped stays so", force_stop;
    "power.stop", "a stop that the system obeys stops, and asking again is a success", stop;
    "power.start", "a start starts what is stopped, and leaves alone what runs", start;
    "power.as_asked", "an instance that is as asked is left alone, without a mutation", as_asked;
    "power.keeps", "stopping and starting keeps id, name and labels", keeps;
    "power.keeps_disk", "what was on the disk is there after a stop and a start", keeps_disk, with(&[Setting::Boots]);
    "power.neighbour", "stopping one leaves its neighbour running", neighbour, machines(2);
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

async fn as_asked(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let spent = async |op| {
        let before = context.provider().calls().count();
        context.instances().power(&instance.id, op).await?;
        Ok::<_, Failure>(context.provider().calls().count().since(before).mutations)
    };
    let starts = spent(PowerOp::Start).await?;
    check!(starts == 0, "{starts} mutations to start what runs");
    context.patiently("stop", || context.instances().power(&instance.id, PowerOp::ForceStop)).await?;
    context.reaches(&instance.id, InstanceState::Stopped).await?;
    let stops = spent(PowerOp::Stop).await? + spent(PowerOp::ForceStop).await?;
    check!(stops == 0, "{stops} mutations to stop what is stopped");
    Ok(())
}

async fn keeps(context: CaseContext) -> Result<(), Failure> {
    let before = context.running("web").await?;
    for (op, state) in [(PowerOp::ForceStop, InstanceState::Stopped), (PowerOp::Start, InstanceState::Running)] {
        context.patiently("power", || context.instances().power(&before.id, op)).await?;
        let now = context.reaches(&before.id, state).await?;
        check!((&now.name, &now.labels) == (&before.name, &before.labels), "it was {before:?}, and is {now:?}");
        check!((&now.size, &now.image) == (&before.size, &before.image), "it was {before:?}, and is {now:?}");
    }
    check!(context.standing().await? == [before.name], "standing: {:?}", context.standing().await?);
    Ok(())
}

async fn keeps_disk(context: CaseContext) -> Result<(), Failure> {
    let keys = Keys::generate();
    let mut spec = context.spec("web").await?;
    let instance = context.opened(&mut spec, &keys, &[]).await?;
    let machine = context.booted(instance.address.as_ref(), &keys).await?;
    output(&machine, "echo kept > /etc/conformance && sync").await?;
    drop(machine);
    for (op, state) in [(PowerOp::Stop, InstanceState::Stopped), (PowerOp::Start, InstanceState::Running)] {
        context.patiently("power", || context.instances().power(&instance.id, op)).await?;
        context.reaches(&instance.id, state).await?;
    }
    let now = context.instances().get(&instance.id).await?;
    let machine = context.login(now.address.as_ref(), &keys).await?;
    let found = output(&machine, "cat /etc/conformance").await?;
    check!(found == "kept\n", "the disk has another content: {found:?}");
    Ok(())
}

async fn neighbour(context: CaseContext) -> Result<(), Failure> {
    let (one, two) = (context.running("one").await?, context.running("two").await?);
    context.patiently("stop", || context.instances().power(&one.id, PowerOp::ForceStop)).await?;
    context.reaches(&one.id, InstanceState::Stopped).await?;
    let left = context.instances().get(&two.id).await?;
    check!(left.state == InstanceState::Running, "the neighbour is {}", left.state.as_str());
    Ok(())
}
