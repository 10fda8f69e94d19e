//! Carrying actions out: the part that takes real time beside the delay, then the end.

use std::{net::Ipv4Addr, time::Duration};

use jiff::Timestamp;

use super::{
    Cloud, Config, Front,
    action::now,
    balancer::{BalancerSettings, BalancerStatus, PoolSnapshot, Wanted},
    delays::NETWORKED_AFTER,
    state::{Action, Image, Pending, State, Status, Work},
};
use remint_sandbox_machines::{DiskImage, DiskInfo, MachineSpec};

/// The time after which a change of a load balancer that failed is tried again, at the earliest.
const PAUSE: Duration = Duration::from_secs(1);

/// Why an action errs: of the machine, of the state file, or said here.
type Failure = Box<dyn std::error::Error + Send + Sync>;

impl<F: Front> Cloud<F> {
    /// Carries an action out in the background. `resumed` says that an earlier process may have begun it.
    pub(super) fn spawn(&self, id: u64, resumed: bool) {
        let cloud = self.clone();
        tokio::spawn(async move {
            cloud.inner.stop.run_until_cancelled(cloud.run(id, resumed)).await;
        });
    }

    async fn run(&self, id: u64, resumed: bool) {
        let Some(action) = self.read(|state| state.actions.get(&id).cloned()) else { return };
        let Some(Pending { due, doomed, work }) = action.pending.clone() else { return };
        let begun = if doomed { Err("a fault rule says so".into()) } else { self.early(&action, &work, resumed).await };
        tokio::time::sleep(until(due)).await;
        let outcome = match begun {
            Ok(info) => self.late(&work).await.map(|()| info),
            failed => failed,
        };
        if let Err(message) = &outcome {
            tracing::warn!(action = id, kind = %action.kind, resource = action.resource_id, %message, "action errored");
        }
        self.record(|state| {
            match &outcome {
                Ok(info) => state.apply(self.config(), &work, info.as_ref()),
                Err(_) => state.give_up(&work),
            }
            state.end(id, outcome.is_err());
            F::action_ended(state, self.config(), id, outcome.is_err());
        })
        .await;
        if let (Work::Create { instance }, Err(_)) = (&work, &outcome)
            && let Err(error) = self.inner.hypervisor.destroy(*instance).await
        {
            tracing::error!(%error, "cannot clean up");
        }
        match work {
            Work::CreateBalancer { balancer } if outcome.is_err() => self.end_balancer(balancer).await,
            Work::Destroy { .. } | Work::Keep { .. } => self.tell_static_ips().await,
            // Its image may have been given up while it was taken.
            Work::Snapshot { .. } => F::captured(self).await,
            _ => {}
        }
    }

    /// What happens while the delay passes.
    async fn early(&self, action: &Action, work: &Work, resumed: bool) -> Result<Option<DiskInfo>, Failure> {
        let hypervisor = &self.inner.hypervisor;
        match work {
            Work::Create { instance } => {
                let spec = self.machine_spec(*instance).ok_or("the instance is gone")?;
                if resumed {
                    // Nobody has seen the machine yet, and how far it came is unknown: begin again.
                    hypervisor.destroy(*instance).await?;
                }
                let (created, ()) = tokio::join!(hypervisor.create(&spec), self.show_networks(action, *instance));
                created?;
                Ok(None)
            }
            Work::Snapshot { instance, image, reboot, .. } => {
                let disk = snapshot_disk(*image);
                if resumed {
                    hypervisor.delete_image(&disk).await?;
                }
                if *reboot {
                    self.halt(*instance, false).await?;
                }
                let captured = hypervisor.capture(*instance, &disk).await;
                if *reboot {
                    hypervisor.start(*instance).await?;
                }
                Ok(Some(captured?))
            }
            Work::Keep { instance, image } => {
                let disk = snapshot_disk(*image);
                if resumed {
                    hypervisor.delete_image(&disk).await?;
                }
                hypervisor.power_off(*instance).await?;
                Ok(Some(hypervisor.capture(*instance, &disk).await?))
            }
            _ => Ok(None),
        }
    }

    async fn show_networks(&self, action: &Action, instance: u64) {
        let Some(pending) = &action.pending else { return };
        let whole = pending.due.duration_since(action.started_at).unsigned_abs();
        let at = action.started_at.checked_add(whole.mul_f64(NETWORKED_AFTER)).unwrap_or(action.started_at);
        tokio::time::sleep(until(at)).await;
        self.record(|state| {
            if let Some(instance) = state.instances.get_mut(&instance) {
                instance.networked = true;
            }
        })
        .await;
    }

