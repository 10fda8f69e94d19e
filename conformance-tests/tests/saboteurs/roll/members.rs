//! Faults in `LoadBalancers`: the members of load balancers.

use remint_core::fake::{Balancer, Membership, State};
use remint_core::provider::{
    ErrorKind, InstanceId, InstanceState, Instances, LoadBalancerId, LoadBalancers, Member, MemberHealth, PowerOp,
    Result,
};

use super::load_balancers::members;
use crate::{
    cloud::{FULL, not_found, refusal},
    sabotage::{On, Saboteur, saboteurs},
};

pub(super) const SABOTEURS: &[Saboteur] = saboteurs! {
    on &FULL;
    "attach.refuses_members", "`LoadBalancers::attach`: a member is left alone",
        AttachMembers(id, instances) => refuses_members, ["members.attach"];
    "attach.always_mutates", "`LoadBalancers::attach`: a member is left alone",
        AttachMembers(id, instances) => always_mutates, ["members.attach"];
    "attach.replaces_all", "`LoadBalancers::attach`: makes instances members",
        AttachMembers(id, instances) => replaces_all, ["concurrency.members"];
    "attach.first_alone", "`LoadBalancers::attach`: makes instances members",
        AttachMembers(id, instances) => first_alone, ["members.attach"];
    "attach.leaves_out_unknown", "`LoadBalancers::attach`: `NotFound` for an instance",
        AttachMembers(id, instances) => leaves_out_unknown, ["members.attach_unknown"];
    "attach.unknown_is_invalid", "`LoadBalancers::attach`: `NotFound` for an instance",
        AttachMembers(id, instances) => unknown_is_invalid, ["members.attach_unknown"];
    "attach.any_region", "`LoadBalancers::attach`: `InvalidInput` for an instance in another region",
        AttachMembers(id, instances) => any_region, ["members.attach_other_region"];
    "attach.once_in_a_lifetime", "`LoadBalancers::attach`: makes instances members",
        AttachMembers(id, instances) => once_in_a_lifetime, ["members.attach_again"];
    "detach.refuses_others", "`LoadBalancers::detach`: an instance that is no member is a success",
        DetachMembers(id, instances) => refuses_others, ["members.detach", "members.detach_others", "idempotency.detach"];
    "detach.gone_is_error", "`LoadBalancers::detach`: an instance that is gone is a success",
        DetachMembers(id, instances) => gone_is_error, ["members.detach_others"];
    "detach.all", "`LoadBalancers::detach`: makes instances members no more",
        DetachMembers(id, instances) => detaches_all, ["members.detach"];
    "detach.stops_instances", "`LoadBalancers::detach`: makes instances members no more",
        DetachMembers(id, instances) => stops_instances, ["members.detach"];
    "detach.all_or_nothing", "`LoadBalancers::detach`: an instance that is no member is a success",
        DetachMembers(id, instances) => all_or_nothing, ["members.detach_others"];
    "detach.unknown_is_success", "`LoadBalancers::detach`: `NotFound` for the load balancer",
        DetachMembers(id, instances) => unknown_is_success, ["load_balancers.nonsense", "load_balancers.destroy"];
    "members.unknown_are_none", "`LoadBalancers::members`: `NotFound` for the load balancer",
        ListMembers(id) => unknown_are_none, ["load_balancers.nonsense", "load_balancers.destroy"];
    "members.in_service_alone", "`LoadBalancers::members`: shows every instance to which connections may be sent",
        ListMembers(id) => in_service_alone, ["members.stopped"];
    "members.forgets_one", "`LoadBalancers::members`: shows every instance to which connections may be sent",
        ListMembers(id) => forgets_one, ["members.attach"];
    "members.twice", "`LoadBalancers::members`: the members",
        ListMembers(id) => twice, ["members.attach"];
    "members.keeps_destroyed", "`LoadBalancers::members`: shows every instance to which connections may be sent",
        ListMembers(id) => keeps_destroyed, ["members.destroyed"];
    "members.always_draining", "`MemberHealth::Draining`: for as long as it still has connections",
        ListMembers(id) => always_draining, ["members.detach"];
    "members.never_in_service", "`MemberHealth::InService`: it gets connections",
        ListMembers(id) => never_in_service, ["members.in_service"];
    "members.all_in_service", "`MemberHealth::OutOfService`: it gets none",
        ListMembers(id) => all_in_service, ["members.stopped"];
    "members.stays_out", "`MemberHealth::InService`: it gets connections",
        ListMembers(id) => stays_out, ["members.stopped"];
    "members.asks_for_each", "`LoadBalancers::members`: the same number of calls for one member as for a thousand",
        ListMembers(id) => asks_for_each, ["members.calls"];
};

