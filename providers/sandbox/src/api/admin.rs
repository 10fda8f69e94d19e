//! What the sandbox answers beyond DigitalOcean's API, below `/sandbox/v1`.

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::get,
};
use serde_json::{Value, json};

use crate::cloud::{ApiError, ApiResult, Cloud, DrawnDelay};

pub(super) fn routes() -> Router<Cloud> {
    Router::new()
        .route("/sandbox/v1/status", get(status))
        .route("/sandbox/v1/delays", get(delays))
        .route("/sandbox/v1/droplets/{id}/console", get(console))
}

async fn status(State(cloud): State<Cloud>) -> Json<Value> {
    let config = cloud.config();
    let (droplets, images, reserved_ips, busy) = cloud.read(|state| {
        (
            state.droplets.len(),
            state.images.values().filter(|image| !image.public()).count(),
            state.reserved_ips.len(),
            state.actions.values().filter(|action| action.pending.is_some()).count(),
        )
    });
    Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "slot": config.slot,
        "profile": config.profile.name(),
        "speed": config.speed,
        "seed": config.seed,
        "ports": config.ports,
        "open": config.open,
        "droplets": droplets,
        "snapshots": images,
        "reserved_ips": reserved_ips,
        "actions_in_progress": busy,
    }))
}

async fn delays(State(cloud): State<Cloud>) -> Json<Vec<DrawnDelay>> {
    Json(cloud.delays())
}

async fn console(State(cloud): State<Cloud>, Path(id): Path<u64>) -> ApiResult<String> {
    if !cloud.read(|state| state.droplets.contains_key(&id)) {
        return Err(ApiError::not_found());
    }
    cloud.hypervisor().console(id).await.map_err(|error| ApiError::internal(error.to_string()))
}
