//! How a request is refused, in DigitalOcean's words.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};

/// A request that is refused, with what the client is told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{id}: {message}")]
pub struct ApiError {
    /// The HTTP status of the answer, from 400.
    pub status: u16,
    /// The error's short name, as in the body's `id`.
    pub id: &'static str,
    /// What the client is told.
    pub message: String,
}

impl IntoResponse for ApiError {
    /// The status, and the error among the answer's extensions: a front end writes it in its API's shape on the way out.
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// A result whose error is the answer that the client gets.
pub type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    fn new(status: u16, id: &'static str, message: impl Into<String>) -> Self {
        Self { status, id, message: message.into() }
    }

    /// 400: the body or a parameter cannot be read.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "bad_request", message)
    }

    /// 401: no token, or another one.
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unable to authenticate you")
    }

    /// 403: not with this account.
    pub fn forbidden() -> Self {
        Self::new(403, "forbidden", "You do not have access for the attempted action.")
    }

    /// 404: the path names nothing that the account has.
    pub fn not_found() -> Self {
        Self::new(404, "not_found", "The resource you were accessing could not be found.")
    }

    /// 422: understood and refused.
    pub fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(422, "unprocessable_entity", message)
    }

    /// 422: an event is running on the instance. This is how the API says *busy*.
    pub fn pending_event() -> Self {
        Self::unprocessable("Droplet already has a pending event.")
    }

    /// 429, with the body that the API sends.
    pub fn too_many_requests() -> Self {
        Self::new(429, "too_many_requests", "API Rate limit exceeded.")
    }

    /// 500: the sandbox itself failed.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(500, "server_error", message)
    }

    /// 503: too busy, or broken before the API.
    pub fn unavailable() -> Self {
        Self::new(503, "unavailable", "The service is not available.")
    }

    /// 503: how Compute Engine says that a zone has no room.
    pub fn no_room_in_zone() -> Self {
        let message = "The zone does not have enough resources available to fulfill the request. Try a different zone, or try \
                       again later.";
        Self::new(503, "ZONE_RESOURCE_POOL_EXHAUSTED", message)
    }

    /// 501: DigitalOcean has this, the sandbox does not.
    pub fn not_implemented(what: impl std::fmt::Display) -> Self {
        Self::new(501, "not_implemented", format!("The sandbox does not implement {what}."))
    }
}
