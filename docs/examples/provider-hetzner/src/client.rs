//! The HTTP client: one request at a time, each through [`Calls`], which counts, paces and repeats it.

use std::{fmt, time::Duration};

use remint_core::{
    provider::{
        Calls, Effect, Error, ErrorKind, Result,
        support::{Call, CallClass, Meter, Page, Turn, all_pages, answered},
    },
    redact,
};
use reqwest::{Method, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{Options, error, wire};

/// The most that the API gives on a page.
const PAGE: u32 = 50;
/// How long an action may take that a method waits for: those of DNS and of addresses take a second or two.
const ACTION: Duration = Duration::from_secs(60);

/// One request, before it is sent. It has no `Debug`: its body may hold user data.
#[derive(Clone)]
pub(crate) struct Ask {
    /// What it is, for the call layer and for errors.
    pub(crate) call: Call,
    method: Method,
    path: Vec<String>,
    query: Vec<(&'static str, String)>,
    body: Option<Value>,
}

impl Ask {
    /// A read. The path is given in segments, which are escaped one by one.
    pub(crate) fn get(operation: &'static str, path: &[&str]) -> Self {
        let path = path.iter().map(|&segment| segment.to_owned()).collect();
        Self { call: Call::read(operation), method: Method::GET, path, query: Vec::new(), body: None }
    }

    /// A mutation that would happen twice when it is repeated.
    pub(crate) fn post(operation: &'static str, path: &[&str], body: Value) -> Self {
        Self { call: Call::mutation(operation), method: Method::POST, body: Some(body), ..Self::get(operation, path) }
    }

    /// A change of fields to given values, which is the same when repeated.
    pub(crate) fn put(operation: &'static str, path: &[&str], body: Value) -> Self {
        Self { method: Method::PUT, ..Self::post(operation, path, body) }.idempotent()
    }

    /// A removal, which is the same when repeated.
    pub(crate) fn delete(operation: &'static str, path: &[&str]) -> Self {
        Self { method: Method::DELETE, ..Self::get(operation, path) }.idempotent()
    }

    /// The API makes this the same when repeated: by a unique name, or because it says how things shall be.
    pub(crate) fn idempotent(mut self) -> Self {
        self.call.class = CallClass::IdempotentMutation;
        self
    }

    /// Names the resource for messages.
    pub(crate) fn about(mut self, resource: impl fmt::Display) -> Self {
        self.call = self.call.about(resource);
        self
    }

    pub(crate) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }
}

/// Sends requests with the project's token.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    endpoint: Url,
    token: SecretString,
    calls: Calls,
    poll: Duration,
}

impl Client {
    pub(crate) fn new(options: Options) -> Result<Self> {
        let http = reqwest::Client::builder()
            .user_agent(concat!("remint-hetzner/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(10))
            .timeout(options.retry.attempt)
            // The token goes where it was told to, and nowhere else; and repeating is the business of `Calls` alone.
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never());
        let http = if options.endpoint.scheme() == "http" { http.no_proxy() } else { http };
        let http = http.build().map_err(|error| {
            Error::new(ErrorKind::Unexpected, "configure hetzner", "the HTTP client cannot be set up")
                .with_source(error)
        })?;
        let Options { endpoint, token, rate, retry, poll, project: _ } = options;
        // From now on it is masked wherever Remint writes.
        redact::learn(&token);
        Ok(Self { http, endpoint, token, calls: Calls::new(rate, retry), poll })
    }

    /// Where the API is.
    pub(crate) fn endpoint(&self) -> &Url {
        &self.endpoint
    }

    pub(crate) fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Sends a request and reads its answer; one that is empty reads as `null`.
    pub(crate) async fn json<T: DeserializeOwned>(&self, ask: &Ask) -> Result<T> {
        self.calls.run(&ask.call, || self.once(ask)).await
    }

    /// The same for what must not be asked for twice: each attempt is waited for within the turn, also when the caller is
    /// dropped.
    pub(crate) async fn json_within<T: DeserializeOwned + Send + 'static>(&self, turn: &Turn, ask: &Ask) -> Result<T> {
        let attempt = || {
            let (client, ask) = (self.clone(), ask.clone());
            turn.cover(async move { client.once(&ask).await })
        };
        self.calls.run(&ask.call, attempt).await
    }

