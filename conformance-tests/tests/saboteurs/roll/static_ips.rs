//! Faults in `StaticIps`.

use remint_conformance::LostReply;
use remint_core::fake::{Ip, Transaction};
use remint_core::provider::{
    Effect, ErrorKind, InstanceId, Instances, PowerOp, Result, Selector, StaticIp, StaticIpId, StaticIpSpec, StaticIps,
};

use crate::{
    cloud::{FULL, not_found, refusal},
    sabotage::{On, Saboteur, saboteurs},
};

pub(super) const SABOTEURS: &[Saboteur] = saboteurs! {
    on &FULL;
    "ensure_ip.second_address", "`StaticIps::ensure`: ten calls make one address",
        EnsureStaticIp(spec) => second_address, ["idempotency.static_ip"];
    "ensure_ip.repeats_blindly", "`StaticIps::ensure`: found again when the reply was lost",
        EnsureStaticIp(spec) => repeats_blindly, ["lost_replies.static_ip"];
    "ensure_ip.looks_first", "`Provider`: all methods may be called concurrently",
        EnsureStaticIp(spec) => looks_first, ["concurrency.static_ip"];
    "ensure_ip.own_memory", "`StaticIps::ensure`: by name and labels, or by the instance that it points at",
        EnsureStaticIp(spec) => own_memory, ["consistency.static_ip_elsewhere"];
    "ensure_ip.shares", "`StaticIps::ensure`: a static IP for this spec exists",
        EnsureStaticIp(spec) => shares, ["static_ips.distinct"];
    "ensure_ip.points_nowhere", "`StaticIps::ensure`: it points at the instance or is on its way to it",
        EnsureStaticIp(spec) => points_nowhere, ["static_ips.ensure"];
    "assign.refuses_move", "`StaticIps::assign`: moving it from another where it has one",
        Assign(id, instance) => refuses_move, ["static_ips.assign", "journeys.parked"];
    "assign.unassigns_first", "`Capability::StaticIpReassign`: connections find the old or the new instance",
        Assign(id, instance) => unassigns_first, ["static_ips.reassign"];
    "assign.only_says_so", "`StaticIps::assign`: points a static IP at an instance",
        Assign(id, instance) => only_says_so, ["static_ips.assign", "lost_replies.assign"];
    "assign.gone_is_success", "`StaticIps::assign`: `NotFound`",
        Assign(id, instance) => gone_is_success, ["static_ips.unknown"];
    "assign.always_mutates", "`StaticIps::assign`: a static IP that points there is left alone",
        Assign(id, instance) => always_mutates, ["idempotency.assign"];
    "assign.any_region", "`StaticIps::assign`: `InvalidInput` across regions",
        Assign(id, instance) => any_region, ["static_ips.other_region"];
    "assign.malformed_is_invalid", "`StaticIps::assign`: `NotFound`",
        Assign(id, instance) => malformed_is_invalid, ["static_ips.nonsense"];
    "unassign.releases", "`StaticIps::unassign`: takes a static IP from its instance and keeps it",
        Unassign(id) => releases, ["static_ips.unassign", "journeys.name_to_address"];
    "unassign.gone_is_success", "`StaticIps::unassign`: `NotFound`",
        Unassign(id) => unassign_gone_is_success, ["deletion.static_ip_methods"];
    "unassign.refuses_unassigned", "`StaticIps::unassign`: one that points nowhere is left alone",
        Unassign(id) => refuses_unassigned, ["static_ips.unassign"];
    "unassign.always_mutates", "`StaticIps::unassign`: one that points nowhere is left alone",
        Unassign(id) => unassign_always_mutates, ["idempotency.unassign"];
    "release.stops_instance", "`StaticIps::release`: gives a static IP back",
        Release(id) => stops_instance, ["deletion.static_ip_keeps_instance"];
    "release.all", "`StaticIps::release`: gives a static IP back",
        Release(id) => releases_all, ["deletion.static_ip_neighbour"];
    "list_ips.ignores_labels", "`StaticIps::list`: that carry the labels",
        ListStaticIps(selector) => ignores_labels, ["static_ips.list_selects"];
    "get_ip.told_too_early", "`StaticIp::busy`: a move is under way, `assigned_to` may still be the old one",
        GetStaticIp(id) => told_too_early, ["static_ips.told_alike"];
    "get_ip.missing_while_moving", "`StaticIps::get`: one static IP, `NotFound` only where there is none",
        GetStaticIp(id) => missing_while_moving, ["consistency.static_ip_at_once"];
    "release.only_unassigns", "`StaticIps::release`: gives a static IP back to the cloud",
        Release(id) => only_unassigns, ["deletion.static_ip", "lost_replies.release", "journeys.clean"];
    "release.gone_is_error", "`StaticIps::release`: one that is gone is a success",
        Release(id) => gone_is_error, ["deletion.static_ip", "idempotency.release"];
    "get_ip.keeps_gone_instance", "`StaticIp::assigned_to`: the instance that it points at",
        GetStaticIp(id) => keeps_gone_instance, ["static_ips.outlives"];
};

