//! What goes wrong with the journal.

use std::fmt;

use jiff::Timestamp;

use super::{Holder, ProcessState, ci};
use crate::{manifest::JournalSection, provider::ReleaseId};

/// A failed journal operation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The URL names no store that this build has.
    #[error("cannot keep the journal at `{url}`: {reason}")]
    Url {
        /// `journal.url` of the manifest.
        url: String,
        /// Why not.
        reason: String,
    },
    /// The store is there for others, or not at all: no bucket, no rights, no credentials, no conditional writes.
    #[error("cannot use the journal at `{url}`: {reason}")]
    Unusable {
        /// `journal.url` of the manifest.
        url: String,
        /// Why not.
        reason: String,
        /// What the user can do about it.
        hint: String,
    },
    /// The store does not answer as it should.
    #[error("cannot {operation} `{path}` in the journal")]
    Store {
        /// `read`, `write`, `list`.
        operation: &'static str,
        /// The name of the object below the journal's folder: `production/releases/000001/release.json`.
        path: String,
        /// The store's own error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An object is missing, or does not say what it should.
    #[error("`{path}` in the journal is damaged: {what}{}", also(known))]
    Damaged {
        /// The name of the object below the journal's folder.
        path: String,
        /// What is wrong with it: `it is empty`.
        what: String,
        /// What can be read nevertheless, where it is about releases.
        known: Option<Known>,
    },
    /// An object was written by a newer Remint.
    #[error("`{path}` in the journal has format {found}; this remint reads up to {known}")]
    TooNew {
        /// The name of the object below the journal's folder.
        path: String,
        /// The format that the object says it has.
        found: u32,
        /// The newest format that is known here.
        known: u32,
    },
    /// Somebody else holds the lock.
    #[error("{environment} is locked by {holder} since {since:.0}{}", how_long(*process, expires))]
    Held {
        /// The name of the environment whose lock it is.
        environment: String,
        /// The run that holds it: user, host, process and command.
        holder: Box<Holder>,
        /// What is known of their process.
        process: ProcessState,
        /// When the holder took it.
        since: Timestamp,
        /// Until when, at least.
        expires: Timestamp,
    },
    /// The lock went to somebody else while this run held it, or may have.
    #[error("this run lost the lock on {environment}: {reason}")]
    Lost {
        /// The name of the environment whose lock it was.
        environment: String,
        /// How it was lost, as a fragment: `it was not renewed in time`.
        reason: &'static str,
    },
    /// The user asked to stop while this run waited for the lock.
    #[error("interrupted while waiting for the lock on {0}")]
    Interrupted(String),
    /// An object that must be new is there already.
    #[error("`{0}` in the journal exists already: another run wrote it")]
    Exists(String),
    /// The journal is another service's.
    #[error("the journal is of service {of}, and the manifest is of service {manifest}")]
    OtherService {
        /// The service in the journal's `service.json`.
        of: String,
        /// The service in the manifest.
        manifest: String,
    },
    /// The journal is at another place now.
    #[error("the journal has moved to `{}`, at {at:.0} by {}", ci::line(&to.url), ci::line(by))]
    Moved {
        /// Where it is now.
        to: Box<JournalSection>,
        /// When it was moved.
        at: Timestamp,
        /// Who moved it.
        by: String,
    },
    /// A journal was being copied to here when the run that did it ended.
    #[error("the move of the journal from `{}` to here has not been finished", ci::line(from))]
    Arriving {
        /// The URL of the old place.
        from: String,
    },
    /// The journal stays where it is.
    #[error("cannot move the journal to `{to}`: {reason}")]
    NotMoved {
        /// The URL of the place to which it was to be moved.
        to: String,
        /// Why not.
        reason: String,
        /// What the user can do about it.
        hint: &'static str,
    },
    /// The user asked to stop while the journal was copied to another place.
    #[error("interrupted while the journal was copied; it is where it was")]
    MoveInterrupted,
    /// The environment's journal has no release of that number.
    #[error("there is no release {release} in {environment}")]
    NoRelease {
        /// The release that was asked for.
        release: ReleaseId,
        /// The name of the environment whose journal was read.
        environment: String,
    },
}

