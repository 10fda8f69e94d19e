//! Rules over HTTP: `GET`, `POST` and `DELETE /sandbox/v1/faults`, and `DELETE /sandbox/v1/faults/{id}`; and the calls that they
//! can be about: `GET /sandbox/v1/changes`.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
    routing::{delete, get},
};
use serde::{Deserialize, Serialize};

use super::{
    changes::Change,
    rule::FaultRule,
    rules::{FaultStatus, Faults},
};
use crate::{ApiError, ApiResult};

/// The version of [`FaultList`] and [`ChangeList`] in JSON.
const VERSION: u32 = 1;

/// All rules, oldest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaultList {
    /// The version of this shape: 1.
    pub version: u32,
    /// The rules.
    pub faults: Vec<FaultStatus>,
}

/// The last calls that change something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeList {
    /// The version of this shape: 1.
    pub version: u32,
    /// The calls, oldest first.
    pub changes: Vec<Change>,
}

/// The routes by which rules are listed, added and removed.
pub fn routes(faults: Arc<Faults>) -> Router {
    Router::new()
        .route("/sandbox/v1/faults", get(list).post(add).delete(clear))
        .route("/sandbox/v1/faults/{id}", delete(remove))
        .route("/sandbox/v1/changes", get(changes))
        .with_state(faults)
}

async fn list(State(faults): State<Arc<Faults>>) -> Json<FaultList> {
    Json(FaultList { version: VERSION, faults: faults.list() })
}

async fn add(State(faults): State<Arc<Faults>>, body: Bytes) -> ApiResult<(StatusCode, Json<FaultStatus>)> {
    let rule: FaultRule =
        serde_json::from_slice(&body).map_err(|error| ApiError::bad_request(format!("fault rule: {error}")))?;
    let status = faults.add(rule).map_err(|error| ApiError::unprocessable(error.to_string()))?;
    Ok((StatusCode::CREATED, Json(status)))
}

async fn clear(State(faults): State<Arc<Faults>>) -> StatusCode {
    faults.remove(None);
    StatusCode::NO_CONTENT
}

async fn remove(State(faults): State<Arc<Faults>>, Path(id): Path<u64>) -> ApiResult<StatusCode> {
    if faults.remove(Some(id)) == 0 {
        return Err(ApiError::not_found());
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn changes(State(faults): State<Arc<Faults>>) -> Json<ChangeList> {
    Json(ChangeList { version: VERSION, changes: faults.changes.list() })
}
