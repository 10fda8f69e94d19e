//! Backend services of a region, and what they make of their instances.

use axum::{Json, Router, extract::State as Axum, routing::post};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    backend_service,
    balanced::{self, failed_in_several_groups},
    call::{Body, Call, time},
    calls::{Shown, all_path, one_path, reads, remove},
    change::{Accepted, Done},
    error::{Refusal, Result},
    json,
    model::{BackendService, ForwardingRule, InstanceGroup},
    reference::{Reference, full},
    resource::{Resource as _, check_new, find, full_path, path, path_of},
};
use crate::{Cloud, State};
use remint_sandbox_cloud::now;

pub(super) fn routes() -> Router<Cloud> {
    reads::<BackendService>()
        .route(&all_path::<BackendService>(), post(insert))
        .route(&one_path::<BackendService>(""), axum::routing::patch(patch).put(update).delete(delete))
        .route(&one_path::<BackendService>("/getHealth"), post(get_health))
}

impl Shown for BackendService {
    fn view(&self, _: u64, call: &Call, state: &State) -> Value {
        let mut view = backend_service::view(call, state, self);
        view["kind"] = Self::KIND.into();
        view["id"] = self.id.to_string().into();
        view["creationTimestamp"] = time(self.created_at).into();
        view["name"] = self.name.as_str().into();
        view["region"] = call.link(&format!("regions/{}", self.region)).into();
        view["selfLink"] = call.link(&path::<Self>(&self.region, &self.name)).into();
        view
    }
}

async fn insert(Axum(cloud): Axum<Cloud>, call: Call, Body(sent): Body<Value>) -> Result<Json<Value>> {
    let region = call.names().0.to_owned();
    call.mutate(&cloud, |state, _| {
        let (name, settings) = backend_service::read(state, &region, sent)?;
        check_new::<BackendService>(state, &region, &name)?;
        let target = path::<BackendService>(&region, &name);
        if let Some(failure) = failed_in_several_groups(state, &settings) {
            return Ok(Accepted::fails("insert", target, failure));
        }
        Ok(Accepted::own("insert", target, move |state, _| {
            let id = state.next_id();
            let service = BackendService { id, name, region, created_at: now(), settings };
            state.own.backend_services.insert(id, service);
            Done::at_once(id)
        }))
    })
    .await
}

async fn patch(Axum(cloud): Axum<Cloud>, call: Call, Body(sent): Body<Value>) -> Result<Json<Value>> {
    change(&cloud, &call, "patch", sent, json::patched).await
}

async fn update(Axum(cloud): Axum<Cloud>, call: Call, Body(sent): Body<Value>) -> Result<Json<Value>> {
    change(&cloud, &call, "update", sent, |_, sent| sent).await
}

/// Changes a backend service. `whole` gives what it is to be, from what is shown of it and from what was sent.
async fn change(
    cloud: &Cloud,
    call: &Call,
    verb: &'static str,
    sent: Value,
    whole: impl FnOnce(Value, Value) -> Value + Send,
) -> Result<Json<Value>> {
    let (region, name) = call.names();
    call.mutate(cloud, |state, _| {
        let (id, service) = find::<BackendService>(state, region, name)?;
        if sent["fingerprint"].as_str() != Some(&backend_service::fingerprint_of(service)) {
            return Err(Refusal::condition("Invalid fingerprint."));
        }
        let (_, settings) = backend_service::read(state, region, whole(service.view(id, call, state), sent))?;
        let target = path_of(state, id, service);
        if let Some(failure) = failed_in_several_groups(state, &settings) {
            return Ok(Accepted::fails(verb, target, failure));
        }
        Ok(Accepted::own(verb, target, move |state, _| {
            if let Some(service) = state.own.backend_services.get_mut(&id) {
                service.settings = settings;
            }
            Done::at_once(id)
        }))
    })
    .await
}

async fn delete(Axum(cloud): Axum<Cloud>, call: Call) -> Result<Json<Value>> {
    let check = |state: &State, id: u64, service: &BackendService| {
        let user = state.own.forwarding_rules.values().find(|rule| rule.service == Some(id));
        user.map_or(Ok(()), |rule| {
            let by = full(&path::<ForwardingRule>(&rule.region, &rule.name));
            Err(Refusal::in_use("backend_service", full_path::<BackendService>(&service.region, &service.name), by))
        })
    };
    remove(&cloud, &call, check, |_, _| None).await
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct GroupReference {
    group: String,
}

/// The health of a group's instances, once for each forwarding rule: without one, nothing is checked.
async fn get_health(Axum(cloud): Axum<Cloud>, call: Call, Body(sent): Body<GroupReference>) -> Result<Json<Value>> {
    let (region, name) = call.names();
    let (service, group, rules) = cloud.read(|state| {
        let (service_id, service) = find::<BackendService>(state, region, name)?;
        let backends = &service.settings.backends;
        let group = match *Reference::parse(&sent.group).path {
            [""] => return Err(Refusal::required("group")),
            ["zones", zone, "instanceGroups", name] => find::<InstanceGroup>(state, zone, name)?.0,
            _ => return Err(Refusal::invalid("group", &sent.group, "The URL is malformed.")),
        };
        if !backends.iter().any(|backend| backend.group == group) {
            let why = "The group is not a backend of the backend service.";
            return Err(Refusal::invalid("group", &sent.group, why));
        }
        let rules = state.own.forwarding_rules.values().filter(|rule| rule.service == Some(service_id));
        Ok((service_id, group, rules.map(|rule| rule.id).collect::<Vec<_>>()))
    })?;
    let mut shown = Vec::new();
    for rule in rules {
        let health = cloud.member_health(rule).await;
        shown.extend(cloud.read(|state| balanced::health(&call, state, (service, group, rule), &health)));
    }
    let mut answer = json!({ "kind": "compute#backendServiceGroupHealth" });
    if !shown.is_empty() {
        answer["healthStatus"] = shown.into();
    }
    Ok(Json(answer))
}
