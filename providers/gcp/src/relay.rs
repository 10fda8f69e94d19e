//! What stands between Google's SDK and the network.
//!
//! The SDK reads an answer whole, however large it is, follows redirects, and has no place to put another HTTP client in. So it
//! talks to a relay in this process, on loopback, which sends each request on: with the credentials, which the SDK does not
//! have, and by a client whose answers are measured by a [`Meter`] and whose time is bounded. A path that cannot be guessed
//! keeps other programs of this machine out.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    serve::ListenerExt as _,
};
use google_cloud_auth::credentials::{CacheableResource, Credentials};
use remint_core::provider::{
    Calls, Effect, Error, ErrorKind, Result,
    support::{Excess, MAX_BODY, Meter, is_local},
};
use tokio::{net::TcpListener, task::JoinHandle};
use uuid::Uuid;

use crate::config::OPERATION;

/// Marks an answer that the relay itself gives; one that a server sends with it loses it.
const MARK: HeaderName = HeaderName::from_static("x-remint-relay");
/// How much is read of an answer that refuses.
const REFUSAL: usize = 64 * 1024;
/// The headers of an answer, in bytes.
const HEADERS: u32 = 64 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Headers that belong to one connection, or to the encoding on it.
const HOP: [HeaderName; 7] = [
    header::ACCEPT_ENCODING,
    header::AUTHORIZATION,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::HOST,
    header::TRANSFER_ENCODING,
    // The SDK's client would follow it.
    header::LOCATION,
];

/// A relay that runs; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Relay {
    endpoint: String,
    task: JoinHandle<()>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Debug)]
struct Upstream {
    http: reqwest::Client,
    /// Where the API is, without a slash at the end.
    url: String,
    /// What the path of every request begins with.
    prefix: String,
    credentials: Credentials,
    calls: Calls,
}

impl Relay {
    /// Starts a relay to the API at `url`.
    pub(crate) async fn start(url: &str, credentials: &Credentials, calls: &Calls) -> Result<Self> {
        let mut http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(calls.retry_policy().attempt)
            .http2_max_header_list_size(HEADERS)
            .redirect(reqwest::redirect::Policy::none())
            // Repetitions are counted, and are the business of `Calls` alone.
            .retry(reqwest::retry::never());
        if is_local(url) {
            http = http.no_proxy();
        }
        let http = http.build().map_err(|error| unusable(&error))?;
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| unusable(&error))?;
        let address = listener.local_addr().map_err(|error| unusable(&error))?;
        let prefix = format!("/{}", Uuid::new_v4().simple());
        let endpoint = format!("http://{address}{prefix}");
        let url = url.trim_end_matches('/').to_owned();
        let upstream = Upstream { http, url, prefix, credentials: credentials.clone(), calls: calls.clone() };
        let app = Router::new().fallback(relay).with_state(Arc::new(upstream));
        // Small answers are not held back for more.
        let listener = listener.tap_io(|connection| drop(connection.set_nodelay(true)));
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                tracing::debug!(%error, "the relay to Google's API ended");
            }
        });
        Ok(Self { endpoint, task })
    }

    /// What the SDK takes for the API.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

fn unusable(error: &dyn std::error::Error) -> Error {
    Error::new(ErrorKind::Unexpected, OPERATION, "the client cannot be set up").with_source(error.to_string())
}

async fn relay(State(upstream): State<Arc<Upstream>>, request: Request) -> Response {
    let time = upstream.calls.retry_policy().attempt;
    match tokio::time::timeout(time, upstream.send(request)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(failure)) => failure.into_response(),
        Err(_) => Failure::new("timeout", "").into_response(),
    }
}

