//! `/v2/images`, and the actions on an image.

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::rules;
use super::rules::tags;
use super::{
    extract::{Body, Listing, number},
    view,
};
use crate::Cloud;
use remint_sandbox_cloud::{
    ApiError, ApiResult,
    state::{Action, Image, Resource},
};

pub(super) fn routes() -> Router<Cloud> {
    Router::new()
        .route("/v2/images", get(list))
        .route("/v2/images/{image}", get(show).put(rename).delete(delete))
        .route("/v2/images/{image}/actions", get(actions).post(act))
        .route("/v2/images/{image}/actions/{action}", get(action))
}

#[derive(Deserialize)]
struct Update {
    name: Option<String>,
    description: Option<String>,
    distribution: Option<String>,
}

#[derive(Deserialize)]
struct Act {
    #[serde(rename = "type", default)]
    kind: String,
    region: Option<String>,
}

async fn list(State(cloud): State<Cloud>, listing: Listing) -> Json<Value> {
    cloud.refresh_images().await;
    let wanted = |image: &&Image| {
        let kind = match listing.get("type") {
            Some("distribution") => image.public(),
            Some("application") => false,
            _ => true,
        };
        kind && (!listing.is("private") || !image.public())
            && listing.get("tag_name").is_none_or(|tag| tags::carries(&image.tags, tag))
            && listing.get("name").is_none_or(|name| image.name == name)
    };
    listing.reply("images", cloud.read(|state| state.visible_images().filter(wanted).map(view::image).collect()))
}

async fn show(State(cloud): State<Cloud>, Path(image): Path<String>) -> ApiResult<Json<Value>> {
    cloud.refresh_images().await;
    let found = cloud.read(|state| rules::images::find_image(state, &image).map(view::image));
    found.map(|image| Json(json!({ "image": image }))).ok_or_else(ApiError::not_found)
}

async fn rename(
    State(cloud): State<Cloud>,
    Path(image): Path<String>,
    Body(body): Body<Update>,
) -> ApiResult<Json<Value>> {
    let id = number(&image)?;
    if body.description.is_some() || body.distribution.is_some() {
        return Err(ApiError::not_implemented("an image's description and distribution"));
    }
    let image = cloud.change(|state| rules::images::rename_image(state, id, body.name.as_deref()))?;
    Ok(Json(json!({ "image": view::image(&image) })))
}

async fn delete(State(cloud): State<Cloud>, Path(image): Path<String>) -> ApiResult<StatusCode> {
    cloud.delete_image(number(&image)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn actions(State(cloud): State<Cloud>, Path(image): Path<String>, listing: Listing) -> ApiResult<Json<Value>> {
    let id = number(&image)?;
    let actions = cloud.read(|state| {
        state.image(id)?;
        Ok(state.actions_of(Resource::Image, id).map(view::action).collect())
    })?;
    Ok(listing.reply("actions", actions))
}

async fn act(
    State(cloud): State<Cloud>,
    Path(image): Path<String>,
    Body(body): Body<Act>,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let id = number(&image)?;
    let config = cloud.config().clone();
    let action =
        cloud.change(|state| rules::images::act_on_image(state, &config, id, &body.kind, body.region.as_deref()))?;
    Ok((StatusCode::CREATED, Json(both(&action))))
}

/// The specification has the action itself as the answer, the official Go client reads it from `action`: this is both.
fn both(action: &Action) -> Value {
    let mut answer = view::action(action);
    answer["action"] = view::action(action);
    answer
}

async fn action(State(cloud): State<Cloud>, Path((image, action)): Path<(String, String)>) -> ApiResult<Json<Value>> {
    let (image, action) = (number(&image)?, number(&action)?);
    let found = cloud.read(|state| state.action_of(Resource::Image, image, action).map(both));
    found.map(Json).ok_or_else(ApiError::not_found)
}
