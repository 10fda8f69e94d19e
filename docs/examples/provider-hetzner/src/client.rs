//! What is Hetzner's own in its JSON API: how it pages its lists, and the actions that some calls must wait for.

use std::{fmt, time::Duration};

use remint_core::provider::{
    Effect, Error, ErrorKind, Result,
    support::{JsonApi, JsonClient, JsonRequest, Position, Refusal},
};
use serde::Deserialize;

use crate::{Cloud, error, wire};

/// How long an action may take that a method waits for: those of DNS and of addresses take a second or two.
const ACTION: Duration = Duration::from_secs(60);

/// Sends requests with the project's token.
pub(crate) type Client = JsonClient<Api>;

/// Hetzner's API.
#[derive(Debug)]
pub(crate) struct Api;

/// What a list's answer holds beside the list.
#[derive(Deserialize)]
pub(crate) struct Rest {
    #[serde(default)]
    meta: Meta,
}

#[derive(Deserialize, Default)]
struct Meta {
    #[serde(default)]
    pagination: Pagination,
}

#[derive(Deserialize, Default)]
struct Pagination {
    next_page: Option<u64>,
    total_entries: Option<u64>,
}

impl JsonApi for Api {
    const USER_AGENT: &str = concat!("remint-hetzner/", env!("CARGO_PKG_VERSION"));
    const REQUEST_ID: &str = error::REQUEST_ID;
    const PAGE: u32 = 50;
    type Rest = Rest;

    fn refused(request: &JsonRequest, refusal: &Refusal<'_>) -> Error {
        error::refused(request, refusal)
    }

    fn position(Rest { meta: Meta { pagination } }: Rest, _: u32) -> Position {
        Position { total: pagination.total_entries, next: pagination.next_page }
    }
}

impl Cloud {
    /// Sends a mutation and waits until its action has ended, for what must show right after.
    pub(crate) async fn settle(&self, request: &JsonRequest) -> Result<()> {
        let call = &request.call;
        let mut action = self.client.json::<wire::ActionAnswer>(request).await?.action;
        let started = tokio::time::Instant::now();
        while action.status == "running" {
            if started.elapsed() > ACTION {
                let message = format!("action {} did not end within {} s", action.id, ACTION.as_secs());
                return Err(call.error(ErrorKind::Timeout, message).with_effect(Effect::Unknown));
            }
            tokio::time::sleep(self.poll).await;
            let look = JsonRequest::get(call.operation, &["actions", &action.id.to_string()]);
            let look = self.client.json::<wire::ActionAnswer>(&look).await;
            action = look.map_err(|error| error.with_effect(Effect::Unknown))?.action;
        }
        match action.error.filter(|_| action.status == "error") {
            Some(said) => Err(call.error(ErrorKind::Unexpected, said.message).with_code(said.code)),
            None => Ok(()),
        }
    }
}

/// Hetzner's ids are numbers: anything else names nothing, and is not asked for.
pub(crate) fn number(operation: &'static str, id: impl fmt::Display) -> Result<u64> {
    let id = id.to_string();
    id.parse().map_err(|_| Error::new(ErrorKind::NotFound, operation, "not an id of Hetzner's").with_resource(id))
}