impl Upstream {
    async fn send(&self, request: Request) -> std::result::Result<Response, Failure> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().and_then(|path| path.as_str().strip_prefix(&self.prefix));
        let Some(path) = path.filter(|path| path.starts_with('/')) else {
            return Ok(StatusCode::NOT_FOUND.into_response());
        };
        let body = to_bytes(body, MAX_BODY).await.map_err(|error| Failure::new("request", error))?;
        let mut headers = end_to_end(&parts.headers);
        headers.extend(self.authority().await?);
        let request = self.http.request(parts.method, format!("{}{path}", self.url)).headers(headers).body(body);
        let mut answer = request.send().await.map_err(Failure::lost)?;
        let (status, mut bytes, mut meter) = (answer.status(), Vec::new(), Meter::default());
        loop {
            let chunk = match answer.chunk().await {
                Ok(Some(chunk)) => chunk,
                // The status of a refusal counts, as far as its body comes.
                Err(error) if status.is_success() => return Err(Failure::lost(error)),
                Ok(None) | Err(_) => break,
            };
            self.calls.received(chunk.len());
            if status.is_success() {
                meter.feed(&chunk).map_err(|excess| Failure::new("excess", excess))?;
                bytes.extend_from_slice(&chunk);
            } else {
                bytes.extend_from_slice(&chunk[..chunk.len().min(REFUSAL - bytes.len())]);
                if bytes.len() == REFUSAL {
                    break;
                }
            }
        }
        let headers = end_to_end(answer.headers());
        Ok((status, headers, Body::from(bytes)).into_response())
    }

    /// The headers that say who asks.
    async fn authority(&self) -> std::result::Result<HeaderMap, Failure> {
        match self.credentials.headers(Default::default()).await {
            Ok(CacheableResource::New { data, .. }) => Ok(data),
            Ok(CacheableResource::NotModified) => Ok(HeaderMap::new()),
            Err(error) if error.is_transient() => Err(Failure::new("credentials-later", error)),
            Err(error) => Err(Failure::new("credentials", error)),
        }
    }
}

/// The headers that are sent on.
fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let passes = |name: &HeaderName| *name != MARK && !HOP.contains(name);
    headers.iter().filter(|(name, _)| passes(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Why there is no answer.
struct Failure {
    kind: &'static str,
    cause: String,
}

impl Failure {
    fn new(kind: &'static str, cause: impl std::fmt::Display) -> Self {
        Self { kind, cause: cause.to_string() }
    }

    fn lost(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let kind = match &error {
            error if error.is_builder() => "request",
            error if error.is_connect() => "connect",
            error if error.is_timeout() => "timeout",
            _ => "lost",
        };
        let cause = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source())
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(": ");
        Self { kind, cause }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (StatusCode::BAD_GATEWAY, [(MARK, HeaderValue::from_static(self.kind))], self.cause).into_response()
    }
}

/// What the relay itself answered.
pub(crate) struct Said<'a> {
    /// What went wrong.
    pub(crate) kind: ErrorKind,
    /// What it did, if it was a mutation.
    pub(crate) effect: Effect,
    /// In words.
    pub(crate) what: &'a str,
    /// Why, where that says more.
    pub(crate) cause: Option<&'a str>,
    /// What to do about it, where the kind alone does not say.
    pub(crate) hint: Option<&'static str>,
}

/// Reads an answer that the relay itself gave; `None` for one of the API.
pub(crate) fn said<'a>(headers: Option<&HeaderMap>, body: Option<&'a [u8]>) -> Option<Said<'a>> {
    let cause = body.and_then(|body| std::str::from_utf8(body).ok()).filter(|cause| !cause.is_empty());
    let (kind, effect, what) = match headers?.get(MARK)?.to_str().ok()? {
        "excess" => {
            return Some(Said {
                kind: ErrorKind::Unexpected,
                effect: Effect::Unknown,
                what: cause.unwrap_or_default(),
                cause: None,
                hint: Some(Excess::HINT),
            });
        }
        "credentials" => (ErrorKind::Unauthenticated, Effect::NotApplied, "the credentials give no access token"),
        "credentials-later" => (ErrorKind::Unavailable, Effect::NotApplied, "the credentials give no access token"),
        "connect" => (ErrorKind::Unavailable, Effect::NotApplied, "cannot connect"),
        "timeout" => (ErrorKind::Timeout, Effect::Unknown, "no answer in time"),
        "request" => (ErrorKind::InvalidInput, Effect::NotApplied, "the request cannot be built"),
        _ => (ErrorKind::Unavailable, Effect::Unknown, "the connection broke before the answer was complete"),
    };
    Some(Said { kind, effect, what, cause, hint: None })
}
