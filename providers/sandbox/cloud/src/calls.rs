//! How many calls the API has served: what a bake or a deploy costs.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
    routing::get,
};
use serde::{Deserialize, Serialize};

use crate::lock::lock;

/// The version of [`CallReport`] in JSON.
const VERSION: u32 = 1;

/// Where calls are counted that no route took.
const NO_ROUTE: &str = "(no route)";

/// The calls since the sandbox started, or since they were last reset; those that a fault or a limit refused included,
/// those without the sandbox's token and those below `/sandbox/v1` not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallReport {
    /// The version of this report's shape: 1.
    pub version: u32,
    /// The sum of `calls`.
    pub total: u64,
    /// By method and route, as in `GET /v2/droplets/{id}`, and by action where all have one route, as in
    /// `POST / Action=RunInstances`.
    pub calls: BTreeMap<String, u64>,
}

/// How often each route was called, by method and path with placeholders: `GET /v2/droplets/{droplet}`.
#[derive(Debug, Default)]
pub struct CallCounts(Mutex<BTreeMap<String, u64>>);

impl CallCounts {
    /// Counts one call of a route, which is written with placeholders.
    pub fn count(&self, method: &str, route: &str) {
        *lock(&self.0).entry(format!("{method} {route}")).or_default() += 1;
    }

    /// What was counted since the start or the last reset. Counting goes on.
    pub fn report(&self) -> CallReport {
        report(lock(&self.0).clone())
    }

    /// What was counted, and starts anew. No call is in neither or both.
    pub fn reset(&self) -> CallReport {
        report(std::mem::take(&mut lock(&self.0)))
    }
}

fn report(calls: BTreeMap<String, u64>) -> CallReport {
    CallReport { version: VERSION, total: calls.values().sum(), calls }
}

/// What a request asks for, where its path alone does not say it: among its extensions.
#[derive(Debug, Clone)]
pub struct Operation {
    /// The name, as in `RunInstances`.
    pub name: String,
    /// Whether calls are counted by it beside their route.
    pub in_route: bool,
}

/// Counts the calls that pass.
pub async fn layer(State(counts): State<Arc<CallCounts>>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or(NO_ROUTE, MatchedPath::as_str);
    match request.extensions().get::<Operation>().filter(|operation| operation.in_route) {
        Some(operation) => counts.count(request.method().as_str(), &format!("{route} Action={}", operation.name)),
        None => counts.count(request.method().as_str(), route),
    }
    next.run(request).await
}

/// `GET` shows the counts, `DELETE` shows them a last time and starts anew.
pub fn routes(counts: Arc<CallCounts>) -> Router {
    Router::new()
        .route(
            "/sandbox/v1/calls",
            get(async |State(counts): State<Arc<CallCounts>>| Json(counts.report()))
                .delete(async |State(counts): State<Arc<CallCounts>>| Json(counts.reset())),
        )
        .with_state(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_method_and_route() {
        let counts = CallCounts::default();
        counts.count("GET", "/v2/droplets");
        counts.count("GET", "/v2/droplets");
        counts.count("POST", "/v2/droplets");
        let text = serde_json::to_string(&counts.reset()).unwrap();
        assert_eq!(text, r#"{"version":1,"total":3,"calls":{"GET /v2/droplets":2,"POST /v2/droplets":1}}"#);
        assert_eq!(counts.report().total, 0);
    }
}
