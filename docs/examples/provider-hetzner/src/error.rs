//! From an answer of the API to [`remint_core::provider::Error`]: what went wrong, and what the call did.
//!
//! Hetzner says what is wrong by a code in the body (<https://docs.hetzner.cloud/reference/cloud#errors>); the status counts
//! where there is none. A refusal (4xx) has changed nothing. A failure (5xx) or a lost reply of a mutation may have changed
//! everything.

use std::time::Duration;

use remint_core::provider::{
    Effect, Error, ErrorKind,
    support::{JsonRequest, Refusal},
};
use serde::Deserialize;

/// How much of a body an error keeps, in characters.
const EXCERPT: usize = 300;
/// The header of an answer that holds the request's id.
pub(crate) const REQUEST_ID: &str = "x-correlation-id";

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

fn kind(code: &str, status: u16) -> ErrorKind {
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
        _ => match status {
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
pub(crate) fn refused(request: &JsonRequest, refusal: &Refusal<'_>) -> Error {
    let (status, text) = (refusal.status, String::from_utf8_lossy(refusal.body));
    let Said { code, message } = serde_json::from_str::<Body>(&text).unwrap_or_default().error;
    let kind = kind(&code, status);
    let effect = if (400..500).contains(&status) { Effect::NotApplied } else { Effect::Unknown };
    let said = if message.is_empty() { excerpt(&text) } else { excerpt(&message) };
    let mut error = match code.as_str() {
        "" => request.call.failed(kind, effect, format!("{status}: {said}")),
        code => request.call.failed(kind, effect, said).with_code(code),
    };
    if let Some(id) = refusal.header(REQUEST_ID) {
        error = error.with_request_id(id);
    }
    if kind == ErrorKind::RateLimited {
        // The limit's window tells when all calls are back; one is back each second.
        let seconds = refusal.header("retry-after").and_then(|text| text.parse().ok()).unwrap_or(1);
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

fn excerpt(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(EXCERPT).collect()
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
            assert_eq!(kind(code, status), wanted, "{code} {status}");
        }
    }
}