    /// What happens when the delay has passed.
    async fn late(&self, work: &Work) -> Result<(), Failure> {
        let hypervisor = &self.inner.hypervisor;
        match work {
            Work::Create { instance } | Work::PowerOn { instance } => hypervisor.start(*instance).await?,
            Work::Destroy { instance } | Work::Keep { instance, .. } => hypervisor.destroy(*instance).await?,
            Work::Shutdown { instance } => hypervisor.shutdown(*instance).await?,
            Work::PowerOff { instance } => hypervisor.power_off(*instance).await?,
            Work::Halt { instance, force } => self.halt(*instance, *force).await?,
            Work::PowerCycle { instance } => {
                hypervisor.power_off(*instance).await?;
                hypervisor.start(*instance).await?;
            }
            Work::Reboot { instance } => hypervisor.reboot(*instance).await?,
            Work::Rebuild { instance, image } => {
                let disk =
                    self.read(|state| state.images.get(image).map(|i| i.disk.clone())).ok_or("the image is gone")?;
                hypervisor.replace_disk(*instance, &disk).await?;
                hypervisor.start(*instance).await?;
            }
            Work::Resize { instance, size, disk } => {
                let size = State::<F>::find_size(size).ok_or("the size is gone")?;
                let old =
                    self.read(|state| state.instances.get(instance).map(|d| d.disk)).ok_or("the instance is gone")?;
                let gib = if *disk { size.disk } else { old };
                hypervisor.resize(*instance, size.vcpus, size.memory, gib).await?;
            }
            Work::Assign { ip, instance } => self.point(*ip, Some(*instance)).await?,
            Work::Unassign { ip } => self.point(*ip, None).await?,
            Work::CreateBalancer { balancer } | Work::ChangeBalancer { balancer } => self.balance(*balancer).await?,
            Work::DestroyBalancer { balancer } => self.end_balancer(*balancer).await,
            Work::Rename { .. } | Work::Snapshot { .. } | Work::Transfer { .. } | Work::Convert { .. } => {}
        }
        Ok(())
    }

    /// Points a static IP. The forwarding moves before the action is seen completed.
    async fn point(&self, ip: Ipv4Addr, instance: Option<u64>) -> Result<(), Failure> {
        let pointed = self.change(|state| {
            let there = instance.is_none_or(|id| state.instances.contains_key(&id));
            let reserved = state.static_ips.get_mut(&ip).filter(|_| there);
            Ok(reserved.map(|reserved| reserved.instance = instance))
        })?;
        pointed.ok_or("the reserved IP or the instance is gone")?;
        self.tell_static_ip(ip).await;
        Ok(())
    }

    /// Brings a load balancer in step. Its members are seen to have changed when the change has taken effect.
    async fn balance(&self, balancer: u64) -> Result<(), Failure> {
        let told = match self.tell_balancer(balancer).await {
            Ok(told) => told,
            Err(problem) => {
                // What is not in step is begun again at once, for as long as that takes: not faster than this.
                tokio::time::sleep(PAUSE).await;
                return Err(problem.into());
            }
        };
        self.record(|state| {
            if let Some(balancer) = state.load_balancers.get_mut(&balancer) {
                balancer.members = told.members.keys().copied().collect();
                let pool = |pool: &PoolSnapshot| pool.members.keys().copied().collect();
                balancer.pools = told.pools.iter().map(|(number, members)| (*number, pool(members))).collect();
            }
        })
        .await;
        Ok(())
    }

    fn machine_spec(&self, id: u64) -> Option<MachineSpec> {
        let config = self.config();
        self.read(|state| {
            let instance = state.instances.get(&id)?;
            let seed = instance.seed.clone()?;
            let size = State::<F>::find_size(&instance.size)?;
            Some(MachineSpec {
                id,
                name: instance.name.clone(),
                address: instance.address,
                ports: config.ports,
                open: config.open.clone(),
                image: instance.image.disk.clone(),
                region: instance.region.clone(),
                vcpus: size.vcpus,
                memory_mib: size.memory,
                disk_gib: instance.disk,
                user_data: seed.user_data,
                ssh_keys: seed.ssh_keys,
                boot_delay: Duration::from_millis(seed.boot_delay_ms),
            })
        })
    }
}

