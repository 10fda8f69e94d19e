//! The client of a JSON API with a bearer token, as many clouds have one: a request at a time, each through [`Calls`], which
//! counts, paces and repeats it.
//!
//! Pages are asked for by number, never by following the server's link: a link is an address that somebody else chose, and
//! every request carries the token. For the same reason redirects are not followed. Answers are measured while they arrive,
//! by a [`Meter`].

use std::{fmt, marker::PhantomData, time::Duration};

use reqwest::{Method, header::HeaderMap};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use url::Url;

use super::{Call, CallClass, Calls, Excess, Meter, NoAnswer, Page, Turn, all_pages, answered, endpoint::is_safe};
use crate::{
    provider::{Error, ErrorKind, Result},
    redact,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How much is read of an answer that refuses, in bytes.
const REFUSAL: usize = 64 * 1024;
/// The headers of an answer, in bytes.
const HEADERS: u32 = 64 * 1024;

/// What one cloud's API does in its own way.
pub trait JsonApi: fmt::Debug + Send + Sync + 'static {
    /// How the client calls itself: `remint-example/1.0`.
    const USER_AGENT: &'static str;
    /// The header of an answer that holds the cloud's id of the request.
    const REQUEST_ID: &'static str;
    /// The most items that the API gives on a page.
    const PAGE: u32;
    /// What the answer to a list holds beside its items, of which [`JsonApi::position`] reads where the list goes on.
    type Rest: DeserializeOwned;

    /// The error of an answer of refusal or failure: what went wrong, and what the request did.
    fn refused(request: &JsonRequest, refusal: &Refusal<'_>) -> Error;

    /// Where a list goes on after this page.
    fn position(rest: Self::Rest, page: u32) -> Position;
}

/// Where a list goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// How much the whole list holds, where the cloud says so.
    pub total: Option<u64>,
    /// The number of the page that follows; `None` at the end.
    pub next: Option<u64>,
}

/// An answer of refusal or failure.
#[derive(Debug, Clone, Copy)]
pub struct Refusal<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The beginning of the body, as far as it came: 64 KiB at most.
    pub body: &'a [u8],
    headers: &'a HeaderMap,
}

impl<'a> Refusal<'a> {
    /// An answer, as a server would give it. For tests of [`JsonApi::refused`].
    pub fn new(status: u16, headers: &'a HeaderMap, body: &'a [u8]) -> Self {
        Self { status, body, headers }
    }

    /// A header, if it is there and is text.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// One request, before it is sent. It has no `Debug`: its body may hold user data.
#[derive(Clone)]
pub struct JsonRequest {
    /// What it is, for the call layer and for errors.
    pub call: Call,
    method: Method,
    path: Vec<String>,
    query: Vec<(&'static str, String)>,
    body: Option<Value>,
    meaning: Option<(u16, ErrorKind)>,
}

impl JsonRequest {
    fn new(call: Call, method: Method, path: &[&str]) -> Self {
        let path = path.iter().map(|&segment| segment.to_owned()).collect();
        Self { call, method, path, query: Vec::new(), body: None, meaning: None }
    }

    /// A read. The path is given in segments, which are escaped one by one.
    pub fn get(operation: &'static str, path: &[&str]) -> Self {
        Self::new(Call::read(operation), Method::GET, path)
    }

    /// A mutation that would happen twice when it is repeated.
    pub fn post(operation: &'static str, path: &[&str], body: Value) -> Self {
        Self::new(Call::mutation(operation), Method::POST, path).with_body(body)
    }

    /// A change to given values, which is the same when repeated.
    pub fn put(operation: &'static str, path: &[&str], body: Value) -> Self {
        Self::new(Call::idempotent(operation), Method::PUT, path).with_body(body)
    }

    /// A change of some fields to given values, which is the same when repeated.
    pub fn patch(operation: &'static str, path: &[&str], body: Value) -> Self {
        Self::new(Call::idempotent(operation), Method::PATCH, path).with_body(body)
    }

    /// A removal, which is the same when repeated.
    pub fn delete(operation: &'static str, path: &[&str]) -> Self {
        Self::new(Call::idempotent(operation), Method::DELETE, path)
    }

    /// Names the resource for messages.
    #[must_use]
    pub fn about(mut self, resource: impl fmt::Display) -> Self {
        self.call = self.call.about(resource);
        self
    }

    /// The API makes this the same when repeated: by a unique name, or because it says how things shall be.
    #[must_use]
    pub fn idempotent(mut self) -> Self {
        self.call.class = CallClass::IdempotentMutation;
        self
    }

    /// Adds a parameter to the query.
    #[must_use]
    pub fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// Sends a body, also where the method has none by itself.
    #[must_use]
    pub fn with_body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// What a status means for this request, where the API's answer does not say it by itself.
    #[must_use]
    pub fn meaning(mut self, status: u16, kind: ErrorKind) -> Self {
        self.meaning = Some((status, kind));
        self
    }

