//! Operations as a client follows them: listed, shown, waited for and forgotten.

use std::time::Duration;

use axum::{
    Json, Router,
    extract::{Path, State as Axum},
    http::StatusCode,
    routing::{get, post},
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::{call::Call, error::Result};
use crate::{Cloud, State};

/// How long `wait` waits at most, as the service does.
const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// How often `wait` looks.
const LOOK: Duration = Duration::from_millis(20);

pub(super) fn routes() -> Router<Cloud> {
    let mut router = Router::new();
    for scope in ["global", "zones/{place}", "regions/{place}"] {
        let path = format!("/compute/v1/projects/{{project}}/{scope}/operations");
        router = router
            .route(&path, get(list))
            .route(&format!("{path}/{{operation}}"), get(show).delete(forget))
            .route(&format!("{path}/{{operation}}/wait"), post(wait));
    }
    router
}

/// What the paths above hold; which of the three they are, the call's own path tells.
#[derive(Deserialize)]
struct Place {
    operation: Option<String>,
}

async fn list(Axum(cloud): Axum<Cloud>, call: Call) -> Result<Json<Value>> {
    let scope = call.scope();
    let items = cloud.read(|state| {
        state.own.operations.values().filter(|o| o.scope == scope).map(|o| o.view(&call, false)).collect()
    });
    call.list("compute#operationList", items)
}

async fn show(Axum(cloud): Axum<Cloud>, call: Call, Path(place): Path<Place>) -> Result<Json<Value>> {
    let name = place.operation.unwrap_or_default();
    cloud.read(|state| state.own.operation(&call.scope(), &name).map(|operation| Json(operation.view(&call, false))))
}

async fn forget(Axum(cloud): Axum<Cloud>, call: Call, Path(place): Path<Place>) -> Result<StatusCode> {
    let name = place.operation.unwrap_or_default();
    cloud.change(|state: &mut State| {
        let found = state.own.operation(&call.scope(), &name).map(|operation| operation.id);
        Ok(found.map(|id| state.own.operations.remove(&id)))
    })??;
    Ok(StatusCode::NO_CONTENT)
}

/// Answers when the operation is done, or when the longest wait is over.
async fn wait(Axum(cloud): Axum<Cloud>, call: Call, Path(place): Path<Place>) -> Result<Json<Value>> {
    let (scope, name) = (call.scope(), place.operation.unwrap_or_default());
    let until = tokio::time::Instant::now() + LONGEST_WAIT;
    loop {
        let operation = cloud.read(|state| state.own.operation(&scope, &name).cloned())?;
        if operation.done(Timestamp::now()) || tokio::time::Instant::now() >= until {
            return Ok(Json(operation.view(&call, false)));
        }
        tokio::time::sleep(LOOK).await;
    }
}
