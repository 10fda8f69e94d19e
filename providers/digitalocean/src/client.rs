//! The HTTP client: one request at a time, each through [`Calls`], all pages of a list.
//!
//! Pages are asked for by number, never by following the server's link: a link is an address that somebody else chose,
//! and every request carries the token. For the same reason redirects are not followed. Answers are measured while they
//! arrive, by a [`Meter`].

use std::time::Duration;

use remint_core::{
    provider::{
        Calls, Effect, Error, ErrorKind, Result,
        support::{Call, CallClass, Excess, Meter, Page, Turn, all_pages, answered},
    },
    redact,
};
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use url::Url;

use crate::{
    config::{check_url, is_local},
    error::Sent,
};

/// The most that the API gives on a page.
const PAGE_SIZE: u32 = 200;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How much is read of an answer that refuses.
const REFUSAL: usize = 64 * 1024;
/// The headers of an answer, in bytes.
const HEADERS: u32 = 64 * 1024;
const USER_AGENT: &str = concat!("remint/", env!("CARGO_PKG_VERSION"));

/// One request, before it is sent. It has no `Debug`: its body may hold user data.
#[derive(Clone)]
pub(crate) struct Ask {
    call: Call,
    method: Method,
    path: Vec<String>,
    query: Vec<(&'static str, String)>,
    body: Option<Value>,
    unprocessable_is_busy: bool,
}

impl Ask {
    fn new(call: Call, method: Method, path: &[&str]) -> Self {
        let path = path.iter().map(|&segment| segment.to_owned()).collect();
        Self { call, method, path, query: Vec::new(), body: None, unprocessable_is_busy: false }
    }

    /// A read. The path is given in segments, which are escaped one by one.
    pub(crate) fn get(operation: &'static str, path: &[&str]) -> Self {
        Self::new(Call::read(operation), Method::GET, path)
    }

    /// A mutation that makes something, and would make it twice.
    pub(crate) fn post(operation: &'static str, path: &[&str], body: Value) -> Self {
        Self { body: Some(body), ..Self::new(Call::mutation(operation), Method::POST, path) }
    }

    /// A change of fields to given values, which is the same when repeated.
    pub(crate) fn patch(operation: &'static str, path: &[&str], body: Value) -> Self {
        Self { body: Some(body), ..Self::new(Call::idempotent(operation), Method::PATCH, path) }
    }

    /// A removal, which is the same when repeated.
    pub(crate) fn delete(operation: &'static str, path: &[&str]) -> Self {
        Self::new(Call::idempotent(operation), Method::DELETE, path)
    }

    /// Names the resource for messages.
    pub(crate) fn about(mut self, resource: impl std::fmt::Display) -> Self {
        self.call = self.call.about(resource);
        self
    }

    pub(crate) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// The API itself makes this the same when repeated.
    pub(crate) fn idempotent(mut self) -> Self {
        self.call.class = CallClass::IdempotentMutation;
        self
    }

    /// A removal with a body.
    pub(crate) fn with_body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// Whatever a 422 says, it means that the resource is occupied.
    pub(crate) fn unprocessable_is_busy(mut self) -> Self {
        self.unprocessable_is_busy = true;
        self
    }

    /// What it is, for the call layer and for errors.
    pub(crate) fn call(&self) -> &Call {
        &self.call
    }
}

/// The links of a list's answer.
#[derive(Deserialize)]
struct Links {
    #[serde(default)]
    pages: Option<Pages>,
}

#[derive(Deserialize)]
struct Pages {
    #[serde(default)]
    next: Option<String>,
}

/// Sends requests with the account's token.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    token: SecretString,
    calls: Calls,
}

impl Client {
    pub(crate) fn new(base: Url, token: SecretString, calls: Calls) -> Result<Self> {
        redact::learn(&token);
        check_url(&base)?;
        let mut http = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(calls.retry_policy().attempt)
            .http2_max_header_list_size(HEADERS)
            .redirect(reqwest::redirect::Policy::none())
            // Repetitions are counted, and are the business of `Calls` alone.
            .retry(reqwest::retry::never());
        if is_local(&base) {
            http = http.no_proxy();
        }
        let http = http.build().map_err(|error| {
            Error::new(ErrorKind::Unexpected, "configure digitalocean", "the HTTP client cannot be set up")
                .with_source(error)
        })?;
        Ok(Self { http, base, token, calls })
    }

    /// Where the API is.
    pub(crate) fn base(&self) -> &Url {
        &self.base
    }

    pub(crate) fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Sends a request and reads its JSON answer.
    pub(crate) async fn json<T: DeserializeOwned>(&self, ask: &Ask) -> Result<T> {
        self.run(ask, json).await
    }

