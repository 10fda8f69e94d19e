//! Faults in `Instances::power` and `Instances::console_output`.

use remint_conformance::LostReply;
use remint_core::provider::{
    Effect, ErrorKind, InstanceId, InstanceState, Instances, PowerOp, Result, Selector, label,
};

use crate::{
    cloud::{FULL, refusal},
    sabotage::{On, Saboteur, saboteurs},
};

pub(super) const SABOTEURS: &[Saboteur] = saboteurs! {
    on &FULL;
    "power.ignores_force_stop", "`PowerOp::ForceStop`: the system cannot ignore it",
        Power(id, op) => ignores_force_stop, ["power.force_stop"];
    "power.ignores_stop", "`PowerOp::Stop`: asks the operating system to shut down",
        Power(id, op) => ignores_stop, ["power.stop"];
    "power.ignores_start", "`PowerOp::Start`: switches on",
        Power(id, op) => ignores_start, ["power.start"];
    "power.refuses_as_asked", "`Instances::power`: an instance that is already as asked is a success",
        Power(id, op) => refuses_as_asked, ["power.force_stop"];
    "power.gone_is_success", "`Instances::power`: `NotFound`",
        Power(id, op) => gone_is_success, ["power.unknown"];
    "power.always_mutates", "`Instances::power`: an instance that is already as asked is a success",
        Power(id, op) => always_mutates, ["power.as_asked"];
    "power.neighbours_too", "`Instances::power`: changes the power",
        Power(id, op) => neighbours_too, ["power.neighbour"];
    "power.forgets_labels", "`InstanceState::Stopped`: off, with its disk kept",
        Power(id, op) => forgets_labels, ["power.keeps", "images.builder_starts"];
    "power.claims_outage", "`Effect::Applied`: the change was made, although the call failed",
        Power(id, op) => claims_outage, ["outages.power"];
    "console.of_another", "`Instances::console_output`: what the instance wrote",
        Console(id) => of_another, ["instances.console_own"];
    "console.of_stopped_only", "`Instances::console_output`: the last part of what the instance wrote",
        Console(id) => of_stopped_only, ["instances.console"];
    "console.gone_is_empty", "`Instances::console_output`: `NotFound`",
        Console(id) => gone_is_empty, ["deletion.instance_methods"];
};

async fn unless(on: On, ignored: PowerOp, id: InstanceId, op: PowerOp) -> Result<()> {
    if op == ignored { Instances::get(&on.model, &id).await.map(drop) } else { on.model.power(&id, op).await }
}

async fn ignores_force_stop(on: On, id: InstanceId, op: PowerOp) -> Result<()> {
    unless(on, PowerOp::ForceStop, id, op).await
}

async fn ignores_stop(on: On, id: InstanceId, op: PowerOp) -> Result<()> {
    unless(on, PowerOp::Stop, id, op).await
}

async fn ignores_start(on: On, id: InstanceId, op: PowerOp) -> Result<()> {
    unless(on, PowerOp::Start, id, op).await
}

async fn refuses_as_asked(on: On, id: InstanceId, op: PowerOp) -> Result<()> {
    let state = Instances::get(&on.model, &id).await?.state;
    if op != PowerOp::Start && state == InstanceState::Stopped {
        return Err(refusal(ErrorKind::Conflict, "power", "the instance is stopped").with_resource(id));
    }
    on.model.power(&id, op).await
}

async fn gone_is_success(on: On, id: InstanceId, op: PowerOp) -> Result<()> {
    match on.model.power(&id, op).await {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        answer => answer,
    }
}

async fn always_mutates(on: On, id: InstanceId, op: PowerOp) -> Result<()> {
    on.change(LostReply::Power, move |world| world.power(&id, op)).await
}

async fn neighbours_too(on: On, id: InstanceId, op: PowerOp) -> Result<()> {
    let instance = Instances::get(&on.model, &id).await?;
    for other in Instances::list(&on.model, &Selector(instance.labels.0)).await? {
        on.model.power(&other.id, op).await?;
    }
    Ok(())
}

async fn forgets_labels(on: On, id: InstanceId, op: PowerOp) -> Result<()> {
    on.model.power(&id, op).await?;
    if op == PowerOp::Start {
        // As when starting is a new launch from the old disk.
        on.change(None, move |world| {
            world.machine_mut("power", &id)?.instance.labels.0.remove(label::ROLE);
            Ok(())
        })
        .await?;
    }
    Ok(())
}

async fn claims_outage(on: On, id: InstanceId, op: PowerOp) -> Result<()> {
    let once = on.serve(LostReply::Power, move |world| world.power(&id, op)).await;
    match once {
        Err(error) if error.kind() == ErrorKind::Unavailable => Err(error.with_effect(Effect::Applied)),
        answer => answer,
    }
}

async fn of_another(on: On, id: InstanceId) -> Result<String> {
    // The newest machine's, since its console is asked for by a name that all of them share.
    let newest = on.read(|world| Ok(world.machines.keys().next_back().cloned())).await?;
    on.model.console_output(&newest.unwrap_or(id)).await
}

async fn of_stopped_only(on: On, id: InstanceId) -> Result<String> {
    if Instances::get(&on.model, &id).await?.state != InstanceState::Stopped {
        return Err(refusal(ErrorKind::Conflict, "console", "the console is in use").with_resource(id));
    }
    on.model.console_output(&id).await
}

async fn gone_is_empty(on: On, id: InstanceId) -> Result<String> {
    match on.model.console_output(&id).await {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        answer => answer,
    }
}
