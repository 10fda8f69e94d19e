//! Faults in what is made of a change that is under way already: of one like it, or of another one.

use remint_conformance::LostReply;
use remint_core::provider::{
    DnsZones, ErrorKind, Instance, InstanceId, InstanceState, Instances, LaunchSpec, LoadBalancer, LoadBalancerId,
    LoadBalancerSpec, LoadBalancers, PowerOp, RecordSet, Result, Selector, StaticIp, StaticIpId, StaticIpSpec,
    StaticIps,
};

use super::load_balancers::{members, named};
use crate::{
    cloud::{FULL, refusal},
    sabotage::{On, Saboteur, saboteurs},
};

pub(super) const SABOTEURS: &[Saboteur] = saboteurs! {
    on &FULL;
    "launch.refuses_others_meanwhile", "`Provider`: all methods may be called concurrently",
        Launch(spec) => launch, ["concurrency.launch_others"];
    "list.fails_while_destroying", "`Instances::list`: instances that carry the labels, whatever their state",
        ListInstances(selector) => list, ["concurrency.list"];
    "power.under_way_is_error", "`Instances::power`: an instance that is already as asked is a success",
        Power(id, op) => power, ["concurrency.power", "idempotency.power"];
    "destroy.under_way_is_error", "`Instances::destroy`: `Busy` when the cloud will not yet: the caller comes back",
        Destroy(id) => destroy, ["concurrency.destroy", "idempotency.destroy"];
    "ensure_ip.joins_calls", "`StaticIps::ensure`: a static IP for this spec exists",
        EnsureStaticIp(spec) => ensure, ["concurrency.static_ip_others"];
    "assign.under_way_is_error", "`Provider`: all methods may be called concurrently",
        Assign(id, to) => assign, ["concurrency.assign"];
    "balance.looks_first", "`Provider`: all methods may be called concurrently",
        EnsureLoadBalancer(spec) => load_balancer, ["concurrency.load_balancer"];
    "attach.reads_first", "`LoadBalancers::attach`: makes instances members",
        AttachMembers(id, instances) => attach, ["concurrency.members"];
    "upsert.under_way_is_error", "`Provider`: all methods may be called concurrently",
        Upsert(set) => upsert, ["concurrency.record"];
};

async fn launch(on: On, spec: LaunchSpec) -> Result<Vec<Instance>> {
    let Ok(_turn) = on.turn.try_lock() else {
        return Err(refusal(ErrorKind::Conflict, "launch", "another launch is under way"));
    };
    on.model.launch(&spec).await
}

async fn list(on: On, selector: Selector) -> Result<Vec<Instance>> {
    let listed = Instances::list(&on.model, &selector).await?;
    if listed.iter().any(|instance| instance.state == InstanceState::Destroying) {
        return Err(refusal(ErrorKind::Busy, "list instances", "one of them is being destroyed"));
    }
    Ok(listed)
}

async fn power(on: On, id: InstanceId, op: PowerOp) -> Result<()> {
    let state = Instances::get(&on.model, &id).await?.state;
    on.change(LostReply::Power, move |world| {
        let now = world.machine("power", &id)?.instance.state;
        if now != state || matches!(now, InstanceState::Stopping | InstanceState::Pending) {
            return Err(refusal(ErrorKind::Conflict, "power", "its power is being changed").with_resource(&id));
        }
        world.power(&id, op)
    })
    .await
}

async fn destroy(on: On, id: InstanceId) -> Result<()> {
    on.change(LostReply::Destroy, move |world| {
        if world.machine("destroy", &id).is_ok_and(|machine| machine.instance.state == InstanceState::Destroying) {
            return Err(refusal(ErrorKind::Conflict, "destroy", "it is being destroyed").with_resource(&id));
        }
        world.destroy(&id)
    })
    .await
}

async fn ensure(on: On, spec: StaticIpSpec) -> Result<StaticIp> {
    // Who comes while one is made gets that one.
    let Ok(_turn) = on.turn.try_lock() else {
        drop(on.turn.lock().await);
        let made: Option<StaticIp> = on.recall("made");
        return made.ok_or_else(|| refusal(ErrorKind::Busy, "ensure static IP", "another one failed"));
    };
    let made = StaticIps::ensure(&on.model, &spec).await?;
    on.note("made", &made);
    Ok(made)
}

async fn assign(on: On, id: StaticIpId, to: InstanceId) -> Result<()> {
    let Ok(_turn) = on.turn.try_lock() else {
        return Err(refusal(ErrorKind::Conflict, "assign", "another move is asked for").with_resource(id));
    };
    StaticIps::assign(&on.model, &id, &to).await
}

async fn load_balancer(on: On, spec: LoadBalancerSpec) -> Result<LoadBalancer> {
    match named(&on, &spec.name).await? {
        Some(_) => LoadBalancers::ensure(&on.model, &spec).await,
        None => on.change_once(LostReply::EnsureLoadBalancer, move |world| world.create_balancer(&spec)).await,
    }
}

async fn attach(on: On, id: LoadBalancerId, instances: Vec<InstanceId>) -> Result<()> {
    // The whole list is written, with those that were read.
    let mut all = members(&on, &id).await?;
    all.extend(instances.clone());
    on.change(LostReply::AttachMembers, move |world| {
        world.attach(&id, &instances)?;
        world.balancer_mut("attach members", &id)?.members.retain(|member, _| all.contains(member));
        Ok(())
    })
    .await
}

async fn upsert(on: On, set: RecordSet) -> Result<()> {
    let Ok(_turn) = on.turn.try_lock() else {
        return Err(refusal(ErrorKind::Conflict, "upsert record", "the zone is being changed"));
    };
    on.model.upsert(&set).await
}
