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
        let (name, message) = words(&error);
        let body = Json(json!({ "id": name, "message": message, "request_id": id })).into_response();
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

/// The error's `id`, and its message: DigitalOcean's own where the engine has only a kind to tell.
fn words(error: &ApiError) -> (&str, &str) {
    match error.status {
        400 => ("bad_request", &error.message),
        401 => ("Unauthorized", "Unable to authenticate you"),
        403 if error.id == "busy" => ("forbidden", &error.message),
        403 => ("forbidden", "You do not have access for the attempted action."),
        404 => ("not_found", "The resource you were accessing could not be found."),
        // Of what the engine itself finds busy: an image that is to be deleted.
        422 if error.id == "busy" => ("unprocessable_entity", "Image already has a pending event."),
        422 => ("unprocessable_entity", &error.message),
        429 => ("too_many_requests", "API Rate limit exceeded."),
        500 => ("server_error", &error.message),
        501 => ("not_implemented", &error.message),
        503 => ("unavailable", "The service is not available."),
        _ => (error.id, &error.message),
    }
}
