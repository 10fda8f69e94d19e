//! `/v2/domains`.

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::rules;
use super::{
    extract::{Body, Listing},
    front,
};
use crate::Cloud;
use remint_sandbox_cloud::{ApiResult, Front as _, state::Zone};

pub(super) fn routes() -> Router<Cloud> {
    Router::new().route("/v2/domains", get(list).post(create)).route("/v2/domains/{domain}", get(show).delete(delete))
}

#[derive(Deserialize)]
struct Create {
    #[serde(default)]
    name: String,
    ip_address: Option<String>,
}

fn view(domain: &Zone) -> Value {
    json!({ "name": domain.name, "ttl": 1800, "zone_file": rules::domains::zone_file(domain, front::Data::NAME_SERVERS[0]) })
}

async fn list(State(cloud): State<Cloud>, listing: Listing) -> Json<Value> {
    listing.reply("domains", cloud.read(|state| state.zones.values().map(view).collect()))
}

async fn create(State(cloud): State<Cloud>, Body(body): Body<Create>) -> ApiResult<(StatusCode, Json<Value>)> {
    let domain = cloud.change(|state| state.new_zone(&body.name, body.ip_address.as_deref()))?;
    cloud.tell_zone(&domain.name).await;
    // Just created: the API does not say the TTL and the zone file yet.
    let answer = json!({ "domain": { "name": domain.name, "ttl": null, "zone_file": null } });
    Ok((StatusCode::CREATED, Json(answer)))
}

async fn show(State(cloud): State<Cloud>, Path(domain): Path<String>) -> ApiResult<Json<Value>> {
    let domain = cloud.read(|state| state.zone(&domain).map(view))?;
    Ok(Json(json!({ "domain": domain })))
}

async fn delete(State(cloud): State<Cloud>, Path(domain): Path<String>) -> ApiResult<StatusCode> {
    let gone = cloud.change(|state| rules::domains::delete_domain(state, &domain))?;
    cloud.tell_zone(&gone.name).await;
    Ok(StatusCode::NO_CONTENT)
}
