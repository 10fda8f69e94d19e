//! What instances are wanted to do next.
//!
//! EC2 takes a wish while it is busy with an instance: one may be terminated while it is pending, and stopped while an
//! image is taken of it. The engine does one thing at a time, so a wish that comes early is kept with the instance and
//! carried out when the engine is done.

use super::state::{Instance, Wish};
use crate::State;
use remint_sandbox_cloud::{
    Config,
    state::{Status, Work},
};

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
pub(super) fn settle(state: &mut State, config: &Config) {
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

pub(super) fn note_gone(state: &mut State, machine: u64) {
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
pub(super) fn note_guest_off(state: &mut State, config: &Config, machine: u64) {
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
