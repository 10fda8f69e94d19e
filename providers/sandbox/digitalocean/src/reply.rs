//! The error shape, and the request id on every answer.

use axum::{
    Json,
    body::Body,
    extract::Request,
    http::{HeaderValue, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use serde_json::json;
use uuid::Uuid;

use remint_sandbox_cloud::ApiError;

/// The header that carries the request's id.
const REQUEST_ID: &str = "x-request-id";

/// How many characters of a path the log shows.
const SHOWN: usize = 200;

/// Gives each request an id, logs it, and writes the id into errors.
pub async fn identify(request: Request, next: Next) -> Response {
    let id = Uuid::new_v4().to_string();
    let (method, path) = (request.method().clone(), request.uri().path().chars().take(SHOWN).collect::<String>());
    let mut response = next.run(request).await;
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        // A client without credentials must not fill the log.
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
