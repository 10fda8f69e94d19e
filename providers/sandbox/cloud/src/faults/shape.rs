//! How an API fails, whatever it was asked for: what stands before its routes speaks with its voice.

use axum::{
    http::StatusCode,
    response::{Html, IntoResponse as _, Response},
};

use crate::{Api, ApiError};

/// How an API fails.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// The API.
    pub api: Api,
    /// A refusal, as the API writes it.
    pub refuse: fn(ApiError) -> Response,
    /// The answer where something before the API is broken.
    pub broken: fn(StatusCode) -> Response,
    /// The refusal of whatever needs room that is not there; `None` where the API's own routes know [`NoRoom`].
    pub no_room: Option<fn() -> ApiError>,
    /// Whether the API's own routes know a stale view; else whole answers are remembered.
    pub sees_stale: bool,
}

/// What a fault rule does to a launch: there is no room. Among the request's extensions.
#[derive(Debug, Clone)]
pub struct NoRoom {
    /// The zone that has none; `None` for all of them.
    pub zone: Option<String>,
}

/// Marks an answer that a fault rule made or bent, which need not be like the real API's. Among the answer's extensions.
#[derive(Debug, Clone, Copy)]
pub struct Bent;

/// What a proxy before an API answers.
pub fn html(status: StatusCode) -> Response {
    let title = format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or_default());
    let page = format!(
        "<html>\n<head><title>{title}</title></head>\n<body>\n<center><h1>{title}</h1></center>\n</body>\n</html>\n"
    );
    (status, Html(page)).into_response()
}