    /// What [`JsonRequest::meaning`] says of a status.
    pub fn meaning_of(&self, status: u16) -> Option<ErrorKind> {
        self.meaning.filter(|(of, _)| *of == status).map(|(_, kind)| kind)
    }
}

/// Sends requests with a token.
#[derive(Debug)]
pub struct JsonClient<A> {
    http: reqwest::Client,
    endpoint: Url,
    token: SecretString,
    calls: Calls,
    api: PhantomData<fn() -> A>,
}

impl<A> Clone for JsonClient<A> {
    fn clone(&self) -> Self {
        let (http, endpoint, token, calls) =
            (self.http.clone(), self.endpoint.clone(), self.token.clone(), self.calls.clone());
        Self { http, endpoint, token, calls, api: PhantomData }
    }
}

impl<A: JsonApi> JsonClient<A> {
    /// A client of the API at an address. Makes no call. The token is masked from now on wherever Remint writes.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for an address over which a token must not go: one of another machine without TLS.
    pub fn new(operation: &'static str, endpoint: Url, token: SecretString, calls: Calls) -> Result<Self> {
        redact::learn(&token);
        is_safe(&endpoint).map_err(|problem| {
            Error::new(ErrorKind::InvalidInput, operation, problem).with_resource(format!("`{endpoint}`"))
        })?;
        let mut http = reqwest::Client::builder()
            .user_agent(A::USER_AGENT)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(calls.retry_policy().attempt)
            .http2_max_header_list_size(HEADERS)
            .redirect(reqwest::redirect::Policy::none())
            // Repetitions are counted, and are the business of `Calls` alone.
            .retry(reqwest::retry::never());
        if endpoint.scheme() == "http" {
            http = http.no_proxy();
        }
        let http = http.build().map_err(|error| {
            Error::new(ErrorKind::Unexpected, operation, "the HTTP client cannot be set up").with_source(error)
        })?;
        Ok(Self { http, endpoint, token, calls, api: PhantomData })
    }

    /// Where the API is.
    pub fn endpoint(&self) -> &Url {
        &self.endpoint
    }

    /// The call layer of all its requests.
    pub fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Sends a request and reads its JSON answer; one that is empty reads as `null`.
    ///
    /// # Errors
    ///
    /// Those of [`JsonApi::refused`] and of [`Call::no_answer`]; `Unexpected` for an answer that is not what `T` holds.
    pub async fn json<T: DeserializeOwned>(&self, request: &JsonRequest) -> Result<T> {
        self.run(request, json).await
    }

    /// The same for what makes something that the API would make twice: each attempt is waited for within the turn, also when
    /// the caller is dropped.
    ///
    /// # Errors
    ///
    /// Those of [`JsonClient::json`].
    pub async fn json_within<T>(&self, turn: &Turn, request: &JsonRequest) -> Result<T>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let url = self.url(request)?;
        let attempt = || {
            let (client, request, url) = (self.clone(), request.clone(), url.clone());
            turn.cover(async move { client.attempt(&request, &url, &json).await })
        };
        self.calls.run(&request.call, attempt).await
    }

    /// Sends a request whose answer says nothing but that it was accepted.
    ///
    /// # Errors
    ///
    /// Those of [`JsonApi::refused`] and of [`Call::no_answer`].
    pub async fn accepted(&self, request: &JsonRequest) -> Result<()> {
        self.run(request, |_, _| Ok(())).await
    }

    /// Sends a request and reads its answer as plain text.
    ///
    /// # Errors
    ///
    /// Those of [`JsonClient::accepted`].
    pub async fn text(&self, request: &JsonRequest) -> Result<String> {
        self.run(request, |body, _| Ok(String::from_utf8_lossy(&body.bytes).into_owned())).await
    }

