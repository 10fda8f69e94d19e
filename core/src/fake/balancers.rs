//! The fake cloud's load balancers.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::Instant;

use super::{
    FakeCloud, State, Transaction,
    members::{Balancer, Membership, Work},
    state::not_found,
};
use crate::provider::{
    Address, Capability, Error, ErrorKind, InstanceId, Listener, ListenerProtocol, LoadBalancer, LoadBalancerId,
    LoadBalancerSettings, LoadBalancerSpec, LoadBalancerState, LoadBalancers, Member, Provider, Result,
};

const ENSURE: &str = "ensure load balancer";
const DESTROY: &str = "destroy load balancer";
const ATTACH: &str = "attach members";
const DETACH: &str = "detach members";

pub(super) fn address(number: u32) -> Address {
    Address::new(IpAddr::V4(Ipv4Addr::from(0xCB00_7100 + number)))
}

fn busy(operation: &'static str, id: &LoadBalancerId) -> Error {
    Error::new(ErrorKind::Busy, operation, "the load balancer is at work").with_resource(id)
}

impl State {
    /// The load balancer of an id.
    ///
    /// # Errors
    ///
    /// `NotFound`, in the name of the operation.
    pub fn balancer(&self, operation: &'static str, id: &LoadBalancerId) -> Result<&Balancer> {
        self.balancers.get(id).ok_or_else(|| not_found(operation, id))
    }

    /// The load balancer of an id, to be changed.
    ///
    /// # Errors
    ///
    /// `NotFound`, in the name of the operation.
    pub fn balancer_mut(&mut self, operation: &'static str, id: &LoadBalancerId) -> Result<&mut Balancer> {
        self.balancers.get_mut(id).ok_or_else(|| not_found(operation, id))
    }

    /// How long connections to a detached member go on.
    fn drain(&self, settings: &LoadBalancerSettings) -> Duration {
        self.flavour.balancing.hidden_drain.or(settings.drain).unwrap_or_default()
    }

    fn check_certificates(&self, listeners: &[Listener]) -> Result<()> {
        let known = self.flavour.catalogue.certificates;
        let mut named = listeners.iter().filter_map(|listener| listener.certificate.as_deref());
        match named.find(|certificate| self.flavour.strict && !known.contains(certificate)) {
            Some(certificate) => {
                let error = Error::new(ErrorKind::InvalidInput, ENSURE, "no such certificate");
                Err(error.with_resource(certificate).with_hint(format!("the account has {}", known.join(", "))))
            }
            None => Ok(()),
        }
    }
}

