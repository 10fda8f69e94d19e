//! What goes wrong with the journal.

use jiff::Timestamp;

use super::Holder;
use crate::provider::ReleaseId;

/// A failed journal operation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The URL names no store that this build has.
    #[error("cannot keep the journal at `{url}`: {reason}")]
    Url {
        /// The URL of the manifest.
        url: String,
        /// Why not.
        reason: String,
    },
    /// The store does not answer as it should.
    #[error("cannot {operation} `{path}` in the journal")]
    Store {
        /// `read`, `write`, `list`.
        operation: &'static str,
        /// The object.
        path: String,
        /// Why.
        #[source]
        source: Box<object_store::Error>,
    },
    /// An object does not say what it should.
    #[error("`{path}` in the journal is damaged")]
    Damaged {
        /// The object.
        path: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// An object was written by a newer Remint.
    #[error("`{path}` in the journal has format {found}; this remint reads up to {known}")]
    TooNew {
        /// The object.
        path: String,
        /// Its format.
        found: u32,
        /// The newest format that is known here.
        known: u32,
    },
    /// Somebody else holds the lock.
    #[error("{environment} is locked by {holder} since {since}; the lock expires at {expires} unless it is renewed")]
    Held {
        /// The environment.
        environment: String,
        /// Who.
        holder: Box<Holder>,
        /// Since when.
        since: Timestamp,
        /// Until when, at least.
        expires: Timestamp,
    },
    /// The lock went to somebody else while this run held it.
    #[error("this run lost the lock on {environment}: {reason}")]
    Lost {
        /// The environment.
        environment: String,
        /// How.
        reason: String,
    },
    /// An object that must be new is there already.
    #[error("`{0}` in the journal exists already: another run wrote it")]
    Exists(String),
    /// The journal is another service's.
    #[error("the journal is of service {of}, and the manifest is of service {manifest}")]
    OtherService {
        /// The journal's service.
        of: String,
        /// The manifest's.
        manifest: String,
    },
    /// There is no such release.
    #[error("there is no release {release} in {environment}")]
    NoRelease {
        /// The release that was asked for.
        release: ReleaseId,
        /// The environment.
        environment: String,
    },
}

impl JournalError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Held { holder, expires, .. } => Some(format!(
                "wait until it is done, or stop process {} on {}; a lock that is not renewed can be taken over after {expires}",
                holder.pid, holder.host
            )),
            Self::Lost { .. } => {
                Some("run `remint status` to see who goes on; nothing is written without the lock".into())
            }
            Self::TooNew { .. } => Some("use the newer remint that wrote it".into()),
            Self::NoRelease { .. } => Some("`remint history` lists the releases".into()),
            Self::Url { .. } => Some("write `url = \"file:.remint\"`, or the URL of an object store".into()),
            Self::Store { .. } => Some("check that the journal's place exists and can be written".into()),
            Self::OtherService { of, .. } => Some(format!(
                "write `service = \"{of}\"` again; to rename the service, run `remint destroy` under the old name first; a new \
                 service needs a journal of its own: `url` in `[journal]`"
            )),
            Self::Damaged { .. } | Self::Exists(_) => None,
        }
    }
}
