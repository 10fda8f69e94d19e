//! Undoing: a release that did not work out leaves nothing behind.

use super::{DeployError, engine::Run, launch::belongs, observe};
use crate::{
    journal::{Entry, Phase},
    manifest::StaticIpChoice,
    provider::{Instance, InstanceState, RecordSet, Selector, StaticIp},
    watch::{Observed, Wait},
};

impl Run<'_> {
    /// Moves the address back, removes what the release made, and closes the release. May be entered again.
    pub(super) async fn undo(&mut self) -> Result<(), DeployError> {
        let switched = self.release.entered(Phase::Switching);
        self.enter(Phase::Failed).await?;
        self.probe = None;
        if switched {
            self.move_back().await?;
        }
        let own = self.own_instances().await?;
        self.destroy_all(&own).await?;
        self.remove_login_keys().await?;
        self.enter(Phase::Undone).await?;
        self.ctx.events.info(format!("{} is undone; nothing of it is left", self.release.id()));
        Ok(())
    }

    async fn move_back(&mut self) -> Result<(), DeployError> {
        match self.former_instance().await? {
            Some(former) => {
                self.ctx.events.info(format!("moving the address back to {}", former.name));
                let address = match observe::static_ip(self.ctx, &self.resources).await? {
                    Some(ip) if self.points_at_own(&ip).await? || ip.busy => {
                        let ip = self.at_rest(ip).await?;
                        self.assign(&ip, &former.id).await?;
                        Some(ip.address)
                    }
                    Some(ip) => Some(ip.address),
                    None => None,
                };
                let made = self.resources.static_ip.as_ref().and_then(|owned| owned.made_by);
                if made == Some(self.release.id()) {
                    // The former release did without: it goes back to what it was.
                    self.give_back_address().await?;
                }
                let target = if self.ctx.loaded.manifest.address.static_ip == StaticIpChoice::None {
                    former.address
                } else {
                    address
                };
                match target {
                    Some(target) if !self.made_record() => self.set_record(&target).await,
                    _ => self.take_back_record().await,
                }
            }
            None => {
                self.take_back_record().await?;
                self.give_back_address().await
            }
        }
    }

    /// The instance that served before, if it still does.
    async fn former_instance(&self) -> Result<Option<Instance>, DeployError> {
        let Some(former) = self.release.record.replaces else { return Ok(None) };
        let gated = self.engine.journal().release(former).await?.gated();
        let standing = observe::instances(self.ctx).await?;
        Ok(standing.into_iter().find(|instance| {
            belongs(instance, former) && instance.state == InstanceState::Running && gated.contains(&instance.id)
        }))
    }

    async fn points_at_own(&self, ip: &StaticIp) -> Result<bool, DeployError> {
        let own = self.own_instances().await?;
        Ok(ip.assigned_to.as_ref().is_none_or(|to| own.iter().any(|instance| instance.id == *to)))
    }

    async fn at_rest(&self, ip: StaticIp) -> Result<StaticIp, DeployError> {
        if !ip.busy {
            return Ok(ip);
        }
        let wait = Wait::new("to come to rest");
        Ok(self.ctx.watcher.static_ip(&ip.id, wait, |ip| !ip.busy).await?)
    }

    fn made_record(&self) -> bool {
        self.resources.record.as_ref().is_some_and(|owned| owned.made_by == self.release.id())
    }

    /// Removes the record that this release made, or puts the values back that it took over.
    async fn take_back_record(&mut self) -> Result<(), DeployError> {
        if !self.made_record() {
            return Ok(());
        }
        let Some(owned) = self.resources.record.clone() else { return Ok(()) };
        let before = self.release.entries.iter().find_map(|record| match &record.entry {
            Entry::SettingRecord { change } => Some(change.before.clone()),
            _ => None,
        });
        let zones = self.dns_zones()?;
        match before.flatten() {
            Some(values) => {
                if let Some(standing) = zones.get(&owned.zone, &owned.name, owned.kind).await? {
                    zones.upsert(&RecordSet { values, ..standing }).await?;
                }
            }
            None => zones.remove(&owned.zone, &owned.name, owned.kind).await?,
        }
        self.resources.record = None;
        self.save_resources().await
    }

    /// Gives back the static IP that this release made, known or, after a crash, only intended.
    async fn give_back_address(&mut self) -> Result<(), DeployError> {
        let intended = self.release.entries.iter().find_map(|record| match &record.entry {
            Entry::MakingAddress { instance } => Some(instance.clone()),
            _ => None,
        });
        let Some(instance) = intended else { return Ok(()) };
        let owned = self.resources.static_ip.clone();
        let ip = match owned {
            Some(owned) if owned.made_by == Some(self.release.id()) => Some(owned.id),
            Some(_) => None,
            None => {
                let all = self.static_ips()?.list(&Selector::all()).await?;
                // Where addresses carry labels, one that was made and points nowhere yet is known by them.
                let labels = self.own_selector();
                let going = |ip: &&StaticIp| match &ip.assigned_to {
                    Some(to) => *to == instance,
                    None => !ip.busy && ip.labels.matches(&labels),
                };
                let mut found = all.iter().find(going).map(|ip| ip.id.clone());
                if found.is_none()
                    && let Some(busy) = all.into_iter().find(|ip| ip.busy && ip.assigned_to.is_none())
                {
                    let ip = self.at_rest(busy).await?;
                    found = (ip.assigned_to.as_ref() == Some(&instance)).then_some(ip.id);
                }
                found
            }
        };
        let Some(id) = ip else { return Ok(()) };
        let ctx = self.ctx;
        let static_ips = self.static_ips()?;
        let release = || {
            let id = &id;
            async move { static_ips.release(id).await.map(Observed::Done) }
        };
        ctx.watcher.poll(&format!("static IP {id}"), Wait::new("to be given back"), release).await?;
        self.resources.static_ip = None;
        self.save_resources().await
    }
}
