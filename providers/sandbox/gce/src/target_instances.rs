//! Target instances: what a forwarding rule of one instance points at.

use axum::{
    Json, Router,
    extract::{Path, State as Axum},
    routing::get,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    call::{Accepted, Body, Call, Done, time},
    error::{Refusal, Result},
    instances,
    reference::{Reference, check_name, full},
    state::TargetInstance,
};
use crate::{Cloud, State};
use remint_sandbox_cloud::now;

pub(super) fn routes() -> Router<Cloud> {
    const LIST: &str = "/compute/v1/projects/{project}/zones/{zone}/targetInstances";
    Router::new()
        .route(LIST, get(list).post(insert))
        .route("/compute/v1/projects/{project}/aggregated/targetInstances", get(aggregated))
        .route(&format!("{LIST}/{{target}}"), get(show).delete(delete))
}

type Named = Path<(String, String, String)>;

/// A target instance's path below the project.
pub(super) fn path(zone: &str, name: &str) -> String {
    format!("zones/{zone}/targetInstances/{name}")
}

pub(super) fn find<'a>(state: &'a State, zone: &str, name: &str) -> Result<&'a TargetInstance> {
    let found = state.own.target_instances.values().find(|target| target.zone == zone && target.name == name);
    found.ok_or_else(|| Refusal::not_found(full(&path(zone, name))))
}

fn view(call: &Call, target: &TargetInstance) -> Value {
    let mut view = json!({
        "kind": "compute#targetInstance",
        "id": target.id.to_string(),
        "creationTimestamp": time(target.created_at),
        "name": target.name,
        "zone": call.link(&format!("zones/{}", target.zone)),
        "natPolicy": "NO_NAT",
        "instance": call.link(&instances::path(&target.zone, &target.instance)),
        "selfLink": call.link(&path(&target.zone, &target.name)),
    });
    if !target.description.is_empty() {
        view["description"] = target.description.as_str().into();
    }
    view
}

async fn list(Axum(cloud): Axum<Cloud>, call: Call, Path((_, zone)): Path<(String, String)>) -> Result<Json<Value>> {
    let items = cloud.read(|state| {
        let here = state.own.target_instances.values().filter(|target| target.zone == zone);
        here.map(|target| view(&call, target)).collect()
    });
    call.list("compute#targetInstanceList", &format!("zones/{zone}/targetInstances"), items)
}

async fn aggregated(Axum(cloud): Axum<Cloud>, call: Call) -> Result<Json<Value>> {
    let items = cloud.read(|state| state.own.target_instances.values().map(|target| view(&call, target)).collect());
    call.aggregated("compute#targetInstanceAggregatedList", "targetInstances", items)
}

async fn show(Axum(cloud): Axum<Cloud>, call: Call, Path((_, zone, name)): Named) -> Result<Json<Value>> {
    cloud.read(|state| find(state, &zone, &name).map(|target| Json(view(&call, target))))
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Insert {
    name: String,
    description: String,
    instance: String,
    nat_policy: Option<String>,
}

async fn insert(
    Axum(cloud): Axum<Cloud>,
    call: Call,
    Path((_, zone)): Path<(String, String)>,
    Body(sent): Body<Insert>,
) -> Result<Json<Value>> {
    call.mutate(&cloud, |state, _| {
        check_name("resource.name", &sent.name)?;
        if find(state, &zone, &sent.name).is_ok() {
            return Err(Refusal::already_exists(full(&path(&zone, &sent.name))));
        }
        if let Some(policy) = sent.nat_policy.as_deref().filter(|policy| *policy != "NO_NAT") {
            return Err(Refusal::invalid("resource.natPolicy", policy, "Must be NO_NAT."));
        }
        if sent.instance.is_empty() {
            return Err(Refusal::required("resource.instance"));
        }
        let instance = match Reference::parse(&sent.instance).zonal("instances", &zone) {
            Some((found, name)) if found == zone => instances::find(state, &zone, name).map(|_| name.to_owned())?,
            _ => {
                return Err(Refusal::invalid(
                    "resource.instance",
                    &sent.instance,
                    "The instance must be in the target's zone.",
                ));
            }
        };
        Ok(Accepted::own("insert", path(&zone, &sent.name), move |state, _| {
            let id = state.next_id();
            let target = TargetInstance {
                id,
                name: sent.name,
                zone,
                instance,
                description: sent.description,
                created_at: now(),
            };
            state.own.target_instances.insert(id, target);
            Done::at_once(id)
        }))
    })
    .await
}

async fn delete(Axum(cloud): Axum<Cloud>, call: Call, Path((_, zone, name)): Named) -> Result<Json<Value>> {
    call.mutate(&cloud, |state, _| {
        let id = find(state, &zone, &name)?.id;
        if let Some(rule) = state.own.forwarding_rules.values().find(|rule| rule.target == id) {
            let by = full(&format!("regions/{}/forwardingRules/{}", rule.region, rule.name));
            return Err(Refusal::in_use("target_instance", full(&path(&zone, &name)), by));
        }
        Ok(Accepted::own("delete", path(&zone, &name), move |state, _| {
            state.own.target_instances.remove(&id);
            Done::at_once(id)
        }))
    })
    .await
}
