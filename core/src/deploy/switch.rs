//! Switching and verifying: the stable address moves to an instance that has passed its gate.

use std::time::Duration;

use super::{
    DeployError, DeployErrorKind,
    engine::Run,
    observe::{self, wanted_record},
};
use crate::{
    events::Event,
    journal::{DnsChange, Entry, OwnedRecord, OwnedStaticIp},
    manifest::StaticIpChoice,
    provider::{
        Address, Capability, DnsZones, Error, Instance, InstanceId, InstanceState, StaticIp, StaticIpId, StaticIpSpec,
        StaticIps,
    },
    watch::{Observed, Wait},
};

/// How long a static IP may take to move.
const MOVED_WITHIN: Duration = Duration::from_secs(300);
/// How often a move is asked for that the cloud accepts and does not carry out.
const ORDERS: u32 = 3;

impl Run<'_> {
    /// Points the stable address and the record at this release.
    pub(super) async fn switch(&mut self) -> Result<(), DeployError> {
        let standing = observe::instances(self.ctx).await?;
        let instance = self.passed(&standing)?;
        let address = self.point_address_at(&instance, &standing).await?;
        self.set_record(&address).await
    }

    /// The instance of this release that may serve.
    pub(super) async fn gated_instance(&self) -> Result<Instance, DeployError> {
        self.passed(&self.own_instances().await?)
    }

    fn passed(&self, standing: &[Instance]) -> Result<Instance, DeployError> {
        let passed = |instance: &&Instance| instance.state == InstanceState::Running && self.is_gated(&instance.id);
        standing.iter().find(passed).cloned().ok_or_else(|| {
            let message = format!("the instance of {} that passed the gate does not run any more", self.release.id());
            DeployError::new(DeployErrorKind::Gate, message)
        })
    }

    /// Points the stable address at an instance, and returns the address under which clients find the service.
    pub(super) async fn point_address_at(
        &mut self,
        instance: &Instance,
        ours: &[Instance],
    ) -> Result<Address, DeployError> {
        if self.ctx.loaded.manifest.address.static_ip == StaticIpChoice::None {
            return instance.address.clone().ok_or_else(|| {
                DeployError::new(DeployErrorKind::Provider, format!("instance {} has no address", instance.name))
            });
        }
        let ip = match observe::static_ip(self.ctx, &self.resources).await? {
            Some(ip) => ip,
            None => self.make_address(instance).await?,
        };
        if self.resources.static_ip.as_ref().is_none_or(|owned| owned.id != ip.id) {
            let made_by = match self.ctx.loaded.manifest.address.static_ip {
                StaticIpChoice::Managed => Some(self.release.id()),
                _ => None,
            };
            let owned = OwnedStaticIp { id: ip.id.clone(), address: ip.address.clone(), made_by };
            self.resources.static_ip = Some(owned);
            self.save_resources().await?;
        }
        check_ours(&ip, ours)?;
        if ip.assigned_to.is_some() {
            self.probe = self.outside().probe(self.ctx, &ip.address);
        }
        self.assign(&ip, &instance.id).await?;
        Ok(ip.address)
    }

    async fn make_address(&mut self, instance: &Instance) -> Result<StaticIp, DeployError> {
        self.note(Entry::MakingAddress { instance: instance.id.clone() }).await?;
        let spec = StaticIpSpec {
            name: format!("{}-{}", self.ctx.loaded.manifest.service, self.ctx.loaded.environment),
            labels: instance.labels.clone(),
            region: instance.region.clone(),
            instance: instance.id.clone(),
        };
        Ok(self.static_ips()?.ensure(&spec).await?)
    }

    /// Moves a static IP, and waits until it has moved.
    pub(super) async fn assign(&mut self, ip: &StaticIp, to: &InstanceId) -> Result<(), DeployError> {
        if ip.assigned_to.as_ref() == Some(to) && !ip.busy {
            return Ok(());
        }
        let entry = Entry::Assigning { static_ip: ip.id.clone(), from: ip.assigned_to.clone(), to: to.clone() };
        self.note(entry).await?;
        let at_rest = |ip: &StaticIp| !ip.busy;
        let mut seen = ip.clone();
        if seen.busy {
            // Made a moment ago, or left on its way by a run that died: it may be going there already.
            let wait = Wait::new("to come to rest").first(self.assign_time()).timeout(MOVED_WITHIN);
            seen = self.ctx.watcher.static_ip(&ip.id, wait, at_rest).await?;
        }
        for attempt in 1..=ORDERS {
            if seen.assigned_to.as_ref() == Some(to) {
                break;
            }
            if attempt > 1 {
                self.ctx.events.warn(format!("static IP {} did not move; asking again", ip.address.ip));
            }
            order(self.ctx, self.static_ips()?, &ip.id, to).await?;
            let wait = Wait::new(format!("to point at {to}")).first(self.assign_time()).short_part();
            let wait = wait.timeout(MOVED_WITHIN);
            seen = self.ctx.watcher.static_ip(&ip.id, wait, at_rest).await?;
        }
        if seen.assigned_to.as_ref() != Some(to) {
            let message = format!("static IP {} does not move to {to}, asked {ORDERS} times", ip.address.ip);
            return Err(DeployError::new(DeployErrorKind::Provider, message)
                .hint("the cloud does not say why; look at its status page, and try again"));
        }
        self.note(Entry::Assigned { to: to.clone() }).await?;
        let address = ip.address.ip.to_string();
        self.ctx.events.emit(Event::AddressMoved { address, instance: to.clone() });
        Ok(())
    }

    fn assign_time(&self) -> Duration {
        self.ctx.provider.descriptor().limits.assign_time
    }

    pub(super) fn static_ips(&self) -> Result<&dyn StaticIps, DeployError> {
        let missing = || Error::unsupported("move static IP", Capability::StaticIp).into();
        self.ctx.provider.static_ips().ok_or_else(missing)
    }

    pub(super) fn dns_zones(&self) -> Result<&dyn DnsZones, DeployError> {
        let missing = || Error::unsupported("set record", Capability::Dns).into();
        self.ctx.dns_provider().dns_zones().ok_or_else(missing)
    }

    /// Sets the record where it is not as it should be. That it is ours is written down before it is made.
    pub(super) async fn set_record(&mut self, address: &Address) -> Result<(), DeployError> {
        let Some(wanted) = wanted_record(self.ctx, address.ip) else { return Ok(()) };
        let standing = self.dns_zones()?.get(&wanted.zone, &wanted.name, wanted.kind).await?;
        let before = standing.as_ref().map(|record| record.values.clone());
        if standing.as_ref() == Some(&wanted) {
            return Ok(());
        }
        let change = DnsChange { fqdn: wanted.fqdn(), before, after: wanted.values.clone() };
        self.note(Entry::SettingRecord { change }).await?;
        let known = self.resources.record.as_ref();
        if known.is_none_or(|owned| (&owned.zone, &owned.name) != (&wanted.zone, &wanted.name)) {
            self.resources.record = Some(OwnedRecord {
                zone: wanted.zone.clone(),
                name: wanted.name.clone(),
                kind: wanted.kind,
                provider: self.ctx.dns_provider().descriptor().id.into(),
                made_by: self.release.id(),
            });
            self.save_resources().await?;
        }
        Ok(self.dns_zones()?.upsert(&wanted).await?)
    }

    /// Watches the service through the stable address.
    pub(super) async fn verify(&mut self) -> Result<(), DeployError> {
        let address = match &self.resources.static_ip {
            Some(owned) if self.ctx.loaded.manifest.address.static_ip != StaticIpChoice::None => owned.address.clone(),
            _ => match self.gated_instance().await?.address {
                Some(address) => address,
                None => return Ok(()),
            },
        };
        let observed = self.outside().observe(self.ctx, &address, self.ctx.loaded.manifest.deploy.observe.0).await;
        if let Some(probe) = self.probe.take() {
            let report = probe.finish().await;
            self.ctx.events.emit(Event::Probed {
                sent: report.sent,
                failed: report.failed,
                longest_gap: report.longest_gap,
            });
        }
        observed
    }
}

/// Orders the move, coming back while the cloud is busy.
async fn order(
    ctx: &crate::context::Context,
    static_ips: &dyn StaticIps,
    ip: &StaticIpId,
    to: &InstanceId,
) -> Result<(), DeployError> {
    let wait = Wait::new("to take the order to move").timeout(MOVED_WITHIN);
    let order = || async move { static_ips.assign(ip, to).await.map(Observed::Done) };
    Ok(ctx.watcher.poll(&format!("static IP {ip}"), wait, order).await?)
}

/// Somebody may have given the address away since the plan was made.
fn check_ours(ip: &StaticIp, ours: &[Instance]) -> Result<(), DeployError> {
    let Some(to) = &ip.assigned_to else { return Ok(()) };
    if ours.iter().any(|instance| instance.id == *to) {
        return Ok(());
    }
    let message = format!("static IP {} points at {to}, which is no instance of this environment", ip.address.ip);
    Err(DeployError::new(DeployErrorKind::Conflict, message)
        .hint("take the address from that instance first, or choose another one in `[address]`"))
}
