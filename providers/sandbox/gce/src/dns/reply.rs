//! What the answers of Cloud DNS share.

use axum::{Json, extract::State as Axum};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    Cloud, PROJECT,
    call::Call,
    error::{Refusal, Result},
    state::project_number,
};

/// How many items a page has at most, and how many one has that does not say.
const PAGE: usize = 100;

/// A moment, as Cloud DNS writes it.
pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// A list under its own name; `mark` tells items apart and orders them.
pub(super) fn list(
    call: &Call,
    kind: &str,
    name: &str,
    items: Vec<Value>,
    mark: fn(&Value) -> String,
) -> Result<Json<Value>> {
    let mut items = items;
    if let Some(token) = call.get("pageToken") {
        let last = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let last = last.ok_or_else(|| invalid("pageToken", token))?;
        let after = items.iter().position(|item| mark(item) == last).map_or(0, |at| at + 1);
        items.drain(..after);
    }
    let most = match call.get("maxResults") {
        None => PAGE,
        Some(text) => {
            text.parse::<usize>().ok().filter(|most| *most > 0).ok_or_else(|| invalid("maxResults", text))?.min(PAGE)
        }
    };
    let more = items.len() > most;
    items.truncate(most);
    let mut view = json!({ "kind": kind });
    if let Some(last) = items.last().filter(|_| more) {
        view["nextPageToken"] = URL_SAFE_NO_PAD.encode(mark(last)).into();
    }
    view[name] = items.into();
    Ok(Json(view))
}

/// 400: a value is wrong.
pub(super) fn invalid(field: &str, value: impl std::fmt::Display) -> Refusal {
    Refusal::new(400, "invalid", format!("Invalid value for '{field}': '{value}'"))
}

/// 400: a value is missing.
pub(super) fn required(field: &str) -> Refusal {
    Refusal::new(400, "required", format!("The '{field}' parameter is required but was missing."))
}

/// 404: `what` is the parameter that names it.
pub(super) fn not_found(what: &str, name: impl std::fmt::Display) -> Refusal {
    Refusal::new(404, "notFound", format!("The '{what}' resource named '{name}' does not exist."))
}

/// 409: `what` is the parameter that names it.
pub(super) fn already_exists(what: &str, name: impl std::fmt::Display) -> Refusal {
    Refusal::new(409, "alreadyExists", format!("The resource '{what}' named '{name}' already exists"))
}

pub(super) async fn project(Axum(cloud): Axum<Cloud>) -> Json<Value> {
    let number = cloud.read(project_number);
    Json(json!({
        "kind": "dns#project",
        "number": number.to_string(),
        "id": PROJECT,
        "quota": {
            "kind": "dns#quota",
            "managedZones": 10000,
            "rrsetsPerManagedZone": 10000,
            "rrsetAdditionsPerChange": 1000,
            "rrsetDeletionsPerChange": 1000,
            "resourceRecordsPerRrset": 100,
        },
    }))
}

/// Server policies, of which there are none.
pub(super) async fn policies(call: Call) -> Result<Json<Value>> {
    list(&call, "dns#policiesListResponse", "policies", Vec::new(), |_| String::new())
}

/// Response policies, of which there are none.
pub(super) async fn response_policies() -> Json<Value> {
    Json(json!({ "responsePolicies": [] }))
}
