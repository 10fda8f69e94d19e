//! Faults in `Instances::list` and `Instances::get`.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
};

use remint_core::provider::{Address, Instance, InstanceId, InstanceState, Instances, Result, Selector};

use crate::{
    cloud::{FULL, PAGE, not_found},
    sabotage::{On, Saboteur, saboteurs},
};

pub(super) const SABOTEURS: &[Saboteur] = saboteurs! {
    on &FULL;
    "list.page_one", "`Instances::list`: all pages",
        ListInstances(selector) => page_one, ["instances.list_selects"];
    "list.overlapping_pages", "`Instances::list`: instances that carry the labels",
        ListInstances(selector) => overlapping_pages, ["instances.list_selects"];
    "list.lags", "`Instances::list`: an instance that `launch` returned is in it",
        ListInstances(selector) => lags, ["consistency.listed_at_once"];
    "list.any_label", "`Selector`: those that carry all of these labels",
        ListInstances(selector) => any_label, ["instances.list_selects"];
    "list.ignores_last_label", "`Selector`: those that carry all of these labels",
        ListInstances(selector) => ignores_last_label, ["instances.list_selects", "labels.superset"];
    "list.matches_prefix", "`Labels::matches`: every label is there with the same value",
        ListInstances(selector) => matches_prefix, ["labels.like", "journeys.two_services"];
    "list.ignores_case", "`Labels::matches`: every label is there with the same value",
        ListInstances(selector) => ignores_case, ["labels.case"];
    "list.nothing_for_all", "`Selector`: an empty one selects whatever Remint made",
        ListInstances(selector) => nothing_for_all, ["instances.list_selects", "labels.empty_selector"];
    "list.ten_pages", "`Instances::list`: all pages",
        ListInstances(selector) => ten_pages, ["consistency.many"];
    "list.hides_stopped", "`Instances::list`: whatever their state",
        ListInstances(selector) => hides_stopped, ["consistency.listed_while_stopped"];
    "list.any_key", "`Labels::matches`: every label of the selector",
        ListInstances(selector) => any_key, ["labels.other_key", "labels.keys_alike"];
    "list.keeps_gone", "`Instances::list`: an instance is in it until it is gone",
        ListInstances(selector) => list_keeps_gone, ["deletion.instance"];
    "get.missing_while_made", "`Instances::get`: never reported missing while it is being made",
        GetInstance(id) => missing_while_made, ["instances.never_missing", "consistency.read_at_once"];
    "get.keeps_gone", "`Instances::get`: `NotFound` when the instance is gone",
        GetInstance(id) => get_keeps_gone, ["deletion.instance"];
    "get.without_address", "`Instance::address`: its own public address",
        GetInstance(id) => without_address, ["instances.launch"];
    "get.one_address_for_all", "`Instance::address`: its own public address",
        GetInstance(id) => one_address_for_all, ["instances.address_own"];
    "get.without_labels", "`Instance::labels`: Remint's labels on it",
        GetInstance(id) => without_labels, ["instances.launch"];
};

async fn everything(on: &On) -> Result<Vec<Instance>> {
    let mut listed = Instances::list(&on.model, &Selector::all()).await?;
    listed.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(listed)
}

/// Those whose labels fit the selector, by a way of comparing values that is not equality.
async fn those(on: &On, selector: &Selector, fits: fn(&str, &str) -> bool) -> Result<Vec<Instance>> {
    let mut listed = everything(on).await?;
    listed.retain(|instance| {
        selector.0.iter().all(|(key, value)| instance.labels.get(key).is_some_and(|own| fits(own, value)))
    });
    Ok(listed)
}

async fn page_one(on: On, selector: Selector) -> Result<Vec<Instance>> {
    let mut listed = everything(&on).await?;
    listed.truncate(PAGE);
    listed.retain(|instance| instance.labels.matches(&selector));
    Ok(listed)
}

