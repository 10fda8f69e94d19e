//! What is DigitalOcean's own in its JSON API: how it names a page and where a list goes on.

use remint_core::provider::{
    Effect, Error, Result,
    support::{JsonApi, JsonClient, JsonRequest, Position, Refusal},
};
use serde::Deserialize;
use url::Url;

use crate::error::{REQUEST_ID, refused};

/// Sends requests with the account's token.
pub(crate) type Client = JsonClient<Api>;

/// DigitalOcean's API, or one that is like it.
#[derive(Debug)]
pub(crate) struct Api;

/// What a list's answer holds beside the list.
#[derive(Deserialize)]
pub(crate) struct Rest {
    #[serde(default)]
    links: Option<Links>,
    #[serde(default)]
    meta: Option<Meta>,
}

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

#[derive(Deserialize)]
struct Meta {
    #[serde(default)]
    total: Option<u64>,
}

impl JsonApi for Api {
    const USER_AGENT: &str = concat!("remint/", env!("CARGO_PKG_VERSION"));
    const REQUEST_ID: &str = REQUEST_ID;
    const PAGE: u32 = 200;
    type Rest = Rest;

    fn refused(request: &JsonRequest, refusal: &Refusal<'_>) -> Error {
        refused(request, refusal)
    }

    /// A link that has no number is believed to lead to the next page.
    fn position(Rest { links, meta }: Rest, page: u32) -> Position {
        let next = links.and_then(|links| links.pages).and_then(|pages| pages.next);
        let next = next.map(|link| page_number(&link).unwrap_or(u64::from(page) + 1));
        Position { total: meta.and_then(|meta| meta.total), next }
    }
}

/// The number of the page that a link leads to.
fn page_number(link: &str) -> Option<u64> {
    let url = Url::parse(link).ok()?;
    let (_, number) = url.query_pairs().find(|(name, _)| name == "page")?;
    number.parse().ok()
}

/// Whether nobody knows what a call did.
pub(crate) fn is_lost<T>(result: &Result<T>) -> bool {
    matches!(result, Err(error) if error.effect() != Effect::NotApplied)
}

#[cfg(test)]
mod tests;
