//! `/v2/droplets`: create, list, show, delete.

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use serde_json::{Value, json};

use super::rules;
use super::rules::droplets::CreateDroplets;
use super::rules::tags;
use super::{
    extract::{Base, Body, Listing, number},
    view,
};
use crate::Cloud;
use remint_sandbox_cloud::{
    ApiError, ApiResult,
    state::{Image, Instance},
};

pub(super) fn routes() -> Router<Cloud> {
    Router::new()
        .route("/v2/droplets", get(list).post(create).delete(delete_tagged))
        .route("/v2/droplets/{droplet}", get(show).delete(delete))
        .route("/v2/droplets/{droplet}/snapshots", get(snapshots))
}

async fn list(State(cloud): State<Cloud>, listing: Listing) -> ApiResult<Json<Value>> {
    let (name, tag) = (listing.get("name"), listing.get("tag_name"));
    if name.is_some() && tag.is_some() {
        return Err(ApiError::bad_request("The parameters name and tag_name cannot be combined."));
    }
    // The sandbox has no GPU droplets.
    let none = listing.get("type") == Some("gpus");
    let wanted = |droplet: &&Instance| {
        !none
            && name.is_none_or(|name| droplet.name.eq_ignore_ascii_case(name))
            && tag.is_none_or(|tag| tags::carries(&droplet.tags, tag))
    };
    let droplets = cloud
        .read(|state| state.instances.values().filter(wanted).map(|droplet| view::droplet(state, droplet)).collect());
    Ok(listing.reply("droplets", droplets))
}

async fn create(
    State(cloud): State<Cloud>,
    base: Base,
    Body(body): Body<CreateDroplets>,
) -> ApiResult<(StatusCode, Json<Value>)> {
    cloud.refresh_images().await;
    let config = cloud.config().clone();
    let created = cloud.change(|state| {
        let created = rules::droplets::create_droplets(state, &config, &body)?;
        let views: Vec<Value> = created.iter().map(|(droplet, _)| view::droplet(state, droplet)).collect();
        let links: Vec<Value> = created.iter().map(|(_, action)| base.link("actions", action.id, "create")).collect();
        Ok((views, links))
    });
    let (mut droplets, links) = created?;
    let links = json!({ "actions": links });
    let answer = if body.names.is_some() {
        json!({ "droplets": droplets, "links": links })
    } else {
        json!({ "droplet": droplets.pop(), "links": links })
    };
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

async fn show(State(cloud): State<Cloud>, Path(droplet): Path<String>) -> ApiResult<Json<Value>> {
    let id = number(&droplet)?;
    let found = cloud.read(|state| state.instances.get(&id).map(|droplet| view::droplet(state, droplet)));
    found.map(|droplet| Json(json!({ "droplet": droplet }))).ok_or_else(ApiError::not_found)
}

async fn delete(State(cloud): State<Cloud>, Path(droplet): Path<String>) -> ApiResult<StatusCode> {
    let id = number(&droplet)?;
    let config = cloud.config().clone();
    cloud.change(|state| rules::droplets::destroy_droplet(state, &config, id))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn delete_tagged(State(cloud): State<Cloud>, listing: Listing) -> ApiResult<StatusCode> {
    let tag = listing.get("tag_name").ok_or_else(|| ApiError::bad_request("The parameter tag_name is missing."))?;
    let config = cloud.config().clone();
    cloud.change(|state| rules::droplets::destroy_tagged(state, &config, tag))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn snapshots(
    State(cloud): State<Cloud>,
    Path(droplet): Path<String>,
    listing: Listing,
) -> ApiResult<Json<Value>> {
    let id = number(&droplet)?;
    let view = |image: &Image| {
        json!({
            "id": image.id,
            "name": image.name,
            "created_at": view::time(image.created_at),
            "regions": image.regions,
            "min_disk_size": image.min_disk_size,
            "size_gigabytes": view::gigabytes(image.size_bytes),
            "type": "snapshot",
            // What follows is not in the specification any more; the official clients still read images here.
            "distribution": image.distribution,
            "slug": image.slug,
            "public": image.public(),
        })
    };
    let snapshots = cloud.read(|state| {
        state.instances.get(&id).ok_or_else(ApiError::not_found)?;
        Ok(state.visible_images().filter(|image| image.source == Some(id)).map(view).collect())
    })?;
    Ok(listing.reply("snapshots", snapshots))
}
