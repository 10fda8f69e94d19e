//! `/v2/actions`: all actions of the account.

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::get,
};
use serde_json::{Value, json};

use super::{
    extract::{Listing, number},
    view,
};
use crate::Cloud;
use remint_sandbox_cloud::{
    ApiError, ApiResult,
    state::{Action, Resource},
};

pub(super) fn routes() -> Router<Cloud> {
    Router::new().route("/v2/actions", get(list)).route("/v2/actions/{action}", get(show))
}

/// The API has no actions of load balancers, which say themselves what they are doing.
fn is_shown(action: &&Action) -> bool {
    action.resource != Resource::LoadBalancer
}

async fn list(State(cloud): State<Cloud>, listing: Listing) -> Json<Value> {
    listing
        .reply("actions", cloud.read(|state| state.actions.values().rev().filter(is_shown).map(view::action).collect()))
}

async fn show(State(cloud): State<Cloud>, Path(action): Path<String>) -> ApiResult<Json<Value>> {
    let id = number(&action)?;
    let found = cloud.read(|state| state.actions.get(&id).filter(is_shown).map(view::action));
    found.map(|action| Json(json!({ "action": action }))).ok_or_else(ApiError::not_found)
}
