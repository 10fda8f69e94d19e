//! The fake cloud's static IPs, in two flavours: with labels, made by one call and pointed at an instance by another; and
//! without, where one call does both and the instance is all that finds one again.

use async_trait::async_trait;

use super::{
    FakeCloud, State,
    client::not_found,
    compute::in_words,
    hand::static_ip,
    state::{Ip, Move},
    world::{Done, Moment},
};
use crate::provider::{
    CallClass, Capability, Error, ErrorKind, InstanceId, Labels, Result, Selector, StaticIp, StaticIpId, StaticIpSpec,
    StaticIps,
};

impl Ip {
    fn goes_to(&self, instance: &InstanceId) -> bool {
        match &self.moving {
            Some(moving) => moving.to == *instance,
            None => self.ip.assigned_to.as_ref() == Some(instance),
        }
    }
}

/// Without labels: made on its way to the instance.
fn reserve(state: &mut State, moment: &Moment, spec: &StaticIpSpec) -> Result<Done<StaticIp>> {
    if let Some(ip) = state.ips.values().find(|ip| ip.goes_to(&spec.instance)) {
        return Done::unchanged(ip.ip.clone());
    }
    check_instance(state, moment, "ensure static IP", &spec.instance, spec.region.as_str())?;
    let mut ip = static_ip(state.number(), None);
    ip.busy = true;
    ip.region = spec.region.clone();
    let moving = Some(Move { to: spec.instance.clone(), at: moment.now + moment.pace.assign, not_done: false });
    state.ips.insert(ip.id.clone(), Ip { ip: ip.clone(), moving });
    let what = format!("ensure {} at {}", ip.id, spec.instance);
    Done::changed(ip, what)
}

/// With labels: made, and pointing nowhere.
fn allocate(state: &mut State, moment: &Moment, spec: &StaticIpSpec) -> Result<Done<StaticIp>> {
    check_instance(state, moment, "ensure static IP", &spec.instance, spec.region.as_str())?;
    let identity = spec.identity();
    let same = |ip: &&Ip| ip.ip.labels.matches(&identity);
    if let Some(ip) = state.ips.values().find(same) {
        return Done::unchanged(ip.ip.clone());
    }
    let mut ip = static_ip(state.number(), None);
    ip.labels = spec.labels.clone();
    ip.region = spec.region.clone();
    state.ips.insert(ip.id.clone(), Ip { ip: ip.clone(), moving: None });
    let what = format!("allocate {}", ip.id);
    Done::changed(ip, what)
}

fn assign(state: &mut State, moment: &Moment, id: &StaticIpId, to: &InstanceId) -> Result<Done<StaticIp>> {
    let ip = state.ips.get(id).ok_or_else(|| not_found("assign", id))?;
    if ip.ip.assigned_to.as_ref() == Some(to) && !ip.ip.busy {
        return Done::unchanged(ip.ip.clone());
    }
    if ip.goes_to(to) {
        return Done::unchanged(ip.ip.clone());
    }
    if ip.ip.busy {
        return Err(Error::new(ErrorKind::Busy, "assign", "pending event").with_resource(id));
    }
    check_instance(state, moment, "assign", to, ip.ip.region.as_str())?;
    if !moment.flavour.labelled_ips
        && let Some(other) = state.ips.values().find(|other| other.ip.id != *id && other.goes_to(to))
    {
        let message = format!("the instance already has a static IP ({})", other.ip.id);
        return Err(Error::new(ErrorKind::InvalidInput, "assign", message).with_resource(to));
    }
    let ip = state.ips.get_mut(id).ok_or_else(|| not_found("assign", id))?;
    ip.ip.busy = true;
    ip.moving = Some(Move { to: to.clone(), at: moment.now + moment.pace.assign, not_done: moment.not_done });
    Done::changed(ip.ip.clone(), format!("assign {id} to {to}"))
}

fn check_instance(
    state: &State,
    moment: &Moment,
    operation: &'static str,
    id: &InstanceId,
    region: &str,
) -> Result<()> {
    let machine = state.machines.get(id).filter(|machine| machine.gone_at.is_none());
    let machine = machine.ok_or_else(|| not_found(operation, id))?;
    if moment.flavour.strict && machine.instance.region.as_str() != region {
        return Err(Error::new(ErrorKind::InvalidInput, operation, "not in the same region").with_resource(id));
    }
    Ok(())
}