async fn refuses_members(on: On, id: LoadBalancerId, instances: Vec<InstanceId>) -> Result<()> {
    let there = members(&on, &id).await?;
    if let Some(member) = instances.iter().find(|instance| there.contains(instance)) {
        return Err(refusal(ErrorKind::Conflict, "attach members", "it is a member").with_resource(member));
    }
    LoadBalancers::attach(&on.model, &id, &instances).await
}

async fn always_mutates(on: On, id: LoadBalancerId, instances: Vec<InstanceId>) -> Result<()> {
    on.change(None, move |world| world.attach(&id, &instances)).await
}

async fn replaces_all(on: On, id: LoadBalancerId, instances: Vec<InstanceId>) -> Result<()> {
    LoadBalancers::attach(&on.model, &id, &instances).await?;
    let mut others = members(&on, &id).await?;
    others.retain(|member| !instances.contains(member));
    LoadBalancers::detach(&on.model, &id, &others).await
}

async fn first_alone(on: On, id: LoadBalancerId, mut instances: Vec<InstanceId>) -> Result<()> {
    instances.truncate(1);
    LoadBalancers::attach(&on.model, &id, &instances).await
}

async fn leaves_out_unknown(on: On, id: LoadBalancerId, instances: Vec<InstanceId>) -> Result<()> {
    let mut known = Vec::new();
    for instance in instances {
        if Instances::get(&on.model, &instance).await.is_ok() {
            known.push(instance);
        }
    }
    LoadBalancers::attach(&on.model, &id, &known).await
}

async fn unknown_is_invalid(on: On, id: LoadBalancerId, instances: Vec<InstanceId>) -> Result<()> {
    LoadBalancers::get(&on.model, &id).await?;
    LoadBalancers::attach(&on.model, &id, &instances).await.map_err(|error| match error.kind() {
        ErrorKind::NotFound => refusal(ErrorKind::InvalidInput, "attach members", "no such instance"),
        _ => error,
    })
}

async fn any_region(on: On, id: LoadBalancerId, instances: Vec<InstanceId>) -> Result<()> {
    match LoadBalancers::attach(&on.model, &id, &instances).await {
        Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(()),
        answer => answer,
    }
}

async fn once_in_a_lifetime(on: On, id: LoadBalancerId, instances: Vec<InstanceId>) -> Result<()> {
    let mut new = Vec::new();
    let known = |instance: &InstanceId| format!("{id} {instance}");
    for instance in instances {
        if on.recall::<bool>(&known(&instance)).is_none() {
            new.push(instance);
        }
    }
    LoadBalancers::attach(&on.model, &id, &new).await?;
    new.iter().for_each(|instance| on.note(known(instance), &true));
    Ok(())
}

/// Refuses what is no member, or what else is said.
async fn detach_unless(
    on: &On,
    id: &LoadBalancerId,
    instances: &[InstanceId],
    is_bad: impl Fn(&State, &Balancer, &InstanceId) -> bool,
) -> Result<()> {
    let bad = on.read(|world| {
        let balancer = world.balancer("detach members", id)?;
        Ok(instances.iter().find(|instance| is_bad(world, balancer, instance)).cloned())
    });
    match bad.await? {
        Some(instance) => Err(not_found("detach members", instance)),
        None => LoadBalancers::detach(&on.model, id, instances).await,
    }
}

async fn refuses_others(on: On, id: LoadBalancerId, instances: Vec<InstanceId>) -> Result<()> {
    let is_other = |_: &State, balancer: &Balancer, instance: &InstanceId| {
        balancer.members.get(instance).is_none_or(Membership::is_draining)
    };
    detach_unless(&on, &id, &instances, is_other).await
}

async fn gone_is_error(on: On, id: LoadBalancerId, instances: Vec<InstanceId>) -> Result<()> {
    detach_unless(&on, &id, &instances, |world, _, instance| !world.machines.contains_key(instance)).await
}

async fn detaches_all(on: On, id: LoadBalancerId, _: Vec<InstanceId>) -> Result<()> {
    let all = members(&on, &id).await?;
    LoadBalancers::detach(&on.model, &id, &all).await
}

async fn stops_instances(on: On, id: LoadBalancerId, instances: Vec<InstanceId>) -> Result<()> {
    LoadBalancers::detach(&on.model, &id, &instances).await?;
    for instance in instances {
        if Instances::get(&on.model, &instance).await.is_ok() {
            on.model.power(&instance, PowerOp::Stop).await?;
        }
    }
    Ok(())
}

