//! `/v2/tags`, and the resources that carry one.

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::extract::{Base, Body, Listing};
use super::rules;
use super::rules::tags;
use super::rules::tags::Tagged;
use crate::Cloud;
use remint_sandbox_cloud::{ApiError, ApiResult};

pub(super) fn routes() -> Router<Cloud> {
    Router::new()
        .route("/v2/tags", get(list).post(create))
        .route("/v2/tags/{tag}", get(show).delete(delete))
        .route("/v2/tags/{tag}/resources", post(tag).delete(untag))
}

#[derive(Deserialize)]
struct Create {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct Resources {
    resources: Vec<Tagged>,
}

fn view(state: &super::State, tag: &str, base: &Base) -> Value {
    let droplets = state.instances.values().filter(|droplet| droplet.tags.contains(tag)).map(|droplet| droplet.id);
    let images = state.visible_images().filter(|image| image.tags.contains(tag)).map(|image| image.id);
    let count = |kind: &str, ids: Vec<u64>| {
        let mut counted = json!({ "count": ids.len() });
        if let Some(last) = ids.last() {
            counted["last_tagged_uri"] = base.link(kind, *last, "")["href"].clone();
        }
        counted
    };
    let (droplets, images) = (count("droplets", droplets.collect()), count("images", images.collect()));
    let mut resources = json!({
        "count": droplets["count"].as_u64().unwrap_or_default() + images["count"].as_u64().unwrap_or_default(),
        "droplets": droplets,
        "images": images,
        "volumes": { "count": 0 },
        "volume_snapshots": { "count": 0 },
        "databases": { "count": 0 },
    });
    let last = [&resources["images"], &resources["droplets"]].into_iter().find_map(|kind| kind.get("last_tagged_uri"));
    if let Some(last) = last.cloned() {
        resources["last_tagged_uri"] = last;
    }
    json!({ "name": tag, "resources": resources })
}

async fn list(State(cloud): State<Cloud>, base: Base, listing: Listing) -> Json<Value> {
    listing.reply("tags", cloud.read(|state| state.tags.iter().map(|tag| view(state, tag, &base)).collect()))
}

async fn create(
    State(cloud): State<Cloud>,
    base: Base,
    Body(body): Body<Create>,
) -> ApiResult<(StatusCode, Json<Value>)> {
    tags::check(&body.name)?;
    let tag = cloud.change(|state| {
        let tag = rules::tags::make_tag(state, &body.name);
        Ok(view(state, &tag, &base))
    })?;
    Ok((StatusCode::CREATED, Json(json!({ "tag": tag }))))
}

async fn show(State(cloud): State<Cloud>, base: Base, Path(tag): Path<String>) -> ApiResult<Json<Value>> {
    let found = cloud.read(|state| rules::tags::find_tag(state, &tag).map(|tag| view(state, tag, &base)));
    found.map(|tag| Json(json!({ "tag": tag }))).ok_or_else(ApiError::not_found)
}

async fn delete(State(cloud): State<Cloud>, Path(tag): Path<String>) -> ApiResult<StatusCode> {
    cloud.change(|state| rules::tags::delete_tag(state, &tag))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn tag(
    State(cloud): State<Cloud>,
    Path(tag): Path<String>,
    Body(body): Body<Resources>,
) -> ApiResult<StatusCode> {
    cloud.change(|state| rules::tags::tag_resources(state, &tag, &body.resources, true))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn untag(
    State(cloud): State<Cloud>,
    Path(tag): Path<String>,
    Body(body): Body<Resources>,
) -> ApiResult<StatusCode> {
    cloud.change(|state| rules::tags::tag_resources(state, &tag, &body.resources, false))?;
    Ok(StatusCode::NO_CONTENT)
}