impl Transaction<'_> {
    /// The load balancer that a spec asks for, found by its name.
    ///
    /// # Errors
    ///
    /// As [`LoadBalancers::ensure`] has them.
    pub fn ensure_balancer(&mut self, spec: &LoadBalancerSpec) -> Result<LoadBalancer> {
        self.check_certificates(&spec.settings.listeners)?;
        let Some(there) = self.balancers.values().find(|balancer| balancer.balancer.name == spec.name) else {
            return self.create_balancer(spec);
        };
        let LoadBalancer { id, region, state, settings, .. } = &there.balancer;
        if *region != spec.region {
            let message = format!("there is one of that name in {region}");
            return Err(Error::new(ErrorKind::Conflict, ENSURE, message).with_resource(&spec.name));
        }
        if there.is_going() {
            return Err(busy(ENSURE, id));
        }
        if settings.is_as(&spec.settings) || matches!(state, LoadBalancerState::Failed(_)) {
            return Ok(there.balancer.clone());
        }
        let id = id.clone();
        self.set_up(&id, &spec.settings)
    }

    /// Creates a load balancer without members, whatever others there are.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a region that a strict cloud does not have; `Quota`.
    pub fn create_balancer(&mut self, spec: &LoadBalancerSpec) -> Result<LoadBalancer> {
        self.check_region(ENSURE, &spec.region)?;
        let count = self.balancers.len();
        if let Some(limit) = self.flavour.catalogue.load_balancers.filter(|limit| count >= *limit) {
            let message = format!("{count} of {limit} load balancers are in use");
            let hint = "destroy a load balancer, or ask the cloud for more";
            return Err(Error::new(ErrorKind::Quota, ENSURE, message).with_hint(hint));
        }
        let number = self.number();
        let balancer = LoadBalancer {
            id: LoadBalancerId::new(format!("lb-{number}")),
            name: spec.name.clone(),
            state: LoadBalancerState::Pending,
            endpoint: None,
            region: spec.region.clone(),
            settings: spec.settings.clone(),
        };
        let ends = if self.ends.fails { Work::Fails } else { Work::Active };
        let made = Balancer {
            balancer: balancer.clone(),
            labels: spec.labels.clone(),
            members: BTreeMap::new(),
            address: address(number),
            drain: self.drain(&spec.settings),
            work: Some((self.now + self.pace.balance, ends)),
            unknown_until: None,
        };
        self.balancers.insert(balancer.id.clone(), made);
        self.note(format!("create load balancer {} ({})", balancer.name, balancer.id));
        Ok(balancer)
    }

    /// Sets a load balancer up otherwise; its members stay.
    ///
    /// # Errors
    ///
    /// `NotFound`; `Busy` while the cloud is at work on it.
    pub fn set_up(&mut self, id: &LoadBalancerId, settings: &LoadBalancerSettings) -> Result<LoadBalancer> {
        let (drain, done_at) = (self.drain(settings), self.now + self.pace.balance / 4);
        let there = self.balancer_mut(ENSURE, id)?;
        if there.work.is_some() {
            return Err(busy(ENSURE, id));
        }
        there.balancer.settings = settings.clone();
        there.drain = drain;
        there.balancer.state = LoadBalancerState::Pending;
        there.work = Some((done_at, Work::Active));
        let balancer = there.balancer.clone();
        self.note(format!("set up load balancer {} ({id})", balancer.name));
        Ok(balancer)
    }

    /// Makes instances members; those that are leaving come back.
    ///
    /// # Errors
    ///
    /// As [`LoadBalancers::attach`] has them.
    pub fn attach(&mut self, id: &LoadBalancerId, instances: &[InstanceId]) -> Result<()> {
        let there = self.balancer(ATTACH, id)?;
        let is_member = |id: &InstanceId| there.members.get(id).is_some_and(|member| !member.is_draining());
        let region = there.balancer.region.clone();
        let new: Vec<InstanceId> = instances.iter().filter(|id| !is_member(id)).cloned().collect();
        let is_busy = there.work.is_some();
        for instance in &new {
            self.check_instance(ATTACH, instance, region.as_str())?;
        }
        if new.is_empty() {
            return Ok(());
        }
        if is_busy {
            return Err(busy(ATTACH, id));
        }
        if self.ends.not_done {
            return Ok(());
        }
        let (now, unknown_for) = (self.now, self.flavour.balancing.unknown_for);
        let there = self.balancer_mut(ATTACH, id)?;
        there.members.extend(new.iter().map(|id| (id.clone(), Membership::new(now))));
        there.unknown_until = (!unknown_for.is_zero()).then(|| now + unknown_for);
        self.note(format!("attach {} to {id}", in_words(&new)));
        Ok(())
    }

    /// Makes instances members no more: they leave when their connections have ended.
    ///
    /// # Errors
    ///
    /// As [`LoadBalancers::detach`] has them.
    pub fn detach(&mut self, id: &LoadBalancerId, instances: &[InstanceId]) -> Result<()> {
        let (now, not_done) = (self.now, self.ends.not_done);
        let there = self.balancer_mut(DETACH, id)?;
        let is_member = |id: &&InstanceId| there.members.get(*id).is_some_and(|member| !member.is_draining());
        let members: BTreeSet<InstanceId> = instances.iter().filter(is_member).cloned().collect();
        if members.is_empty() {
            return Ok(());
        }
        if there.work.is_some() {
            return Err(busy(DETACH, id));
        }
        if not_done {
            return Ok(());
        }
        let drain = there.drain;
        for instance in &members {
            match there.members.get_mut(instance) {
                Some(member) if !drain.is_zero() => member.leaves_at = Some(now + drain),
                _ => drop(there.members.remove(instance)),
            }
        }
        self.note(format!("detach {} from {id}", in_words(&members)));
        Ok(())
    }

    /// Destroys a load balancer; its members stay as they are.
    ///
    /// # Errors
    ///
    /// `Busy` while the cloud is at work on it.
    pub fn destroy_balancer(&mut self, id: &LoadBalancerId) -> Result<()> {
        let (gone_at, not_done) = (self.now + self.pace.destroy, self.ends.not_done);
        let Some(there) = self.balancers.get_mut(id) else { return Ok(()) };
        if there.is_going() {
            return Ok(());
        }
        if there.work.is_some() {
            return Err(busy(DESTROY, id));
        }
        there.work = Some((gone_at, if not_done { Work::Stays } else { Work::Gone }));
        there.balancer.state = LoadBalancerState::Pending;
        let what = format!("destroy load balancer {} ({id})", there.balancer.name);
        self.note(what);
        Ok(())
    }
}

