//! How requests are read: bodies, paging, filters.

use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request},
    http::{header, request::Parts},
};
use serde::{
    Deserialize as _, Deserializer,
    de::{DeserializeOwned, Error as _},
};
use serde_json::{Value, json};

use remint_sandbox_cloud::{ApiError, ApiResult};

/// How many items a page has when the request does not say.
const PER_PAGE: usize = 20;
/// How many it can have.
const MOST_PER_PAGE: usize = 200;

/// A JSON body, whatever its content type says; an empty one is `{}`.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> ApiResult<Self> {
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|error| ApiError::bad_request(format!("Cannot read the request's body: {error}")))?;
        let bytes = if bytes.is_empty() { Bytes::from_static(b"{}") } else { bytes };
        let parsed = serde_json::from_slice(&bytes);
        // The parser's words name the field and place, and quote only what stands there where a type is wrong: of user
        // data and keys, which are text as they should be, nothing.
        parsed.map(Self).map_err(|error| ApiError::bad_request(format!("Cannot read the request's body: {error}")))
    }
}

/// Where links begin: the scheme and host that the client used.
pub(super) struct Base(String);

impl<S: Send + Sync> FromRequestParts<S> for Base {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> ApiResult<Self> {
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host.or_else(|| parts.uri.authority().map(|authority| authority.as_str())).unwrap_or("127.0.0.1");
        Ok(Self(format!("http://{host}")))
    }
}

impl Base {
    /// The links that an answer has to an action: `{id, rel, href}`.
    pub(super) fn link(&self, kind: &str, id: u64, rel: &str) -> Value {
        json!({ "id": id, "rel": rel, "href": format!("{}/v2/{kind}/{id}", self.0) })
    }
}

/// What a list was asked for: its page and filters.
pub(super) struct Listing {
    url: String,
    query: Vec<(String, String)>,
}

impl<S: Send + Sync> FromRequestParts<S> for Listing {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        let Base(base) = Base::from_request_parts(parts, state).await?;
        let query = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
        let query = query.map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        Ok(Self { url: format!("{base}{}", parts.uri.path()), query })
    }
}

impl Listing {
    /// A parameter, if it is there and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Whether a parameter is `true`.
    pub(super) fn is(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value == "true" || value == "1")
    }

    /// The page that was asked for, with links to the others.
    pub(super) fn reply(&self, key: &str, items: Vec<Value>) -> Json<Value> {
        let number =
            |name, default| self.get(name).and_then(|text| text.parse().ok()).filter(|&n| n > 0).unwrap_or(default);
        let per_page: usize = number("per_page", PER_PAGE).min(MOST_PER_PAGE);
        let page: usize = number("page", 1);
        let total = items.len();
        let last = total.div_ceil(per_page).max(1);
        let mut pages = serde_json::Map::new();
        if page > 1 {
            pages.insert("first".to_owned(), self.link(1).into());
            pages.insert("prev".to_owned(), self.link((page - 1).min(last)).into());
        }
        if page < last {
            pages.insert("next".to_owned(), self.link(page + 1).into());
            pages.insert("last".to_owned(), self.link(last).into());
        }
        let shown: Vec<Value> = items.into_iter().skip((page - 1).saturating_mul(per_page)).take(per_page).collect();
        let links = if pages.is_empty() { json!({}) } else { json!({ "pages": pages }) };
        Json(json!({ key: shown, "links": links, "meta": { "total": total } }))
    }

    fn link(&self, page: usize) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("page", &page.to_string());
        query.extend_pairs(self.query.iter().filter(|(name, _)| name != "page"));
        format!("{}?{}", self.url, query.finish())
    }
}

/// An id in a body, which some clients send as text; the API takes both.
pub(super) fn id<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    match Option::<Value>::deserialize(from)? {
        None => Ok(None),
        Some(Value::String(text)) => text.parse().map(Some).map_err(|_| D::Error::custom("an id is a number")),
        Some(other) => u64::deserialize(other).map(Some).map_err(D::Error::custom),
    }
}

/// A number in a path; what is not one is nothing that exists.
pub(super) fn number(text: &str) -> ApiResult<u64> {
    text.parse().map_err(|_| ApiError::not_found())
}
