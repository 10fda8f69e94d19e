//! Record sets, one by one: each call is a change of the zone.

use axum::{
    Json,
    extract::{Path, State as Axum},
};
use serde_json::{Value, json};

use super::{
    change::{SentChange, carry_out},
    record::{SentSet, Set, relative},
    reply::{self, already_exists, not_found},
    zone::{find, serial},
};
use crate::{
    Cloud, State,
    call::{Body, Call},
    error::{Refusal, Result},
};

type InZone = Path<(String, String)>;
type Named = Path<(String, String, String, String)>;

pub(super) async fn list(Axum(cloud): Axum<Cloud>, call: Call, Path((_, zone)): InZone) -> Result<Json<Value>> {
    if call.get("filter").is_some() {
        return Err(Refusal::not_implemented("filters of record sets"));
    }
    let (name, kind) = (call.get("name").map(str::to_ascii_lowercase), call.get("type"));
    let items = cloud.read(|state| {
        let (domain, zone) = find(state, &zone)?;
        let wanted = |set: &Set| {
            name.as_ref().is_none_or(|name| *name == set.full_name(&domain.name))
                && kind.is_none_or(|kind| kind == set.kind)
        };
        let sets = Set::all(domain).into_iter().filter(wanted);
        Ok::<_, Refusal>(sets.map(|set| set.view(&domain.name, serial(&zone))).collect())
    })?;
    let mark = |item: &Value| {
        format!("{} {}", item["name"].as_str().unwrap_or_default(), item["type"].as_str().unwrap_or_default())
    };
    reply::list(&call, "dns#resourceRecordSetsListResponse", "rrsets", items, mark)
}

/// The record set of a path, as it is now, and as a client would send it.
fn current(state: &State, zone: &str, name: &str, kind: &str) -> Result<(Value, SentSet)> {
    let (domain, zone) = find(state, zone)?;
    let set = relative(name, &domain.name).and_then(|relative| Set::find(domain, &relative, kind));
    let set = set.ok_or_else(|| not_found("parameters.name", format_args!("{name} ({kind})")))?;
    let view = set.view(&domain.name, serial(&zone));
    let sent = serde_json::from_value(view.clone()).map_err(Refusal::unreadable)?;
    Ok((view, sent))
}

pub(super) async fn show(Axum(cloud): Axum<Cloud>, Path((_, zone, name, kind)): Named) -> Result<Json<Value>> {
    cloud.read(|state| current(state, &zone, &name, &kind).map(|(view, _)| Json(view)))
}

/// Carries a change out that is made from the state as it is, and serves the zone as it is then.
async fn change(cloud: &Cloud, zone: &str, make: impl FnOnce(&State) -> Result<SentChange>) -> Result<Value> {
    let (dns_name, change) =
        cloud.change(|state| Ok(make(state).and_then(|sent| carry_out(state, cloud.config(), zone, &sent))))??;
    cloud.tell_zone(&dns_name).await;
    Ok(change["additions"][0].clone())
}

pub(super) async fn create(
    Axum(cloud): Axum<Cloud>,
    Path((_, zone)): InZone,
    Body(sent): Body<SentSet>,
) -> Result<Json<Value>> {
    let make = |state: &State| {
        if current(state, &zone, &sent.name, &sent.r#type).is_ok() {
            let name = format!("{} ({})", sent.name, sent.r#type);
            return Err(already_exists("entity.resourceRecordSet", name));
        }
        Ok(SentChange { additions: vec![sent.clone()], deletions: Vec::new() })
    };
    change(&cloud, &zone, make).await.map(Json)
}

pub(super) async fn patch(
    Axum(cloud): Axum<Cloud>,
    Path((_, zone, name, kind)): Named,
    Body(sent): Body<SentSet>,
) -> Result<Json<Value>> {
    let make = |state: &State| {
        let (_, before) = current(state, &zone, &name, &kind)?;
        let mut after = before.clone();
        after.ttl = sent.ttl.or(before.ttl);
        if !sent.rrdatas.is_empty() {
            after.rrdatas.clone_from(&sent.rrdatas);
        }
        Ok(SentChange { additions: vec![after], deletions: vec![before] })
    };
    change(&cloud, &zone, make).await.map(Json)
}

pub(super) async fn delete(Axum(cloud): Axum<Cloud>, Path((_, zone, name, kind)): Named) -> Result<Json<Value>> {
    let make = |state: &State| {
        let (_, before) = current(state, &zone, &name, &kind)?;
        Ok(SentChange { additions: Vec::new(), deletions: vec![before] })
    };
    change(&cloud, &zone, make).await.map(|_| Json(json!({})))
}