/// Another static IP for a spec, on its way to the instance.
pub(super) fn another(world: &mut Transaction<'_>, spec: &StaticIpSpec) -> Result<StaticIp> {
    let made = world.allocate_again(spec)?;
    world.assign(&made.id, &spec.instance)
}

/// The static IP of a spec, on its way to the instance.
pub(super) fn own(world: &mut Transaction<'_>, spec: &StaticIpSpec) -> Result<StaticIp> {
    let own = world.allocate(spec)?;
    world.assign(&own.id, &spec.instance)
}

async fn missing_while_moving(on: On, id: StaticIpId) -> Result<StaticIp> {
    let ip = StaticIps::get(&on.model, &id).await?;
    if ip.busy { Err(not_found("get static IP", id)) } else { Ok(ip) }
}

async fn second_address(on: On, spec: StaticIpSpec) -> Result<StaticIp> {
    on.change(LostReply::EnsureStaticIp, move |world| another(world, &spec)).await
}

async fn repeats_blindly(on: On, spec: StaticIpSpec) -> Result<StaticIp> {
    let is_known = on.read(|world| Ok(world.ips.values().any(|ip| ip.end() == Some(&spec.instance)))).await?;
    if is_known {
        return StaticIps::ensure(&on.model, &spec).await;
    }
    let same = spec.clone();
    match on.change_once(LostReply::EnsureStaticIp, move |world| another(world, &same)).await {
        Err(error) if error.effect() == Effect::Unknown => on.change(None, move |world| another(world, &spec)).await,
        answer => answer,
    }
}

async fn points_nowhere(on: On, spec: StaticIpSpec) -> Result<StaticIp> {
    let made = StaticIps::ensure(&on.model, &spec).await?;
    on.change(None, move |world| {
        let ip = world.ip_mut("allocate static IP", &made.id)?;
        (ip.moving, ip.ip.busy) = (None, false);
        Ok(ip.ip.clone())
    })
    .await
}

async fn refuses_move(on: On, id: StaticIpId, instance: InstanceId) -> Result<()> {
    let now = StaticIps::get(&on.model, &id).await?;
    if now.assigned_to.is_some_and(|to| to != instance) {
        return Err(refusal(ErrorKind::Conflict, "assign", "the static IP is in use").with_resource(id));
    }
    on.model.assign(&id, &instance).await
}

async fn unassigns_first(on: On, id: StaticIpId, instance: InstanceId) -> Result<()> {
    let now = StaticIps::get(&on.model, &id).await?;
    if now.assigned_to.is_some_and(|to| to != instance) && !now.busy {
        on.model.unassign(&id).await?;
    }
    on.model.assign(&id, &instance).await
}

async fn only_says_so(on: On, id: StaticIpId, instance: InstanceId) -> Result<()> {
    Instances::get(&on.model, &instance).await?;
    on.change(LostReply::AssignStaticIp, move |world| world.ip("assign", &id).map(drop)).await
}

async fn gone_is_success(on: On, id: StaticIpId, instance: InstanceId) -> Result<()> {
    StaticIps::get(&on.model, &id).await?;
    match on.model.assign(&id, &instance).await {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        answer => answer,
    }
}

async fn always_mutates(on: On, id: StaticIpId, instance: InstanceId) -> Result<()> {
    on.change(LostReply::AssignStaticIp, move |world| world.assign(&id, &instance).map(drop)).await
}

async fn releases(on: On, id: StaticIpId) -> Result<()> {
    on.model.release(&id).await
}

