//! What happened in one simulated world, for a reader; and how often what happened in all of them.

use std::{collections::BTreeMap, fmt};

use tokio::time::Instant;

/// The lines of one world. Only a run whose trace is wanted keeps them: they cost more than the run itself.
#[derive(Debug)]
pub(super) struct Trace {
    started: Instant,
    lines: Option<Vec<(Instant, String)>>,
}

impl Trace {
    pub(super) fn new(kept: bool) -> Self {
        Self { started: Instant::now(), lines: kept.then(Vec::new) }
    }

    pub(super) fn is_kept(&self) -> bool {
        self.lines.is_some()
    }

    /// Something that a process, or the world, did at a time.
    pub(super) fn line(&mut self, at: Instant, who: impl fmt::Display, what: impl fmt::Display) {
        if let Some(lines) = &mut self.lines {
            lines.push((at, format!("{who:<6} {what}")));
        }
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What happened by itself is noticed when somebody looks the next time.
        let mut lines: Vec<_> = self.lines.iter().flatten().collect();
        lines.sort_by_key(|(at, _)| *at);
        lines.into_iter().try_for_each(|(at, line)| {
            writeln!(f, "{:10.3} {line}", at.saturating_duration_since(self.started).as_secs_f64())
        })
    }
}

/// How often what happened.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Counts(BTreeMap<String, u64>);

impl Counts {
    pub(super) fn add(&mut self, what: impl Into<String>) {
        *self.0.entry(what.into()).or_default() += 1;
    }

    pub(super) fn merge(&mut self, other: Self) {
        for (what, count) in other.0 {
            *self.0.entry(what).or_default() += count;
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(what, count)| writeln!(f, "{count:>9}  {what}"))
    }
}
