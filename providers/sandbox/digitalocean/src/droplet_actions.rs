//! `/v2/droplets/{id}/actions`, and actions on all droplets with a tag.

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{get, post},
};
use serde_json::{Value, json};

use super::rules;
use super::rules::droplet_actions::DropletAction;
use super::{
    extract::{Body, Listing, number},
    view,
};
use crate::Cloud;
use remint_sandbox_cloud::{ApiError, ApiResult, state::Resource};

pub(super) fn routes() -> Router<Cloud> {
    Router::new()
        .route("/v2/droplets/actions", post(act_on_tagged))
        .route("/v2/droplets/{droplet}/actions", get(list).post(act))
        .route("/v2/droplets/{droplet}/actions/{action}", get(show))
}

async fn list(State(cloud): State<Cloud>, Path(droplet): Path<String>, listing: Listing) -> ApiResult<Json<Value>> {
    let id = number(&droplet)?;
    let actions = cloud.read(|state| {
        state.instances.get(&id).ok_or_else(ApiError::not_found)?;
        Ok(state.actions_of(Resource::Instance, id).map(view::action).collect())
    })?;
    Ok(listing.reply("actions", actions))
}

async fn show(State(cloud): State<Cloud>, Path((droplet, action)): Path<(String, String)>) -> ApiResult<Json<Value>> {
    let (droplet, action) = (number(&droplet)?, number(&action)?);
    let found = cloud.read(|state| state.action_of(Resource::Instance, droplet, action).map(view::action));
    found.map(|action| Json(json!({ "action": action }))).ok_or_else(ApiError::not_found)
}

async fn act(
    State(cloud): State<Cloud>,
    Path(droplet): Path<String>,
    Body(body): Body<DropletAction>,
) -> ApiResult<(StatusCode, Json<Value>)> {
    cloud.refresh_images().await;
    let id = number(&droplet)?;
    let config = cloud.config().clone();
    let action = cloud.change(|state| rules::droplet_actions::act(state, &config, id, &body))?;
    Ok((StatusCode::CREATED, Json(json!({ "action": view::action(&action) }))))
}

async fn act_on_tagged(
    State(cloud): State<Cloud>,
    listing: Listing,
    Body(body): Body<DropletAction>,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let tag = listing.get("tag_name").ok_or_else(|| ApiError::bad_request("The parameter tag_name is missing."))?;
    let config = cloud.config().clone();
    let actions = cloud.change(|state| rules::droplet_actions::act_on_tagged(state, &config, tag, &body))?;
    let actions: Vec<Value> = actions.iter().map(view::action).collect();
    Ok((StatusCode::CREATED, Json(json!({ "actions": actions }))))
}
