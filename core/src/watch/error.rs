//! Why a wait ended without what was waited for.

use std::{sync::Arc, time::Duration};

use crate::provider::Error;

/// A wait that ended without success.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WatchError {
    /// The time is up.
    #[error("timed out after {} s waiting for {what} {goal} (last status: {last})", timeout.as_secs())]
    TimedOut {
        /// What was waited for: `instance app-7-0`.
        what: String,
        /// Which state: `to be running`.
        goal: String,
        /// How long was waited at most.
        timeout: Duration,
        /// The last status seen.
        last: String,
        /// The last failed look, where the last look failed.
        #[source]
        source: Option<Arc<Error>>,
    },
    /// What was waited for does not exist any more.
    #[error("{what} is gone while waiting for it {goal} (last status: {last})")]
    Gone {
        /// The thing, for messages: `instance app-7-0`.
        what: String,
        /// The state that was waited for: `to be running`.
        goal: String,
        /// The last status seen.
        last: String,
        /// What the cloud said when it was asked for it by its id: it may know why.
        #[source]
        source: Arc<Error>,
    },
    /// The cloud refuses to be asked.
    #[error("cannot wait for {what} {goal}")]
    Refused {
        /// The thing, for messages: `instance app-7-0`.
        what: String,
        /// The state that was waited for: `to be running`.
        goal: String,
        /// The provider's error, which no further look would change.
        #[source]
        source: Arc<Error>,
    },
}

impl WatchError {
    /// What the user can do about it, where the cloud said so.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::TimedOut { source, .. } => source.as_ref().and_then(|error| error.hint()),
            Self::Gone { source, .. } | Self::Refused { source, .. } => source.hint(),
        }
    }

    /// The provider's error behind it, where there is one.
    pub fn provider_error(&self) -> Option<&Error> {
        match self {
            Self::TimedOut { source, .. } => source.as_deref(),
            Self::Gone { source, .. } | Self::Refused { source, .. } => Some(source),
        }
    }
}
