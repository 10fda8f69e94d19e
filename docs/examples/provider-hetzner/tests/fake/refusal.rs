//! What the API refuses, by its own codes.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;

pub(super) struct Refusal(StatusCode, &'static str, String);

/// An answer: a status and a body, or a refusal.
pub(super) type Answer = Result<(StatusCode, serde_json::Value), Refusal>;

impl Refusal {
    pub(super) fn unauthorized() -> Self {
        Self(StatusCode::UNAUTHORIZED, "unauthorized", "unable to authenticate".to_owned())
    }

    pub(super) fn not_found(what: &str) -> Self {
        Self(StatusCode::NOT_FOUND, "not_found", format!("{what} not found"))
    }

    pub(super) fn invalid(field: &str, problem: &str) -> Self {
        let message = format!("invalid input in field '{field}': {problem}");
        Self(StatusCode::UNPROCESSABLE_ENTITY, "invalid_input", message)
    }

    pub(super) fn taken(what: &str) -> Self {
        Self(StatusCode::CONFLICT, "uniqueness_error", format!("{what} is already used"))
    }

    pub(super) fn locked(what: &str) -> Self {
        Self(StatusCode::LOCKED, "locked", format!("{what} is locked"))
    }

    pub(super) fn limit(what: &str) -> Self {
        Self(StatusCode::FORBIDDEN, "resource_limit_exceeded", format!("{what} limit exceeded"))
    }

    pub(super) fn must_be_unassigned() -> Self {
        Self(StatusCode::UNPROCESSABLE_ENTITY, "must_be_unassigned", "the IP is still assigned".to_owned())
    }

    pub(super) fn rate_limited() -> Self {
        Self(StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded", "limit of 3600 requests per hour reached".to_owned())
    }

    pub(super) fn unavailable() -> Self {
        Self(StatusCode::SERVICE_UNAVAILABLE, "service_error", "internal error".to_owned())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(status, code, message) = self;
        let body = Json(json!({ "error": { "code": code, "message": message, "details": {} } }));
        (status, [("x-correlation-id", "fake-correlation")], body).into_response()
    }
}
