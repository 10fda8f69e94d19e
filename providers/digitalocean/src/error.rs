//! From HTTP to [`remint_core::provider::Error`]: what went wrong, and what the call did to the world.
//!
//! DigitalOcean says "busy", "over the limit" and "nonsense" all as 422 with the code `unprocessable_entity`, and "busy" also as 403
//! (digitalocean/openapi#1173); only the text tells them apart. It is read here and nowhere else: everything that decides goes by the
//! kind, and where that is not enough looks at the resource.
//!
//! A refusal (4xx) has changed nothing; a failure (5xx) or a lost reply of a mutation may have changed everything, because
//! there is no idempotency key to ask by.

use std::time::Duration;

use jiff::Timestamp;
use remint_core::{
    provider::{
        Effect, Error, ErrorKind,
        support::{JsonRequest, Refusal},
    },
    redact,
};
use serde::Deserialize;

/// The header of an answer that holds the request's id.
pub(crate) const REQUEST_ID: &str = "x-request-id";
/// What is said while a resource is still occupied with what was asked of it before.
const PREVIOUS_ACTIONS: &str = "processes previous actions";
/// How much of a body an error keeps, in bytes.
const EXCERPT: usize = 512;
const REDIRECTED: &str = "redirects are not followed, because the token would go with them; check the API's address";
/// The longest wait that a rate limit can mean: each request expires an hour after it was made.
const LONGEST_WAIT: i64 = 3600;

/// An answer of refusal or failure. The status counts also when the body is no JSON.
pub(crate) fn refused(request: &JsonRequest, refusal: &Refusal<'_>) -> Error {
    let Refusal { status, body, .. } = *refusal;
    let parsed: ApiError = serde_json::from_slice(body).unwrap_or_default();
    let text = if parsed.message.is_empty() {
        String::from_utf8_lossy(&body[..body.len().min(4 * EXCERPT)]).into_owned()
    } else {
        parsed.message
    };
    let text = excerpt(&text);
    let kind = kind(request, status, &text);
    let effect = if status == 501 || (400..500).contains(&status) { Effect::NotApplied } else { Effect::Unknown };
    let message = if text.is_empty() { status.to_string() } else { format!("{status}: {text}") };
    let mut error = request.call.failed(kind, effect, message);
    if !parsed.id.is_empty() {
        error = error.with_code(excerpt(&parsed.id));
    }
    let header_id = refusal.header(REQUEST_ID).map(str::to_owned);
    if let Some(id) = parsed.request_id.filter(|id| !id.is_empty()).or(header_id) {
        error = error.with_request_id(excerpt(&id));
    }
    if let Some(after) = retry_after(refusal, Timestamp::now()) {
        error = error.with_retry_after(after);
    }
    match hint(kind) {
        Some(hint) => error.with_hint(hint),
        None if (300..400).contains(&status) => error.with_hint(REDIRECTED),
        None => error,
    }
}

fn kind(request: &JsonRequest, status: u16, message: &str) -> ErrorKind {
    let message = message.to_ascii_lowercase();
    match status {
        401 => ErrorKind::Unauthenticated,
        403 | 422 if is_quota(&message) => ErrorKind::Quota,
        // The account may do it, and not yet.
        403 if message.contains(PREVIOUS_ACTIONS) => ErrorKind::Busy,
        403 => ErrorKind::Forbidden,
        404 | 410 => ErrorKind::NotFound,
        408 => ErrorKind::Timeout,
        409 => ErrorKind::Conflict,
        422 if is_capacity(&message) => ErrorKind::Capacity,
        422 | 423 if is_busy(&message) => ErrorKind::Busy,
        // How a reserved IP is refused for a droplet that is gone.
        422 if message.contains("droplet you specified does not exist") => ErrorKind::NotFound,
        423 => ErrorKind::Busy,
        429 => ErrorKind::RateLimited,
        501 => ErrorKind::Unsupported,
        400..=499 => request.meaning_of(status).unwrap_or(ErrorKind::InvalidInput),
        500..=599 => ErrorKind::Unavailable,
        _ => ErrorKind::Unexpected,
    }
}

