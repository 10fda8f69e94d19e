//! Faults in `LoadBalancers`: load balancers themselves. Those of their members are in `members`.

use std::time::Duration;

use remint_conformance::LostReply;
use remint_core::fake::Membership;
use remint_core::provider::{
    CheckProtocol, Effect, Endpoint, ErrorKind, InstanceId, Instances, ListenerProtocol, LoadBalancer, LoadBalancerId,
    LoadBalancerSpec, LoadBalancerState, LoadBalancers, Result, Selector,
};
use tokio::time::Instant;

use crate::{
    cloud::{FULL, PAGE, not_found, refusal},
    sabotage::{On, Saboteur, saboteurs},
};

pub(super) const SABOTEURS: &[Saboteur] = saboteurs! {
    on &FULL;
    "balance.second", "`LoadBalancers::ensure`: ten calls make one load balancer",
        EnsureLoadBalancer(spec) => second, ["idempotency.load_balancer"];
    "balance.second_for_change", "`LoadBalancers::ensure`: changes the settings of one that exists",
        EnsureLoadBalancer(spec) => second_for_change, ["load_balancers.settings", "load_balancers.change_at_once"];
    "balance.repeats_blindly", "`LoadBalancers::ensure`: a call after a lost reply makes one load balancer",
        EnsureLoadBalancer(spec) => repeats_blindly, ["lost_replies.load_balancer"];
    "balance.own_memory", "`LoadBalancers::ensure`: by name",
        EnsureLoadBalancer(spec) => own_memory, ["consistency.load_balancer_elsewhere"];
    "balance.always_mutates", "`LoadBalancers::ensure`: one that is as the spec says is left alone",
        EnsureLoadBalancer(spec) => always_mutates, ["idempotency.load_balancer"];
    "balance.ignores_change", "`LoadBalancers::ensure`: changes the settings of one that exists",
        EnsureLoadBalancer(spec) => ignores_change,
        ["load_balancers.settings", "load_balancers.checks", "load_balancers.sources", "load_balancers.drain"];
    "balance.created_again", "`LoadBalancers::ensure`: changes the settings of one that exists in place",
        EnsureLoadBalancer(spec) => created_again, ["load_balancers.settings", "load_balancers.checks"];
    "balance.drops_members", "`LoadBalancers::ensure`: its members stay",
        EnsureLoadBalancer(spec) => drops_members, ["load_balancers.settings"];
    "balance.change_lost_at_once", "`LoadBalancers::ensure`: `Busy` while the cloud is at work on it",
        EnsureLoadBalancer(spec) => change_lost_at_once, ["load_balancers.change_at_once"];
    "balance.connections_only", "`MemberCheck::protocol`: what it asks for",
        EnsureLoadBalancer(spec) => connections_only, ["load_balancers.checks"];
    "balance.root_path", "`CheckProtocol::Http`: a GET of this path",
        EnsureLoadBalancer(spec) => root_path, ["load_balancers.checks"];
    "balance.everybody_connects", "`LoadBalancerSettings::sources`: who may connect",
        EnsureLoadBalancer(spec) => everybody_connects, ["load_balancers.sources"];
    "balance.bytes_only", "`Listener::protocol`: what it understands of what passes through",
        EnsureLoadBalancer(spec) => bytes_only, ["load_balancers.http"];
    "balance.same_port", "`Listener::target_port`: the port of the members",
        EnsureLoadBalancer(spec) => same_port, ["load_balancers.target_port"];
    "balance.fixed_drain", "`LoadBalancerSettings::drain`: how long connections to a detached member may go on",
        EnsureLoadBalancer(spec) => fixed_drain, ["load_balancers.drain"];
    "balance.any_region", "`LoadBalancers::ensure`: `Conflict` when one of that name exists in another region",
        EnsureLoadBalancer(spec) => any_region, ["load_balancers.other_region"];
    "balance.unchecked", "`LoadBalancers::ensure`: `InvalidInput` for what the cloud cannot do",
        EnsureLoadBalancer(spec) => unchecked, ["load_balancers.refused"];
    "balance.unchecked_change", "`LoadBalancers::ensure`: `InvalidInput`, before anything is changed",
        EnsureLoadBalancer(spec) => unchecked_change, ["load_balancers.refused_change"];
    "balance.any_certificate", "`LoadBalancers::ensure`: `InvalidInput` for a certificate that does not exist",
        EnsureLoadBalancer(spec) => any_certificate, ["load_balancers.unknown_certificate"];
    "balance.members_by_label", "`LoadBalancers::ensure`: creates what is missing, without members",
        EnsureLoadBalancer(spec) => members_by_label, ["load_balancers.name_again"];
    "list_balancers.all", "`LoadBalancers::list`: whose names begin with `prefix`",
        ListLoadBalancers(prefix) => lists_all, ["load_balancers.list_prefix"];
    "list_balancers.contain", "`LoadBalancers::list`: whose names begin with `prefix`",
        ListLoadBalancers(prefix) => lists_containing, ["load_balancers.list_prefix"];
    "list_balancers.first_page", "`LoadBalancers::list`: all pages",
        ListLoadBalancers(prefix) => first_page, ["load_balancers.list_prefix"];
    "list_balancers.without_endpoint", "`LoadBalancer::endpoint`: where clients connect",
        ListLoadBalancers(prefix) => lists_without_endpoint, ["load_balancers.ensure"];
    "get_balancer.without_endpoint", "`LoadBalancer::endpoint`: `None` until the cloud has given it an address",
        GetLoadBalancer(id) => without_endpoint, ["load_balancers.ensure"];
    "get_balancer.fixed_address", "`Capability::LoadBalancerAddress`: without it, a load balancer has a host name",
        GetLoadBalancer(id) => fixed_address, ["undeclared.load_balancer.address", "dns.alias"];
    "get_balancer.final_dot", "`Endpoint::Host`: the name, without a final dot",
        GetLoadBalancer(id) => final_dot, ["load_balancers.endpoint"];
    "get_balancer.no_addresses", "`Endpoint::Host`: the addresses that it has now",
        GetLoadBalancer(id) => no_addresses, ["load_balancers.endpoint"];
    "get_balancer.missing_while_building", "`LoadBalancers::get`: `NotFound` only where there is none",
        GetLoadBalancer(id) => missing_while_building, ["consistency.load_balancer_at_once"];
    "get_balancer.unknown_is_invalid", "`LoadBalancers::get`: `NotFound`",
        GetLoadBalancer(id) => unknown_is_invalid, ["load_balancers.nonsense", "load_balancers.destroy"];
    "destroy_balancer.all", "`LoadBalancers::destroy`: destroys a load balancer",
        DestroyLoadBalancer(id) => destroys_all, ["load_balancers.neighbour"];
    "destroy_balancer.only_says_so", "`LoadBalancers::destroy`: it is done when `get` answers `NotFound`",
        DestroyLoadBalancer(id) => only_says_so, ["load_balancers.destroy"];
    "destroy_balancer.gone_is_error", "`LoadBalancers::destroy`: one that is gone is a success",
        DestroyLoadBalancer(id) => gone_is_error, ["load_balancers.destroy"];
    "destroy_balancer.building_is_error", "`LoadBalancers::destroy`: `Busy`",
        DestroyLoadBalancer(id) => building_is_error, ["load_balancers.destroy_at_once"];
    "destroy_balancer.takes_members", "`LoadBalancers::destroy`: its members stay as they are",
        DestroyLoadBalancer(id) => takes_members, ["load_balancers.keeps_members"];
};

