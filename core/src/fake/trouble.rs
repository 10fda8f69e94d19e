//! Trouble that somebody asks for; [`Faults`](super::Faults) are drawn.

use std::{collections::BTreeMap, time::Duration};

use super::faults::Refused;
use crate::provider::{Effect, ErrorKind};

/// After how long a client that asks too often may come back.
const RETRY_AFTER: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Trouble {
    failing: BTreeMap<&'static str, ErrorKind>,
    /// Operations whose next reply is lost.
    losses: Vec<&'static str>,
    /// Operations that are turned away, and how often.
    refusals: Vec<(&'static str, ErrorKind, u64)>,
    hits: u64,
}

impl Trouble {
    #[cfg(test)]
    pub(super) fn fail(&mut self, operation: &'static str, kind: Option<ErrorKind>) {
        match kind {
            Some(kind) => self.failing.insert(operation, kind),
            None => self.failing.remove(operation),
        };
    }

    /// As what every call of an operation fails.
    pub(super) fn failing(&self, operation: &str) -> Option<ErrorKind> {
        self.failing.get(operation).copied()
    }

    pub(super) fn lose_next(&mut self, operation: &'static str) {
        self.losses.push(operation);
    }

    pub(super) fn refuse_next(&mut self, operation: &'static str, kind: ErrorKind, times: u64) {
        self.refusals.push((operation, kind, times));
    }

    pub(super) fn recover(&mut self) {
        self.losses.clear();
        self.refusals.clear();
    }

    pub(super) fn hits(&self) -> u64 {
        self.hits
    }

    /// How a request is turned away, if it is.
    pub(super) fn refuses(&mut self, operation: &str) -> Option<Refused> {
        let (_, kind, left) = self.refusals.iter_mut().find(|(known, _, left)| *known == operation && *left > 0)?;
        *left -= 1;
        self.hits += 1;
        let limited = *kind == ErrorKind::RateLimited;
        // Who is out of service does not say what it did.
        let effect = if limited { Effect::NotApplied } else { Effect::Unknown };
        Some(Refused { kind: *kind, after: limited.then_some(RETRY_AFTER), effect })
    }

    /// Whether the reply to a request is lost.
    pub(super) fn loses(&mut self, operation: &str) -> bool {
        let Some(place) = self.losses.iter().position(|known| *known == operation) else { return false };
        self.losses.remove(place);
        self.hits += 1;
        true
    }
}
