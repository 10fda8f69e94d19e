//! One case: a sentence of a contract, and the function that holds a provider to it.

use std::{fmt, time::Duration};

use futures::future::BoxFuture;
use remint_core::provider::{Capability, Error};
use serde::{Deserialize, Serialize};

use crate::{CaseContext, Setting};

/// Whether every provider has to pass a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Remint does not work without it.
    Core,
    /// A convenience, or a corner that users rarely see.
    Extended,
}

/// What running a case on a real account costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cost {
    /// Calls only; nothing is created.
    Free,
    /// Resources that cost nothing or next to nothing: keys, records.
    Cheap,
    /// Instances, images or addresses.
    Billable,
}

/// Why a case failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(String);

impl Failure {
    /// A failure in words.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(format!("{error} (kind {:?}, effect {:?})", error.kind(), error.effect()))
    }
}

/// The function of a case.
pub type CaseFn = fn(CaseContext) -> BoxFuture<'static, Result<(), Failure>>;

/// One case: what it holds the provider to, what it needs, and the function that does it.
#[derive(Clone, Copy)]
pub struct Case {
    /// Its id: the concern, a dot, what is held.
    pub id: &'static str,
    /// What is held, as a sentence without a period.
    pub title: &'static str,
    /// Whether every provider has to pass it.
    pub level: Level,
    /// The capabilities without which it says nothing.
    pub needs: &'static [Capability],
    /// What the target must bring.
    pub settings: &'static [Setting],
    /// The dearest thing that it creates. A run on an account asks before it spends money.
    pub cost: Cost,
    /// The most instances that it launches, for the estimate of what it costs.
    pub machines: u32,
    /// Whether it would be in the way of others on the same target: it changes limits, counts, or loses replies.
    pub secluded: bool,
    /// How long it may take on a cloud that takes its time; multiplied by [`crate::Target::patience`].
    pub timeout: Duration,
    /// The case itself; it returns the first thing that does not hold.
    pub run: CaseFn,
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id)
    }
}

impl Case {
    /// A core case that launches one instance, and may take ten minutes.
    pub const fn new(id: &'static str, title: &'static str, run: CaseFn) -> Self {
        Self {
            id,
            title,
            level: Level::Core,
            needs: &[],
            settings: &[],
            cost: Cost::Billable,
            machines: 1,
            secluded: false,
            timeout: Duration::from_secs(600),
            run,
        }
    }

    /// The concern: what stands before the last dot of the id.
    pub fn concern(&self) -> &'static str {
        self.id.rsplit_once('.').map_or(self.id, |(concern, _)| concern)
    }

    /// Whether it has to have a target of its own.
    pub fn is_secluded(&self) -> bool {
        self.secluded || self.settings.iter().any(|setting| setting.needs_seclusion())
    }

    /// The capabilities that it needs.
    #[must_use]
    pub const fn needs(self, needs: &'static [Capability]) -> Self {
        Self { needs, ..self }
    }

    /// What the target must bring.
    #[must_use]
    pub const fn with(self, settings: &'static [Setting]) -> Self {
        Self { settings, ..self }
    }

    /// It launches nothing, and costs this at most.
    #[must_use]
    pub const fn costs(self, cost: Cost) -> Self {
        Self { cost, machines: 0, ..self }
    }

    /// It launches several instances.
    #[must_use]
    pub const fn machines(self, machines: u32) -> Self {
        Self { machines, ..self }
    }

    /// It has to have a target of its own.
    #[must_use]
    pub const fn secluded(self) -> Self {
        Self { secluded: true, ..self }
    }

    /// Not every provider has to pass it.
    #[must_use]
    pub const fn extended(self) -> Self {
        Self { level: Level::Extended, ..self }
    }

    /// It may take this many minutes.
    #[must_use]
    pub const fn minutes(self, minutes: u64) -> Self {
        Self { timeout: Duration::from_secs(minutes * 60), ..self }
    }
}
