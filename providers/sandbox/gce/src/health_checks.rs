//! Health checks of a region.

use axum::{Json, Router, extract::State as Axum, routing::post};
use serde_json::Value;

use super::{
    call::{Body, Call, time},
    calls::{Shown, all_path, one_path, reads, remove},
    change::{Accepted, Done},
    error::{Refusal, Result},
    health_check::{self, Wanted},
    json,
    model::{BackendService, HealthCheck},
    reference::full,
    resource::{Resource as _, check_new, find, full_path, path, path_of},
};
use crate::{Cloud, State};
use remint_sandbox_cloud::now;

pub(super) fn routes() -> Router<Cloud> {
    reads::<HealthCheck>()
        .route(&all_path::<HealthCheck>(), post(insert))
        .route(&one_path::<HealthCheck>(""), axum::routing::patch(patch).put(update).delete(delete))
}

impl Shown for HealthCheck {
    fn view(&self, _: u64, call: &Call, _: &State) -> Value {
        let mut view = health_check::view(&self.check);
        view["kind"] = Self::KIND.into();
        view["id"] = self.id.to_string().into();
        view["creationTimestamp"] = time(self.created_at).into();
        view["name"] = self.name.as_str().into();
        view["description"] = self.description.as_str().into();
        view["region"] = call.link(&format!("regions/{}", self.region)).into();
        view["selfLink"] = call.link(&path::<Self>(&self.region, &self.name)).into();
        view
    }
}

async fn insert(Axum(cloud): Axum<Cloud>, call: Call, Body(sent): Body<Value>) -> Result<Json<Value>> {
    let region = call.names().0.to_owned();
    call.mutate(&cloud, |state, _| {
        let Wanted { name, description, check } = health_check::read(sent)?;
        check_new::<HealthCheck>(state, &region, &name)?;
        Ok(Accepted::own("insert", path::<HealthCheck>(&region, &name), move |state, _| {
            let id = state.next_id();
            let made = HealthCheck { id, name, region, description, check, created_at: now() };
            state.own.health_checks.insert(id, made);
            Done::at_once(id)
        }))
    })
    .await
}

async fn patch(Axum(cloud): Axum<Cloud>, call: Call, Body(sent): Body<Value>) -> Result<Json<Value>> {
    change(&cloud, &call, "patch", |before| json::patched(before, sent)).await
}

async fn update(Axum(cloud): Axum<Cloud>, call: Call, Body(sent): Body<Value>) -> Result<Json<Value>> {
    change(&cloud, &call, "update", |_| sent).await
}

/// Changes a health check. `whole` gives what it is to be, from what is shown of it.
async fn change(
    cloud: &Cloud,
    call: &Call,
    verb: &'static str,
    whole: impl FnOnce(Value) -> Value + Send,
) -> Result<Json<Value>> {
    let (region, name) = call.names();
    call.mutate(cloud, |state, _| {
        let (id, one) = find::<HealthCheck>(state, region, name)?;
        let Wanted { description, check, .. } = health_check::read(whole(one.view(id, call, state)))?;
        Ok(Accepted::own(verb, path_of(state, id, one), move |state, _| {
            if let Some(one) = state.own.health_checks.get_mut(&id) {
                (one.description, one.check) = (description, check);
            }
            Done::at_once(id)
        }))
    })
    .await
}

async fn delete(Axum(cloud): Axum<Cloud>, call: Call) -> Result<Json<Value>> {
    let check = |state: &State, id: u64, one: &HealthCheck| {
        let user = state.own.backend_services.values().find(|service| service.settings.check == id);
        user.map_or(Ok(()), |service| {
            let by = full(&path::<BackendService>(&service.region, &service.name));
            Err(Refusal::in_use("health_check", full_path::<HealthCheck>(&one.region, &one.name), by))
        })
    };
    remove(&cloud, &call, check, |_, _| None).await
}