#[async_trait]
impl StaticIps for FakeCloud {
    async fn ensure(&self, spec: &StaticIpSpec) -> Result<StaticIp> {
        const OPERATION: &str = "ensure static IP";
        let wanted = spec.clone();
        if !self.world.flavour().labelled_ips {
            let apply = move |state: &mut State, moment: &Moment| reserve(state, moment, &wanted);
            return self.mutate(CallClass::IdempotentMutation, OPERATION, apply).await;
        }
        let apply = move |state: &mut State, moment: &Moment| allocate(state, moment, &wanted);
        let ip = self.mutate(CallClass::IdempotentMutation, OPERATION, apply).await?;
        let (id, to) = (ip.id, spec.instance.clone());
        let apply = move |state: &mut State, moment: &Moment| assign(state, moment, &id, &to);
        self.mutate(CallClass::IdempotentMutation, "associate", apply).await
    }

    async fn list(&self, selector: &Selector) -> Result<Vec<StaticIp>> {
        let labelled = self.world.flavour().labelled_ips;
        let list = |state: &State| {
            let matches = |ip: &&Ip| {
                let to = ip.ip.assigned_to.as_ref().and_then(|id| state.machines.get(id));
                selector.0.is_empty()
                    || if labelled {
                        ip.ip.labels.matches(selector)
                    } else {
                        to.is_some_and(|machine| machine.instance.labels.matches(selector))
                    }
            };
            state.ips.values().filter(matches).map(|ip| ip.ip.clone()).collect()
        };
        self.read_list("list static IPs", list).await
    }

    async fn get(&self, id: &StaticIpId) -> Result<StaticIp> {
        let get =
            |state: &State| state.ips.get(id).map(|ip| ip.ip.clone()).ok_or_else(|| not_found("get static IP", id));
        self.read("get static IP", get).await
    }

    async fn assign(&self, id: &StaticIpId, instance: &InstanceId) -> Result<()> {
        let (id, to) = (id.clone(), instance.clone());
        let apply = move |state: &mut State, moment: &Moment| assign(state, moment, &id, &to);
        self.mutate(CallClass::IdempotentMutation, "assign", apply).await.map(|_| ())
    }

    async fn label(&self, id: &StaticIpId, labels: &Labels) -> Result<()> {
        if !self.world.flavour().labelled_ips {
            return Err(Error::unsupported("label static IP", Capability::StaticIpLabels));
        }
        let (id, labels) = (id.clone(), labels.clone());
        let apply = move |state: &mut State, _: &Moment| {
            let ip = state.ips.get_mut(&id).ok_or_else(|| not_found("label static IP", &id))?;
            ip.ip.labels.0.extend(labels.0.clone());
            Done::changed((), format!("label {id} {}", in_words(&labels)))
        };
        self.mutate(CallClass::IdempotentMutation, "label static IP", apply).await
    }

    async fn unassign(&self, id: &StaticIpId) -> Result<()> {
        let id = id.clone();
        let apply = move |state: &mut State, _: &Moment| {
            let ip = state.ips.get_mut(&id).ok_or_else(|| not_found("unassign", &id))?;
            if ip.ip.busy {
                return Err(Error::new(ErrorKind::Busy, "unassign", "pending event").with_resource(&id));
            }
            match ip.ip.assigned_to.take() {
                Some(from) => Done::changed((), format!("unassign {id} from {from}")),
                None => Done::unchanged(()),
            }
        };
        self.mutate(CallClass::IdempotentMutation, "unassign", apply).await
    }

    async fn release(&self, id: &StaticIpId) -> Result<()> {
        let id = id.clone();
        let apply = move |state: &mut State, _: &Moment| match state.ips.get(&id) {
            None => Done::unchanged(()),
            Some(ip) if ip.ip.busy => Err(Error::new(ErrorKind::Busy, "release", "pending event").with_resource(&id)),
            Some(_) => {
                state.ips.remove(&id);
                Done::changed((), format!("release {id}"))
            }
        };
        self.mutate(CallClass::IdempotentMutation, "release", apply).await
    }
}
