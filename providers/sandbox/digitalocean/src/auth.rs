//! The token check: before everything else, also before unknown paths.

use axum::{
    extract::{Request, State},
    http::header,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};

use crate::Cloud;
use remint_sandbox_cloud::ApiError;

/// Lets requests with the sandbox's own token through.
pub async fn check(State(cloud): State<Cloud>, request: Request, next: Next) -> Response {
    let sent = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    let right = cloud.config().token.expose_secret();
    // Digests, so that the time of the comparison tells nothing about the token.
    if sent.is_some_and(|sent| !right.is_empty() && Sha256::digest(sent) == Sha256::digest(right)) {
        next.run(request).await
    } else {
        ApiError::unauthorized().into_response()
    }
}
