//! Starting, stopping, rebooting and terminating instances.

use crate::{
    call::Call,
    instance::Phase,
    reply::{done, missing, refuse},
    state::{Instance, Wish},
    view,
    wishes::ask_for,
    xml::Xml,
};
use remint_sandbox_cloud::{ApiError, ApiResult};

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
        Phase::Running if instance.stop_protected => Err(protected(instance, "stopped", "disableApiStop")),
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
        _ if instance.protected => Err(protected(instance, "terminated", "disableApiTermination")),
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
    done(xml)
}

/// `MonitorInstances` and `UnmonitorInstances`: detailed monitoring is shown, and nothing is measured.
pub(super) fn monitor(call: &Call<'_>, xml: &mut Xml, monitored: bool) -> ApiResult<()> {
    let named = named(call)?;
    call.change(|state| {
        state.own.named(call.config(), call.region, &named)?;
        for id in &named {
            if let Some(instance) = state.own.instances.get_mut(*id) {
                instance.monitored = monitored;
            }
        }
        Ok(())
    })?;
    xml.items("instancesSet", named, |xml, id| {
        xml.text("instanceId", id).node("monitoring", |xml| {
            xml.text("state", if monitored { "pending" } else { "disabling" });
        });
    });
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
        view::phase(xml, "currentState", after);
        view::phase(xml, "previousState", before);
    });
    Ok(before)
}

fn named<'a>(call: &'a Call<'_>) -> ApiResult<Vec<&'a str>> {
    let mut named = call.params.list("InstanceId");
    named.dedup();
    if named.is_empty() { Err(missing("InstanceId")) } else { Ok(named) }
}

fn protected(instance: &Instance, done: &str, by: &str) -> ApiError {
    let message = format!(
        "The instance '{}' may not be {done}. Modify its '{by}' instance attribute and try again.",
        instance.id
    );
    refuse("OperationNotPermitted", message)
}

fn wrong_state(instance: &Instance, done: &str) -> ApiError {
    refuse(
        "IncorrectInstanceState",
        format!("The instance '{}' is not in a state from which it can be {done}.", instance.id),
    )
}