/// The load balancer of a name, where there is one.
pub(super) async fn named(on: &On, name: &str) -> Result<Option<LoadBalancer>> {
    let listed = LoadBalancers::list(&on.model, name).await?;
    Ok(listed.into_iter().find(|balancer| balancer.name == name))
}

/// What the members of a load balancer are.
pub(super) async fn members(on: &On, id: &LoadBalancerId) -> Result<Vec<InstanceId>> {
    let members = LoadBalancers::members(&on.model, id).await?;
    Ok(members.into_iter().map(|member| member.instance).collect())
}

async fn second(on: On, spec: LoadBalancerSpec) -> Result<LoadBalancer> {
    on.change(LostReply::EnsureLoadBalancer, move |world| world.create_balancer(&spec)).await
}

async fn repeats_blindly(on: On, spec: LoadBalancerSpec) -> Result<LoadBalancer> {
    if named(&on, &spec.name).await?.is_some() {
        return LoadBalancers::ensure(&on.model, &spec).await;
    }
    let same = spec.clone();
    let made = on.change_once(LostReply::EnsureLoadBalancer, move |world| world.create_balancer(&same)).await;
    match made {
        Err(error) if error.effect() == Effect::Unknown => second(on, spec).await,
        answer => answer,
    }
}

async fn own_memory(on: On, spec: LoadBalancerSpec) -> Result<LoadBalancer> {
    if on.recall::<bool>(&spec.name).is_some() {
        return LoadBalancers::ensure(&on.model, &spec).await;
    }
    on.note(&spec.name, &true);
    second(on, spec).await
}

async fn always_mutates(on: On, spec: LoadBalancerSpec) -> Result<LoadBalancer> {
    on.change(LostReply::EnsureLoadBalancer, move |world| world.ensure_balancer(&spec)).await
}

