//! The calls that change something, in the order in which they came: what there is to put a fault on.
//!
//! A call is named as a rule names it, so that each line can become a rule: the n-th line with the same method, path and
//! action is hit by `nth: n`.

use std::{collections::VecDeque, sync::Mutex};

use serde::{Deserialize, Serialize};

use super::call::Call;
use crate::lock::lock;

/// How many calls are remembered; older ones are forgotten first.
const MOST: usize = 4096;

/// One call that changes something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Its number, counted from 1 since the sandbox started.
    pub number: u64,
    /// The method.
    pub method: String,
    /// The route, as a rule's `path` takes it: `/v2/droplets/{id}/actions`.
    pub path: String,
    /// What a rule's `action` takes, where there is one.
    pub action: Option<String>,
    /// The status of its answer, once it was carried out; 500 for a connection that a fault reset.
    pub status: Option<u16>,
}

/// Remembers them.
#[derive(Debug, Default)]
pub(super) struct Changes(Mutex<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    last: u64,
    changes: VecDeque<Change>,
}

impl Changes {
    /// Notes that a call came in; its number, unless it only reads.
    pub(super) fn came(&self, call: Call<'_>, route: &str) -> Option<u64> {
        // A token is asked for by POST, and changes nothing.
        if call.is_read() || call.path == "/token" {
            return None;
        }
        let mut remembered = lock(&self.0);
        remembered.last += 1;
        let number = remembered.last;
        if remembered.changes.len() == MOST {
            remembered.changes.pop_front();
        }
        let (method, path) = (call.method.to_owned(), route.to_owned());
        let action = call.action.filter(|action| !action.is_empty()).map(str::to_owned);
        remembered.changes.push_back(Change { number, method, path, action, status: None });
        Some(number)
    }

    /// Notes that a call was answered.
    pub(super) fn answered(&self, number: u64, status: u16) {
        if let Some(change) = lock(&self.0).changes.iter_mut().find(|change| change.number == number) {
            change.status = Some(status);
        }
    }

    /// All that are remembered.
    pub(super) fn list(&self) -> Vec<Change> {
        lock(&self.0).changes.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call<'a>(method: &'a str, path: &'a str, action: Option<&'a str>) -> Call<'a> {
        Call { method, path, query: None, action }
    }

    #[test]
    fn what_changes_something_is_remembered_until_there_is_too_much() {
        let changes = Changes::default();
        assert_eq!(changes.came(call("GET", "/v2/droplets", None), "/v2/droplets"), None);
        assert_eq!(changes.came(call("POST", "/", Some("DescribeImages")), "/"), None);
        assert_eq!(changes.came(call("POST", "/token", None), "/token"), None);
        let members = "/compute/v1/projects/p/zones/z/instanceGroups/g/listInstances";
        assert_eq!(changes.came(call("POST", members, None), members), None);
        let number = changes.came(call("POST", "/", Some("RunInstances")), "/").unwrap();
        assert_eq!(changes.list()[0].status, None);
        changes.answered(number, 200);
        let expected = r#"{"number":1,"method":"POST","path":"/","action":"RunInstances","status":200}"#;
        assert_eq!(serde_json::to_string(&changes.list()[0]).unwrap(), expected);
        for _ in 0..MOST {
            changes.came(call("DELETE", "/v2/droplets/1", None), "/v2/droplets/{id}");
        }
        assert_eq!((changes.list().len(), changes.list()[0].number), (MOST, 2));
        changes.answered(number, 200);
    }
}