/// A part of an answer that is left out, because the token lacks a scope. Taking it for empty would be a wrong answer.
pub(crate) fn hidden(operation: &'static str, what: &str, scope: &str) -> Error {
    Error::new(
        ErrorKind::Forbidden,
        operation,
        format!("the API does not show {what}: the token lacks the scope `{scope}`"),
    )
    .with_hint("give the token all scopes that the book's page on DigitalOcean lists")
}

/// The body of an error.
#[derive(Default, Deserialize)]
struct ApiError {
    #[serde(default)]
    id: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    request_id: Option<String>,
}

fn hint(kind: ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::Unauthenticated => {
            Some("check the token in DIGITALOCEAN_TOKEN, DIGITALOCEAN_ACCESS_TOKEN or doctl's configuration")
        }
        ErrorKind::Forbidden => Some(
            "give the token the scopes that the book's page on DigitalOcean lists, and check that the account is active",
        ),
        ErrorKind::Quota => Some("delete what is not needed, or ask DigitalOcean to raise the limit"),
        ErrorKind::Capacity => Some(
            "choose another size or region, or try again later; `doctl compute size list` shows what there is, and \
             DigitalOcean has no zones to try",
        ),
        _ => None,
    }
}

fn is_busy(message: &str) -> bool {
    const PHRASES: [&str; 8] = [
        PREVIOUS_ACTIONS,
        "pending event",
        "event in progress",
        "action in progress",
        "is locked",
        "currently locked",
        "currently being",
        "try again",
    ];
    PHRASES.iter().any(|phrase| message.contains(phrase))
}

/// Whether a region has no room: "Size is not available in this region.", "Region is not available", "… currently unavailable
/// in this region". A size that does not exist, or whose disk is too small for the image ("This size is not available because it
/// has a smaller disk"), is another matter.
fn is_capacity(message: &str) -> bool {
    const MISSING: [&str; 3] = ["not available", "unavailable", "not currently available"];
    const OTHER: [&str; 6] = ["disk", "image", "feature", "backup", "volume", "vpc"];
    let place = message.contains("region") || message.contains("datacenter") || message.contains("capacity");
    let size = message.contains("size") || message.contains("droplet") || message.contains("region is");
    place
        && size
        && !OTHER.iter().any(|other| message.contains(other))
        && MISSING.iter().any(|phrase| message.contains(phrase))
}

fn is_quota(message: &str) -> bool {
    const WHAT: [&str; 7] = ["droplet", "reserved ip", "floating ip", "account", "quota", "snapshot", "load balancer"];
    let over = message.contains("limit") || message.contains("quota");
    let user_data = message.contains("user data") || message.contains("user_data") || message.contains("userdata");
    over && !user_data && WHAT.iter().any(|what| message.contains(what))
}

/// When to come back: the header of the burst limit, or when the oldest request of the hourly limit expires.
fn retry_after(refusal: &Refusal<'_>, now: Timestamp) -> Option<Duration> {
    let number = |name: &str| refusal.header(name)?.trim().parse::<i64>().ok();
    let seconds = match number("retry-after") {
        Some(seconds) => seconds,
        None if refusal.status == 429 => number("ratelimit-reset")? - now.as_second(),
        None => return None,
    };
    Some(Duration::from_secs(seconds.clamp(1, LONGEST_WAIT).unsigned_abs()))
}

