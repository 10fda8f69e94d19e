//! Static IPs of the model: the cloud's API for them, and the provider.

use std::net::{IpAddr, Ipv4Addr};

use async_trait::async_trait;
use remint_conformance::LostReply;
use remint_core::provider::{
    Address, Capability, ErrorKind, InstanceId, InstanceState, Labels, Result, Selector, StaticIp, StaticIpId,
    StaticIpSpec, StaticIps,
};
use tokio::time::Instant;

use super::{
    Ip, Model, World,
    cloud::{MOVE, STATIC_IP_LIMIT},
    instances::check_labels,
    not_found, refusal,
};

impl World {
    /// The static IP that a spec asks for, which is proven by its labels.
    pub(crate) fn own_ip(&self, spec: &StaticIpSpec) -> Result<Option<&Ip>> {
        let identity = spec.identity();
        let points = |ip: &&Ip| ip.end() == Some(&spec.instance);
        let (own, others): (Vec<&Ip>, Vec<&Ip>) =
            self.ips.values().partition(|ip: &&Ip| ip.ip.labels.matches(&identity));
        if let Some(other) = others.into_iter().find(points) {
            let message = format!("the instance has the static IP {} of somebody else", other.ip.id);
            return Err(refusal(ErrorKind::Conflict, "allocate static IP", message).with_resource(&spec.name));
        }
        Ok(own.iter().find(|ip| points(ip)).or_else(|| own.iter().find(|ip| ip.name == spec.name)).copied())
    }

    /// Makes a static IP. With a token (here: the instance), one that was made with it is returned.
    pub(crate) fn allocate(&mut self, token: Option<&InstanceId>, spec: &StaticIpSpec) -> Result<StaticIp> {
        let operation = "allocate static IP";
        if token.is_some()
            && let Some(Ip { ip, .. }) = self.own_ip(spec)?
        {
            return Ok(ip.clone());
        }
        let region = self.machine(operation, &spec.instance)?.instance.region.clone();
        if self.ips.len() >= STATIC_IP_LIMIT {
            let message = format!("{STATIC_IP_LIMIT} of {STATIC_IP_LIMIT} static IPs are in use");
            let hint = "release a static IP, or ask the cloud for more";
            return Err(refusal(ErrorKind::Quota, operation, message).with_hint(hint));
        }
        let address = Address::new(IpAddr::V4(Ipv4Addr::from(0xC633_6400 + self.number())));
        let id = StaticIpId::new(address.ip.to_string());
        let labels = spec.labels.clone();
        let ip = StaticIp { id: id.clone(), address, assigned_to: None, busy: true, region, labels };
        let moving = Some((spec.instance.clone(), Instant::now() + MOVE));
        self.ips.insert(id, Ip { ip: ip.clone(), name: spec.name.clone(), moving });
        Ok(ip)
    }

    /// The static IP of an id.
    pub(crate) fn ip(&mut self, operation: &'static str, id: &StaticIpId) -> Result<&mut Ip> {
        self.ips.get_mut(id).ok_or_else(|| not_found(operation, id))
    }

    /// Starts a move.
    pub(crate) fn assign(&mut self, id: &StaticIpId, to: &InstanceId) -> Result<()> {
        let instance = self.machine("assign", to)?.instance.clone();
        let ip = self.ip("assign", id)?;
        if ip.end() == Some(to) {
            return Ok(());
        }
        let refused = |kind, message: &str| Err(refusal(kind, "assign", message).with_resource(id));
        if ip.ip.region != instance.region {
            return refused(ErrorKind::InvalidInput, "the instance is in another region");
        }
        if ip.ip.busy || instance.state == InstanceState::Destroying {
            return refused(ErrorKind::Busy, "the static IP or the instance is at work");
        }
        ip.ip.busy = true;
        ip.moving = Some((to.clone(), Instant::now() + MOVE));
        Ok(())
    }

    /// Takes a static IP away.
    pub(crate) fn unassign(&mut self, id: &StaticIpId) -> Result<()> {
        let ip = self.ip("unassign", id)?;
        if ip.ip.busy {
            return Err(refusal(ErrorKind::Busy, "unassign", "the static IP moves").with_resource(id));
        }
        ip.ip.assigned_to = None;
        Ok(())
    }

    /// Releases a static IP.
    pub(crate) fn release(&mut self, id: &StaticIpId) -> Result<()> {
        if self.ips.get(id).is_some_and(|ip| ip.ip.busy) {
            return Err(refusal(ErrorKind::Busy, "release", "the static IP moves").with_resource(id));
        }
        self.ips.remove(id);
        Ok(())
    }
}

impl Ip {
    /// Where it points once it is there.
    pub(crate) fn end(&self) -> Option<&InstanceId> {
        self.moving.as_ref().map(|(to, _)| to).or(self.ip.assigned_to.as_ref())
    }
}

#[async_trait]
impl StaticIps for Model {
    async fn ensure(&self, spec: &StaticIpSpec) -> Result<StaticIp> {
        match self.read(|world| Ok(world.own_ip(spec)?.cloned())).await? {
            Some(found) if found.end() == Some(&spec.instance) => Ok(found.ip),
            Some(found) => {
                StaticIps::assign(self, &found.ip.id, &spec.instance).await?;
                StaticIps::get(self, &found.ip.id).await
            }
            None => self.change(LostReply::EnsureStaticIp, |world| world.allocate(Some(&spec.instance), spec)).await,
        }
    }

    async fn list(&self, selector: &Selector) -> Result<Vec<StaticIp>> {
        self.read(|world| {
            let all = world.ips.values().map(|ip| &ip.ip);
            Ok(all.filter(|ip| ip.labels.matches(selector)).cloned().collect())
        })
        .await
    }

    async fn get(&self, id: &StaticIpId) -> Result<StaticIp> {
        self.read(|world| world.ip("get static IP", id).map(|ip| ip.ip.clone())).await
    }

    async fn assign(&self, id: &StaticIpId, instance: &InstanceId) -> Result<()> {
        let points = self.read(|world| Ok(world.ip("assign", id)?.end() == Some(instance))).await?;
        if points {
            return Ok(());
        }
        self.change(LostReply::AssignStaticIp, |world| world.assign(id, instance)).await
    }

    async fn label(&self, id: &StaticIpId, labels: &Labels) -> Result<()> {
        self.needs("label static IP", Capability::StaticIpLabels)?;
        check_labels("label static IP", labels)?;
        self.change(None, |world| {
            world.ip("label static IP", id)?.ip.labels.0.extend(labels.0.clone());
            Ok(())
        })
        .await
    }

    async fn unassign(&self, id: &StaticIpId) -> Result<()> {
        let points = self.read(|world| Ok(world.ip("unassign", id)?.end().is_some())).await?;
        if points { self.change(None, |world| world.unassign(id)).await } else { Ok(()) }
    }

    async fn release(&self, id: &StaticIpId) -> Result<()> {
        self.change(LostReply::ReleaseStaticIp, |world| world.release(id)).await
    }
}
