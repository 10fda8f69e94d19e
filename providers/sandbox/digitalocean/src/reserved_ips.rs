//! `/v2/reserved_ips`, and `/v2/floating_ips`, which is the same under its older name.

use std::net::Ipv4Addr;

use axum::{
    Extension, Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::rules;
use super::{
    extract::{Base, Body, Listing, id, number},
    view,
};
use crate::Cloud;
use remint_sandbox_cloud::{
    ApiError, ApiResult,
    state::{Action, Resource, StaticIp},
};

/// The words of one of the two names.
#[derive(Debug)]
pub(super) struct Words {
    one: &'static str,
    many: &'static str,
}

/// The name of today.
pub(super) static RESERVED: Words = Words { one: "reserved_ip", many: "reserved_ips" };
/// The older name.
pub(super) static FLOATING: Words = Words { one: "floating_ip", many: "floating_ips" };

type Wording = Extension<&'static Words>;

pub(super) fn routes(words: &'static Words) -> Router<Cloud> {
    let many = words.many;
    Router::new()
        .route(&format!("/v2/{many}"), get(list).post(create))
        .route(&format!("/v2/{many}/{{ip}}"), get(show).delete(release))
        .route(&format!("/v2/{many}/{{ip}}/actions"), get(actions).post(act))
        .route(&format!("/v2/{many}/{{ip}}/actions/{{action}}"), get(action))
        .layer(Extension(words))
}

#[derive(Deserialize)]
struct Create {
    region: Option<String>,
    #[serde(default, deserialize_with = "id")]
    droplet_id: Option<u64>,
    project_id: Option<String>,
}

#[derive(Deserialize)]
struct Act {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default, deserialize_with = "id")]
    droplet_id: Option<u64>,
}

fn view(state: &super::State, reserved: &StaticIp) -> Value {
    let droplet = reserved.instance.and_then(|id| state.instances.get(&id));
    json!({
        "ip": reserved.ip,
        "region": view::region(&reserved.region),
        "droplet": droplet.map(|droplet| view::droplet(state, droplet)),
        "locked": reserved.pending.is_some(),
        "project_id": rules::vpcs::project_id(state),
    })
}

fn action_view(action: &Action, words: &Words, project: uuid::Uuid) -> Value {
    let mut view = view::action(action);
    view["resource_type"] = words.one.into();
    view["project_id"] = project.to_string().into();
    view
}

fn parse(ip: &str) -> ApiResult<Ipv4Addr> {
    ip.parse().map_err(|_| ApiError::not_found())
}

async fn list(State(cloud): State<Cloud>, Extension(words): Wording, listing: Listing) -> Json<Value> {
    listing.reply(words.many, cloud.read(|state| state.static_ips.values().map(|ip| view(state, ip)).collect()))
}

async fn create(
    State(cloud): State<Cloud>,
    Extension(words): Wording,
    base: Base,
    Body(body): Body<Create>,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let config = cloud.config().clone();
    let (reserved, action, shown) = cloud.change(|state| {
        if let Some(project) = &body.project_id {
            rules::vpcs::check_project(state, project)?;
        }
        let (reserved, action) =
            rules::reserved_ips::reserve_ip(state, &config, body.region.as_deref(), body.droplet_id)?;
        let shown = view(state, &reserved);
        Ok((reserved, action, shown))
    })?;
    cloud.tell_static_ip(reserved.ip).await;
    let droplets: Vec<Value> = body.droplet_id.iter().map(|id| base.link("droplets", *id, "droplet")).collect();
    let actions: Vec<Value> = action.iter().map(|action| base.link("actions", action.id, "assign_ip")).collect();
    let answer = json!({ words.one: shown, "links": { "droplets": droplets, "actions": actions } });
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

async fn show(State(cloud): State<Cloud>, Extension(words): Wording, Path(ip): Path<String>) -> ApiResult<Json<Value>> {
    let ip = parse(&ip)?;
    let found = cloud.read(|state| state.static_ips.get(&ip).map(|reserved| view(state, reserved)));
    found.map(|reserved| Json(json!({ words.one: reserved }))).ok_or_else(ApiError::not_found)
}

async fn release(State(cloud): State<Cloud>, Path(ip): Path<String>) -> ApiResult<StatusCode> {
    let ip = parse(&ip)?;
    cloud.change(|state| rules::reserved_ips::release_ip(state, ip))?;
    cloud.tell_static_ip(ip).await;
    Ok(StatusCode::NO_CONTENT)
}

async fn actions(
    State(cloud): State<Cloud>,
    Extension(words): Wording,
    Path(ip): Path<String>,
    listing: Listing,
) -> ApiResult<Json<Value>> {
    let ip = parse(&ip)?;
    let actions = cloud.read(|state| {
        state.static_ips.get(&ip).ok_or_else(ApiError::not_found)?;
        let project = rules::vpcs::project_id(state);
        let actions = state.actions_of(Resource::StaticIp, u64::from(ip.to_bits()));
        Ok(actions.map(|action| action_view(action, words, project)).collect())
    })?;
    Ok(listing.reply("actions", actions))
}

async fn act(
    State(cloud): State<Cloud>,
    Extension(words): Wording,
    Path(ip): Path<String>,
    Body(body): Body<Act>,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let ip = parse(&ip)?;
    let config = cloud.config().clone();
    let action = cloud.change(|state| {
        let action = match (body.kind.as_str(), body.droplet_id) {
            ("assign", Some(droplet)) => rules::reserved_ips::assign_ip(state, &config, ip, droplet)?,
            ("assign", None) => return Err(ApiError::unprocessable("Droplet can't be blank")),
            ("unassign", _) => rules::reserved_ips::unassign_ip(state, &config, ip)?,
            _ => return Err(ApiError::unprocessable("You specified an invalid action type.")),
        };
        Ok(action_view(&action, words, rules::vpcs::project_id(state)))
    })?;
    Ok((StatusCode::CREATED, Json(json!({ "action": action }))))
}

async fn action(
    State(cloud): State<Cloud>,
    Extension(words): Wording,
    Path((ip, action)): Path<(String, String)>,
) -> ApiResult<Json<Value>> {
    let (ip, action) = (parse(&ip)?, number(&action)?);
    let found = cloud.read(|state| {
        let action = state.action_of(Resource::StaticIp, u64::from(ip.to_bits()), action)?;
        Some(action_view(action, words, rules::vpcs::project_id(state)))
    });
    found.map(|action| Json(json!({ "action": action }))).ok_or_else(ApiError::not_found)
}
