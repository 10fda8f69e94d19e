//! An operation: what a change is answered with, and what follows when it has ended.
//!
//! An operation is done when its time has passed and the engine's actions that carry it out have ended; nothing needs to
//! run for that, so a restart changes nothing.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    call::{Call, time},
    key,
    model::Access,
    reference::full,
};

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
    /// A forwarding rule goes, if all went well.
    Gone { rule: u64 },
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

/// A name for an operation, in the form of the service's.
pub(super) fn name(now: Timestamp) -> String {
    let unique = uuid::Uuid::new_v4().simple().to_string();
    let (one, rest) = unique.split_at(13);
    format!("operation-{}-{one}-{}-{}", now.as_millisecond(), &rest[..8], &rest[8..16])
}
