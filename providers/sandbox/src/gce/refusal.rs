//! Refusals that come from before the API: faults and limits, in Google's shape.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use serde_json::json;

use crate::cloud::ApiError;

/// A refusal as one of Google's error documents.
pub(crate) fn refuse(error: ApiError) -> Response {
    let (status, reason) = match error.status {
        429 => (429, "rateLimitExceeded"),
        500 => (500, "backendError"),
        503 => (503, "backendError"),
        other => (other, "badRequest"),
    };
    let errors = json!([{ "domain": "global", "reason": reason, "message": error.message }]);
    let body = json!({ "error": { "code": status, "message": error.message, "errors": errors } });
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(body)).into_response()
}
