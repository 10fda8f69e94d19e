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
use crate::cloud::{
    ApiError, ApiResult, Config,
    state::{Action, State, Status, Work},
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
        for droplet in stopping {
            let hypervisor = call.cloud.hypervisor().clone();
            tokio::spawn(async move {
                if let Err(error) = hypervisor.power_off(droplet).await {
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
        let found = state.ec2.named(call.config(), call.region, &named)?;
        let mut ids = Vec::new();
        for instance in found {
            match instance.phase(state) {
                Phase::Running | Phase::Pending => ids.push(instance.id.clone()),
                _ => return Err(wrong_state(instance, "rebooted")),
            }
        }
        ids.iter().for_each(|id| state.wish(call.config(), id, Wish::Reboot));
        Ok(())
    })?;
    xml.text("return", true);
    Ok(())
}

/// Carries a wish out on all instances of a call, or on none, and writes their states before and after. Gives the droplets
/// of those that were asked for the same before. `takes` says whether an instance in a state has to do anything.
fn transition(
    call: &Call<'_>,
    xml: &mut Xml,
    wish: Wish,
    takes: impl Fn(&Instance, Phase) -> ApiResult<bool>,
) -> ApiResult<Vec<u64>> {
    let named = named(call)?;
    let (changes, before) = call.change(|state| {
        let found = state.ec2.named(call.config(), call.region, &named)?;
        let mut planned = Vec::new();
        for instance in found {
            let phase = instance.phase(state);
            planned.push((instance.id.clone(), instance.droplet, phase, takes(instance, phase)?));
        }
        let mut changes = Vec::new();
        let mut before = Vec::new();
        for (id, droplet, phase, acts) in planned {
            if acts {
                state.wish(call.config(), &id, wish);
            } else if phase == Phase::Stopping {
                before.push(droplet);
            }
            let after = state.ec2.instances.get(&id).map_or(phase, |instance| instance.phase(state));
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

impl State {
    /// Begins what is wished for an instance, or keeps the wish until the engine is done with it.
    pub(super) fn wish(&mut self, config: &Config, id: &str, wish: Wish) {
        let Some(instance) = self.ec2.instances.get_mut(id) else { return };
        instance.reason = match wish {
            Wish::Terminate | Wish::Stop { .. } => {
                let code = "Client.UserInitiatedShutdown";
                Some((code.to_owned(), format!("{code}: User initiated shutdown")))
            }
            Wish::Start | Wish::Reboot => None,
        };
        let droplet = instance.droplet;
        match self.droplets.get(&droplet).map(|droplet| droplet.pending) {
            Some(None) => self.grant(config, droplet, wish),
            // Nothing outranks a termination.
            Some(Some(_)) if instance.next != Some(Wish::Terminate) => instance.next = Some(wish),
            _ => {}
        }
    }

    fn grant(&mut self, config: &Config, droplet: u64, wish: Wish) {
        let Some(found) = self.droplets.get(&droplet) else { return };
        let (region, status) = (found.region.clone(), found.status);
        let (kind, work) = match (wish, status) {
            (Wish::Terminate, _) => ("destroy", Work::Destroy { droplet }),
            (Wish::Start, Status::Off) => ("power_on", Work::PowerOn { droplet }),
            (Wish::Stop { force }, Status::Active) => ("stop", Work::Halt { droplet, force }),
            (Wish::Reboot, Status::Active) => ("reboot", Work::Reboot { droplet }),
            _ => return,
        };
        self.begin_on_droplet(config, droplet, &region, kind, work);
    }

    /// Goes on with what instances were asked for while the engine was busy with them. Called when an action has ended.
    pub(crate) fn settle_instances(&mut self, config: &Config) {
        let free = |instance: &&Instance| {
            instance.next.is_some()
                && self.droplets.get(&instance.droplet).is_none_or(|droplet| droplet.pending.is_none())
        };
        let waiting: Vec<String> = self.ec2.instances.values().filter(free).map(|i| i.id.clone()).collect();
        for id in waiting {
            let Some(instance) = self.ec2.instances.get_mut(&id) else { continue };
            let (droplet, wish) = (instance.droplet, instance.next.take());
            if let Some(wish) = wish {
                self.grant(config, droplet, wish);
            }
        }
    }

    pub(crate) fn note_instance_gone(&mut self, droplet: u64) {
        for instance in self.ec2.instances.values_mut().filter(|instance| instance.droplet == droplet) {
            instance.next = None;
            instance.ended_at.get_or_insert_with(crate::cloud::now);
            // Not what its owner asked for: it could not be placed.
            instance.reason.get_or_insert_with(|| {
                let message = "Server.InternalError: Internal error on launch";
                ("Server.InternalError".to_owned(), message.to_owned())
            });
        }
    }

    /// Notes that a guest switched itself off: some instances are terminated by that.
    pub(crate) fn note_guest_off(&mut self, config: &Config, droplet: u64) -> Option<Action> {
        let instance = self.ec2.instances.values_mut().find(|instance| instance.droplet == droplet)?;
        let message = "Client.InstanceInitiatedShutdown: Instance initiated shutdown";
        instance.reason = Some(("Client.InstanceInitiatedShutdown".to_owned(), message.to_owned()));
        let region = instance.region.clone();
        let goes = instance.shutdown_terminates && self.droplets.get(&droplet)?.pending.is_none();
        goes.then(|| self.begin_on_droplet(config, droplet, &region, "destroy", Work::Destroy { droplet }))
    }
}
