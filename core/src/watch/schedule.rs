//! When to look next.

use std::time::Duration;

use tokio::time::Instant;

/// The pause between two looks, as a share of the time already waited.
///
/// Half of it is the delay that looking adds on average. A tenth costs about seven looks while a wait doubles.
const SHARE: f64 = 0.1;
/// The same where nothing else waits for the end, and each look is dear beside it.
const LEISURELY_SHARE: f64 = 0.45;
/// The pause as a share of the time that a whole run has taken so far: what looking can add to the run at most.
const SHARE_OF_RUN: f64 = 0.08;
/// The same for a short part of a run, of which there are several: their delays add up.
const SHORT_PART_SHARE: f64 = 0.05;
const SHORTEST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(30);

/// What is waited for, in words, and for how long.
#[derive(Debug, Clone)]
pub struct Wait {
    pub(super) goal: String,
    pub(super) first: Duration,
    pub(super) timeout: Duration,
    share: f64,
    /// From when on time counts for the pauses, where that is before the wait begins.
    since: Option<Instant>,
}

impl Wait {
    /// Waits for something "to be running", for five minutes at most, looking at once.
    pub fn new(goal: impl Into<String>) -> Self {
        Self { goal: goal.into(), first: Duration::ZERO, timeout: Duration::from_secs(300), share: SHARE, since: None }
    }

    /// What the cloud takes at best. The first look is one pause later: at this very moment it would come too early
    /// nearly always.
    #[must_use]
    pub fn first(mut self, first: Duration) -> Self {
        self.first = first;
        self
    }

    /// Looks seldom: nothing else has to wait for it.
    #[must_use]
    pub fn leisurely(mut self) -> Self {
        self.share = LEISURELY_SHARE;
        self
    }

    /// Sees the wait as a short part of a run that started then: a few looks, for a delay that the run hardly notices.
    #[must_use]
    pub fn short_part(mut self, started: Instant) -> Self {
        self.since = Some(started);
        self.share = SHORT_PART_SHARE;
        self
    }

    /// Sees the wait as the long part of a run that started then: the pauses are a share of the whole run's time.
    #[must_use]
    pub fn of_run(mut self, started: Instant) -> Self {
        self.since = Some(started);
        self.share = SHARE_OF_RUN;
        self
    }

    /// Gives up after this.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    pub(super) fn start(&self) -> Schedule {
        let started = Instant::now();
        let base = self.since.unwrap_or(started);
        let at_best = started + self.first;
        // Nothing at all where nothing was waited for yet: then the first look is at once.
        let pause = (at_best - base).mul_f64(self.share).min(LONGEST);
        let deadline = started + self.timeout;
        Schedule { started, base, first: (at_best + pause).min(deadline), deadline, share: self.share }
    }
}

/// One waiter's times.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    pub(super) started: Instant,
    /// From when on time counts for the pauses.
    base: Instant,
    first: Instant,
    deadline: Instant,
    share: f64,
}

impl Schedule {
    /// The first look.
    pub(super) fn first(&self) -> Instant {
        self.first
    }

    /// The look after one that was made at `looked`. The jitter is drawn once per look, not per waiter: the earliest of
    /// many draws would make many waiters look more often than one.
    pub(super) fn after(&self, looked: Instant, jitter: f64) -> Instant {
        let waited = looked.duration_since(self.base);
        let pause = waited.mul_f64(self.share).clamp(SHORTEST, LONGEST).mul_f64(jitter);
        (looked + pause).max(self.first).min(self.deadline)
    }

    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.deadline
    }
}

/// A factor around one, so that many runs on one account do not look in step.
pub(super) fn jitter() -> f64 {
    crate::chance::within(0.9..=1.1)
}
