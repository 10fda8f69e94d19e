//! Carrying actions out: the part that takes real time beside the delay, then the end.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    Api, Cloud,
    action::now,
    catalogue,
    state::{Action, Image, Pending, State, Status, Work},
};
use crate::{
    ec2,
    machine::{DiskImage, DiskInfo, MachineSpec},
};

/// The part of a creation after which the droplet shows its addresses.
const NETWORKED_AFTER: f64 = 0.4;

impl Cloud {
    /// Carries an action out in the background. `resumed` says that an earlier process may have begun it.
    pub(super) fn spawn(&self, id: u64, resumed: bool) {
        let cloud = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = cloud.inner.stop.cancelled() => {}
                () = cloud.run(id, resumed) => {}
            }
        });
    }

    async fn run(&self, id: u64, resumed: bool) {
        let Some(action) = self.read(|state| state.actions.get(&id).cloned()) else { return };
        let Some(Pending { due, doomed, work }) = action.pending.clone() else { return };
        let begun =
            if doomed { Err("a fault rule says so".to_owned()) } else { self.early(&action, &work, resumed).await };
        tokio::time::sleep(until(due)).await;
        let outcome = match begun {
            Ok(info) => self.late(&work).await.map(|()| info),
            Err(message) => Err(message),
        };
        if let Err(message) = &outcome {
            tracing::warn!(action = id, kind = %action.kind, resource = action.resource_id, %message, "action errored");
        }
        self.record(|state| {
            match &outcome {
                Ok(info) => state.apply(&work, info.as_ref()),
                Err(_) => state.give_up(&work),
            }
            state.end(id, outcome.is_err());
            state.settle_instances(self.config());
        })
        .await;
        if let (Work::Create { droplet }, Err(_)) = (&work, &outcome)
            && let Err(error) = self.inner.hypervisor.destroy(*droplet).await
        {
            tracing::error!(%error, "cannot clean up");
        }
        match work {
            Work::Destroy { .. } | Work::Keep { .. } => self.tell_reserved_ips().await,
            // Its image may have been given up while it was taken.
            Work::Snapshot { .. } if self.api() == Api::Ec2 => ec2::sweep(self).await,
            _ => {}
        }
    }

    /// What happens while the delay passes.
    async fn early(&self, action: &Action, work: &Work, resumed: bool) -> Result<Option<DiskInfo>, String> {
        let hypervisor = &self.inner.hypervisor;
        match work {
            Work::Create { droplet } => {
                let spec = self.machine_spec(*droplet).ok_or("the droplet is gone")?;
                if resumed {
                    // Nobody has seen the machine yet, and how far it came is unknown: begin again.
                    hypervisor.destroy(*droplet).await.map_err(chain)?;
                }
                let (created, ()) = tokio::join!(hypervisor.create(&spec), self.show_networks(action, *droplet));
                created.map_err(chain)?;
                Ok(None)
            }
            Work::Snapshot { droplet, image, reboot, .. } => {
                let disk = snapshot_disk(*image);
                if resumed {
                    hypervisor.delete_image(&disk).await.map_err(chain)?;
                }
                if *reboot {
                    self.halt(*droplet, false).await.map_err(chain)?;
                }
                let captured = hypervisor.capture(*droplet, &disk).await.map(Some).map_err(chain);
                if *reboot {
                    hypervisor.start(*droplet).await.map_err(chain)?;
                }
                captured
            }
            Work::Keep { droplet, image } => {
                let disk = snapshot_disk(*image);
                if resumed {
                    hypervisor.delete_image(&disk).await.map_err(chain)?;
                }
                hypervisor.power_off(*droplet).await.map_err(chain)?;
                hypervisor.capture(*droplet, &disk).await.map(Some).map_err(chain)
            }
            _ => Ok(None),
        }
    }

    async fn show_networks(&self, action: &Action, droplet: u64) {
        let Some(pending) = &action.pending else { return };
        let whole = pending.due.duration_since(action.started_at).unsigned_abs();
        let at = action.started_at.checked_add(whole.mul_f64(NETWORKED_AFTER)).unwrap_or(action.started_at);
        tokio::time::sleep(until(at)).await;
        self.record(|state| {
            if let Some(droplet) = state.droplets.get_mut(&droplet) {
                droplet.networked = true;
            }
        })
        .await;
    }

    /// What happens when the delay has passed.
    async fn late(&self, work: &Work) -> Result<(), String> {
        let hypervisor = &self.inner.hypervisor;
        match work {
            Work::Create { droplet } | Work::PowerOn { droplet } => hypervisor.start(*droplet).await.map_err(chain),
            Work::Destroy { droplet } | Work::Keep { droplet, .. } => hypervisor.destroy(*droplet).await.map_err(chain),
            Work::Shutdown { droplet } => hypervisor.shutdown(*droplet).await.map_err(chain),
            Work::PowerOff { droplet } => hypervisor.power_off(*droplet).await.map_err(chain),
            Work::Halt { droplet, force } => self.halt(*droplet, *force).await.map_err(chain),
            Work::PowerCycle { droplet } => {
                hypervisor.power_off(*droplet).await.map_err(chain)?;
                hypervisor.start(*droplet).await.map_err(chain)
            }
            Work::Reboot { droplet } => hypervisor.reboot(*droplet).await.map_err(chain),
            Work::Rebuild { droplet, image } => {
                let disk =
                    self.read(|state| state.images.get(image).map(|i| i.disk.clone())).ok_or("the image is gone")?;
                hypervisor.replace_disk(*droplet, &disk).await.map_err(chain)?;
                hypervisor.start(*droplet).await.map_err(chain)
            }
            Work::Resize { droplet, size, disk } => {
                let size = catalogue::find_size(self.api(), size).ok_or("the size is gone")?;
                let old =
                    self.read(|state| state.droplets.get(droplet).map(|d| d.disk)).ok_or("the droplet is gone")?;
                let gib = if *disk { size.disk } else { old };
                hypervisor.resize(*droplet, size.vcpus, size.memory, gib).await.map_err(chain)
            }
            Work::Assign { ip, droplet } => {
                // The forwarding moves before the action is seen completed.
                self.point(*ip, Some(*droplet))?;
                self.tell_reserved_ip(*ip).await;
                Ok(())
            }
            Work::Unassign { ip } => {
                self.point(*ip, None)?;
                self.tell_reserved_ip(*ip).await;
                Ok(())
            }
            Work::Rename { .. } | Work::Snapshot { .. } | Work::Transfer { .. } | Work::Convert { .. } => Ok(()),
        }
    }

    fn point(&self, ip: std::net::Ipv4Addr, droplet: Option<u64>) -> Result<(), String> {
        self.change(|state| {
            let there = droplet.is_none_or(|id| state.droplets.contains_key(&id));
            Ok(match state.reserved_ips.get_mut(&ip) {
                Some(reserved) if there => {
                    reserved.droplet = droplet;
                    true
                }
                _ => false,
            })
        })
        .map_err(|error| error.to_string())?
        .then_some(())
        .ok_or_else(|| "the reserved IP or the droplet is gone".to_owned())
    }

    fn machine_spec(&self, id: u64) -> Option<MachineSpec> {
        let config = self.config();
        self.read(|state| {
            let droplet = state.droplets.get(&id)?;
            let seed = droplet.seed.clone()?;
            let size = catalogue::find_size(state.api, &droplet.size)?;
            Some(MachineSpec {
                id,
                name: droplet.name.clone(),
                address: droplet.address,
                ports: config.ports,
                open: config.open.clone(),
                image: droplet.image.disk.clone(),
                region: droplet.region.clone(),
                vcpus: size.vcpus,
                memory_mib: size.memory,
                disk_gib: droplet.disk,
                user_data: seed.user_data,
                ssh_keys: seed.ssh_keys,
                boot_delay: Duration::from_millis(seed.boot_delay_ms),
            })
        })
    }
}