async fn overlapping_pages(on: On, selector: Selector) -> Result<Vec<Instance>> {
    let mut listed = Instances::list(&on.model, &selector).await?;
    if listed.len() > PAGE {
        listed.extend_from_within(PAGE - 1..PAGE);
    }
    Ok(listed)
}

async fn lags(on: On, selector: Selector) -> Result<Vec<Instance>> {
    let mut listed = on.read(|world| Ok(world.listed())).await?;
    listed.retain(|instance| instance.labels.matches(&selector));
    Ok(listed)
}

async fn any_label(on: On, selector: Selector) -> Result<Vec<Instance>> {
    let mut listed = everything(&on).await?;
    let carries = |instance: &Instance| selector.0.iter().any(|(key, value)| instance.labels.get(key) == Some(value));
    listed.retain(|instance| selector.0.is_empty() || carries(instance));
    Ok(listed)
}

async fn ignores_last_label(on: On, selector: Selector) -> Result<Vec<Instance>> {
    // Many clouds take two filters and no more.
    let two: BTreeMap<_, _> = selector.0.into_iter().rev().take(2).collect();
    Instances::list(&on.model, &Selector(two)).await
}

async fn matches_prefix(on: On, selector: Selector) -> Result<Vec<Instance>> {
    those(&on, &selector, |own, wanted| own.starts_with(wanted)).await
}

async fn ignores_case(on: On, selector: Selector) -> Result<Vec<Instance>> {
    those(&on, &selector, |own, wanted| own.eq_ignore_ascii_case(wanted)).await
}

async fn nothing_for_all(on: On, selector: Selector) -> Result<Vec<Instance>> {
    if selector.0.is_empty() { Ok(Vec::new()) } else { Instances::list(&on.model, &selector).await }
}

async fn ten_pages(on: On, selector: Selector) -> Result<Vec<Instance>> {
    let mut listed = everything(&on).await?;
    listed.truncate(10 * PAGE);
    listed.retain(|instance| instance.labels.matches(&selector));
    Ok(listed)
}

async fn hides_stopped(on: On, selector: Selector) -> Result<Vec<Instance>> {
    let mut listed = Instances::list(&on.model, &selector).await?;
    listed.retain(|instance| instance.state != InstanceState::Stopped);
    Ok(listed)
}

async fn any_key(on: On, selector: Selector) -> Result<Vec<Instance>> {
    let mut listed = everything(&on).await?;
    let carries = |instance: &Instance, value: &str| instance.labels.iter().any(|(_, own)| own == value);
    listed.retain(|instance| selector.0.values().all(|value| carries(instance, value)));
    Ok(listed)
}

async fn list_keeps_gone(on: On, selector: Selector) -> Result<Vec<Instance>> {
    let mut listed = Instances::list(&on.model, &selector).await?;
    listed.extend(on.model.world().gone().into_values().filter(|instance| instance.labels.matches(&selector)));
    Ok(listed)
}

async fn missing_while_made(on: On, id: InstanceId) -> Result<Instance> {
    let instance = Instances::get(&on.model, &id).await?;
    match instance.state {
        InstanceState::Pending if instance.busy => Err(not_found("get instance", id)),
        _ => Ok(instance),
    }
}

async fn get_keeps_gone(on: On, id: InstanceId) -> Result<Instance> {
    match on.model.world().gone().remove(&id) {
        Some(gone) => Ok(gone),
        None => Instances::get(&on.model, &id).await,
    }
}

async fn without_address(on: On, id: InstanceId) -> Result<Instance> {
    Ok(Instance { address: None, ..Instances::get(&on.model, &id).await? })
}

async fn one_address_for_all(on: On, id: InstanceId) -> Result<Instance> {
    // Of the gateway that all of them are behind.
    let gateway = Some(Address::new(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1))));
    Ok(Instance { address: gateway, ..Instances::get(&on.model, &id).await? })
}

async fn without_labels(on: On, id: InstanceId) -> Result<Instance> {
    let instance = Instances::get(&on.model, &id).await?;
    Ok(Instance { labels: Default::default(), ..instance })
}