async fn all_or_nothing(on: On, id: LoadBalancerId, instances: Vec<InstanceId>) -> Result<()> {
    let there = members(&on, &id).await?;
    if instances.iter().any(|instance| !there.contains(instance)) {
        return Ok(());
    }
    LoadBalancers::detach(&on.model, &id, &instances).await
}

async fn unknown_is_success(on: On, id: LoadBalancerId, instances: Vec<InstanceId>) -> Result<()> {
    match LoadBalancers::detach(&on.model, &id, &instances).await {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        answer => answer,
    }
}

async fn unknown_are_none(on: On, id: LoadBalancerId) -> Result<Vec<Member>> {
    match LoadBalancers::members(&on.model, &id).await {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        answer => answer,
    }
}

async fn in_service_alone(on: On, id: LoadBalancerId) -> Result<Vec<Member>> {
    let mut members = LoadBalancers::members(&on.model, &id).await?;
    members.retain(|member| !matches!(member.health, MemberHealth::OutOfService(_)));
    Ok(members)
}

async fn forgets_one(on: On, id: LoadBalancerId) -> Result<Vec<Member>> {
    let mut members = LoadBalancers::members(&on.model, &id).await?;
    members.truncate(1);
    Ok(members)
}

async fn twice(on: On, id: LoadBalancerId) -> Result<Vec<Member>> {
    let mut members = LoadBalancers::members(&on.model, &id).await?;
    members.extend(members.clone());
    Ok(members)
}

async fn keeps_destroyed(on: On, id: LoadBalancerId) -> Result<Vec<Member>> {
    let mut members = LoadBalancers::members(&on.model, &id).await?;
    let before: Vec<InstanceId> = on.recall(id.as_str()).unwrap_or_default();
    let known: Vec<InstanceId> = members.iter().map(|member| member.instance.clone()).collect();
    for instance in before.into_iter().filter(|instance| !known.contains(instance)) {
        if Instances::get(&on.model, &instance).await.is_err() {
            let health = MemberHealth::OutOfService("it does not answer".to_owned());
            members.push(Member { instance, health });
        }
    }
    on.note(id.as_str(), &members.iter().map(|member| member.instance.clone()).collect::<Vec<_>>());
    Ok(members)
}

async fn always_draining(on: On, id: LoadBalancerId) -> Result<Vec<Member>> {
    let mut members = LoadBalancers::members(&on.model, &id).await?;
    let before: Vec<InstanceId> = on.recall(id.as_str()).unwrap_or_default();
    let known: Vec<InstanceId> = members.iter().map(|member| member.instance.clone()).collect();
    let left = before.into_iter().filter(|instance| !known.contains(instance));
    members.extend(left.map(|instance| Member { instance, health: MemberHealth::Draining }));
    on.note(id.as_str(), &members.iter().map(|member| member.instance.clone()).collect::<Vec<_>>());
    Ok(members)
}

/// The members, each shown as this says where there is something to say.
async fn shown(
    on: &On,
    id: &LoadBalancerId,
    otherwise: impl Fn(&MemberHealth) -> Option<MemberHealth>,
) -> Result<Vec<Member>> {
    let mut members = LoadBalancers::members(&on.model, id).await?;
    for member in &mut members {
        if let Some(health) = otherwise(&member.health) {
            member.health = health;
        }
    }
    Ok(members)
}

async fn never_in_service(on: On, id: LoadBalancerId) -> Result<Vec<Member>> {
    shown(&on, &id, |health| (*health == MemberHealth::InService).then_some(MemberHealth::Unknown)).await
}

async fn all_in_service(on: On, id: LoadBalancerId) -> Result<Vec<Member>> {
    shown(&on, &id, |health| (*health != MemberHealth::Draining).then_some(MemberHealth::InService)).await
}

async fn stays_out(on: On, id: LoadBalancerId) -> Result<Vec<Member>> {
    let mut members = LoadBalancers::members(&on.model, &id).await?;
    for member in &mut members {
        let known = member.instance.as_str();
        if let MemberHealth::OutOfService(_) = &member.health {
            on.note(known, &member.health);
        }
        if let Some(health) = on.recall(known) {
            member.health = health;
        }
    }
    Ok(members)
}

async fn asks_for_each(on: On, id: LoadBalancerId) -> Result<Vec<Member>> {
    let mut members = LoadBalancers::members(&on.model, &id).await?;
    for member in &mut members {
        let state = Instances::get(&on.model, &member.instance).await?.state;
        if state == InstanceState::Stopped {
            member.health = MemberHealth::OutOfService("it is off".to_owned());
        }
    }
    Ok(members)
}
