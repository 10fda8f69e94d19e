//! What the sandbox answers of itself, below `/sandbox/v1`.

use std::collections::BTreeMap;

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::get,
};
use serde_json::{Value, json};

use super::accounts::Accounts;
use crate::cloud::{ApiError, ApiResult, DrawnDelay, Standing};

pub(super) fn routes() -> Router<Accounts> {
    Router::new()
        .route("/sandbox/v1/status", get(status))
        .route("/sandbox/v1/delays", get(delays))
        .route("/sandbox/v1/droplets/{id}/console", get(console))
}

async fn status(State(accounts): State<Accounts>) -> Json<Value> {
    let config = accounts.digitalocean.config();
    let each: BTreeMap<&str, Standing> =
        config.apis.iter().map(|api| (api.name(), accounts.of(*api).standing())).collect();
    let sum = |part: fn(&Standing) -> usize| each.values().map(part).sum::<usize>();
    Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "slot": config.slot,
        "profile": config.profile.name(),
        "speed": config.speed,
        "seed": config.seed,
        "ports": config.ports,
        "open": config.open,
        "droplets": sum(|standing| standing.instances),
        "snapshots": sum(|standing| standing.snapshots),
        "reserved_ips": sum(|standing| standing.static_ips),
        "actions_in_progress": sum(|standing| standing.actions_in_progress),
        "accounts": each,
    }))
}

async fn delays(State(accounts): State<Accounts>) -> Json<Vec<DrawnDelay>> {
    Json(accounts.all().into_iter().flat_map(|account| account.delays()).collect())
}

async fn console(State(accounts): State<Accounts>, Path(id): Path<u64>) -> ApiResult<String> {
    let account = accounts.all().into_iter().find(|account| account.has_instance(id));
    account
        .ok_or_else(ApiError::not_found)?
        .hypervisor()
        .console(id)
        .await
        .map_err(|error| ApiError::internal(error.to_string()))
}
