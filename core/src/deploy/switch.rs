//! Switching and verifying: the stable address moves to an instance that has passed its gate.

use std::time::Duration;

use jiff::Timestamp;

use super::{EngineError, EngineErrorKind, health, observe, walk::Run};
use crate::{
    events::Event,
    journal::{DnsChange, Entry, EntryRecord, Owned, OwnedRecord, OwnedStaticIp},
    manifest::StaticIpChoice,
    provider::{
        Address, Capability, DnsZones, Error, Instance, InstanceId, Selector, StaticIp, StaticIpSpec, StaticIps,
    },
    resources::{self, Standing, find, may_write, wanted_record},
    traffic::{self, points_elsewhere},
};

/// How often an address that somebody moves away is moved back.
const MOVES: u32 = 3;

impl Run<'_> {
    /// Points the stable address and the record at this release.
    pub(super) async fn switch(&mut self) -> Result<(), EngineError> {
        if self.release.record.balanced {
            return self.lead_to_balancer().await;
        }
        let standing = Standing::sort(observe::instances(&self.ctx).await?, &self.ownership()).ours;
        let instance = self.passed(&standing)?;
        if std::mem::take(&mut self.resumed) {
            self.still_healthy(&instance).await?;
        }
        let address = self.point_address_at(&instance, &standing).await?;
        self.set_record(&address.ip.to_string()).await
    }

    /// Points the record at the load balancer, behind which the instances of this release serve.
    async fn lead_to_balancer(&mut self) -> Result<(), EngineError> {
        let Some(balancer) = self.find_own_balancer().await? else {
            let message = format!("the load balancer of {} is gone", self.release.id());
            return Err(
                EngineError::new(EngineErrorKind::Gate, message).hint("run `remint deploy`, which creates another")
            );
        };
        let balancer = traffic::active(&self.ctx, &balancer).await?;
        let leads_to = traffic::endpoint_of(&balancer)?.record_value();
        self.set_record(&leads_to).await
    }

    /// The instance of this release that may serve.
    pub(super) async fn gated_instance(&self) -> Result<Instance, EngineError> {
        self.passed(&self.own_instances().await?)
    }

    fn passed(&self, standing: &[Instance]) -> Result<Instance, EngineError> {
        standing.iter().find(|instance| self.may_serve(instance)).cloned().ok_or_else(|| {
            let message = format!("the instance of {} that passed the gate does not run any more", self.release.id());
            EngineError::new(EngineErrorKind::Gate, message)
        })
    }

    /// Points the stable address at an instance, and returns the address under which clients find the service.
    async fn point_address_at(&mut self, instance: &Instance, ours: &[Instance]) -> Result<Address, EngineError> {
        let release = self.release.id();
        self.own_intended_address().await?;
        let begun = self.begun_address().await?;
        let own = match &begun {
            Some(begun) => begun.is_none(),
            None => *self.ctx.loaded.manifest.static_ip() == StaticIpChoice::None,
        };
        if own {
            if self.resources.wanted().any(Owned::is_way_in) {
                self.resources.supersede(release, Owned::is_way_in);
                self.save_resources().await?;
            }
            return instance.address.clone().ok_or_else(|| {
                EngineError::new(EngineErrorKind::Provider, format!("instance {} has no address", instance.name))
            });
        }
        let standing = match begun.flatten() {
            Some(ip) => Some(ip),
            None => resources::static_ip(&self.ctx, &self.resources).await?,
        };
        let (ip, made) = match standing {
            Some(ip) => (ip, false),
            None => (self.make_address(instance, ours).await?, true),
        };
        if self.resources.static_ip().is_none_or(|(_, owned)| owned.id != ip.id) {
            let owned = OwnedStaticIp { id: ip.id.clone(), address: ip.address.clone() };
            let place = self.release.record.place();
            self.resources.want_static_ip(owned, &place, made, release);
            self.save_resources().await?;
        }
        if let Some(to) = ip.assigned_to.as_ref().filter(|to| !ours.iter().any(|instance| instance.id == **to)) {
            // Somebody may have given the address away since the plan was made.
            return Err(points_elsewhere(ip.address.ip, to));
        }
        if ip.assigned_to.is_some() {
            self.probe = health::watch(&self.ctx, &ip.address).await;
        }
        self.assign(&ip, &instance.id).await?;
        Ok(ip.address)
    }

    /// The address under which a release that was left unfinished began to serve: its static IP, or `Some(None)` for the instance's
    /// own. It stays at that whatever the manifest asks for by now, as a second address would cost the instance the first one; the
    /// next release brings the change.
    async fn begun_address(&self) -> Result<Option<Option<StaticIp>>, EngineError> {
        if self.release.phase().is_final() {
            return Ok(None);
        }
        let begun = self.release.entries.iter().rev().find_map(|record| match &record.entry {
            Entry::Assigning { static_ip, .. } => Some(Some(static_ip.clone())),
            Entry::MakingAddress { .. } => self.resources.static_ip().map(|(_, owned)| Some(owned.id.clone())),
            _ => None,
        });
        let set = self.release.entries.iter().any(|record| matches!(record.entry, Entry::SettingRecord { .. }));
        match begun.or_else(|| set.then_some(None)) {
            None => Ok(None),
            Some(None) => Ok(Some(None)),
            Some(Some(id)) => Ok(find(self.static_ips()?, &id).await?.map(Some)),
        }
    }

    async fn make_address(&mut self, instance: &Instance, ours: &[Instance]) -> Result<StaticIp, EngineError> {
        let spec = StaticIpSpec {
            name: self.address_name(),
            labels: instance.labels.clone(),
            region: instance.region.clone(),
            instance: instance.id.clone(),
        };
        if self.ctx.provider.descriptor().has(Capability::StaticIpLabels) {
            self.check_labelled(&spec, ours).await?;
        } else {
            self.check_unaddressed(instance).await?;
        }
        self.note(Entry::MakingAddress { instance: instance.id.clone() }).await?;
        Ok(self.static_ips()?.ensure(&spec).await?)
    }

    /// Where a cloud labels addresses, one that was made before is taken for the one that is to be made, wherever it points:
    /// somebody may have given it to an instance that is not ours.
    async fn check_labelled(&self, spec: &StaticIpSpec, ours: &[Instance]) -> Result<(), EngineError> {
        for ip in self.static_ips()?.list(&spec.identity()).await? {
            if let Some(to) = ip.assigned_to.filter(|to| !ours.iter().any(|instance| instance.id == *to)) {
                return Err(points_elsewhere(ip.address.ip, &to));
            }
        }
        Ok(())
    }

    /// Where a cloud does not label addresses, one that points at the instance would be taken for the one that is to be made. One
    /// that somebody put there by hand is not ours.
    async fn check_unaddressed(&self, instance: &Instance) -> Result<(), EngineError> {
        let intended = |record: &EntryRecord| matches!(&record.entry, Entry::MakingAddress { instance: made_for } if *made_for == instance.id);
        if self.release.entries.iter().any(intended) {
            return Ok(());
        }
        let all = self.static_ips()?.list(&Selector::all()).await?;
        let Some(foreign) = all.into_iter().find(|ip| ip.assigned_to.as_ref() == Some(&instance.id)) else {
            return Ok(());
        };
        let address = foreign.address.ip;
        let message = format!("static IP {address} points at {}, and was not made by remint", instance.name);
        Err(EngineError::new(EngineErrorKind::Conflict, message)
            .hint(format!("name it: `static_ip = {{ existing = \"{address}\" }}` in `[address]`, or take it away")))
    }

    /// The name of the static IP, where the cloud names addresses. The environment's id is in it: another journal's
    /// environment of the same name has another.
    fn address_name(&self) -> String {
        let id = self.session.identity.environment.id.as_str();
        let tail = format!("-{}", id.get(..8).unwrap_or(id));
        let mut name = format!("{}-{}", self.ctx.loaded.manifest.service, self.ctx.loaded.environment);
        name.truncate(self.ctx.provider.descriptor().limits.name_length.saturating_sub(tail.len()));
        name.truncate(name.trim_end_matches('-').len());
        name + &tail
    }

    /// Moves a static IP, and waits until it has moved.
    pub(super) async fn assign(&mut self, ip: &StaticIp, to: &InstanceId) -> Result<(), EngineError> {
        if ip.assigned_to.as_ref() == Some(to) && !ip.busy {
            return Ok(());
        }
        let entry = Entry::Assigning { static_ip: ip.id.clone(), from: ip.assigned_to.clone(), to: to.clone() };
        self.note(entry).await?;
        self.make_room(ip, to).await?;
        traffic::move_to(&self.ctx, self.static_ips()?, ip, to, self.started).await?;
        self.note(Entry::Assigned { to: to.clone() }).await?;
        let address = ip.address.ip.to_string();
        self.ctx.events.emit(Event::AddressMoved { address, instance: to.clone() });
        Ok(())
    }

    /// An instance has one static IP. Another one of this environment that somebody has put there by hand makes way.
    async fn make_room(&self, ip: &StaticIp, to: &InstanceId) -> Result<(), EngineError> {
        let static_ips = self.static_ips()?;
        for (_, other) in self.resources.static_ips().filter(|(_, other)| other.id != ip.id) {
            let Some(other) = find(static_ips, &other.id).await? else { continue };
            if other.assigned_to.as_ref() == Some(to) {
                let address = other.address.ip;
                self.ctx.events.warn(format!("static IP {address} was put at {to} by hand; taking it from there"));
                traffic::take_away(&self.ctx, static_ips, &other).await?;
            }
        }
        Ok(())
    }

    pub(super) fn static_ips(&self) -> Result<&dyn StaticIps, EngineError> {
        let missing = || Error::unsupported("move static IP", Capability::StaticIp).into();
        self.ctx.provider.static_ips().ok_or_else(missing)
    }

    pub(super) fn dns_zones(&self) -> Result<&dyn DnsZones, EngineError> {
        let missing = || Error::unsupported("set record", Capability::Dns).into();
        self.ctx.dns_provider().dns_zones().ok_or_else(missing)
    }

    /// Sets the record where it is not as it should be. That it is ours is written down before it is made.
    pub(super) async fn set_record(&mut self, leads_to: &str) -> Result<(), EngineError> {
        let Some(wanted) = wanted_record(&self.ctx, leads_to) else {
            if self.resources.record().is_some() {
                self.resources.supersede(self.release.id(), |owned| owned.as_record().is_some());
                self.save_resources().await?;
            }
            return Ok(());
        };
        self.settle_record(false).await?;
        let standing = self.dns_zones()?.get(&wanted.zone, &wanted.name, wanted.kind).await?;
        if let Some(standing) = &standing {
            may_write(&self.ctx, &self.resources, standing)?;
        }
        // A look may show what was before the last change, which is what is wanted again where a release is undone.
        let set_otherwise = self.last_set(&wanted.fqdn()).is_some_and(|values| *values != wanted.values);
        let is_so = standing.as_ref().is_some_and(|standing| standing.is_as(&wanted)) && !set_otherwise;
        let ttl = wanted.ttl.as_secs();
        let named = OwnedRecord { zone: wanted.zone.clone(), name: wanted.name.clone(), kind: wanted.kind, ttl };
        if !is_so {
            let before = standing.as_ref().map(|record| record.values.clone());
            let change = DnsChange { fqdn: wanted.fqdn(), before, after: wanted.values.clone() };
            let former_ttl = standing.as_ref().map_or(0, |record| record.ttl.as_secs());
            self.note(Entry::SettingRecord { change, former_ttl }).await?;
        }
        if self.resources.record().is_none_or(|(_, owned)| *owned != named) {
            let provider = self.ctx.dns_provider().descriptor().id;
            self.resources.want_record(named, provider, self.release.id());
            self.save_resources().await?;
        }
        if is_so {
            return self.await_resolvers().await;
        }
        if let Some(asked) =
            self.ctx.loaded.manifest.dns.as_ref().map(|dns| dns.ttl.0).filter(|asked| *asked < wanted.ttl)
        {
            let message = format!(
                "the TTL of {} is raised from {} s to {ttl} s, the least that the DNS provider has",
                wanted.fqdn(),
                asked.as_secs()
            );
            self.ctx.events.info(message);
        }
        self.dns_zones()?.upsert(&wanted).await?;
        self.await_resolvers().await
    }

    /// Notes until when resolvers may hand out what a record said before its last change, and counts from now how long they keep
    /// the records that it replaces: what those lead to must stay. A run that dies before it notes this leaves it to the next one.
    async fn await_resolvers(&mut self) -> Result<(), EngineError> {
        let Some((change, former_ttl)) = unannounced_change(&self.release.entries) else { return Ok(()) };
        let differs = change.before.as_ref().is_some_and(|before| *before != change.after);
        let former_ttl = Duration::from_secs(if differs { former_ttl } else { 0 });
        let replaces = self.resources.supersede_records_from_now(self.release.id());
        if replaces {
            self.renamed = Some(crate::clock::boottime());
            self.save_resources().await?;
        }
        if differs || replaces {
            self.note_resolvers(former_ttl).await?;
        }
        Ok(())
    }

    /// Notes for how long from now resolvers may hand out what a record said before.
    pub(super) async fn note_resolvers(&mut self, ttl: Duration) -> Result<(), EngineError> {
        let until = crate::clock::wall().checked_add(ttl).unwrap_or(Timestamp::MAX);
        self.note(Entry::AwaitingResolvers { until }).await?;
        self.forgotten = self.forgotten.max(Some(crate::clock::boottime() + ttl));
        Ok(())
    }

    /// Watches the service through the stable address.
    pub(super) async fn verify(&mut self) -> Result<(), EngineError> {
        if self.release.record.balanced {
            return self.verify_balancer().await;
        }
        let address = match self.resources.static_ip() {
            Some((_, owned)) => owned.address.clone(),
            None => match self.gated_instance().await?.address {
                Some(address) => address,
                None => return Ok(()),
            },
        };
        let observed = health::observe(&self.ctx, &address, self.ctx.loaded.manifest.deploy.observe.0).await;
        if let Some(probe) = self.probe.take() {
            let report = probe.finish().await;
            self.ctx.events.emit(Event::Probed {
                sent: report.sent,
                failed: report.failed,
                longest_gap: report.longest_gap,
            });
        }
        observed?;
        self.resumed = false;
        self.answered_by_us().await
    }

    /// Watches the service through the load balancer, unless this run did so a moment ago.
    async fn verify_balancer(&mut self) -> Result<(), EngineError> {
        if std::mem::take(&mut self.watched) {
            return Ok(());
        }
        let Some(balancer) = self.find_own_balancer().await? else { return Ok(()) };
        health::observe_balancer(&self.ctx, &balancer, self.ctx.loaded.manifest.deploy.observe.0).await
    }

    /// Makes sure that it was this release that answered through the address. Somebody, or a request of a run that died, may have
    /// moved it meanwhile: then it is moved once more and watched again.
    pub(super) async fn answered_by_us(&mut self) -> Result<(), EngineError> {
        let Some((_, owned)) = self.resources.static_ip().map(|(owned, ip)| (owned.clone(), ip.clone())) else {
            return Ok(());
        };
        for attempt in 1..=MOVES {
            let ip = find(self.static_ips()?, &owned.id).await?;
            let points_here = |ip: &StaticIp| !ip.busy && ip.assigned_to.as_ref().is_some_and(|to| self.is_gated(to));
            let Some(ip) = ip.filter(|ip| !points_here(ip)) else { return Ok(()) };
            if attempt == MOVES {
                break;
            }
            self.ctx.events.warn(format!(
                "static IP {} was moved away; moving it to {}",
                ip.address.ip,
                self.release.id()
            ));
            let standing = Standing::sort(observe::instances(&self.ctx).await?, &self.ownership()).ours;
            if let Some(to) = ip.assigned_to.as_ref().filter(|to| !standing.iter().any(|one| one.id == **to)) {
                return Err(points_elsewhere(ip.address.ip, to));
            }
            let instance = self.passed(&standing)?;
            self.assign(&ip, &instance.id).await?;
            let during = self.ctx.loaded.manifest.deploy.observe.0;
            health::observe(&self.ctx, &ip.address, during).await?;
        }
        let message = format!("static IP {} keeps being moved away from {}", owned.address.ip, self.release.id());
        Err(EngineError::new(EngineErrorKind::Conflict, message)
            .hint("find out who else moves it; `remint status` shows where it points"))
    }
}

/// The last change of a record of which is not noted yet how long resolvers may keep what was before, with the time to live of
/// that, in seconds.
fn unannounced_change(entries: &[EntryRecord]) -> Option<(DnsChange, u64)> {
    let last = entries.iter().rev().find_map(|record| match &record.entry {
        Entry::SettingRecord { change, former_ttl } => Some(Some((change.clone(), *former_ttl))),
        Entry::AwaitingResolvers { .. } => Some(None),
        _ => None,
    });
    last.flatten()
}