async fn second_for_change(on: On, spec: LoadBalancerSpec) -> Result<LoadBalancer> {
    match named(&on, &spec.name).await? {
        Some(there) if there.settings.is_as(&spec.settings) => Ok(there),
        Some(_) => second(on, spec).await,
        None => LoadBalancers::ensure(&on.model, &spec).await,
    }
}

async fn ignores_change(on: On, spec: LoadBalancerSpec) -> Result<LoadBalancer> {
    match named(&on, &spec.name).await? {
        Some(there) => Ok(there),
        None => LoadBalancers::ensure(&on.model, &spec).await,
    }
}

async fn created_again(on: On, spec: LoadBalancerSpec) -> Result<LoadBalancer> {
    if let Some(there) = named(&on, &spec.name).await?
        && !there.settings.is_as(&spec.settings)
    {
        LoadBalancers::destroy(&on.model, &there.id).await?;
    }
    LoadBalancers::ensure(&on.model, &spec).await
}

async fn drops_members(on: On, spec: LoadBalancerSpec) -> Result<LoadBalancer> {
    let balancer = LoadBalancers::ensure(&on.model, &spec).await?;
    let id = balancer.id.clone();
    if balancer.state == LoadBalancerState::Pending {
        on.change(None, move |world| {
            world.balancer_mut("set up", &id)?.members.clear();
            Ok(())
        })
        .await?;
    }
    Ok(balancer)
}

async fn change_lost_at_once(on: On, spec: LoadBalancerSpec) -> Result<LoadBalancer> {
    match named(&on, &spec.name).await? {
        Some(there) if there.state == LoadBalancerState::Pending => Ok(there),
        _ => LoadBalancers::ensure(&on.model, &spec).await,
    }
}

async fn connections_only(on: On, mut spec: LoadBalancerSpec) -> Result<LoadBalancer> {
    spec.settings.check.protocol = CheckProtocol::Tcp;
    LoadBalancers::ensure(&on.model, &spec).await
}

async fn root_path(on: On, mut spec: LoadBalancerSpec) -> Result<LoadBalancer> {
    if let CheckProtocol::Http { path } = &mut spec.settings.check.protocol {
        "/".clone_into(path);
    }
    LoadBalancers::ensure(&on.model, &spec).await
}

async fn everybody_connects(on: On, mut spec: LoadBalancerSpec) -> Result<LoadBalancer> {
    spec.settings.sources.clear();
    LoadBalancers::ensure(&on.model, &spec).await
}

async fn bytes_only(on: On, mut spec: LoadBalancerSpec) -> Result<LoadBalancer> {
    for listener in &mut spec.settings.listeners {
        // What needs a certificate is refused as ever.
        if listener.protocol == ListenerProtocol::Http {
            listener.protocol = ListenerProtocol::Tcp;
        }
    }
    LoadBalancers::ensure(&on.model, &spec).await
}

async fn same_port(on: On, mut spec: LoadBalancerSpec) -> Result<LoadBalancer> {
    for listener in &mut spec.settings.listeners {
        listener.target_port = listener.port;
    }
    LoadBalancers::ensure(&on.model, &spec).await
}

async fn fixed_drain(on: On, mut spec: LoadBalancerSpec) -> Result<LoadBalancer> {
    spec.settings.drain = Some(Duration::from_secs(300));
    LoadBalancers::ensure(&on.model, &spec).await
}

async fn any_region(on: On, mut spec: LoadBalancerSpec) -> Result<LoadBalancer> {
    if let Some(there) = named(&on, &spec.name).await? {
        spec.region = there.region;
    }
    LoadBalancers::ensure(&on.model, &spec).await
}

async fn unchecked(on: On, spec: LoadBalancerSpec) -> Result<LoadBalancer> {
    match LoadBalancers::ensure(&on.model, &spec).await {
        Err(error) if error.kind() == ErrorKind::InvalidInput => always_mutates(on, spec).await,
        answer => answer,
    }
}

async fn unchecked_change(on: On, spec: LoadBalancerSpec) -> Result<LoadBalancer> {
    match named(&on, &spec.name).await? {
        Some(_) => unchecked(on, spec).await,
        None => LoadBalancers::ensure(&on.model, &spec).await,
    }
}

async fn any_certificate(on: On, spec: LoadBalancerSpec) -> Result<LoadBalancer> {
    match LoadBalancers::ensure(&on.model, &spec).await {
        Err(error) if error.kind() == ErrorKind::InvalidInput && is_certified(&spec) => second(on, spec).await,
        answer => answer,
    }
}

fn is_certified(spec: &LoadBalancerSpec) -> bool {
    spec.settings.listeners.iter().any(|listener| listener.certificate.is_some())
}