    /// The same for what makes something that the API would make twice: each attempt is waited for within the turn, also
    /// when the caller is dropped.
    pub(crate) async fn json_within<T: DeserializeOwned + Send + 'static>(&self, turn: &Turn, ask: &Ask) -> Result<T> {
        let url = self.url(ask)?;
        let attempt = || {
            let (client, ask, url) = (self.clone(), ask.clone(), url.clone());
            turn.cover(async move { client.attempt(&ask, &url, &json).await })
        };
        self.calls.run(ask.call(), attempt).await
    }

    /// Sends a request whose answer says nothing but that it was accepted.
    pub(crate) async fn accepted(&self, ask: &Ask) -> Result<()> {
        self.run(ask, |_, _| Ok(())).await
    }

    /// Sends a request and reads its plain text answer.
    pub(crate) async fn text(&self, ask: &Ask) -> Result<String> {
        self.run(ask, |body, _| Ok(String::from_utf8_lossy(&body.bytes).into_owned())).await
    }

    /// Removes something; what is gone already is a success.
    pub(crate) async fn remove(&self, ask: &Ask) -> Result<()> {
        match self.accepted(ask).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    /// Reads all pages of a list, each a call; `key` is the list's name in the answer.
    pub(crate) async fn pages<T: DeserializeOwned>(&self, ask: &Ask, key: &'static str) -> Result<Vec<T>> {
        all_pages(&self.calls, ask.call.operation, |number| async move {
            let mut ask = ask.clone().query("per_page", PAGE_SIZE.to_string());
            if number > 1 {
                ask = ask.query("page", number.to_string());
            }
            self.page(&ask, number, key).await
        })
        .await
    }

    /// Reads the first page of a list; one call.
    pub(crate) async fn latest<T: DeserializeOwned>(&self, ask: &Ask, key: &'static str) -> Result<Vec<T>> {
        let ask = ask.clone().query("per_page", PAGE_SIZE.to_string());
        Ok(self.page(&ask, 1, key).await?.items)
    }

    async fn page<T: DeserializeOwned>(&self, ask: &Ask, number: u32, key: &'static str) -> Result<Page<T>> {
        let page = self.run(ask, |body, sent| {
            let parse = || {
                let mut answer: Map<String, Value> = serde_json::from_slice(&body.bytes)?;
                let items = serde_json::from_value(answer.remove(key).unwrap_or(Value::Null))?;
                let links: Option<Links> = serde_json::from_value(answer.remove("links").unwrap_or(Value::Null))?;
                let next = links.and_then(|links| links.pages).and_then(|pages| pages.next);
                let total = answer.remove("meta").and_then(|meta| meta["total"].as_u64());
                Ok((Page { items, total, more: next.is_some() }, next))
            };
            parse().map_err(|error| sent.unreadable(body.status, error))
        });
        let (page, next) = page.await?;
        match next.as_deref().and_then(page_number) {
            Some(after) if after != u64::from(number) + 1 => {
                let message = format!("the page after page {number} of the list is said to be page {after}");
                Err(ask.call.error(ErrorKind::Unexpected, message).with_hint(Excess::HINT))
            }
            _ => Ok(page),
        }
    }

    async fn run<T>(&self, ask: &Ask, read: impl Fn(Body, &Sent<'_>) -> Result<T>) -> Result<T> {
        let url = self.url(ask)?;
        self.calls.run(ask.call(), || self.attempt(ask, &url, &read)).await
    }

    async fn attempt<T>(&self, ask: &Ask, url: &Url, read: &impl Fn(Body, &Sent<'_>) -> Result<T>) -> Result<T> {
        let sent = Sent {
            call: &ask.call,
            method: &ask.method,
            path: url.path(),
            unprocessable_is_busy: ask.unprocessable_is_busy,
        };
        let body = self.once(ask, url.clone(), &sent).await?;
        read(body, &sent)
    }

    async fn once(&self, ask: &Ask, url: Url, sent: &Sent<'_>) -> Result<Body> {
        let mut request = self.http.request(ask.method.clone(), url).bearer_auth(self.token.expose_secret());
        if let Some(body) = &ask.body {
            request = request.json(body);
        }
        let mut response = request.send().await.map_err(|error| sent.no_answer(error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        answered(status.as_u16(), headers.get("x-request-id").and_then(|id| id.to_str().ok()));
        if !status.is_success() {
            // The status counts even when the body is lost on the way, or too long.
            let bytes = self.refusal(&mut response).await;
            return Err(sent.refused(status, &headers, &bytes));
        }
        let (mut bytes, mut meter) = (Vec::new(), Meter::default());
        while let Some(chunk) = response.chunk().await.map_err(|error| sent.no_answer(error))? {
            self.calls.received(chunk.len());
            meter.feed(&chunk).map_err(|excess| sent.excessive(excess))?;
            bytes.extend_from_slice(&chunk);
        }
        Ok(Body { status, bytes })
    }

    /// The beginning of an answer that refuses, as far as it comes.
    async fn refusal(&self, response: &mut reqwest::Response) -> Vec<u8> {
        let mut bytes = Vec::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            self.calls.received(chunk.len());
            bytes.extend_from_slice(&chunk[..chunk.len().min(REFUSAL - bytes.len())]);
            if bytes.len() == REFUSAL {
                break;
            }
        }
        bytes
    }

    fn url(&self, ask: &Ask) -> Result<Url> {
        let mut url = self.base.clone();
        if let Some(dots) = ask.path.iter().find(|segment| matches!(segment.as_str(), "" | "." | "..")) {
            return Err(ask.call.error(ErrorKind::InvalidInput, format!("`{dots}` names nothing")));
        }
        match url.path_segments_mut() {
            Ok(mut segments) => drop(segments.pop_if_empty().extend(&ask.path)),
            Err(()) => return Err(ask.call.error(ErrorKind::InvalidInput, "the API's address cannot have a path")),
        }
        if !ask.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&ask.query);
        }
        Ok(url)
    }
}

fn json<T: DeserializeOwned>(body: Body, sent: &Sent<'_>) -> Result<T> {
    serde_json::from_slice(&body.bytes).map_err(|error| sent.unreadable(body.status, error))
}

/// The number of the page that a link leads to.
fn page_number(link: &str) -> Option<u64> {
    let url = Url::parse(link).ok()?;
    let (_, number) = url.query_pairs().find(|(name, _)| name == "page")?;
    number.parse().ok()
}

struct Body {
    status: reqwest::StatusCode,
    bytes: Vec<u8>,
}

/// Whether nobody knows what a call did.
pub(crate) fn is_lost<T>(result: &Result<T>) -> bool {
    matches!(result, Err(error) if error.effect() != Effect::NotApplied)
}

#[cfg(test)]
mod tests;
