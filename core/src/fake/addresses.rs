//! The fake cloud's static IPs, in two flavours: with labels, made by one call and pointed at an instance by another; and
//! without, where one call does both and the instance is all that finds one again.

use std::net::{IpAddr, Ipv4Addr};

use async_trait::async_trait;

use super::{
    FakeCloud, State, Transaction,
    compute::in_words,
    state::{Ip, Move, not_found},
};
use crate::provider::{
    Address, Capability, Error, ErrorKind, InstanceId, Labels, Result, Selector, StaticIp, StaticIpId, StaticIpSpec,
    StaticIps,
};

const ENSURE: &str = "ensure static IP";

pub(super) fn static_ip(number: u32, assigned_to: Option<InstanceId>) -> StaticIp {
    let address = Address::new(IpAddr::V4(Ipv4Addr::from(0xC633_6400 + number)));
    StaticIp {
        id: StaticIpId::new(address.ip.to_string()),
        address,
        assigned_to,
        busy: false,
        region: "here".into(),
        labels: Labels::new(),
    }
}

impl State {
    /// The static IP that a spec asks for, which is proven by its labels.
    fn own_ip(&self, spec: &StaticIpSpec) -> Result<Option<&Ip>> {
        let identity = spec.identity();
        let points = |ip: &&Ip| ip.end() == Some(&spec.instance);
        let is_own = |ip: &&Ip| ip.ip.labels.matches(&identity);
        let mut own = self.ips.values().filter(is_own);
        if !self.flavour.strict {
            return Ok(own.next());
        }
        if let Some(other) = self.ips.values().find(|ip| points(ip) && !is_own(ip)) {
            let message = format!("the instance has the static IP {} of somebody else", other.ip.id);
            return Err(Error::new(ErrorKind::Conflict, ENSURE, message).with_resource(&spec.name));
        }
        let there = self.ips.values().filter(is_own).find(points);
        Ok(there.or_else(|| own.find(|ip| ip.name == spec.name)))
    }

    /// Refuses an instance that is not there, or is in another region.
    pub(super) fn check_instance(&self, operation: &'static str, id: &InstanceId, region: &str) -> Result<()> {
        let machine = self.machines.get(id).filter(|machine| machine.gone_at.is_none());
        let machine = machine.ok_or_else(|| not_found(operation, id))?;
        if self.flavour.strict && machine.instance.region.as_str() != region {
            return Err(Error::new(ErrorKind::InvalidInput, operation, "not in the same region").with_resource(id));
        }
        Ok(())
    }
}