async fn members_by_label(on: On, spec: LoadBalancerSpec) -> Result<LoadBalancer> {
    if named(&on, &spec.name).await?.is_some() {
        return LoadBalancers::ensure(&on.model, &spec).await;
    }
    let labelled = Instances::list(&on.model, &Selector(spec.labels.0.clone())).await?;
    let made = LoadBalancers::ensure(&on.model, &spec).await?;
    let id = made.id.clone();
    on.change(None, move |world| {
        let found = labelled.iter().map(|instance| (instance.id.clone(), Membership::new(Instant::now())));
        world.balancer_mut("set up", &id)?.members.extend(found);
        Ok(())
    })
    .await?;
    Ok(made)
}

async fn lists_all(on: On, _: String) -> Result<Vec<LoadBalancer>> {
    LoadBalancers::list(&on.model, "").await
}

async fn lists_containing(on: On, prefix: String) -> Result<Vec<LoadBalancer>> {
    let mut listed = LoadBalancers::list(&on.model, "").await?;
    listed.retain(|balancer| balancer.name.contains(&prefix));
    Ok(listed)
}

async fn first_page(on: On, prefix: String) -> Result<Vec<LoadBalancer>> {
    let mut listed = LoadBalancers::list(&on.model, "").await?;
    listed.truncate(PAGE);
    listed.retain(|balancer| balancer.name.starts_with(&prefix));
    Ok(listed)
}

async fn lists_without_endpoint(on: On, prefix: String) -> Result<Vec<LoadBalancer>> {
    let mut listed = LoadBalancers::list(&on.model, &prefix).await?;
    listed.iter_mut().for_each(|balancer| balancer.endpoint = None);
    Ok(listed)
}

/// Shows an address of today as one that stays.
async fn fixed_address(on: On, id: LoadBalancerId) -> Result<LoadBalancer> {
    let mut found = LoadBalancers::get(&on.model, &id).await?;
    let address = found.endpoint.as_ref().and_then(Endpoint::address).cloned();
    found.endpoint = address.map(Endpoint::Address);
    Ok(found)
}

async fn final_dot(on: On, id: LoadBalancerId) -> Result<LoadBalancer> {
    let mut found = LoadBalancers::get(&on.model, &id).await?;
    if let Some(Endpoint::Host { name, .. }) = &mut found.endpoint {
        name.push('.');
    }
    Ok(found)
}

async fn no_addresses(on: On, id: LoadBalancerId) -> Result<LoadBalancer> {
    let mut found = LoadBalancers::get(&on.model, &id).await?;
    if let Some(Endpoint::Host { addresses, .. }) = &mut found.endpoint {
        addresses.clear();
    }
    Ok(found)
}

async fn without_endpoint(on: On, id: LoadBalancerId) -> Result<LoadBalancer> {
    let balancer = LoadBalancers::get(&on.model, &id).await?;
    Ok(LoadBalancer { endpoint: None, ..balancer })
}

async fn missing_while_building(on: On, id: LoadBalancerId) -> Result<LoadBalancer> {
    let balancer = LoadBalancers::get(&on.model, &id).await?;
    if balancer.endpoint.is_none() { Err(not_found("get load balancer", id)) } else { Ok(balancer) }
}

async fn unknown_is_invalid(on: On, id: LoadBalancerId) -> Result<LoadBalancer> {
    LoadBalancers::get(&on.model, &id).await.map_err(|error| match error.kind() {
        ErrorKind::NotFound => refusal(ErrorKind::InvalidInput, "get load balancer", "no such id").with_resource(&id),
        _ => error,
    })
}

async fn destroys_all(on: On, id: LoadBalancerId) -> Result<()> {
    LoadBalancers::destroy(&on.model, &id).await?;
    for balancer in LoadBalancers::list(&on.model, "").await? {
        LoadBalancers::destroy(&on.model, &balancer.id).await?;
    }
    Ok(())
}

async fn only_says_so(on: On, id: LoadBalancerId) -> Result<()> {
    match LoadBalancers::get(&on.model, &id).await {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

async fn gone_is_error(on: On, id: LoadBalancerId) -> Result<()> {
    LoadBalancers::get(&on.model, &id).await?;
    LoadBalancers::destroy(&on.model, &id).await
}

async fn building_is_error(on: On, id: LoadBalancerId) -> Result<()> {
    let state = LoadBalancers::get(&on.model, &id).await.map(|balancer| balancer.state);
    if matches!(state, Ok(LoadBalancerState::Pending)) {
        return Err(refusal(ErrorKind::Conflict, "destroy load balancer", "it is not active").with_resource(&id));
    }
    LoadBalancers::destroy(&on.model, &id).await
}

async fn takes_members(on: On, id: LoadBalancerId) -> Result<()> {
    let members = members(&on, &id).await.unwrap_or_default();
    LoadBalancers::destroy(&on.model, &id).await?;
    for instance in members {
        Instances::destroy(&on.model, &instance).await?;
    }
    Ok(())
}
