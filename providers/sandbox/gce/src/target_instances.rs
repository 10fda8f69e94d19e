//! Target instances: what a forwarding rule of one instance points at.

use axum::{Json, Router, extract::State as Axum, routing::post};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    call::{Body, Call, time},
    calls::{Shown, all_path, one_path, reads, remove},
    change::{Accepted, Done},
    error::{Refusal, Result},
    instance::find_instance,
    model::{Instance, TargetInstance},
    reference::{Reference, full},
    resource::{check_new, full_path, path, path_of},
};
use crate::{Cloud, State};
use remint_sandbox_cloud::now;

pub(super) fn routes() -> Router<Cloud> {
    reads::<TargetInstance>()
        .route(&all_path::<TargetInstance>(), post(insert))
        .route(&one_path::<TargetInstance>(""), axum::routing::delete(delete))
}

impl Shown for TargetInstance {
    fn view(&self, _: u64, call: &Call, _: &State) -> Value {
        let target = self;
        let mut view = json!({
            "kind": "compute#targetInstance",
            "id": target.id.to_string(),
            "creationTimestamp": time(target.created_at),
            "name": target.name,
            "zone": call.link(&format!("zones/{}", target.zone)),
            "natPolicy": "NO_NAT",
            "instance": call.link(&path::<Instance>(&target.zone, &target.instance)),
            "selfLink": call.link(&path::<TargetInstance>(&target.zone, &target.name)),
        });
        if !target.description.is_empty() {
            view["description"] = target.description.as_str().into();
        }
        view
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Insert {
    name: String,
    description: String,
    instance: String,
    nat_policy: Option<String>,
}

async fn insert(Axum(cloud): Axum<Cloud>, call: Call, Body(sent): Body<Insert>) -> Result<Json<Value>> {
    let zone = call.names().0.to_owned();
    call.mutate(&cloud, |state, _| {
        check_new::<TargetInstance>(state, &zone, &sent.name)?;
        if let Some(policy) = sent.nat_policy.as_deref().filter(|policy| *policy != "NO_NAT") {
            return Err(Refusal::invalid("resource.natPolicy", policy, "Must be NO_NAT."));
        }
        if sent.instance.is_empty() {
            return Err(Refusal::required("resource.instance"));
        }
        let instance = match Reference::parse(&sent.instance).zonal("instances", &zone) {
            Some((found, name)) if found == zone => find_instance(state, &zone, name).map(|_| name.to_owned())?,
            _ => {
                return Err(Refusal::invalid(
                    "resource.instance",
                    &sent.instance,
                    "The instance must be in the target's zone.",
                ));
            }
        };
        Ok(Accepted::own("insert", path::<TargetInstance>(&zone, &sent.name), move |state, _| {
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

async fn delete(Axum(cloud): Axum<Cloud>, call: Call) -> Result<Json<Value>> {
    let check = |state: &State, id: u64, target: &TargetInstance| {
        let Some((rule_id, rule)) = state.own.forwarding_rules.iter().find(|(_, rule)| rule.target == Some(id)) else {
            return Ok(());
        };
        let at = full_path::<TargetInstance>(&target.zone, &target.name);
        Err(Refusal::in_use("target_instance", at, full(&path_of(state, *rule_id, rule))))
    };
    remove(&cloud, &call, check, |_, _| None).await
}