impl<F: Front> State<F> {
    /// What a piece of work leaves behind where it went well.
    fn apply(&mut self, config: &Config, work: &Work, captured: Option<&DiskInfo>) {
        match work {
            Work::Create { instance } => {
                self.with_instance(*instance, |instance| {
                    instance.set_status(Status::Active);
                    instance.networked = true;
                    instance.seed = None;
                });
            }
            Work::Destroy { instance } => self.remove_instance(*instance),
            Work::Keep { instance, image } => {
                if let Some(info) = captured {
                    self.add_snapshot(*instance, *image, &format!("disk-{image}"), info);
                    F::disk_kept(self, *instance, *image);
                }
                self.remove_instance(*instance);
            }
            Work::PowerOff { instance } | Work::Halt { instance, .. } => self.with_instance(*instance, |instance| {
                instance.asked_off = true;
                instance.set_status(Status::Off);
            }),
            Work::Shutdown { instance } => self.with_instance(*instance, |instance| instance.asked_off = true),
            Work::PowerOn { instance } | Work::PowerCycle { instance } => self.with_instance(*instance, |instance| {
                instance.asked_off = false;
                instance.set_status(Status::Active);
            }),
            Work::Rename { instance, name } => self.with_instance(*instance, |instance| instance.name.clone_from(name)),
            Work::Snapshot { instance, image, name, reboot } => {
                if let Some(info) = captured {
                    self.add_snapshot(*instance, *image, name, info);
                }
                if *reboot {
                    self.with_instance(*instance, |instance| instance.set_status(Status::Active));
                }
            }
            Work::Rebuild { instance, image } => {
                let image = self.images.get(image).cloned();
                self.with_instance(*instance, |instance| {
                    if let Some(image) = image {
                        instance.image = image;
                    }
                    instance.asked_off = false;
                    instance.set_status(Status::Active);
                });
            }
            Work::Resize { instance, size, disk } => {
                let grown = State::<F>::find_size(size).filter(|_| *disk);
                self.with_instance(*instance, |instance| {
                    instance.size.clone_from(size);
                    if let Some(size) = grown {
                        instance.disk = size.disk;
                    }
                });
            }
            Work::Transfer { image, region } => {
                if let Some(image) = self.images.get_mut(image) {
                    image.regions.insert(region.clone());
                }
            }
            Work::CreateBalancer { balancer } => self.balancer_created(config, *balancer),
            Work::DestroyBalancer { balancer } => {
                self.load_balancers.remove(balancer);
            }
            Work::Reboot { .. }
            | Work::Assign { .. }
            | Work::Unassign { .. }
            | Work::Convert { .. }
            | Work::ChangeBalancer { .. } => {}
        }
    }

    /// What a piece of work leaves behind where it failed: an instance that could not be placed vanishes.
    fn give_up(&mut self, work: &Work) {
        match work {
            Work::Create { instance } => self.remove_instance(*instance),
            Work::Snapshot { image, .. } => F::image_failed(self, *image),
            Work::CreateBalancer { balancer } => {
                if let Some(balancer) = self.load_balancers.get_mut(balancer) {
                    balancer.status = BalancerStatus::Failed;
                }
            }
            _ => {}
        }
    }

    fn remove_instance(&mut self, id: u64) {
        self.instances.remove(&id);
        F::instance_gone(self, id);
        for balancer in self.load_balancers.values_mut() {
            let BalancerSettings { wanted, pools, .. } = &mut balancer.settings;
            for wanted in pools.values_mut().map(|pool| &mut pool.wanted).chain([wanted]) {
                if let Wanted::Instances(instances) = wanted {
                    instances.remove(&id);
                }
            }
        }
        for ip in self.static_ips.values_mut().filter(|ip| ip.instance == Some(id)) {
            ip.instance = None;
        }
    }

    fn with_instance(&mut self, id: u64, change: impl FnOnce(&mut super::state::Instance)) {
        if let Some(instance) = self.instances.get_mut(&id) {
            change(instance);
        }
    }

    fn add_snapshot(&mut self, instance: u64, id: u64, name: &str, info: &DiskInfo) {
        let Some(source) = self.instances.get(&instance) else { return };
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
            source: Some(instance),
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
