//! How answers are written: the error shape, and the request id on every answer; and that they are, in any case.

use axum::{
    Json,
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::cloud::ApiError;

/// The header that carries the request's id.
const REQUEST_ID: &str = "x-request-id";

/// How many characters of a path the log shows.
const SHOWN: usize = 200;

/// An answer's error, until the request's id is known.
#[derive(Clone)]
struct Refusal(ApiError);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        error_response(self)
    }
}

/// An error in the API's shape. The request id is filled in on the way out, so a middleware may use it as well.
pub fn error_response(error: ApiError) -> Response {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = status.into_response();
    response.extensions_mut().insert(Refusal(error));
    response
}

/// Carries each request out to its end, until the sandbox stops: a client that goes away meanwhile takes nothing back.
pub(super) async fn see_through(State(stop): State<CancellationToken>, request: Request, next: Next) -> Response {
    let carried_out = tokio::spawn(async move { stop.run_until_cancelled(next.run(request)).await });
    match carried_out.await {
        Ok(response) => response.unwrap_or_else(|| StatusCode::SERVICE_UNAVAILABLE.into_response()),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        },
    }
}

/// Gives each request an id, logs it, and writes the id into errors.
pub(super) async fn identify(request: Request, next: Next) -> Response {
    let id = Uuid::new_v4().to_string();
    let (method, path) = (request.method().clone(), request.uri().path().chars().take(SHOWN).collect::<String>());
    let mut response = next.run(request).await;
    if let Some(Refusal(error)) = response.extensions_mut().remove::<Refusal>() {
        // Whoever has no credentials does not fill the log.
        match error.status {
            401 => tracing::debug!(%method, path, request = %id, "no credentials, or wrong ones"),
            status => tracing::info!(%method, path, status, request = %id, "{}", error.message),
        }
        let body = Json(json!({ "id": error.id, "message": error.message, "request_id": id })).into_response();
        let (parts, body) = body.into_parts();
        for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH] {
            match parts.headers.get(&name) {
                Some(value) => response.headers_mut().insert(name, value.clone()),
                None => response.headers_mut().remove(name),
            };
        }
        *response.body_mut() = Body::new(body);
    } else {
        match response.status().as_u16() {
            401 => tracing::debug!(%method, path, request = %id, "no credentials, or wrong ones"),
            status => tracing::info!(%method, path, status, request = %id, "request"),
        }
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}
