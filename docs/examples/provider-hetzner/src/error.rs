//! From an answer of the API to [`remint_core::provider::Error`]: what went wrong, and what the call did.
//!
//! Hetzner says what is wrong by a code in the body (<https://docs.hetzner.cloud/reference/cloud#errors>); the status counts
//! where there is none. A refusal (4xx) has changed nothing. A failure (5xx) or a lost reply of a mutation may have changed
//! everything.

use std::time::Duration;

use remint_core::provider::{
    Effect, Error, ErrorKind,
    support::{Call, NoAnswer},
};
use reqwest::{Response, StatusCode};
use serde::Deserialize;

/// How much of a body an error keeps, in characters.
const EXCERPT: usize = 300;
/// How much is read of an answer that refuses, in bytes.
const BODY: usize = 64 * 1024;

#[derive(Deserialize, Default)]
struct Body {
    #[serde(default)]
    error: Said,
}

#[derive(Deserialize, Default)]
struct Said {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

fn kind(code: &str, status: StatusCode) -> ErrorKind {
    match code {
        "unauthorized" => ErrorKind::Unauthenticated,
        "forbidden" | "token_readonly" => ErrorKind::Forbidden,
        "not_found" => ErrorKind::NotFound,
        "uniqueness_error" | "server_not_stopped" | "protected" | "floating_ip_assigned" => ErrorKind::Conflict,
        // "The resource has changed during the request, please retry."
        "locked" | "conflict" | "must_be_unassigned" => ErrorKind::Busy,
        "rate_limit_exceeded" => ErrorKind::RateLimited,
        "resource_limit_exceeded" => ErrorKind::Quota,
        "resource_unavailable" | "placement_error" => ErrorKind::Capacity,
        "maintenance" => ErrorKind::Unavailable,
        _ => match status.as_u16() {
            401 => ErrorKind::Unauthenticated,
            403 => ErrorKind::Forbidden,
            404 => ErrorKind::NotFound,
            409 | 423 => ErrorKind::Busy,
            429 => ErrorKind::RateLimited,
            400..=499 => ErrorKind::InvalidInput,
            500..=599 => ErrorKind::Unavailable,
            _ => ErrorKind::Unexpected,
        },
    }
}

/// An answer of refusal or failure.
pub(crate) async fn refused(call: &Call, response: Response) -> Error {
    let status = response.status();
    let header = |name: &str| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
    let (request_id, retry_after) = (header("x-correlation-id"), header("retry-after"));
    let text = beginning(response).await;
    let Said { code, message } = serde_json::from_str::<Body>(&text).unwrap_or_default().error;
    let kind = kind(&code, status);
    let effect = if status.is_client_error() { Effect::NotApplied } else { Effect::Unknown };
    let said = if message.is_empty() { excerpt(&text) } else { excerpt(&message) };
    let mut error = match code.as_str() {
        "" => call.failed(kind, effect, format!("{}: {said}", status.as_u16())),
        code => call.failed(kind, effect, said).with_code(code),
    };
    if let Some(id) = request_id {
        error = error.with_request_id(id);
    }
    if kind == ErrorKind::RateLimited {
        // The limit's window tells when all calls are back; one is back each second.
        let seconds = retry_after.and_then(|text| text.parse().ok()).unwrap_or(1);
        error = error.with_retry_after(Duration::from_secs(seconds));
    }
    match kind {
        ErrorKind::Unauthenticated => error.with_hint("check HCLOUD_TOKEN: it must be a token of the project"),
        ErrorKind::Forbidden => error.with_hint("make a token that may read and write"),
        ErrorKind::Quota => error.with_hint("delete what is not needed, or ask Hetzner to raise the project's limits"),
        ErrorKind::Capacity => error.with_hint("choose another size or location, or try again later"),
        _ => error,
    }
}

/// No answer came, or it broke off.
pub(crate) fn lost(call: &Call, error: reqwest::Error) -> Error {
    // The address is in the operation's name already, and may hold what a user wrote.
    let error = error.without_url();
    let why = match () {
        () if error.is_builder() => NoAnswer::NotBuilt,
        () if error.is_connect() => NoAnswer::NotConnected,
        () if error.is_timeout() => NoAnswer::TimedOut,
        () => NoAnswer::Broken,
    };
    call.no_answer(why).with_source(error)
}

fn excerpt(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(EXCERPT).collect()
}

/// The beginning of a body, which may have no end.
async fn beginning(mut response: Response) -> String {
    let mut bytes = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        bytes.extend_from_slice(&chunk[..chunk.len().min(BODY - bytes.len())]);
        if bytes.len() == BODY {
            break;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_counts_and_the_status_where_there_is_none() {
        for (code, status, wanted) in [
            ("uniqueness_error", 409, ErrorKind::Conflict),
            ("conflict", 409, ErrorKind::Busy),
            ("locked", 423, ErrorKind::Busy),
            ("resource_limit_exceeded", 403, ErrorKind::Quota),
            ("resource_unavailable", 412, ErrorKind::Capacity),
            ("forbidden", 403, ErrorKind::Forbidden),
            ("invalid_input", 422, ErrorKind::InvalidInput),
            ("service_error", 500, ErrorKind::Unavailable),
            ("", 502, ErrorKind::Unavailable),
            ("", 401, ErrorKind::Unauthenticated),
        ] {
            assert_eq!(kind(code, StatusCode::from_u16(status).unwrap()), wanted, "{code} {status}");
        }
    }
}
