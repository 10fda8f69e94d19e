//! Operations: what a change is answered with, and how a client follows it.
//!
//! An operation is done when its time has passed and the engine's actions that carry it out have ended; nothing needs to
//! run for that, so a restart changes nothing. A call that names a request id which a former call named is answered with
//! that call's operation and does nothing.

use std::time::Duration;

use axum::{
    Json, Router,
    extract::{Path, State as Axum},
    routing::{get, post},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    call::{Call, time},
    error::{Refusal, Result},
    key,
    reference::full,
    state::{Access, Data},
};
use crate::{Cloud, State};

/// How many operations that are done are remembered.
const REMEMBERED: usize = 1000;

/// How long `wait` waits at most, as the service does.
const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// How often `wait` looks.
const LOOK: Duration = Duration::from_millis(20);

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Operation {
    pub(super) id: u64,
    pub(super) name: String,
    /// `insert`, `delete`, `setLabels`.
    pub(super) verb: String,
    /// `global`, `zones/ZONE` or `regions/REGION`.
    pub(super) scope: String,
    /// What it is about, as a path below the project.
    pub(super) target: String,
    pub(super) target_id: u64,
    pub(super) inserted: Timestamp,
    /// When it is done at the earliest.
    pub(super) due: Timestamp,
    /// The engine's actions that it waits for.
    pub(super) actions: Vec<u64>,
    /// When the last of them ended.
    pub(super) ended: Option<Timestamp>,
    pub(super) error: Option<Failure>,
    pub(super) request_id: Option<String>,
    /// What follows when its actions have ended.
    pub(super) sequel: Option<Sequel>,
}

/// What follows when an operation's actions have ended, well or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Sequel {
    /// A forwarding rule points at another target, if all went well.
    Target { rule: u64, target: u64 },
    /// An instance has another access config, or none, if all went well.
    Access { machine: u64, access: Option<Access> },
    /// A forwarding rule goes again, if it did not.
    Rule { rule: u64 },
}

/// Why an operation failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Failure {
    /// The HTTP status that stands for it.
    pub(super) status: u16,
    /// That status in capitals: `SERVICE UNAVAILABLE`.
    pub(super) reason: String,
    /// The error's short name: `ZONE_RESOURCE_POOL_EXHAUSTED`.
    pub(super) code: String,
    pub(super) message: String,
}

impl Failure {
    /// More than the project may have.
    pub(super) fn quota(metric: &str, limit: usize, region: &str) -> Self {
        Self {
            status: 403,
            reason: "FORBIDDEN".to_owned(),
            code: "QUOTA_EXCEEDED".to_owned(),
            message: format!("Quota '{metric}' exceeded.  Limit: {limit}.0 in region {region}."),
        }
    }

    /// What an operation failed by whose engine's action errored.
    pub(super) fn of(verb: &str, scope: &str, target: &str) -> Self {
        let unavailable = |code: &str, message: String| Self {
            status: 503,
            reason: "SERVICE UNAVAILABLE".to_owned(),
            code: code.to_owned(),
            message,
        };
        if verb == "insert" && target.contains("/instances/") {
            let message = format!(
                "The zone '{}' does not have enough resources available to fulfill the request. Try a different zone, or try \
                 again later.",
                full(scope)
            );
            return unavailable("ZONE_RESOURCE_POOL_EXHAUSTED", message);
        }
        unavailable("INTERNAL_ERROR", "Internal error. Please try again or contact Google Support.".to_owned())
    }
}

impl Operation {
    /// Whether it is done by now.
    pub(super) fn done(&self, now: Timestamp) -> bool {
        self.actions.is_empty() && self.due <= now
    }

    /// As the API shows it. `fresh` is one that was just begun, and was not seen to run yet.
    pub(super) fn view(&self, call: &Call, fresh: bool) -> Value {
        let done = !fresh && self.done(Timestamp::now());
        let path = format!("{}/operations/{}", self.scope, self.name);
        let mut view = json!({
            "kind": "compute#operation",
            "id": self.id.to_string(),
            "name": self.name,
            "operationType": self.verb,
            "targetLink": call.link(&self.target).trim_end_matches('/'),
            "targetId": self.target_id.to_string(),
            "status": if done { "DONE" } else if fresh { "PENDING" } else { "RUNNING" },
            "user": key::email(),
            "progress": if done { 100 } else { 0 },
            "insertTime": time(self.inserted),
            "selfLink": call.link(&path),
        });
        if !fresh {
            view["startTime"] = time(self.inserted).into();
        }
        match self.scope.split_once('/') {
            Some(("zones", _)) => view["zone"] = call.link(&self.scope).into(),
            Some(("regions", _)) => view["region"] = call.link(&self.scope).into(),
            _ => {}
        }
        if done {
            view["endTime"] = time(self.ended.map_or(self.due, |ended| ended.max(self.due))).into();
            if let Some(error) = &self.error {
                view["error"] = json!({ "errors": [{ "code": error.code, "message": error.message }] });
                view["httpErrorStatusCode"] = error.status.into();
                view["httpErrorMessage"] = error.reason.as_str().into();
            }
        }
        view
    }
}

impl Data {
    /// Notes the end of one of the engine's actions.
    pub(crate) fn note_end(&mut self, action: u64, errored: bool, at: Timestamp) {
        let Some(operation) = self.operations.values_mut().find(|operation| operation.actions.contains(&action)) else {
            return;
        };
        operation.actions.retain(|id| *id != action);
        operation.ended = Some(at);
        if errored && operation.error.is_none() {
            operation.error = Some(Failure::of(&operation.verb, &operation.scope, &operation.target));
        }
        if operation.actions.is_empty() {
            let good = operation.error.is_none();
            if let Some(sequel) = operation.sequel.take() {
                self.follow(sequel, good);
            }
        }
    }