    /// Reads all pages of a list; `key` is its name in the answer.
    pub(crate) async fn list<T: DeserializeOwned>(&self, ask: &Ask, key: &str) -> Result<Vec<T>> {
        all_pages(&self.calls, ask.call.operation, |number| async move {
            let ask = ask.clone().query("page", number.to_string()).query("per_page", PAGE.to_string());
            let mut answer: Map<String, Value> = self.json(&ask).await?;
            let items = answer.remove(key).unwrap_or_default();
            let items: Vec<T> =
                serde_json::from_value(items).map_err(|error| ask.call.unreadable().with_source(error))?;
            let pagination = answer.remove("meta").unwrap_or_default()["pagination"].take();
            let more = pagination["next_page"].as_u64().is_some_and(|next| next > number.into());
            Ok(Page { items, total: pagination["total_entries"].as_u64(), more })
        })
        .await
    }

    /// Removes something; what is gone already is a success.
    pub(crate) async fn remove(&self, ask: &Ask) -> Result<()> {
        match self.json::<Value>(ask).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            result => result.map(drop),
        }
    }

    /// Sends a mutation and waits until its action has ended, for what must show right after.
    pub(crate) async fn settle(&self, ask: &Ask) -> Result<()> {
        let mut action = self.json::<wire::ActionAnswer>(ask).await?.action;
        let started = tokio::time::Instant::now();
        while action.status == "running" {
            if started.elapsed() > ACTION {
                let message = format!("action {} did not end within {} s", action.id, ACTION.as_secs());
                return Err(ask.call.error(ErrorKind::Timeout, message).with_effect(Effect::Unknown));
            }
            tokio::time::sleep(self.poll).await;
            let look = Ask::get(ask.call.operation, &["actions", &action.id.to_string()]);
            let look = self.json::<wire::ActionAnswer>(&look).await;
            action = look.map_err(|error| error.with_effect(Effect::Unknown))?.action;
        }
        match action.error.filter(|_| action.status == "error") {
            Some(said) => Err(ask.call.error(ErrorKind::Unexpected, said.message).with_code(said.code)),
            None => Ok(()),
        }
    }

    async fn once<T: DeserializeOwned>(&self, ask: &Ask) -> Result<T> {
        let mut url = self.endpoint.clone();
        match url.path_segments_mut() {
            Ok(mut segments) => drop(segments.pop_if_empty().extend(&ask.path)),
            Err(()) => return Err(ask.call.error(ErrorKind::InvalidInput, "the endpoint cannot have a path")),
        }
        if !ask.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&ask.query);
        }
        let mut request = self.http.request(ask.method.clone(), url).bearer_auth(self.token.expose_secret());
        if let Some(body) = &ask.body {
            request = request.json(body);
        }
        let mut response = request.send().await.map_err(|failed| error::lost(&ask.call, failed))?;
        answered(
            response.status().as_u16(),
            response.headers().get("x-correlation-id").and_then(|id| id.to_str().ok()),
        );
        if !response.status().is_success() {
            return Err(error::refused(&ask.call, response).await);
        }
        let (mut bytes, mut meter) = (Vec::new(), Meter::default());
        while let Some(chunk) = response.chunk().await.map_err(|failed| error::lost(&ask.call, failed))? {
            self.calls.received(chunk.len());
            meter.feed(&chunk).map_err(|excess| ask.call.excessive(excess))?;
            bytes.extend_from_slice(&chunk);
        }
        let text: &[u8] = if bytes.is_empty() { b"null" } else { &bytes };
        serde_json::from_slice(text).map_err(|error| ask.call.unreadable().with_source(error))
    }
}

/// Hetzner's ids are numbers: anything else names nothing, and is not asked for.
pub(crate) fn number(operation: &'static str, id: impl fmt::Display) -> Result<u64> {
    let id = id.to_string();
    id.parse().map_err(|_| Error::new(ErrorKind::NotFound, operation, "not an id of Hetzner's").with_resource(id))
}
