//! All rules of a sandbox, and what they need to know of the past.

use std::{
    sync::{Mutex, OnceLock},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{
    call::Call,
    changes::Changes,
    rule::{FaultRule, InvalidRule},
    stale::Lists,
};
use crate::lock::lock;

/// A rule, with what it did so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaultStatus {
    /// Its number.
    pub id: u64,
    /// When the fault happens, and what it is.
    pub rule: FaultRule,
    /// How many calls it was about.
    pub matched: u64,
    /// How many of them it hit.
    pub hit: u64,
}

/// All rules, and what they need to know of the past.
#[derive(Debug, Default)]
pub struct Faults {
    rules: Mutex<Rules>,
    pub(super) lists: Lists,
    pub(super) changes: Changes,
    hold: OnceLock<Duration>,
}

#[derive(Debug, Default)]
struct Rules {
    last_id: u64,
    all: Vec<FaultStatus>,
}

impl Faults {
    /// Holds every call that changes something back for so long before it is carried out, as a cloud takes longer to
    /// change than to read. No rule, and no fault: nothing counts it. Once set, it stays.
    pub fn hold_changes(&self, hold: Duration) {
        self.hold.get_or_init(|| hold);
    }

    /// How long a call is held back.
    pub(super) fn hold(&self, call: Call<'_>) -> Duration {
        if call.is_read() { Duration::ZERO } else { self.hold.get().copied().unwrap_or_default() }
    }

    /// Adds a rule.
    ///
    /// # Errors
    ///
    /// What in it does not make sense.
    pub fn add(&self, rule: FaultRule) -> Result<FaultStatus, InvalidRule> {
        rule.check()?;
        let mut rules = lock(&self.rules);
        rules.last_id += 1;
        let status = FaultStatus { id: rules.last_id, rule, matched: 0, hit: 0 };
        rules.all.push(status.clone());
        Ok(status)
    }

    /// All rules, oldest first, with their counts.
    pub fn list(&self) -> Vec<FaultStatus> {
        lock(&self.rules).all.clone()
    }

    /// Removes one rule, or all. Returns how many there were.
    pub fn remove(&self, id: Option<u64>) -> usize {
        let mut rules = lock(&self.rules);
        let before = rules.all.len();
        rules.all.retain(|status| id.is_some_and(|id| status.id != id));
        before - rules.all.len()
    }

    /// Counts a call, and says which rule it is hit by.
    pub fn decide(&self, call: Call<'_>) -> Option<FaultRule> {
        let mut rules = lock(&self.rules);
        let mut chosen = None;
        for status in rules.all.iter_mut().filter(|status| status.rule.is_about(call)) {
            status.matched += 1;
            if chosen.is_none() && status.rule.hits(status.matched) {
                status.hit += 1;
                chosen = Some(status.rule.clone());
            }
        }
        chosen
    }

    /// Whether the body says what the call does, or some rule about this method and path also looks at it.
    pub(super) fn wants_body(&self, call: Call<'_>) -> bool {
        let acts = call.method == "POST" && call.path.ends_with("/actions");
        acts || lock(&self.rules)
            .all
            .iter()
            .any(|status| status.rule.action.is_some() && status.rule.is_about_path(call))
    }
}
