//! `/v2/vpcs`: each region's default VPC and its members.

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::get,
};
use serde_json::{Value, json};

use super::catalogue::REGIONS;
use super::rules;
use super::rules::vpcs::vpc_octet;
use super::{extract::Listing, view};
use crate::Cloud;
use remint_sandbox_cloud::{ApiError, ApiResult, state::Instance};

pub(super) fn routes() -> Router<Cloud> {
    Router::new()
        .route("/v2/vpcs", get(list))
        .route("/v2/vpcs/{vpc}", get(show))
        .route("/v2/vpcs/{vpc}/members", get(members))
}

fn vpc(state: &super::State, region: &str) -> Value {
    let index = REGIONS.iter().position(|known| known.slug == region).unwrap_or_default();
    let id = rules::vpcs::vpc_id(state, region);
    json!({
        "id": id,
        "urn": format!("do:vpc:{id}"),
        "name": format!("default-{region}"),
        "description": "",
        "region": region,
        "ip_range": format!("10.{}.0.0/16", vpc_octet(index)),
        "default": true,
        "created_at": view::time(state.created_at),
    })
}

async fn list(State(cloud): State<Cloud>, listing: Listing) -> Json<Value> {
    listing.reply("vpcs", cloud.read(|state| REGIONS.iter().map(|region| vpc(state, region.slug)).collect()))
}

async fn show(State(cloud): State<Cloud>, Path(id): Path<String>) -> ApiResult<Json<Value>> {
    let found = cloud.read(|state| rules::vpcs::vpc_region(state, &id).map(|region| vpc(state, region)));
    found.map(|vpc| Json(json!({ "vpc": vpc }))).ok_or_else(ApiError::not_found)
}

async fn members(State(cloud): State<Cloud>, Path(id): Path<String>, listing: Listing) -> ApiResult<Json<Value>> {
    let droplets = listing.get("resource_type").is_none_or(|kind| kind == "droplet");
    let members = cloud.read(|state| {
        let region = rules::vpcs::vpc_region(state, &id).ok_or_else(ApiError::not_found)?;
        let inside = state.instances.values().filter(|droplet| droplets && droplet.region == region);
        let view = |droplet: &Instance| {
            json!({
                "name": droplet.name,
                "urn": format!("do:droplet:{}", droplet.id),
                "created_at": view::time(droplet.created_at),
            })
        };
        Ok::<_, ApiError>(inside.map(view).collect())
    })?;
    Ok(listing.reply("members", members))
}
