//! Faults in what is told of a call whose reply was lost.

use remint_conformance::LostReply;
use remint_core::provider::{DnsZones, Effect, Error, InstanceId, Labels, LoadBalancerId, PowerOp, RecordSet, Result};

use crate::{
    cloud::FULL,
    sabotage::{On, Saboteur, saboteurs},
};

pub(super) const SABOTEURS: &[Saboteur] = saboteurs! {
    on &FULL;
    "power.denies_effect", "`Effect::Unknown`: nobody knows, look before repeating",
        Power(id, op) => power, ["lost_replies.power"];
    "relabel.denies_effect", "`Effect::Unknown`: nobody knows, look before repeating",
        Label(id, labels) => relabel, ["lost_replies.label"];
    "destroy.denies_effect", "`Effect::Unknown`: nobody knows, look before repeating",
        Destroy(id) => destroy, ["lost_replies.destroy"];
    "attach.denies_effect", "`Effect::Unknown`: nobody knows, look before repeating",
        AttachMembers(id, instances) => attach, ["lost_replies.attach"];
    "detach.denies_effect", "`Effect::Unknown`: nobody knows, look before repeating",
        DetachMembers(id, instances) => detach, ["lost_replies.detach"];
    "destroy_balancer.denies_effect", "`Effect::Unknown`: nobody knows, look before repeating",
        DestroyLoadBalancer(id) => destroy_balancer, ["lost_replies.destroy_load_balancer"];
    "upsert.denies_effect", "`Effect::Unknown`: nobody knows, look before repeating",
        Upsert(set) => upsert, ["lost_replies.record"];
};

/// No answer, so nothing was done.
fn denies(error: Error) -> Error {
    error.with_effect(Effect::NotApplied)
}

async fn power(on: On, id: InstanceId, op: PowerOp) -> Result<()> {
    on.change_once(LostReply::Power, move |world| world.power(&id, op)).await.map_err(denies)
}

async fn relabel(on: On, id: InstanceId, labels: Labels) -> Result<()> {
    let add = on.change_once(LostReply::Label, move |world| world.label(&id, &labels));
    add.await.map_err(denies)
}

async fn destroy(on: On, id: InstanceId) -> Result<()> {
    on.change_once(LostReply::Destroy, move |world| world.destroy(&id)).await.map_err(denies)
}

async fn attach(on: On, id: LoadBalancerId, instances: Vec<InstanceId>) -> Result<()> {
    on.change_once(LostReply::AttachMembers, move |world| world.attach(&id, &instances)).await.map_err(denies)
}

async fn detach(on: On, id: LoadBalancerId, instances: Vec<InstanceId>) -> Result<()> {
    on.change_once(LostReply::DetachMembers, move |world| world.detach(&id, &instances)).await.map_err(denies)
}

async fn destroy_balancer(on: On, id: LoadBalancerId) -> Result<()> {
    on.change_once(LostReply::DestroyLoadBalancer, move |world| world.destroy_balancer(&id)).await.map_err(denies)
}

async fn upsert(on: On, set: RecordSet) -> Result<()> {
    if DnsZones::get(&on.model, &set.zone, &set.name, set.kind).await?.as_ref() == Some(&set) {
        return Ok(());
    }
    on.change_once(LostReply::UpsertRecord, move |world| world.put(&set)).await.map_err(denies)
}