impl State {
    /// What a piece of work leaves behind where it went well.
    fn apply(&mut self, work: &Work, captured: Option<&DiskInfo>) {
        match work {
            Work::Create { droplet } => {
                self.with_droplet(*droplet, |droplet| {
                    droplet.set_status(Status::Active);
                    droplet.networked = true;
                    droplet.seed = None;
                });
            }
            Work::Destroy { droplet } => self.remove_droplet(*droplet),
            Work::Keep { droplet, image } => {
                if let Some(info) = captured {
                    self.add_snapshot(*droplet, *image, &format!("disk-{image}"), info);
                    self.gce.keep_disk(*droplet, *image);
                }
                self.remove_droplet(*droplet);
            }
            Work::PowerOff { droplet } | Work::Halt { droplet, .. } => self.with_droplet(*droplet, |droplet| {
                droplet.asked_off = true;
                droplet.set_status(Status::Off);
            }),
            Work::Shutdown { droplet } => self.with_droplet(*droplet, |droplet| droplet.asked_off = true),
            Work::PowerOn { droplet } | Work::PowerCycle { droplet } => self.with_droplet(*droplet, |droplet| {
                droplet.asked_off = false;
                droplet.set_status(Status::Active);
            }),
            Work::Rename { droplet, name } => self.with_droplet(*droplet, |droplet| droplet.name.clone_from(name)),
            Work::Snapshot { droplet, image, name, reboot } => {
                if let Some(info) = captured {
                    self.add_snapshot(*droplet, *image, name, info);
                }
                if *reboot {
                    self.with_droplet(*droplet, |droplet| droplet.set_status(Status::Active));
                }
            }
            Work::Rebuild { droplet, image } => {
                let image = self.images.get(image).cloned();
                self.with_droplet(*droplet, |droplet| {
                    if let Some(image) = image {
                        droplet.image = image;
                    }
                    droplet.asked_off = false;
                    droplet.set_status(Status::Active);
                });
            }
            Work::Resize { droplet, size, disk } => {
                let grown = catalogue::find_size(self.api, size).filter(|_| *disk);
                self.with_droplet(*droplet, |droplet| {
                    droplet.size.clone_from(size);
                    if let Some(size) = grown {
                        droplet.disk = size.disk;
                    }
                });
            }
            Work::Transfer { image, region } => {
                if let Some(image) = self.images.get_mut(image) {
                    image.regions.insert(region.clone());
                }
            }
            Work::Reboot { .. } | Work::Assign { .. } | Work::Unassign { .. } | Work::Convert { .. } => {}
        }
    }

