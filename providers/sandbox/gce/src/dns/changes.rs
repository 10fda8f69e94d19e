//! Changes of a zone: listed, shown, and asked for.

use axum::{
    Json,
    extract::{Path, State as Axum},
};
use serde_json::{Value, json};

use super::{
    change::{SentChange, carry_out, view},
    record::Set,
    reply::{self, not_found, time},
    zone::{find, serial},
};
use crate::{
    Cloud,
    call::{Body, Call},
    error::Result,
    model::ManagedZone,
};
use remint_sandbox_cloud::state::Zone;

/// The change that made the zone, which every zone has.
fn first(domain: &Zone, zone: &ManagedZone) -> Value {
    let own = Set::all(domain).into_iter().filter(Set::is_zones_own);
    json!({
        "kind": "dns#change",
        "id": "0",
        "startTime": time(domain.created_at),
        "status": "done",
        "isServing": false,
        "additions": own.map(|set| set.view(&domain.name, serial(zone))).collect::<Vec<_>>(),
    })
}

fn views(domain: &Zone, zone: &ManagedZone) -> Vec<Value> {
    let later = (0..zone.changes.len()).filter_map(|id| view(zone, id));
    std::iter::once(first(domain, zone)).chain(later).collect()
}

type Named = Path<(String, String)>;

pub(super) async fn list(Axum(cloud): Axum<Cloud>, call: Call, Path((_, zone)): Named) -> Result<Json<Value>> {
    let mut items = cloud.read(|state| find(state, &zone).map(|(domain, zone)| views(domain, &zone)))?;
    if call.get("sortOrder") == Some("descending") {
        items.reverse();
    }
    let mark = |item: &Value| item["id"].as_str().unwrap_or_default().to_owned();
    reply::list(&call, "dns#changesListResponse", "changes", items, mark)
}

pub(super) async fn show(
    Axum(cloud): Axum<Cloud>,
    Path((_, zone, id)): Path<(String, String, String)>,
) -> Result<Json<Value>> {
    let all = cloud.read(|state| find(state, &zone).map(|(domain, zone)| views(domain, &zone)))?;
    let found = all.into_iter().find(|change| change["id"] == id.as_str());
    found.map(Json).ok_or_else(|| not_found("parameters.changeId", id))
}

pub(super) async fn create(
    Axum(cloud): Axum<Cloud>,
    Path((_, zone)): Named,
    Body(sent): Body<SentChange>,
) -> Result<Json<Value>> {
    let (dns_name, view) = cloud.change(|state| Ok(carry_out(state, cloud.config(), &zone, &sent)))??;
    cloud.tell_zone(&dns_name).await;
    Ok(Json(view))
}