async fn unassign_gone_is_success(on: On, id: StaticIpId) -> Result<()> {
    match on.model.unassign(&id).await {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        answer => answer,
    }
}

async fn refuses_unassigned(on: On, id: StaticIpId) -> Result<()> {
    if StaticIps::get(&on.model, &id).await?.assigned_to.is_none() {
        return Err(refusal(ErrorKind::InvalidInput, "unassign", "the static IP points nowhere").with_resource(id));
    }
    on.model.unassign(&id).await
}

async fn only_unassigns(on: On, id: StaticIpId) -> Result<()> {
    let unassign = move |world: &mut Transaction<'_>| match world.unassign(&id) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        answer => answer,
    };
    on.change(LostReply::ReleaseStaticIp, unassign).await
}

async fn gone_is_error(on: On, id: StaticIpId) -> Result<()> {
    StaticIps::get(&on.model, &id).await?;
    on.model.release(&id).await
}

async fn keeps_gone_instance(on: On, id: StaticIpId) -> Result<StaticIp> {
    let ip = StaticIps::get(&on.model, &id).await?;
    if ip.assigned_to.is_some() {
        on.note(id.as_str(), &ip);
        return Ok(ip);
    }
    let Some(before) = on.recall::<StaticIp>(id.as_str()) else { return Ok(ip) };
    let stands = match &before.assigned_to {
        Some(instance) => Instances::get(&on.model, instance).await.is_ok(),
        None => true,
    };
    Ok(if stands { ip } else { before })
}

async fn looks_first(on: On, spec: StaticIpSpec) -> Result<StaticIp> {
    let points = |ip: &&Ip| ip.end() == Some(&spec.instance);
    let found = on.read(|world| Ok(world.ips.values().find(points).map(|ip| ip.ip.clone()))).await?;
    match found {
        Some(ip) => Ok(ip),
        None => on.change_once(LostReply::EnsureStaticIp, move |world| another(world, &spec)).await,
    }
}

async fn own_memory(on: On, spec: StaticIpSpec) -> Result<StaticIp> {
    let key = spec.instance.as_str();
    if on.recall::<bool>(key).is_some() {
        return StaticIps::ensure(&on.model, &spec).await;
    }
    on.note(key, &true);
    on.change_once(LostReply::EnsureStaticIp, move |world| another(world, &spec)).await
}

async fn shares(on: On, spec: StaticIpSpec) -> Result<StaticIp> {
    match StaticIps::list(&on.model, &Selector(spec.labels.0.clone())).await?.into_iter().next() {
        Some(ip) => Ok(ip),
        None => StaticIps::ensure(&on.model, &spec).await,
    }
}

async fn any_region(on: On, id: StaticIpId, instance: InstanceId) -> Result<()> {
    match on.model.assign(&id, &instance).await {
        Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(()),
        answer => answer,
    }
}

async fn malformed_is_invalid(on: On, id: StaticIpId, instance: InstanceId) -> Result<()> {
    if id.as_str().parse::<std::net::IpAddr>().is_err() {
        return Err(refusal(ErrorKind::InvalidInput, "assign", "no address").with_resource(id));
    }
    on.model.assign(&id, &instance).await
}

async fn unassign_always_mutates(on: On, id: StaticIpId) -> Result<()> {
    on.change(None, move |world| world.unassign(&id)).await
}

async fn stops_instance(on: On, id: StaticIpId) -> Result<()> {
    let points = StaticIps::get(&on.model, &id).await.ok().and_then(|ip| ip.assigned_to);
    on.model.release(&id).await?;
    match points {
        Some(instance) => on.model.power(&instance, PowerOp::Stop).await,
        None => Ok(()),
    }
}

async fn releases_all(on: On, id: StaticIpId) -> Result<()> {
    on.model.release(&id).await?;
    for ip in StaticIps::list(&on.model, &Selector::all()).await? {
        on.model.release(&ip.id).await?;
    }
    Ok(())
}

async fn ignores_labels(on: On, _: Selector) -> Result<Vec<StaticIp>> {
    StaticIps::list(&on.model, &Selector::all()).await
}

async fn told_too_early(on: On, id: StaticIpId) -> Result<StaticIp> {
    on.read(|world| {
        let ip = world.ip("get static IP", &id)?;
        Ok(StaticIp { assigned_to: ip.end().cloned(), busy: false, ..ip.ip.clone() })
    })
    .await
}
