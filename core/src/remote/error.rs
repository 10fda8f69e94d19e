//! What can go wrong on the way into a machine.

use std::{net::SocketAddr, time::Duration};

/// A connection, command or transfer that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// Nothing that speaks SSH answers there (yet): refused, reset, closed before the banner, silent.
    #[error("{endpoint} does not answer SSH: {reason}")]
    Unreachable {
        /// The socket address that was tried.
        endpoint: SocketAddr,
        /// How it failed.
        reason: String,
    },
    /// Another host key than the one expected. Nothing was sent.
    #[error(
        "the machine at {endpoint} answers with another host key than the one that Remint installed (expected \
         {expected}, got {got}): somebody is in the middle, or cloud-init did not install it"
    )]
    HostKeyMismatch {
        /// The socket address that was tried.
        endpoint: SocketAddr,
        /// The SHA-256 fingerprint of the host key that Remint installed.
        expected: String,
        /// The fingerprint of the key that was presented, or what was presented in its place.
        got: String,
    },
    /// The machine is the right one and does not accept the login key (yet).
    #[error("{endpoint} does not accept the login key for {user}")]
    AuthRefused {
        /// The socket address of the machine.
        endpoint: SocketAddr,
        /// The user that was to be logged in: `root`.
        user: String,
    },
    /// The machine did not let us in before the deadline.
    #[error("timed out after {} s waiting for SSH (last attempt: {last}){}", waited.as_secs(), told(foreign.as_deref()))]
    NotInTime {
        /// How long was waited.
        waited: Duration,
        /// Why the last attempt failed.
        last: Box<RemoteError>,
        /// The last host key that was seen, in the last attempt or an earlier one. It was not Remint's.
        foreign: Option<Box<ForeignKey>>,
    },
    /// The connection broke in the middle of something.
    #[error("lost the connection to {endpoint} while {doing}")]
    ConnectionLost {
        /// The socket address of the machine.
        endpoint: SocketAddr,
        /// What was going on, as it follows "while": `opening a channel for files`.
        doing: String,
        /// The last lines that were seen.
        tail: Vec<String>,
    },
    /// A command took longer than allowed, and was killed.
    #[error("the command did not end within {} s and was killed", after.as_secs_f64())]
    CommandTimeout {
        /// The time that it was allowed.
        after: Duration,
        /// The last lines that it wrote.
        tail: Vec<String>,
    },
    /// The machine refused to run the command or open a file channel at all.
    #[error("{endpoint} refused {what}")]
    Refused {
        /// The socket address of the machine.
        endpoint: SocketAddr,
        /// What was asked for, as it follows "refused": `to run a command`.
        what: String,
    },
    /// A file could not be transferred.
    #[error("{operation} {path} on the machine: {reason}")]
    Transfer {
        /// What was tried: "write", "rename".
        operation: &'static str,
        /// The absolute path on the machine.
        path: String,
        /// Why, in the machine's words where it answered.
        reason: String,
    },
    /// Whom files were to be given to is unknown there.
    #[error("cannot give files to `{owner}` on the machine: {reason}")]
    Owner {
        /// The `user` or `user:group`.
        owner: String,
        /// What the machine says.
        reason: String,
    },
    /// The machine could not unpack the files that were copied.
    #[error("cannot unpack files on the machine: {reason}")]
    Unpack {
        /// How `tar` ended on the machine, and what it wrote.
        reason: String,
    },
    /// A file on this side cannot be read.
    #[error("{path}")]
    Local {
        /// The path of the file on this side.
        path: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// The caller cancelled it.
    #[error("interrupted")]
    Cancelled,
}

/// A host key that a machine showed in its first boot, in place of the one that Remint installs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// The fingerprint of Remint's key.
    pub expected: String,
    /// The fingerprint of the key that was shown, or what was shown in its place.
    pub got: String,
    /// What replaces host keys on that cloud, as its provider says.
    pub explained: &'static str,
}

fn told(foreign: Option<&ForeignKey>) -> String {
    let Some(ForeignKey { expected, got, explained }) = foreign else { return String::new() };
    format!("; the last host key that it showed was {got}, and Remint's is {expected}: {explained}")
}

impl RemoteError {
    /// The last lines of output that were seen before the error.
    pub fn tail(&self) -> &[String] {
        match self {
            Self::ConnectionLost { tail, .. } | Self::CommandTimeout { tail, .. } => tail,
            _ => &[],
        }
    }

    /// Whether a machine that boots may still get over it.
    pub fn may_pass_while_booting(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::HostKeyMismatch { .. }
                | Self::AuthRefused { .. }
                | Self::ConnectionLost { .. }
                | Self::Refused { .. }
        )
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::HostKeyMismatch { .. } | Self::NotInTime { foreign: Some(_), .. } => Some(
                "look at the machine's console (`remint console`): cloud-init says there whether it installed the host \
                 key; if it did, do not trust the network in between",
            ),
            Self::NotInTime { last, .. } => last.hint(),
            Self::Owner { .. } => Some("create the user and the group in a step before this one"),
            Self::Unpack { reason } if reason.starts_with("it has no ") => Some(
                "files are copied with `tar` and `gzip`: install both in the base image, or in a step before this one",
            ),
            Self::Unpack { reason } if reason.contains("No space left") => {
                Some("give the builder a larger disk with `builder_size`, or copy less")
            }
            Self::AuthRefused { .. } => Some("check that the image runs cloud-init and lets root log in by key"),
            _ => None,
        }
    }
}