/// Which releases of a damaged journal can be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Releases whose record and entries can all be read, in ascending order.
    pub readable: Vec<ReleaseId>,
    /// Releases of which something is missing or cannot be read, in ascending order.
    pub damaged: Vec<ReleaseId>,
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.readable[..], &self.damaged[..]) {
            ([], damaged) => write!(f, "{} cannot be read", list(damaged)),
            (readable, []) => write!(f, "{} can be read", list(readable)),
            (readable, damaged) => write!(f, "{} can be read, {} cannot", list(readable), list(damaged)),
        }
    }
}

/// `r1 to r5 and r7`.
fn list(ids: &[ReleaseId]) -> String {
    let mut ranges: Vec<(ReleaseId, ReleaseId)> = Vec::new();
    for id in ids {
        match ranges.last_mut() {
            Some((_, last)) if last.0 + 1 == id.0 => *last = *id,
            _ => ranges.push((*id, *id)),
        }
    }
    let mut words: Vec<String> = Vec::new();
    for (first, last) in ranges {
        match last.0 - first.0 {
            0 => words.push(first.to_string()),
            1 => words.extend([first.to_string(), last.to_string()]),
            _ => words.push(format!("{first} to {last}")),
        }
    }
    match words.pop() {
        Some(last) if words.is_empty() => last,
        Some(last) => format!("{} and {last}", words.join(", ")),
        None => String::new(),
    }
}

fn also(known: &Option<Known>) -> String {
    known.as_ref().map_or_else(String::new, |known| format!("; {known}"))
}

fn how_long(process: ProcessState, expires: &Timestamp) -> String {
    match process {
        ProcessState::Alive => "; its process is alive on this host".to_owned(),
        ProcessState::Dead | ProcessState::Unknown => {
            format!("; the lock expires at {expires:.0} unless it is renewed")
        }
    }
}

impl JournalError {
    /// A damaged object, in words that follow its name: `it is empty`.
    pub(super) fn damaged(path: &str, what: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), what: what.into(), known: None }
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Held { holder, process: ProcessState::Alive, .. } => {
                Some(format!("wait until it is done, or stop process {}; `--lock-wait 5m` waits for it", holder.pid))
            }
            Self::Held { holder, expires, .. } => Some(format!(
                "wait until it is done (`--lock-wait 5m` does), or stop process {} on {}; a lock that is not renewed can be \
                 taken over after {expires:.0}, or at once with `remint lock release`",
                holder.pid, holder.host
            )),
            Self::Lost { .. } => {
                Some("run `remint status` to see who goes on; nothing is changed without the lock".into())
            }
            Self::TooNew { .. } => Some("use the newer remint that wrote it".into()),
            Self::NoRelease { .. } => Some("`remint history` lists the releases".into()),
            Self::Url { .. } => {
                Some("write `url = \"file:.remint\"`, `s3://BUCKET/PREFIX` or `gs://BUCKET/PREFIX`".into())
            }
            Self::Unusable { hint, .. } => Some(hint.clone()),
            Self::Store { .. } => Some("check that the journal's place exists and can be written".into()),
            Self::Damaged { .. } => {
                Some("`remint journal check` lists what is wrong, `remint journal repair` mends it".into())
            }
            Self::OtherService { of, .. } => Some(format!(
                "write `service = \"{of}\"` again; to rename the service, run `remint destroy` under the old name first; a new \
                 service needs a journal of its own: `url` in `[journal]`"
            )),
            Self::Moved { to, .. } => {
                let keys: Vec<_> = to.keys().iter().map(|key| ci::line(key)).collect();
                Some(format!("write this in `[journal]` of the manifest: {}", keys.join(", ")))
            }
            Self::Arriving { from } => Some(format!(
                "let `url` in `[journal]` be `{}` again, and repeat `remint journal move --to` with this place",
                ci::line(from)
            )),
            Self::NotMoved { hint, .. } => Some((*hint).to_owned()),
            Self::MoveInterrupted => Some("the same command continues the move".into()),
            Self::Exists(_) | Self::Interrupted(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_a_damaged_journal_reads_well() {
        let ids = |ids: &[u64]| ids.iter().copied().map(ReleaseId).collect::<Vec<_>>();
        let known =
            |readable: &[u64], damaged: &[u64]| Known { readable: ids(readable), damaged: ids(damaged) }.to_string();
        assert_eq!(known(&[1, 2], &[3]), "r1 and r2 can be read, r3 cannot");
        assert_eq!(known(&[1, 2, 3, 4, 7], &[5, 6]), "r1 to r4 and r7 can be read, r5 and r6 cannot");
        assert_eq!(known(&[], &[1]), "r1 cannot be read");
    }
}
