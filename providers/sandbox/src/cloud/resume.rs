//! Beginning again where an earlier process stopped, and following the machines' own power.

use std::{collections::BTreeSet, time::Duration};

use super::{
    Cloud, CloudError,
    state::{Droplet, Status, Work},
};
use crate::machine::Power;

impl Droplet {
    /// Changes the status; readings of the machine's power from before are void.
    pub(super) fn set_status(&mut self, status: Status) {
        self.status = status;
        self.epoch += 1;
    }
}

impl Cloud {
    /// Brings machines, forwarding and DNS into the state that the file says; see [the module](super) for the rules.
    pub(super) async fn resume(&self) -> Result<(), CloudError> {
        let hypervisor = &self.inner.hypervisor;
        let machines: BTreeSet<u64> =
            hypervisor.machines().await.map_err(|source| CloudError::Machines { source })?.into_iter().collect();
        let droplets = self.read(|state| state.droplets.clone());
        for orphan in machines.iter().filter(|id| !droplets.contains_key(id)) {
            tracing::info!(machine = orphan, "destroying a machine that has no droplet");
            if let Err(error) = hypervisor.destroy(*orphan).await {
                tracing::error!(%error, "cannot destroy it");
            }
        }
        for droplet in droplets.values().filter(|droplet| droplet.status != Status::New) {
            let status = if machines.contains(&droplet.id) {
                self.wake(droplet).await
            } else {
                tracing::warn!(droplet = droplet.id, "its machine is gone");
                Status::Off
            };
            self.note_status(droplet, status, false);
        }
        self.refresh_images().await;
        self.forget_hidden_images().await;
        self.tell_reserved_ips().await;
        for zone in self.read(|state| state.domains.keys().cloned().collect::<Vec<_>>()) {
            self.tell_zone(&zone).await;
        }
        for id in
            self.read(|state| state.actions.values().filter(|a| a.pending.is_some()).map(|a| a.id).collect::<Vec<_>>())
        {
            self.spawn(id, true);
        }
        self.watch();
        Ok(())
    }

    /// The status of a droplet whose machine stands, after switching it on where it should be on.
    async fn wake(&self, droplet: &Droplet) -> Status {
        let hypervisor = &self.inner.hypervisor;
        match hypervisor.power(droplet.id).await {
            Ok(Power::On) => Status::Active,
            Ok(Power::Off) if droplet.status == Status::Active && !droplet.asked_off && droplet.pending.is_none() => {
                match hypervisor.start(droplet.id).await {
                    Ok(()) => Status::Active,
                    Err(error) => {
                        tracing::error!(%error, "cannot switch the droplet on again");
                        Status::Off
                    }
                }
            }
            Ok(Power::Off) => Status::Off,
            Err(error) => {
                tracing::error!(%error, "cannot tell whether the droplet is on");
                droplet.status
            }
        }
    }

    /// Follows the machines' power: a guest may switch itself off.
    fn watch(&self) {
        let cloud = self.clone();
        let every = match self.config().profile {
            super::Profile::Instant => Duration::from_millis(50),
            super::Profile::Realistic => Duration::from_secs_f64((1.0 / self.config().speed.max(0.1)).clamp(0.02, 1.0)),
        };
        tokio::spawn(async move {
            let look_again = async {
                loop {
                    tokio::time::sleep(every).await;
                    cloud.look().await;
                }
            };
            tokio::select! {
                () = cloud.inner.stop.cancelled() => {}
                () = look_again => {}
            }
        });
    }

    async fn look(&self) {
        // Not while an action changes the power itself; while a shutdown or a snapshot runs, the guest may go off.
        let watched: Vec<Droplet> = self.read(|state| {
            let calm = |droplet: &Droplet| match droplet.pending {
                None => true,
                Some(id) => state
                    .actions
                    .get(&id)
                    .and_then(|action| action.pending.as_ref())
                    .is_some_and(|pending| matches!(pending.work, Work::Shutdown { .. } | Work::Rename { .. })),
            };
            state.droplets.values().filter(|d| d.status == Status::Active && calm(d)).cloned().collect()
        });
        for droplet in watched {
            match self.inner.hypervisor.power(droplet.id).await {
                Ok(Power::On) => {}
                Ok(Power::Off) => self.note_status(&droplet, Status::Off, true),
                Err(error) => tracing::debug!(%error, "cannot tell whether a droplet is on"),
            }
        }
    }

    /// Records what was seen of a droplet, unless its status was changed since `seen` was read.
    fn note_status(&self, seen: &Droplet, status: Status, by_guest: bool) {
        if seen.status == status {
            return;
        }
        let noted = self.change(|state| {
            if let Some(droplet) = state.droplets.get_mut(&seen.id)
                && droplet.epoch == seen.epoch
            {
                droplet.set_status(status);
                if by_guest {
                    state.note_guest_off(self.config(), seen.id);
                }
            }
            Ok(())
        });
        if let Err(error) = noted {
            tracing::error!(droplet = seen.id, %error, "cannot record that a droplet's power changed");
        }
    }
}
