//! Beginning again where an earlier process stopped, and following the machines' own power.

use std::collections::BTreeSet;

use super::{
    Cloud, CloudError, Front,
    state::{Instance, Status, Work},
};
use remint_sandbox_machines::Power;

impl Instance {
    /// Changes the status; readings of the machine's power from before are void.
    pub(super) fn set_status(&mut self, status: Status) {
        self.status = status;
        self.epoch += 1;
    }
}

impl<F: Front> Cloud<F> {
    /// Brings machines, forwarding and DNS into the state that the file says; see [the module](super) for the rules.
    pub(super) async fn resume(&self) -> Result<(), CloudError> {
        let hypervisor = &self.inner.hypervisor;
        // Before anything is changed: what a change begins is carried out by itself.
        let unfinished =
            self.read(|state| state.actions.values().filter(|a| a.pending.is_some()).map(|a| a.id).collect::<Vec<_>>());
        let all = hypervisor.machines().await.map_err(|source| CloudError::Machines { source })?;
        // The other accounts' machines are theirs.
        let machines: BTreeSet<u64> = all.into_iter().filter(|id| F::API.ids().contains(id)).collect();
        let instances = self.read(|state| state.instances.clone());
        for orphan in machines.iter().filter(|id| !instances.contains_key(id)) {
            tracing::info!(machine = orphan, "destroying a machine that has no instance");
            if let Err(error) = hypervisor.destroy(*orphan).await {
                tracing::error!(%error, "cannot destroy it");
            }
        }
        for instance in instances.values().filter(|instance| instance.status != Status::New) {
            let status = if machines.contains(&instance.id) {
                self.wake(instance).await
            } else {
                tracing::warn!(instance = instance.id, "its machine is gone");
                Status::Off
            };
            self.note_status(instance, status, false);
        }
        self.refresh_images().await;
        self.forget_hidden_images().await;
        self.tell_static_ips().await;
        self.tell_balancers().await;
        for zone in self.read(|state| state.zones.keys().cloned().collect::<Vec<_>>()) {
            self.tell_zone(&zone).await;
        }
        for id in unfinished {
            self.spawn(id, true);
        }
        self.watch();
        Ok(())
    }

    /// The status of an instance whose machine stands, after switching it on where it should be on.
    async fn wake(&self, instance: &Instance) -> Status {
        let hypervisor = &self.inner.hypervisor;
        match hypervisor.power(instance.id).await {
            Ok(Power::On) => Status::Active,
            Ok(Power::Off)
                if instance.status == Status::Active && !instance.asked_off && instance.pending.is_none() =>
            {
                match hypervisor.start(instance.id).await {
                    Ok(()) => Status::Active,
                    Err(error) => {
                        tracing::error!(%error, "cannot switch the instance on again");
                        Status::Off
                    }
                }
            }
            Ok(Power::Off) => Status::Off,
            Err(error) => {
                tracing::error!(%error, "cannot tell whether the instance is on");
                instance.status
            }
        }
    }

    /// Follows the machines' power: a guest may switch itself off.
    fn watch(&self) {
        let cloud = self.clone();
        let every = self.config().profile.watch(self.config().speed);
        tokio::spawn(async move {
            let look_again = async {
                loop {
                    tokio::time::sleep(every).await;
                    cloud.look().await;
                }
            };
            cloud.inner.stop.run_until_cancelled(look_again).await;
        });
    }

    async fn look(&self) {
        // Not while an action changes the power itself; while a shutdown or a snapshot runs, the guest may go off.
        let watched: Vec<Instance> = self.read(|state| {
            let calm = |instance: &Instance| match instance.pending {
                None => true,
                Some(id) => state
                    .actions
                    .get(&id)
                    .and_then(|action| action.pending.as_ref())
                    .is_some_and(|pending| matches!(pending.work, Work::Shutdown { .. } | Work::Rename { .. })),
            };
            state.instances.values().filter(|d| d.status == Status::Active && calm(d)).cloned().collect()
        });
        for instance in watched {
            match self.inner.hypervisor.power(instance.id).await {
                Ok(Power::On) => {}
                Ok(Power::Off) => self.note_status(&instance, Status::Off, true),
                Err(error) => tracing::debug!(%error, "cannot tell whether an instance is on"),
            }
        }
    }

    /// Records what was seen of an instance, unless its status was changed since `seen` was read.
    fn note_status(&self, seen: &Instance, status: Status, by_guest: bool) {
        if seen.status == status {
            return;
        }
        let noted = self.change(|state| {
            if let Some(instance) = state.instances.get_mut(&seen.id)
                && instance.epoch == seen.epoch
            {
                instance.set_status(status);
                if by_guest {
                    F::guest_off(state, self.config(), seen.id);
                }
            }
            Ok(())
        });
        if let Err(error) = noted {
            tracing::error!(instance = seen.id, %error, "cannot record that an instance's power changed");
        }
    }
}
