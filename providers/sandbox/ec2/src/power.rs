//! Starting, stopping, rebooting and terminating instances.
//!
//! EC2 takes a wish while it is busy with an instance: one may be terminated while it is pending, and stopped while an
//! image is taken of it. The engine does one thing at a time, so a wish that comes early is kept with the instance and
//! carried out when the engine is done.

use super::{
    call::Call,
    phase::Phase,
    reply::{missing, refuse},
    state::{Instance, Wish},
    xml::Xml,
};
use crate::State;
use remint_sandbox_cloud::{
    ApiError, ApiResult, Config,
    state::{Status, Work},
};

/// `StartInstances`.
pub(super) fn start(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    transition(call, xml, Wish::Start, |instance, phase| match phase {
        Phase::Stopped => Ok(true),
        Phase::Running | Phase::Pending => Ok(false),
        _ => Err(wrong_state(instance, "started")),
    })
    .map(drop)
}

/// `StopInstances`.
pub(super) fn stop(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let force = call.params.flag("Force")?;
    let stopping = transition(call, xml, Wish::Stop { force }, |instance, phase| match phase {
        Phase::Running if instance.spot => Err(refuse(
            "UnsupportedOperation",
            format!(
                "You can't stop the Spot Instance '{}' because it is associated with a one-time Spot Instance request.",
                instance.id
            ),
        )),
        Phase::Running => Ok(true),
        Phase::Stopping | Phase::Stopped => Ok(false),
        _ => Err(wrong_state(instance, "stopped")),
    })?;
    if force {
        // Those that are being asked to shut down already; the engine sees that their power is gone.
        for machine in stopping {
            let hypervisor = call.cloud.hypervisor().clone();
            tokio::spawn(async move {
                if let Err(error) = hypervisor.power_off(machine).await {
                    tracing::warn!(%error, "an instance cannot be forced off");
                }
            });
        }
    }
    Ok(())
}

/// `TerminateInstances`.
pub(super) fn terminate(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    transition(call, xml, Wish::Terminate, |instance, phase| match phase {
        Phase::ShuttingDown | Phase::Terminated => Ok(false),
        _ if instance.protected => Err(refuse(
            "OperationNotPermitted",
            format!(
                "The instance '{}' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.",
                instance.id
            ),
        )),
        _ => Ok(true),
    })
    .map(drop)
}

/// `RebootInstances`.
pub(super) fn reboot(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let named = named(call)?;
    call.change(|state| {
        let found = state.own.named(call.config(), call.region, &named)?;
        let mut ids = Vec::new();
        for instance in found {
            match instance.phase(state) {
                Phase::Running | Phase::Pending => ids.push(instance.id.clone()),
                _ => return Err(wrong_state(instance, "rebooted")),
            }
        }
        ids.iter().for_each(|id| ask_for(state, call.config(), id, Wish::Reboot));
        Ok(())
    })?;
    xml.text("return", true);
    Ok(())
}

/// Carries a wish out on all instances of a call, or on none, and writes their states before and after. Gives the machines
/// of those that were asked for the same before. `takes` says whether an instance in a state has to do anything.
fn transition(
    call: &Call<'_>,
    xml: &mut Xml,
    wish: Wish,
    takes: impl Fn(&Instance, Phase) -> ApiResult<bool>,
) -> ApiResult<Vec<u64>> {
    let named = named(call)?;
    let (changes, before) = call.change(|state| {
        let found = state.own.named(call.config(), call.region, &named)?;
        let mut planned = Vec::new();
        for instance in found {
            let phase = instance.phase(state);
            planned.push((instance.id.clone(), instance.machine, phase, takes(instance, phase)?));
        }
        let mut changes = Vec::new();
        let mut before = Vec::new();
        for (id, machine, phase, acts) in planned {
            if acts {
                ask_for(state, call.config(), &id, wish);
            } else if phase == Phase::Stopping {
                before.push(machine);
            }
            let after = state.own.instances.get(&id).map_or(phase, |instance| instance.phase(state));
            changes.push((id, phase, after));
        }
        Ok((changes, before))
    })?;
    xml.items("instancesSet", changes, |xml, (id, before, after)| {
        xml.text("instanceId", id);
        for (name, phase) in [("currentState", after), ("previousState", before)] {
            xml.node(name, |xml| {
                xml.text("code", phase.code()).text("name", phase.name());
            });
        }
    });
    Ok(before)
}

