//! `move.json`: what a move of the journal has left at a place.
//!
//! At the old place: *leaving*, then *moved*. At the new place: *arriving*, then *arrived*. The object is never deleted, and each
//! change of it is a compare-and-swap. So a run that takes a lock at the old place after the mover has lost it turns *leaving* into
//! *cancelled*, or finds *moved*, and never both.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::JournalError;
use crate::{manifest::JournalSection, provider::ServiceId};

/// The object, next to `service.json`.
pub(super) const NAME: &str = "move.json";

/// How a move stands at a place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(super) enum Mark {
    /// A run copies the journal to another place. Until it is done, the journal is here.
    Leaving {
        /// Of the move.
        id: Uuid,
    },
    /// Another run has taken a lock since; the copy is not used.
    Cancelled {
        /// Of the move.
        id: Uuid,
    },
    /// The journal is at another place.
    Moved(Pointer),
    /// The journal of another place is copied to here, and is still there.
    Arriving {
        /// Of the move.
        id: Uuid,
        /// The service whose journal it is.
        service: ServiceId,
        /// The URL of the old place.
        from: String,
    },
    /// The journal is here, and was at another place before.
    Arrived {
        /// Of the move.
        id: Uuid,
        /// The URL of the old place.
        from: String,
    },
}

/// Where a journal is now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Pointer {
    /// Of the move.
    pub(super) id: Uuid,
    /// What the manifest must say.
    pub(super) to: JournalSection,
    /// When it was moved.
    pub(super) at: Timestamp,
    /// Who moved it and from where, for people.
    pub(super) by: String,
}

impl Mark {
    /// Why no journal can be used at a place with this mark.
    pub(super) fn refusal(&self) -> Option<JournalError> {
        match self {
            Self::Moved(Pointer { to, at, by, .. }) => {
                Some(JournalError::Moved { to: Box::new(to.clone()), at: *at, by: by.clone() })
            }
            Self::Arriving { from, .. } => Some(JournalError::Arriving { from: from.clone() }),
            Self::Leaving { .. } | Self::Cancelled { .. } | Self::Arrived { .. } => None,
        }
    }
}