    fn follow(&mut self, sequel: Sequel, good: bool) {
        match sequel {
            Sequel::Target { rule, target } if good => {
                if let Some(rule) = self.forwarding_rules.get_mut(&rule) {
                    rule.target = target;
                }
            }
            Sequel::Access { machine, access } if good => {
                if let Some(instance) = self.instances.get_mut(&machine) {
                    instance.access = access;
                }
            }
            Sequel::Rule { rule } if !good => {
                self.forwarding_rules.remove(&rule);
            }
            Sequel::Target { .. } | Sequel::Access { .. } | Sequel::Rule { .. } => {}
        }
    }

    pub(super) fn remember(&mut self, operation: Operation) {
        self.operations.insert(operation.id, operation);
        if self.operations.len() > 2 * REMEMBERED {
            let now = Timestamp::now();
            let done: Vec<u64> = self.operations.values().filter(|old| old.done(now)).map(|old| old.id).collect();
            for id in done.into_iter().take(REMEMBERED) {
                self.operations.remove(&id);
            }
        }
    }

    /// The operation of a former call with that request id.
    pub(super) fn repeated(&self, request_id: &str) -> Option<&Operation> {
        self.operations.values().find(|operation| operation.request_id.as_deref() == Some(request_id))
    }

    fn operation(&self, scope: &str, name: &str) -> Result<&Operation> {
        let found = self
            .operations
            .values()
            .find(|operation| operation.scope == scope && (operation.name == name || operation.id.to_string() == name));
        found.ok_or_else(|| Refusal::not_found(full(&format!("{scope}/operations/{name}"))))
    }
}

pub(super) fn routes() -> Router<Cloud> {
    let mut router = Router::new();
    for scope in ["global", "zones/{place}", "regions/{place}"] {
        let path = format!("/compute/v1/projects/{{project}}/{scope}/operations");
        router = router
            .route(&path, get(list))
            .route(&format!("{path}/{{operation}}"), get(show).delete(forget))
            .route(&format!("{path}/{{operation}}/wait"), post(wait));
    }
    router
}

/// What the paths above hold; which of the three they are, the call's own path tells.
#[derive(Deserialize)]
struct Place {
    operation: Option<String>,
}

async fn list(Axum(cloud): Axum<Cloud>, call: Call) -> Result<Json<Value>> {
    let scope = call.scope();
    let items = cloud.read(|state| {
        state.own.operations.values().filter(|o| o.scope == scope).map(|o| o.view(&call, false)).collect()
    });
    call.list("compute#operationList", &format!("{scope}/operations"), items)
}

async fn show(Axum(cloud): Axum<Cloud>, call: Call, Path(place): Path<Place>) -> Result<Json<Value>> {
    let name = place.operation.unwrap_or_default();
    cloud.read(|state| state.own.operation(&call.scope(), &name).map(|operation| Json(operation.view(&call, false))))
}

async fn forget(Axum(cloud): Axum<Cloud>, call: Call, Path(place): Path<Place>) -> Result<axum::http::StatusCode> {
    let name = place.operation.unwrap_or_default();
    cloud.change(|state: &mut State| {
        let found = state.own.operation(&call.scope(), &name).map(|operation| operation.id);
        Ok(found.map(|id| state.own.operations.remove(&id)))
    })??;
    Ok(axum::http::StatusCode::NO_CONTENT)
}

/// Answers when the operation is done, or when the longest wait is over.
async fn wait(Axum(cloud): Axum<Cloud>, call: Call, Path(place): Path<Place>) -> Result<Json<Value>> {
    let (scope, name) = (call.scope(), place.operation.unwrap_or_default());
    let until = tokio::time::Instant::now() + LONGEST_WAIT;
    loop {
        let operation = cloud.read(|state| state.own.operation(&scope, &name).cloned())?;
        if operation.done(Timestamp::now()) || tokio::time::Instant::now() >= until {
            return Ok(Json(operation.view(&call, false)));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// A name for an operation, in the form of the service's.
pub(super) fn name(now: Timestamp) -> String {
    let unique = uuid::Uuid::new_v4().simple().to_string();
    let (one, rest) = unique.split_at(13);
    format!("operation-{}-{one}-{}-{}", now.as_millisecond(), &rest[..8], &rest[8..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_done_after_its_time_and_its_actions() {
        let now = Timestamp::now();
        let mut data = Data::default();
        let operation = |id: u64, actions: Vec<u64>| Operation {
            id,
            name: name(now),
            verb: "insert".to_owned(),
            scope: "zones/us-central1-a".to_owned(),
            target: "zones/us-central1-a/instances/web".to_owned(),
            target_id: 7,
            inserted: now,
            due: now,
            actions,
            ended: None,
            error: None,
            request_id: None,
            sequel: None,
        };
        data.remember(operation(1, vec![10, 11]));
        data.note_end(10, false, now);
        assert!(!data.operations[&1].done(now));
        data.note_end(11, true, now);
        let done = &data.operations[&1];
        assert!(done.done(now));
        assert_eq!(done.error.as_ref().unwrap().code, "ZONE_RESOURCE_POOL_EXHAUSTED");
        for id in 2..=2 * REMEMBERED as u64 + 1 {
            data.remember(operation(id, vec![]));
        }
        assert_eq!(data.operations.len(), REMEMBERED + 1);
    }
}