    /// Removes something; what is gone already is a success.
    ///
    /// # Errors
    ///
    /// Those of [`JsonClient::accepted`].
    pub async fn remove(&self, request: &JsonRequest) -> Result<()> {
        match self.accepted(request).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    /// Reads all pages of a list, each a call; `key` is the list's name in the answer.
    ///
    /// # Errors
    ///
    /// Those of [`JsonClient::json`] and of [`all_pages`]; `Unexpected` when the pages are not said to follow one another.
    pub async fn list<T: DeserializeOwned>(&self, request: &JsonRequest, key: &str) -> Result<Vec<T>> {
        all_pages(&self.calls, request.call.operation, |number| self.page(request, number, key)).await
    }

    /// Reads the first page of a list; one call.
    ///
    /// # Errors
    ///
    /// Those of [`JsonClient::list`].
    pub async fn first_page<T: DeserializeOwned>(&self, request: &JsonRequest, key: &str) -> Result<Vec<T>> {
        Ok(self.page(request, 1, key).await?.items)
    }

    async fn page<T: DeserializeOwned>(&self, request: &JsonRequest, number: u32, key: &str) -> Result<Page<T>> {
        let mut request = request.clone().query("per_page", A::PAGE.to_string());
        if number > 1 {
            request = request.query("page", number.to_string());
        }
        let page = self.run(&request, |body, at| {
            let parse = || {
                let mut answer: Map<String, Value> = serde_json::from_slice(&body.bytes)?;
                let items = serde_json::from_value(answer.remove(key).unwrap_or_default())?;
                Ok((items, A::position(serde_json::from_value(Value::Object(answer))?, number)))
            };
            parse().map_err(|error| at.unreadable(body.status, error))
        });
        let (items, Position { total, next }) = page.await?;
        match next {
            Some(next) if next != u64::from(number) + 1 => {
                let message = format!("the page after page {number} of the list is said to be page {next}");
                Err(request.call.error(ErrorKind::Unexpected, message).with_hint(Excess::HINT))
            }
            _ => Ok(Page { items, total, more: next.is_some() }),
        }
    }

    async fn run<T>(&self, request: &JsonRequest, read: impl Fn(Body, &Sent<'_>) -> Result<T>) -> Result<T> {
        let url = self.url(request)?;
        self.calls.run(&request.call, || self.attempt(request, &url, &read)).await
    }

    async fn attempt<T>(
        &self,
        request: &JsonRequest,
        url: &Url,
        read: &impl Fn(Body, &Sent<'_>) -> Result<T>,
    ) -> Result<T> {
        let sent = Sent { request, path: url.path() };
        let body = self.once(&sent, url.clone()).await?;
        read(body, &sent)
    }

    async fn once(&self, sent: &Sent<'_>, url: Url) -> Result<Body> {
        let JsonRequest { method, body, .. } = sent.request;
        let mut request = self.http.request(method.clone(), url).bearer_auth(self.token.expose_secret());
        if let Some(body) = body {
            request = request.json(body);
        }
        let mut response = request.send().await.map_err(|error| sent.no_answer(error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        answered(status.as_u16(), headers.get(A::REQUEST_ID).and_then(|id| id.to_str().ok()));
        if !status.is_success() {
            // The status counts even when the body is lost on the way, or too long.
            let bytes = self.beginning(&mut response).await;
            return Err(sent.at(A::refused(sent.request, &Refusal::new(status.as_u16(), &headers, &bytes))));
        }
        let (mut bytes, mut meter) = (Vec::new(), Meter::default());
        while let Some(chunk) = response.chunk().await.map_err(|error| sent.no_answer(error))? {
            self.calls.received(chunk.len());
            meter.feed(&chunk).map_err(|excess| sent.at(sent.request.call.excessive(excess)))?;
            bytes.extend_from_slice(&chunk);
        }
        Ok(Body { status: status.as_u16(), bytes })
    }

    /// The beginning of an answer that refuses, as far as it comes.
    async fn beginning(&self, response: &mut reqwest::Response) -> Vec<u8> {
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

    fn url(&self, request: &JsonRequest) -> Result<Url> {
        let invalid = |problem: String| request.call.error(ErrorKind::InvalidInput, problem);
        let mut url = self.endpoint.clone();
        if let Some(dots) = request.path.iter().find(|segment| matches!(segment.as_str(), "" | "." | "..")) {
            return Err(invalid(format!("`{dots}` names nothing")));
        }
        match url.path_segments_mut() {
            Ok(mut segments) => drop(segments.pop_if_empty().extend(&request.path)),
            Err(()) => return Err(invalid("the API's address cannot have a path".to_owned())),
        }
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        Ok(url)
    }
}

/// A request on its way, for its errors.
struct Sent<'a> {
    request: &'a JsonRequest,
    path: &'a str,
}

impl Sent<'_> {
    /// Says where an error comes from.
    fn at(&self, error: Error) -> Error {
        error.map_message(|message| format!("{} {}: {message}", self.request.method, self.path))
    }

    /// No answer came, or it broke off.
    fn no_answer(&self, error: reqwest::Error) -> Error {
        // The path is in the message, and the rest of the address may hold what a user wrote.
        let error = error.without_url();
        let why = match () {
            () if error.is_builder() => NoAnswer::NotBuilt,
            () if error.is_connect() => NoAnswer::NotConnected,
            () if error.is_timeout() => NoAnswer::TimedOut,
            () => NoAnswer::Broken,
        };
        self.at(self.request.call.no_answer(why)).with_source(error)
    }

    /// An answer of success that holds something else than it should.
    fn unreadable(&self, status: u16, error: serde_json::Error) -> Error {
        let unreadable = self.request.call.unreadable().map_message(|message| format!("{status}: {message}"));
        self.at(unreadable).with_source(error)
    }
}

/// An answer of success.
struct Body {
    status: u16,
    bytes: Vec<u8>,
}

fn json<T: DeserializeOwned>(body: Body, sent: &Sent<'_>) -> Result<T> {
    let text: &[u8] = if body.bytes.is_empty() { b"null" } else { &body.bytes };
    serde_json::from_slice(text).map_err(|error| sent.unreadable(body.status, error))
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