fn named<'a>(call: &'a Call<'_>) -> ApiResult<Vec<&'a str>> {
    let mut named = call.params.list("InstanceId");
    named.dedup();
    if named.is_empty() { Err(missing("InstanceId")) } else { Ok(named) }
}

fn wrong_state(instance: &Instance, done: &str) -> ApiError {
    refuse(
        "IncorrectInstanceState",
        format!("The instance '{}' is not in a state from which it can be {done}.", instance.id),
    )
}

/// Begins what is wished for an instance, or keeps the wish until the engine is done with it.
pub(super) fn ask_for(state: &mut State, config: &Config, id: &str, wish: Wish) {
    let Some(instance) = state.own.instances.get_mut(id) else { return };
    instance.reason = match wish {
        Wish::Terminate | Wish::Stop { .. } => {
            let code = "Client.UserInitiatedShutdown";
            Some((code.to_owned(), format!("{code}: User initiated shutdown")))
        }
        Wish::Start | Wish::Reboot => None,
    };
    let machine = instance.machine;
    match state.instances.get(&machine).map(|machine| machine.pending) {
        Some(None) => grant(state, config, machine, wish),
        // Nothing outranks a termination.
        Some(Some(_)) if instance.next != Some(Wish::Terminate) => instance.next = Some(wish),
        _ => {}
    }
}

fn grant(state: &mut State, config: &Config, machine: u64, wish: Wish) {
    let Some(found) = state.instances.get(&machine) else { return };
    let (region, status) = (found.region.clone(), found.status);
    let (kind, work) = match (wish, status) {
        (Wish::Terminate, _) => ("destroy", Work::Destroy { instance: machine }),
        (Wish::Start, Status::Off) => ("power_on", Work::PowerOn { instance: machine }),
        (Wish::Stop { force }, Status::Active) => ("stop", Work::Halt { instance: machine, force }),
        (Wish::Reboot, Status::Active) => ("reboot", Work::Reboot { instance: machine }),
        _ => return,
    };
    state.begin_on_instance(config, machine, &region, kind, work);
}

/// Goes on with what instances were asked for while the engine was busy with them. Called when an action has ended.
pub(crate) fn settle(state: &mut State, config: &Config) {
    let free = |instance: &&Instance| {
        instance.next.is_some()
            && state.instances.get(&instance.machine).is_none_or(|machine| machine.pending.is_none())
    };
    let waiting: Vec<String> = state.own.instances.values().filter(free).map(|i| i.id.clone()).collect();
    for id in waiting {
        let Some(instance) = state.own.instances.get_mut(&id) else { continue };
        let (machine, wish) = (instance.machine, instance.next.take());
        if let Some(wish) = wish {
            grant(state, config, machine, wish);
        }
    }
}

pub(crate) fn note_gone(state: &mut State, machine: u64) {
    for instance in state.own.instances.values_mut().filter(|instance| instance.machine == machine) {
        instance.next = None;
        instance.ended_at.get_or_insert_with(remint_sandbox_cloud::now);
        // Not what its owner asked for: it could not be placed.
        instance.reason.get_or_insert_with(|| {
            let message = "Server.InternalError: Internal error on launch";
            ("Server.InternalError".to_owned(), message.to_owned())
        });
    }
}

/// Notes that a guest switched itself off: some instances are terminated by that.
pub(crate) fn note_guest_off(state: &mut State, config: &Config, machine: u64) {
    let Some(instance) = state.own.instances.values_mut().find(|instance| instance.machine == machine) else { return };
    let message = "Client.InstanceInitiatedShutdown: Instance initiated shutdown";
    instance.reason = Some(("Client.InstanceInitiatedShutdown".to_owned(), message.to_owned()));
    let region = instance.region.clone();
    let goes =
        instance.shutdown_terminates && state.instances.get(&machine).is_some_and(|found| found.pending.is_none());
    if goes {
        state.begin_on_instance(config, machine, &region, "destroy", Work::Destroy { instance: machine });
    }
}