fn in_words<'a>(instances: impl IntoIterator<Item = &'a InstanceId>) -> String {
    let ids: Vec<_> = instances.into_iter().map(InstanceId::as_str).collect();
    ids.join(" ")
}

impl FakeCloud {
    fn shows_draining(&self) -> bool {
        self.descriptor().has(Capability::LoadBalancerDrain)
    }

    fn check_balancer(&self, spec: &LoadBalancerSpec) -> Result<()> {
        if self.world.flavour().checks {
            spec.check(ENSURE, self.descriptor())?;
        }
        let listeners = &spec.settings.listeners;
        if listeners.iter().any(|listener| listener.protocol != ListenerProtocol::Tcp) {
            self.needs(ENSURE, Capability::LoadBalancerHttp)?;
        }
        if listeners.iter().any(|listener| listener.port != listener.target_port) {
            self.needs(ENSURE, Capability::LoadBalancerTargetPort)?;
        }
        self.check_labels(ENSURE, &spec.labels)
    }
}

#[async_trait]
impl LoadBalancers for FakeCloud {
    fn accepts(&self, spec: &LoadBalancerSpec) -> Result<()> {
        self.check_balancer(spec)
    }

    async fn ensure(&self, spec: &LoadBalancerSpec) -> Result<LoadBalancer> {
        self.check_balancer(spec)?;
        let mut spec = spec.clone();
        spec.settings.drain = spec.settings.drain.filter(|_| self.shows_draining());
        self.mutate(ENSURE, move |transaction| transaction.ensure_balancer(&spec)).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<LoadBalancer>> {
        let all = |state: &State| state.balancers.values().map(|there| there.balancer.clone()).collect();
        let mut listed = self.list("list load balancers", |balancer: &LoadBalancer| &balancer.id, all).await?;
        listed.retain(|balancer| balancer.name.starts_with(prefix));
        Ok(listed)
    }

    async fn get(&self, id: &LoadBalancerId) -> Result<LoadBalancer> {
        let get = |state: &State| Ok(state.balancer("get load balancer", id)?.balancer.clone());
        self.read("get load balancer", get).await
    }

    async fn members(&self, id: &LoadBalancerId) -> Result<Vec<Member>> {
        let shows_draining = self.shows_draining();
        let members = |state: &State| Ok(state.balancer("list members", id)?.shown(Instant::now(), shows_draining));
        self.read_list("list members", members).await
    }

    async fn attach(&self, id: &LoadBalancerId, instances: &[InstanceId]) -> Result<()> {
        let (id, instances) = (id.clone(), instances.to_vec());
        self.mutate(ATTACH, move |transaction| transaction.attach(&id, &instances)).await
    }

    async fn detach(&self, id: &LoadBalancerId, instances: &[InstanceId]) -> Result<()> {
        let (id, instances) = (id.clone(), instances.to_vec());
        self.mutate(DETACH, move |transaction| transaction.detach(&id, &instances)).await
    }

    async fn destroy(&self, id: &LoadBalancerId) -> Result<()> {
        let id = id.clone();
        self.mutate(DESTROY, move |transaction| transaction.destroy_balancer(&id)).await
    }
}
