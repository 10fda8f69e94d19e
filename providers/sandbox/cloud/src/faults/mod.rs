//! Faults by rule: the API fails on purpose, in the ways in which the real one does.
//!
//! A rule says which calls it is about (method, path, type of action), which of those are hit (the nth, how many from
//! there on, every how many), and what then happens. Each rule counts for itself. When several rules hit one call, the
//! oldest of them has its way; the others count it all the same. Rules live in memory: a sandbox that is started again
//! has none.

mod admin;
mod changes;
mod inject;
mod rule;
mod stale;

pub use admin::{FaultList, FaultStatus};
pub use changes::{Change, ChangeList};
pub use rule::{Fault, FaultRule, InvalidRule};

pub use admin::routes;
pub use inject::layer;

use std::{
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

/// All rules, and what they need to know of the past.
#[derive(Debug, Default)]
pub struct Faults {
    rules: Mutex<Rules>,
    lists: stale::Lists,
    changes: changes::Changes,
    hold: OnceLock<Duration>,
}

#[derive(Debug, Default)]
struct Rules {
    last_id: u64,
    all: Vec<FaultStatus>,
}

/// A call, as rules look at it.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The method, in capitals.
    pub method: &'a str,
    /// The path, without the query.
    pub path: &'a str,
    /// What follows the `?`, as it was sent.
    pub query: Option<&'a str>,
    /// The `type` in the body, where there is one: the type of an action. Of Amazon's APIs, the operation's name.
    pub action: Option<&'a str>,
}

impl Call<'_> {
    /// Whether it only reads. Amazon's APIs are asked by `POST` for everything, and tell by the operation's name.
    fn is_read(&self) -> bool {
        let reads = |name: &str| ["Describe", "Get", "List"].iter().any(|verb| name.starts_with(verb));
        self.method == "GET" || self.action.is_some_and(reads)
    }
}

impl Faults {
    /// Holds every call that changes something back for so long before it is carried out, as a cloud takes longer to
    /// change than to read. No rule, and no fault: nothing counts it. Once set, it stays.
    pub fn hold_changes(&self, hold: Duration) {
        self.hold.get_or_init(|| hold);
    }

    /// How long a call is held back.
    fn hold(&self, call: Call<'_>) -> Duration {
        if call.is_read() { Duration::ZERO } else { self.hold.get().copied().unwrap_or_default() }
    }

    /// Adds a rule.
    ///
    /// # Errors
    ///
    /// What in it does not make sense.
    pub fn add(&self, rule: FaultRule) -> Result<FaultStatus, InvalidRule> {
        rule.check()?;
        let mut rules = self.lock();
        rules.last_id += 1;
        let status = FaultStatus { id: rules.last_id, rule, matched: 0, hit: 0 };
        rules.all.push(status.clone());
        Ok(status)
    }

    /// All rules, oldest first, with their counts.
    pub fn list(&self) -> Vec<FaultStatus> {
        self.lock().all.clone()
    }

    /// Removes one rule, or all. Returns how many there were.
    pub fn remove(&self, id: Option<u64>) -> usize {
        let mut rules = self.lock();
        let before = rules.all.len();
        rules.all.retain(|status| id.is_some_and(|id| status.id != id));
        before - rules.all.len()
    }

    /// Counts a call, and says which rule it is hit by.
    pub fn decide(&self, call: Call<'_>) -> Option<FaultRule> {
        let mut rules = self.lock();
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
    fn wants_body(&self, call: Call<'_>) -> bool {
        let acts = call.method == "POST" && call.path.ends_with("/actions");
        acts || self.lock().all.iter().any(|status| status.rule.action.is_some() && status.rule.is_about_path(call))
    }

    fn lock(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
