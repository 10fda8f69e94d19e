//! Undoing: a release that did not work out leaves nothing behind, and takes nothing with it.
//!
//! It removes only what this release created: instances that it launched, a static IP or record that it made. A parked instance
//! that it took over goes back to its own release. Where no other instance serves any more, the release stays instead.

use std::collections::BTreeSet;

use tokio_util::sync::CancellationToken;

use super::{
    EngineError, health,
    launch::belongs,
    observe::{self, instance_selector},
    walk::{Run, Undone},
};
use crate::{
    journal::{DnsChange, Entry, EntryRecord, Owned, OwnedStaticIp, Phase, Resource},
    machine::destroy_all,
    provider::{Address, Instance, InstanceState, Labels, RecordSet, Selector, StaticIp, label},
    resources::{
        Standing, balancers, dns_provider, find, find_balancer, give_back, remove_record, standing_record,
        wanted_record_name, written, zones,
    },
    traffic::{endpoint_of, take_away},
    watch::Wait,
};

impl Run<'_> {
    /// Moves the address back, removes what the release created, and closes the release. May be entered again.
    pub(super) async fn undo(&mut self) -> Result<Undone, EngineError> {
        // It is what an interruption asks for: what it launches and waits for is not to be interrupted by the same one.
        self.ctx.cancel = CancellationToken::new();
        if self.release.record.balanced {
            return Box::pin(self.undo_rollout()).await;
        }
        let switched = self.release.entered(Phase::Switching);
        self.enter(Phase::Failed).await?;
        self.probe = None;
        self.settle_launches().await?;
        let former = self.former_instance().await?;
        let own = self.own_instances().await?;
        if !switched {
            if self.resumed {
                self.check_unknown(&own).await?;
            }
            if former.is_none() && self.serves_by_hand(&own).await? {
                return self.keep().await;
            }
            if let Some(former) = &former {
                // Somebody may have moved the address by hand.
                self.address_back_at(former).await?;
            }
        } else {
            self.settle_move().await?;
            self.own_intended_address().await?;
            if !self.answers(former.as_ref()).await && self.is_last_to_serve(&own).await {
                return self.keep().await;
            }
            self.move_back(former.as_ref()).await?;
            self.take_back_given_address(&own).await?;
        }
        let adopted = self.release.adopted();
        let launched: Vec<_> =
            own.iter().filter(|instance| adopted.iter().all(|(id, _)| *id != instance.id)).cloned().collect();
        match &former {
            Some(_) => self.destroy_unused(&launched).await?,
            // Nothing else serves: the address may still point at what goes.
            None => destroy_all(&self.ctx, &instance_selector(&self.ctx), &launched).await?,
        }
        if let Some(former) = former.filter(|_| switched) {
            // An order of a run that died may have come late.
            self.address_back_at(&former).await?;
        }
        for (instance, from) in adopted {
            if own.iter().any(|standing| standing.id == instance) {
                let labels = Labels::new().with(label::RELEASE, from.0.to_string());
                self.ctx.provider.instances().label(&instance, &labels).await?;
            }
        }
        self.remove_login_keys().await?;
        self.enter(Phase::Undone).await?;
        self.ctx.events.info(format!("{} is undone; nothing of it is left", self.release.id()));
        Ok(Undone::Removed)
    }

    /// Whether an instance is there and does not say that it is sick.
    pub(super) async fn answers(&self, instance: Option<&Instance>) -> bool {
        let Some(address) = instance.and_then(|instance| instance.address.as_ref()) else { return false };
        !matches!(health::ask(&self.ctx, address).await, Some(Err(_)))
    }

    /// Whether somebody has pointed a static IP of this environment at an instance of this release by hand, which has passed its
    /// gate and is healthy.
    async fn serves_by_hand(&self, own: &[Instance]) -> Result<bool, EngineError> {
        let Some(instance) = own.iter().find(|instance| self.may_serve(instance)) else { return Ok(false) };
        let ips = match self.ctx.provider.static_ips() {
            Some(static_ips) => static_ips.list(&Selector::all()).await?,
            None => Vec::new(),
        };
        let mut known = ips.iter().filter(|ip| self.is_known_address(ip));
        Ok(known.any(|ip| ip.assigned_to.as_ref() == Some(&instance.id)) && self.answers(Some(instance)).await)
    }

    /// Whether this release replaced one that is gone or sick, and one of its instances, which has passed its gate, is healthy.
    pub(super) async fn is_last_to_serve(&self, own: &[Instance]) -> bool {
        if self.release.record.replaces.is_none() {
            return false;
        }
        self.answers(own.iter().find(|instance| self.may_serve(instance))).await
    }

    /// Finishes the release instead of undoing it: nothing else is healthy.
    pub(super) async fn keep(&mut self) -> Result<Undone, EngineError> {
        self.ctx.events.warn(format!(
            "no instance of {} is healthy any more: {} stays and serves",
            self.release.record.replaces.map_or_else(String::new, |former| former.to_string()),
            self.release.id()
        ));
        // It was asked just now. Where clients do not find it healthy either, there is nothing better, and the next release can
        // still replace it.
        self.resumed = false;
        self.switch().await?;
        self.probe = None;
        self.enter(Phase::Retiring).await?;
        self.retire().await?;
        self.enter(Phase::Done).await?;
        Ok(Undone::Kept)
    }

    /// Waits until nothing can come any more of a move that a dead run ordered, or it shows. Gives the static IP that shows it.
    async fn settle_move(&self) -> Result<Option<StaticIp>, EngineError> {
        let entries = &self.release.entries;
        let is_order = |entry: &Entry| matches!(entry, Entry::Assigning { .. } | Entry::MakingAddress { .. });
        let Some(at) = entries.iter().rposition(|record| is_order(&record.entry)) else { return Ok(None) };
        let answered = entries[at..].iter().any(|record| matches!(record.entry, Entry::Assigned { .. }));
        if answered && entries[at].run == self.session.lock.holder().run {
            return Ok(None);
        }
        let (to, static_ip) = match &entries[at].entry {
            Entry::Assigning { to, static_ip, .. } => (to, Some(static_ip)),
            Entry::MakingAddress { instance } => (instance, None),
            _ => return Ok(None),
        };
        let mut settling = self.settling(&entries[at], "a move of the static IP".to_owned());
        while settling.goes_on().await {
            let ip = match static_ip {
                Some(id) => find(self.static_ips()?, id).await?,
                None => {
                    let all = self.static_ips()?.list(&Selector::all()).await?;
                    all.into_iter().find(|ip| ip.assigned_to.as_ref() == Some(to))
                }
            };
            if let Some(ip) = ip.filter(|ip| !ip.busy && ip.assigned_to.as_ref() == Some(to)) {
                return Ok(Some(ip));
            }
        }
        Ok(None)
    }

    /// Waits until the record shows what another run has just set it to, or that can come to nothing any more: it would be there
    /// after it was taken back, or be made twice. `removes`: one look that does not show it yet would leave it for good, so that time
    /// alone counts.
    pub(super) async fn settle_record(&self, removes: bool) -> Result<(), EngineError> {
        let Some((announced, change)) = self.last_change() else { return Ok(()) };
        let mut known = self.resources.owned.iter().filter_map(|owned| Some((&owned.provider, owned.as_record()?)));
        let Some((provider, record)) = known.find(|(_, record)| record.fqdn() == change.fqdn) else { return Ok(()) };
        let dns = dns_provider(&self.ctx, provider)?;
        let mut settling = self.settling_at(dns.as_ref(), announced, format!("a change of {}", change.fqdn));
        while settling.goes_on().await {
            let standing = standing_record(zones(&self.ctx, provider)?, record).await?;
            if !removes && standing.is_some_and(|standing| standing.values == change.after) {
                break;
            }
        }
        Ok(())
    }

    pub(super) async fn move_back(&mut self, former: Option<&Instance>) -> Result<(), EngineError> {
        let Some(former) = former else {
            self.take_back_record().await?;
            return self.give_back_address().await;
        };
        self.ctx.events.info(format!("moving the address back to {}", former.name));
        // Where this release served under another address, the former one still points at the former instance.
        let release = self.release.id();
        self.resources.restore(release, Owned::is_way_in);
        if self.resources.static_ip().is_some_and(|(owned, _)| owned.made_by == Some(release)) {
            // There was none before: the former instance served under its own address.
            self.resources.supersede(release, |owned| owned.as_static_ip().is_some());
        }
        self.save_resources().await?;
        let balancer = match self.resources.load_balancer().map(|(_, owned)| owned.id.clone()) {
            Some(id) => find_balancer(balancers(&self.ctx)?, &id).await?,
            None => None,
        };
        // Behind a load balancer, the former one is one of several.
        let target = match &balancer {
            Some(balancer) => Some(endpoint_of(balancer)?.record_value()),
            None => {
                let address = self.address_back_at(former).await?.or_else(|| former.address.clone());
                address.map(|address| address.ip.to_string())
            }
        };
        self.take_back_record().await?;
        let same_record = wanted_record_name(&self.ctx)
            .zip(self.resources.record())
            .is_some_and(|((_, wanted), (_, standing))| standing.is_same(&wanted));
        if let Some(target) = target {
            if same_record {
                self.set_record(&target).await?;
            } else {
                self.record_back_at(&target).await?;
            }
        }
        self.give_back_address().await
    }

    /// Points the static IP at the former instance, where there is one and it points at one of this release, or nowhere.
    pub(super) async fn address_back_at(&mut self, former: &Instance) -> Result<Option<Address>, EngineError> {
        let Some((_, owned)) = self.resources.static_ip().map(|(owned, ip)| (owned.clone(), ip.clone())) else {
            return Ok(None);
        };
        let Some(ip) = find(self.static_ips()?, &owned.id).await? else {
            return Ok(Some(owned.address.clone()));
        };
        let ip = self.at_rest(ip).await?;
        if self.points_at_own(&ip).await? {
            self.assign(&ip, &former.id).await?;
        }
        Ok(Some(ip.address))
    }

    /// The instance that served before, if it still does.
    pub(super) async fn former_instance(&self) -> Result<Option<Instance>, EngineError> {
        let Some(former) = self.release.record.replaces else { return Ok(None) };
        let gated = self.engine.journal().release(former).await?.gated();
        let standing = Standing::sort(observe::instances(&self.ctx).await?, &self.ownership()).ours;
        Ok(standing.into_iter().find(|instance| {
            belongs(instance, former) && instance.state == InstanceState::Running && gated.contains(&instance.id)
        }))
    }

    async fn points_at_own(&self, ip: &StaticIp) -> Result<bool, EngineError> {
        let own = self.own_instances().await?;
        Ok(ip.assigned_to.as_ref().is_none_or(|to| own.iter().any(|instance| instance.id == *to)))
    }

    async fn at_rest(&self, ip: StaticIp) -> Result<StaticIp, EngineError> {
        if !ip.busy {
            return Ok(ip);
        }
        let wait = Wait::new("to come to rest");
        Ok(self.ctx.watcher.static_ip(&ip.id, wait, |ip| !ip.busy).await?)
    }

    fn made_record(&self) -> bool {
        self.resources.record().is_some_and(|(owned, _)| owned.made_by == Some(self.release.id()))
    }

    /// Removes the record that this release made, or puts the values back that it took over; then the one of before is wanted
    /// again.
    pub(super) async fn take_back_record(&mut self) -> Result<(), EngineError> {
        self.settle_record(self.made_record()).await?;
        if self.made_record()
            && let Some((owned, record)) =
                self.resources.record().map(|(owned, record)| (owned.clone(), record.clone()))
        {
            let fqdn = record.fqdn();
            let before = self.release.entries.iter().find_map(|record| match &record.entry {
                Entry::SettingRecord { change, .. } if change.fqdn == fqdn => Some(change.before.clone()),
                _ => None,
            });
            match before.flatten() {
                Some(values) => {
                    let zones = zones(&self.ctx, &owned.provider)?;
                    if let Some(standing) = standing_record(zones, &record).await? {
                        zones.upsert(&RecordSet { values, ..standing }).await?;
                    }
                }
                None => {
                    let written = written(&self.session.history, &self.release);
                    remove_record(&self.ctx, &owned.provider, &record, &written).await?;
                }
            }
            self.resources.forget(&owned.resource);
        }
        self.resources.restore(self.release.id(), |owned| owned.as_record().is_some());
        self.save_resources().await
    }

    /// Sends the record back that this release has changed and the manifest does not name any more.
    async fn record_back_at(&mut self, target: &str) -> Result<(), EngineError> {
        let owned = self.resources.record().map(|(owned, record)| (owned.provider.clone(), record.clone()));
        let Some((provider, record)) = owned else { return Ok(()) };
        let Some(standing) = standing_record(zones(&self.ctx, &provider)?, &record).await? else { return Ok(()) };
        let written = written(&[], &self.release);
        let after = vec![target.to_owned()];
        let set_otherwise = self.last_set(&record.fqdn()).is_some_and(|values| *values != after);
        if standing.values == after && !set_otherwise || !standing.values.iter().all(|value| written.contains(value)) {
            return Ok(());
        }
        let change = DnsChange { fqdn: record.fqdn(), before: Some(standing.values.clone()), after: after.clone() };
        self.note(Entry::SettingRecord { change, former_ttl: standing.ttl.as_secs() }).await?;
        Ok(zones(&self.ctx, &provider)?.upsert(&RecordSet { values: after, ..standing }).await?)
    }

    /// The static IP that this release asked for and did not live to write down, where there is one.
    async fn intended_address(&mut self) -> Result<Option<StaticIp>, EngineError> {
        let intended = self.release.entries.iter().find_map(|record| match &record.entry {
            Entry::MakingAddress { instance } => Some(instance.clone()),
            _ => None,
        });
        let made = |owned: &Owned| owned.as_static_ip().is_some() && owned.made_by == Some(self.release.id());
        let Some(instance) = intended.filter(|_| !self.resources.owned.iter().any(made)) else { return Ok(None) };
        let shown = self.settle_move().await?;
        let owned: Vec<_> = self.resources.static_ips().map(|(_, owned)| owned.id.clone()).collect();
        let mut all = self.static_ips()?.list(&Selector::all()).await?;
        // A list may lag behind the one before it.
        all.extend(shown);
        all.retain(|ip| !owned.contains(&ip.id));
        // Where addresses carry labels, one that was made and points nowhere yet is known by them.
        let labels = self.own_selector().with(label::ENV_ID, self.session.identity.environment.id.as_str());
        let going = |ip: &&StaticIp| match &ip.assigned_to {
            Some(to) => *to == instance,
            None => !ip.busy && ip.labels.matches(&labels),
        };
        if let Some(found) = all.iter().find(going) {
            return Ok(Some(found.clone()));
        }
        let Some(busy) = all.into_iter().find(|ip| ip.busy && ip.assigned_to.is_none()) else { return Ok(None) };
        let ip = self.at_rest(busy).await?;
        Ok(Some(ip).filter(|ip| ip.assigned_to.as_ref() == Some(&instance)))
    }

    /// Writes down the static IP that a dead run of this release asked for.
    pub(super) async fn own_intended_address(&mut self) -> Result<(), EngineError> {
        let Some(ip) = self.intended_address().await? else { return Ok(()) };
        let owned = OwnedStaticIp { id: ip.id, address: ip.address };
        self.resources.want_static_ip(owned, &self.release.record.place(), true, self.release.id());
        self.save_resources().await
    }

    /// Gives back the static IP that this release made.
    async fn give_back_address(&mut self) -> Result<(), EngineError> {
        let release = self.release.id();
        let made = |owned: &Owned| owned.as_static_ip().is_some() && owned.made_by == Some(release);
        let Some(owned) = self.resources.owned.iter().find(|owned| made(owned)).cloned() else { return Ok(()) };
        let Resource::StaticIp(ip) = &owned.resource else { return Ok(()) };
        if !give_back(&self.ctx, ip, &self.ownership()).await? {
            return Ok(());
        }
        self.resources.forget(&owned.resource);
        self.save_resources().await
    }

    /// Takes a static IP that this release did not make from its instance, where it pointed at nothing before: it is found as it was.
    async fn take_back_given_address(&self, own: &[Instance]) -> Result<(), EngineError> {
        let taken = self.release.entries.iter().filter_map(|record| match &record.entry {
            Entry::Assigning { static_ip, from: None, .. } => Some(static_ip.clone()),
            _ => None,
        });
        for id in taken.collect::<BTreeSet<_>>() {
            let release = Some(self.release.id());
            if self.resources.static_ips().any(|(owned, ip)| ip.id == id && owned.made_by == release) {
                continue;
            }
            let Some(ip) = find(self.static_ips()?, &id).await? else { continue };
            let ip = self.at_rest(ip).await?;
            if own.iter().any(|instance| ip.assigned_to.as_ref() == Some(&instance.id)) {
                take_away(&self.ctx, self.static_ips()?, &ip).await?;
            }
        }
        Ok(())
    }

    /// What this release has last set a record to.
    pub(super) fn last_set(&self, fqdn: &str) -> Option<&Vec<String>> {
        self.release.entries.iter().rev().find_map(|record| match &record.entry {
            Entry::SettingRecord { change, .. } if change.fqdn == fqdn => Some(&change.after),
            _ => None,
        })
    }

    /// The last change of a record, unless this run made it, with its announcement.
    fn last_change(&self) -> Option<(&EntryRecord, &DnsChange)> {
        let own = self.session.lock.holder().run;
        let last = self.release.entries.iter().rev().find_map(|record| match &record.entry {
            Entry::SettingRecord { change, .. } => Some((record, change)),
            _ => None,
        });
        last.filter(|(record, _)| record.run != own)
    }
}