    /// What a piece of work leaves behind where it failed: a droplet that could not be placed vanishes.
    fn give_up(&mut self, work: &Work) {
        match work {
            Work::Create { droplet } => self.remove_droplet(*droplet),
            Work::Snapshot { image, .. } => self.gce.fail_image(*image),
            _ => {}
        }
    }

    fn remove_droplet(&mut self, id: u64) {
        self.droplets.remove(&id);
        self.note_instance_gone(id);
        self.gce.forget_instance(id);
        for ip in self.reserved_ips.values_mut().filter(|ip| ip.droplet == Some(id)) {
            ip.droplet = None;
        }
    }

    fn with_droplet(&mut self, id: u64, change: impl FnOnce(&mut super::state::Droplet)) {
        if let Some(droplet) = self.droplets.get_mut(&id) {
            change(droplet);
        }
    }

    fn add_snapshot(&mut self, droplet: u64, id: u64, name: &str, info: &DiskInfo) {
        let Some(source) = self.droplets.get(&droplet) else { return };
        let image = Image {
            id,
            name: name.to_owned(),
            distribution: source.image.distribution.clone(),
            slug: None,
            disk: snapshot_disk(id),
            regions: [source.region.clone()].into(),
            created_at: now(),
            min_disk_size: source.disk,
            size_bytes: info.size_bytes,
            tags: std::collections::BTreeSet::new(),
            source: Some(droplet),
            pending: None,
            available: true,
        };
        self.images.insert(id, image);
    }
}

/// The disk image behind a snapshot.
fn snapshot_disk(image: u64) -> DiskImage {
    DiskImage(format!("snapshot-{image}"))
}

fn until(moment: Timestamp) -> Duration {
    Duration::try_from(moment.duration_since(Timestamp::now())).unwrap_or_default()
}

/// A machine's error as the log shows it.
fn chain(error: crate::machine::MachineError) -> String {
    error.to_string()
}
