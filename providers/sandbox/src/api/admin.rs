//! What the sandbox answers of itself, below `/sandbox/v1`.

use std::collections::BTreeMap;

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::get,
};
use serde::Serialize;
use serde_json::{Value, json};

use super::router::Accounts;
use crate::cloud::{Api, ApiError, ApiResult, Cloud, DrawnDelay};

pub(super) fn routes() -> Router<Accounts> {
    Router::new()
        .route("/sandbox/v1/status", get(status))
        .route("/sandbox/v1/delays", get(delays))
        .route("/sandbox/v1/droplets/{id}/console", get(console))
}

/// What there is in all accounts together, and in each.
#[derive(Debug, Default, Clone, Copy, Serialize)]
struct Standing {
    droplets: usize,
    snapshots: usize,
    reserved_ips: usize,
    zones: usize,
    actions_in_progress: usize,
}

impl Standing {
    fn of(accounts: &Accounts, api: Api) -> Self {
        accounts.of(api).read(|state| Self {
            droplets: state.droplets.len(),
            snapshots: state.images.values().filter(|image| !image.public()).count(),
            reserved_ips: state.reserved_ips.len(),
            zones: state.domains.len(),
            actions_in_progress: state.actions.values().filter(|action| action.pending.is_some()).count(),
        })
    }
}

async fn status(State(accounts): State<Accounts>) -> Json<Value> {
    let config = accounts.digitalocean.config();
    let each: BTreeMap<&str, Standing> =
        config.apis.iter().map(|api| (api.name(), Standing::of(&accounts, *api))).collect();
    let sum = |part: fn(&Standing) -> usize| each.values().map(part).sum::<usize>();
    Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "slot": config.slot,
        "profile": config.profile.name(),
        "speed": config.speed,
        "seed": config.seed,
        "ports": config.ports,
        "open": config.open,
        "droplets": sum(|standing| standing.droplets),
        "snapshots": sum(|standing| standing.snapshots),
        "reserved_ips": sum(|standing| standing.reserved_ips),
        "actions_in_progress": sum(|standing| standing.actions_in_progress),
        "accounts": each,
    }))
}

async fn delays(State(accounts): State<Accounts>) -> Json<Vec<DrawnDelay>> {
    Json(accounts.all().into_iter().flat_map(|cloud| cloud.delays()).collect())
}

async fn console(State(accounts): State<Accounts>, Path(id): Path<u64>) -> ApiResult<String> {
    let known = |cloud: &&Cloud| cloud.read(|state| state.droplets.contains_key(&id));
    let cloud = accounts.all().into_iter().find(known).ok_or_else(ApiError::not_found)?;
    cloud.hypervisor().console(id).await.map_err(|error| ApiError::internal(error.to_string()))
}
