//! `/v2/snapshots`: the droplets' snapshots; there are none of volumes.

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use serde_json::{Value, json};

use super::{
    extract::{Listing, number},
    view,
};
use crate::Cloud;
use remint_sandbox_cloud::{ApiError, ApiResult, state::Image};

pub(super) fn routes() -> Router<Cloud> {
    Router::new().route("/v2/snapshots", get(list)).route("/v2/snapshots/{snapshot}", get(show).delete(delete))
}

fn view(image: &Image) -> Value {
    json!({
        "id": image.id.to_string(),
        "name": image.name,
        "created_at": view::time(image.created_at),
        "regions": image.regions,
        "min_disk_size": image.min_disk_size,
        "size_gigabytes": view::gigabytes(image.size_bytes),
        "resource_id": image.source.unwrap_or_default().to_string(),
        "resource_type": "droplet",
        "tags": image.tags,
    })
}

async fn list(State(cloud): State<Cloud>, listing: Listing) -> Json<Value> {
    let none = listing.get("resource_type").is_some_and(|kind| kind != "droplet");
    let snapshots =
        cloud.read(|state| state.visible_images().filter(|image| !none && !image.public()).map(view).collect());
    listing.reply("snapshots", snapshots)
}

async fn show(State(cloud): State<Cloud>, Path(snapshot): Path<String>) -> ApiResult<Json<Value>> {
    let id = number(&snapshot)?;
    let found = cloud.read(|state| state.image(id).ok().filter(|image| !image.public()).map(view));
    found.map(|snapshot| Json(json!({ "snapshot": snapshot }))).ok_or_else(ApiError::not_found)
}

async fn delete(State(cloud): State<Cloud>, Path(snapshot): Path<String>) -> ApiResult<StatusCode> {
    cloud.delete_image(number(&snapshot)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