/// At most [`EXCERPT`] bytes on one line, without the token, which the client has made known.
fn excerpt(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    redact::excerpt(line.trim_end_matches('.'), EXCERPT)
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderMap, HeaderName};

    use super::*;

    fn refused(status: u16, headers: &[(&'static str, String)], body: &str) -> Error {
        let headers: HeaderMap =
            headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect();
        super::refused(&launch(), &Refusal::new(status, &headers, body.as_bytes()))
    }

    fn launch() -> JsonRequest {
        JsonRequest::post("test", &["v2", "droplets"], serde_json::json!({})).about("app-0")
    }

    fn message(text: &str) -> String {
        format!(r#"{{"id": "x", "message": "{text}", "request_id": "4d9d"}}"#)
    }

    #[test]
    fn the_message_tells_busy_from_quota_from_nonsense() {
        let cases = [
            (422, "Droplet already has a pending event.", ErrorKind::Busy),
            (422, "creating this/these droplet(s) will exceed your droplet limit", ErrorKind::Quota),
            (422, "You have reached your account's reserved IP limit.", ErrorKind::Quota),
            (422, "You have reached the limit of load balancers", ErrorKind::Quota),
            (422, "User data exceeds the limit of 64 KiB for a droplet", ErrorKind::InvalidInput),
            (422, "You specified an invalid size for Droplet creation.", ErrorKind::InvalidInput),
            (422, "Size is not available in this region.", ErrorKind::Capacity),
            (422, "Region is not available", ErrorKind::Capacity),
            (422, "The size s-1vcpu-1gb is currently unavailable in this region", ErrorKind::Capacity),
            (422, "This size is not available in nyc3 due to capacity, try again later", ErrorKind::Capacity),
            (422, "This size is not available because it has a smaller disk.", ErrorKind::InvalidInput),
            (422, "Image is not available in the selected region", ErrorKind::InvalidInput),
            (422, "IPv6 is a feature that is not available in this region for the size", ErrorKind::InvalidInput),
            (422, "The Droplet you specified does not exist", ErrorKind::NotFound),
            (401, "Unable to authenticate you", ErrorKind::Unauthenticated),
            (403, "You do not have access for the attempted action.", ErrorKind::Forbidden),
            (403, "Load Balancer can't be updated while it processes previous actions", ErrorKind::Busy),
            (404, "The resource you were accessing could not be found.", ErrorKind::NotFound),
            (501, "not implemented", ErrorKind::Unsupported),
        ];
        for (status, text, kind) in cases {
            let error = refused(status, &[], &message(text));
            assert_eq!(error.kind(), kind, "{text}");
            assert_eq!(error.effect(), Effect::NotApplied, "{text}");
            assert_eq!((error.code(), error.request_id()), (Some("x"), Some("4d9d")));
        }
        let occupied = launch().meaning(422, ErrorKind::Busy);
        let refused = |body| super::refused(&occupied, &Refusal::new(422, &HeaderMap::new(), body)).kind();
        assert_eq!(refused(b"{}"), ErrorKind::Busy);
        assert_eq!(refused(message("over your droplet limit").as_bytes()), ErrorKind::Quota, "the text says more");
    }

    #[test]
    fn a_status_survives_a_body_that_does_not_parse() {
        let error = refused(504, &[], "<html><body>Gateway\n Timeout</body></html>");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(error.effect(), Effect::Unknown, "nobody knows what a 504 did");
        assert_eq!(error.to_string(), "test app-0: unavailable: 504: <html><body>Gateway Timeout</body></html>");
    }

    #[test]
    fn a_rate_limit_says_when_to_come_back() {
        let after = |headers: &[(&'static str, String)]| refused(429, headers, "").retry_after().map(|d| d.as_secs());
        assert_eq!(after(&[("retry-after", "17".to_owned())]), Some(17));
        let reset = (Timestamp::now().as_second() + 100).to_string();
        assert!(matches!(after(&[("ratelimit-reset", reset)]), Some(95..=100)));
        assert_eq!(after(&[("ratelimit-reset", "1".to_owned())]), Some(1), "a moment that has passed");
        assert_eq!(after(&[]), None);
        assert_eq!(refused(429, &[], "").kind(), ErrorKind::RateLimited);
    }

    #[test]
    fn an_excerpt_is_bounded_and_holds_no_token() {
        // As a client does when it is made.
        redact::learn(&"dop_v1_secret".into());
        let body = format!("you sent dop_v1_secret {}", "ä".repeat(2000));
        let error = refused(400, &[], &body);
        assert!(!format!("{error} {error:?}").contains("dop_v1_secret"));
        assert!(error.message().len() < EXCERPT + 64, "{}", error.message().len());
        let hidden = refused(400, &[], "you sent dop_v1\u{202e}_sec\u{1b}[2Jret").to_string();
        assert!(!hidden.contains("dop_v1_secret") && !hidden.contains('\u{1b}'), "{hidden}");
    }
}