impl Transaction<'_> {
    /// Without labels: made on its way to the instance.
    fn reserve(&mut self, spec: &StaticIpSpec) -> Result<StaticIp> {
        if let Some(ip) = self.ips.values().find(|ip| ip.end() == Some(&spec.instance)) {
            return Ok(ip.ip.clone());
        }
        let mut ip = self.new_ip(spec)?;
        ip.busy = true;
        let at = self.now + self.pace.assign;
        let moving = Some(Move { to: spec.instance.clone(), at, not_done: false });
        self.ips.insert(ip.id.clone(), Ip { ip: ip.clone(), name: spec.name.clone(), moving });
        self.note(format!("ensure {} at {}", ip.id, spec.instance));
        Ok(ip)
    }

    /// The static IP that a spec asks for, proven by its labels. One that is made points nowhere.
    ///
    /// # Errors
    ///
    /// `NotFound` for the instance; `Quota`; `Conflict` when somebody else's is in the way, where the cloud is strict.
    pub fn allocate(&mut self, spec: &StaticIpSpec) -> Result<StaticIp> {
        self.check_instance(ENSURE, &spec.instance, spec.region.as_str())?;
        match self.own_ip(spec)? {
            Some(ip) => Ok(ip.ip.clone()),
            None => self.allocate_again(spec),
        }
    }

    /// Makes a static IP with labels that points nowhere, whatever others there are.
    ///
    /// # Errors
    ///
    /// `NotFound` for the instance; `Quota`.
    pub fn allocate_again(&mut self, spec: &StaticIpSpec) -> Result<StaticIp> {
        let mut ip = self.new_ip(spec)?;
        ip.labels = spec.labels.clone();
        self.ips.insert(ip.id.clone(), Ip { ip: ip.clone(), name: spec.name.clone(), moving: None });
        self.note(format!("allocate {}", ip.id));
        Ok(ip)
    }

    fn new_ip(&mut self, spec: &StaticIpSpec) -> Result<StaticIp> {
        self.check_instance(ENSURE, &spec.instance, spec.region.as_str())?;
        if let Some(limit) = self.flavour.catalogue.static_ips.filter(|limit| self.ips.len() >= *limit) {
            let message = format!("{} of {limit} static IPs are in use", self.ips.len());
            let hint = "release a static IP, or ask the cloud for more";
            return Err(Error::new(ErrorKind::Quota, ENSURE, message).with_hint(hint));
        }
        let mut ip = static_ip(self.number(), None);
        ip.region = spec.region.clone();
        Ok(ip)
    }

    /// Starts to point a static IP at an instance.
    ///
    /// # Errors
    ///
    /// As [`StaticIps::assign`] has them.
    pub fn assign(&mut self, id: &StaticIpId, to: &InstanceId) -> Result<StaticIp> {
        let ip = self.ip("assign", id)?;
        if ip.end() == Some(to) {
            return Ok(ip.ip.clone());
        }
        if ip.ip.busy {
            return Err(Error::new(ErrorKind::Busy, "assign", "pending event").with_resource(id));
        }
        self.check_instance("assign", to, ip.ip.region.as_str())?;
        if !self.flavour.labelled_ips
            && let Some(other) = self.ips.values().find(|other| other.ip.id != *id && other.end() == Some(to))
        {
            let message = format!("the instance already has a static IP ({})", other.ip.id);
            return Err(Error::new(ErrorKind::InvalidInput, "assign", message).with_resource(to));
        }
        let moving = Move { to: to.clone(), at: self.now + self.pace.assign, not_done: self.ends.not_done };
        let ip = self.ip_mut("assign", id)?;
        ip.ip.busy = true;
        ip.moving = Some(moving);
        let ip = ip.ip.clone();
        self.note(format!("assign {id} to {to}"));
        Ok(ip)
    }

    /// Takes a static IP from its instance.
    ///
    /// # Errors
    ///
    /// `NotFound`; `Busy` while it moves.
    pub fn unassign(&mut self, id: &StaticIpId) -> Result<()> {
        let ip = self.ip_mut("unassign", id)?;
        if ip.ip.busy {
            return Err(Error::new(ErrorKind::Busy, "unassign", "pending event").with_resource(id));
        }
        if let Some(from) = ip.ip.assigned_to.take() {
            self.note(format!("unassign {id} from {from}"));
        }
        Ok(())
    }

    /// Adds labels to a static IP.
    ///
    /// # Errors
    ///
    /// `NotFound`.
    pub fn label_ip(&mut self, id: &StaticIpId, labels: &Labels) -> Result<()> {
        self.ip_mut("label static IP", id)?.ip.labels.0.extend(labels.0.clone());
        self.note(format!("label {id} {}", in_words(labels)));
        Ok(())
    }

    /// Gives a static IP back.
    ///
    /// # Errors
    ///
    /// `Busy` while it moves.
    pub fn release(&mut self, id: &StaticIpId) -> Result<()> {
        match self.ips.get(id) {
            None => return Ok(()),
            Some(ip) if ip.ip.busy => {
                return Err(Error::new(ErrorKind::Busy, "release", "pending event").with_resource(id));
            }
            Some(_) => {}
        }
        self.ips.remove(id);
        self.note(format!("release {id}"));
        Ok(())
    }
}

#[async_trait]
impl StaticIps for FakeCloud {
    async fn ensure(&self, spec: &StaticIpSpec) -> Result<StaticIp> {
        let wanted = spec.clone();
        if !self.world.flavour().labelled_ips {
            return self.mutate(ENSURE, move |transaction| transaction.reserve(&wanted)).await;
        }
        let ip = self.mutate(ENSURE, move |transaction| transaction.allocate(&wanted)).await?;
        let (id, to) = (ip.id, spec.instance.clone());
        self.mutate("associate", move |transaction| transaction.assign(&id, &to)).await
    }

    async fn list(&self, selector: &Selector) -> Result<Vec<StaticIp>> {
        let list = |state: &State| {
            let matches = |ip: &&Ip| {
                let to = ip.ip.assigned_to.as_ref().and_then(|id| state.machines.get(id));
                selector.0.is_empty()
                    || if state.flavour.labelled_ips {
                        ip.ip.labels.matches(selector)
                    } else {
                        to.is_some_and(|machine| machine.instance.labels.matches(selector))
                    }
            };
            Ok(state.ips.values().filter(matches).map(|ip| ip.ip.clone()).collect())
        };
        self.read_list("list static IPs", list).await
    }

    async fn get(&self, id: &StaticIpId) -> Result<StaticIp> {
        self.read("get static IP", |state| Ok(state.ip("get static IP", id)?.ip.clone())).await
    }

    async fn assign(&self, id: &StaticIpId, instance: &InstanceId) -> Result<()> {
        let (id, to) = (id.clone(), instance.clone());
        self.mutate("assign", move |transaction| transaction.assign(&id, &to).map(drop)).await
    }

    async fn label(&self, id: &StaticIpId, labels: &Labels) -> Result<()> {
        self.needs("label static IP", Capability::StaticIpLabels)?;
        self.check_labels("label static IP", labels)?;
        let (id, labels) = (id.clone(), labels.clone());
        self.mutate("label static IP", move |transaction| transaction.label_ip(&id, &labels)).await
    }

    async fn unassign(&self, id: &StaticIpId) -> Result<()> {
        let id = id.clone();
        self.mutate("unassign", move |transaction| transaction.unassign(&id)).await
    }

    async fn release(&self, id: &StaticIpId) -> Result<()> {
        let id = id.clone();
        self.mutate("release", move |transaction| transaction.release(&id)).await
    }
}
