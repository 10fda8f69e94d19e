//! `/v2/account/keys`.

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::extract::{Body, Listing};
use super::rules;
use crate::Cloud;
use remint_sandbox_cloud::{ApiError, ApiResult, state::LoginKey};

pub(super) fn routes() -> Router<Cloud> {
    Router::new()
        .route("/v2/account/keys", get(list).post(create))
        .route("/v2/account/keys/{key}", get(show).put(rename).delete(delete))
}

#[derive(Deserialize)]
struct Create {
    #[serde(default)]
    name: String,
    #[serde(default)]
    public_key: String,
}

fn view(key: &LoginKey) -> Value {
    json!({ "id": key.id, "fingerprint": key.fingerprint, "public_key": key.public_key, "name": key.name })
}

async fn list(State(cloud): State<Cloud>, listing: Listing) -> Json<Value> {
    listing.reply("ssh_keys", cloud.read(|state| state.login_keys.values().map(view).collect()))
}

async fn create(State(cloud): State<Cloud>, Body(body): Body<Create>) -> ApiResult<(StatusCode, Json<Value>)> {
    let key = cloud.change(|state| rules::keys::add_key(state, &body.name, &body.public_key))?;
    Ok((StatusCode::CREATED, Json(json!({ "ssh_key": view(&key) }))))
}

async fn show(State(cloud): State<Cloud>, Path(key): Path<String>) -> ApiResult<Json<Value>> {
    cloud
        .read(|state| rules::keys::find_key(state, &key).map(view))
        .map(|key| Json(json!({ "ssh_key": key })))
        .ok_or_else(ApiError::not_found)
}

async fn rename(
    State(cloud): State<Cloud>,
    Path(key): Path<String>,
    Body(body): Body<Create>,
) -> ApiResult<Json<Value>> {
    if body.name.is_empty() {
        return Err(ApiError::unprocessable("Name can't be blank"));
    }
    let key = cloud.change(|state| {
        let id = rules::keys::find_key(state, &key).map(|key| key.id).ok_or_else(ApiError::not_found)?;
        let key = state.login_keys.get_mut(&id).ok_or_else(ApiError::not_found)?;
        key.name.clone_from(&body.name);
        Ok(key.clone())
    })?;
    Ok(Json(json!({ "ssh_key": view(&key) })))
}

async fn delete(State(cloud): State<Cloud>, Path(key): Path<String>) -> ApiResult<StatusCode> {
    cloud.change(|state| {
        let id = rules::keys::find_key(state, &key).map(|key| key.id).ok_or_else(ApiError::not_found)?;
        state.login_keys.remove(&id);
        Ok(StatusCode::NO_CONTENT)
    })
}
