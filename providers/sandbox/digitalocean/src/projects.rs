//! `/v2/projects`: the default project, which everything belongs to.

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::get,
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::rules;
use super::{extract::Body, extract::Listing, view};
use crate::Cloud;
use remint_sandbox_cloud::{ApiError, ApiResult};

pub(super) fn routes() -> Router<Cloud> {
    Router::new()
        .route("/v2/projects", get(list))
        .route("/v2/projects/{project}", get(show))
        .route("/v2/projects/{project}/resources", get(resources).post(assign))
}

#[derive(Deserialize)]
struct Assign {
    #[serde(default)]
    resources: Vec<String>,
}

fn project(state: &super::State) -> Value {
    json!({
        "id": rules::vpcs::project_id(state),
        "owner_uuid": state.account,
        "owner_id": 1,
        "name": "sandbox",
        "description": "The sandbox's only project",
        "purpose": "Service or API",
        "environment": "Development",
        "is_default": true,
        "created_at": view::time(state.created_at),
        "updated_at": view::time(state.created_at),
    })
}

/// Everything in the project: resource name, path of its own route, when it was made.
fn contents(state: &super::State) -> Vec<(String, String, Timestamp)> {
    let droplets = state
        .instances
        .values()
        .map(|droplet| (format!("do:droplet:{}", droplet.id), format!("droplets/{}", droplet.id), droplet.created_at));
    let ips = state
        .static_ips
        .values()
        .map(|ip| (format!("do:floatingip:{}", ip.ip), format!("floating_ips/{}", ip.ip), ip.created_at));
    let domains = state
        .zones
        .values()
        .map(|domain| (format!("do:domain:{}", domain.name), format!("domains/{}", domain.name), domain.created_at));
    let balancers = state.load_balancers.values().map(|balancer| {
        let id = rules::load_balancers::id(state, balancer);
        (format!("do:loadbalancer:{id}"), format!("load_balancers/{id}"), balancer.created_at)
    });
    droplets.chain(ips).chain(domains).chain(balancers).collect()
}

fn resource((urn, path, at): &(String, String, Timestamp), status: &str) -> Value {
    json!({
        "urn": urn,
        "assigned_at": view::time(*at),
        "links": { "self": format!("https://api.digitalocean.com/v2/{path}") },
        "status": status,
    })
}

async fn list(State(cloud): State<Cloud>, listing: Listing) -> Json<Value> {
    listing.reply("projects", vec![cloud.read(project)])
}

async fn show(State(cloud): State<Cloud>, Path(id): Path<String>) -> ApiResult<Json<Value>> {
    let project = cloud.read(|state| rules::vpcs::check_project(state, &id).map(|()| project(state)))?;
    Ok(Json(json!({ "project": project })))
}

async fn resources(State(cloud): State<Cloud>, Path(id): Path<String>, listing: Listing) -> ApiResult<Json<Value>> {
    let found = cloud.read(|state| {
        rules::vpcs::check_project(state, &id)?;
        Ok(contents(state).iter().map(|entry| resource(entry, "ok")).collect())
    })?;
    Ok(listing.reply("resources", found))
}

async fn assign(
    State(cloud): State<Cloud>,
    Path(id): Path<String>,
    Body(body): Body<Assign>,
) -> ApiResult<Json<Value>> {
    let assigned: Vec<Value> = cloud.read(|state| {
        rules::vpcs::check_project(state, &id)?;
        let contents = contents(state);
        let find = |urn: &String| {
            let found = contents.iter().find(|(known, ..)| known == urn);
            // Whatever exists is in the only project already.
            found.map(|entry| resource(entry, "already_assigned")).ok_or_else(ApiError::not_found)
        };
        body.resources.iter().map(find).collect::<ApiResult<_>>()
    })?;
    Ok(Json(json!({ "resources": assigned })))
}
