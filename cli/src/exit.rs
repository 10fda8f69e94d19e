//! Exit codes, and the error that carries one.

use std::fmt;

use remint_core::error::{EngineError, EngineErrorKind};

/// How the command ended. The numbers are an interface: scripts depend on them (`docs/cli.md` lists them).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ExitStatus {
    /// All went well.
    Success = 0,
    /// Something failed that has no number of its own.
    Failure = 1,
    /// The command line was not understood. The number is clap's.
    Usage = 2,
    /// `remint.toml` was refused; nothing was changed.
    Manifest = 3,
    /// The cloud refused the credentials, or there are none.
    Credentials = 4,
    /// The image could not be baked; the builder is gone, unless it is kept, and what stood before stands.
    Bake = 5,
    /// A new release did not pass its gate or its verification and was undone; the old one serves.
    Gate = 6,
    /// Another run holds the environment's lock.
    Locked = 7,
    /// The cloud refused or failed something else: a quota, no capacity, a conflict, an outage.
    Provider = 8,
    /// `remint plan --detailed-exit-code` found changes.
    Changes = 9,
    /// A case of the conformance suite failed, or did not end in time.
    NotConformant = 10,
    /// No case of the conformance suite was run, which proves nothing.
    NothingRun = 11,
    /// All cases that were run did as they should, and something that they made is left.
    Leaked = 12,
    /// The service runs here, deployed by another journal; or the journal is another service's. Nothing was changed.
    Foreign = 13,
    /// Ctrl-C, and everything was cleaned up.
    Interrupted = 130,
}

impl ExitStatus {
    /// All of them with a sentence each, in the order of their numbers.
    pub const TABLE: &'static [(Self, &'static str)] = &[
        (Self::Success, "all went well"),
        (Self::Failure, "something failed that has no number of its own"),
        (Self::Usage, "the command line was not understood"),
        (Self::Manifest, "remint.toml was refused; nothing was changed"),
        (Self::Credentials, "the cloud refused the credentials, or there are none"),
        (Self::Bake, "the image could not be baked; the builder is gone, unless `--on-error` keeps it"),
        (Self::Gate, "the new release was not healthy and was undone; the old one serves"),
        (Self::Locked, "another run holds the environment's lock"),
        (Self::Provider, "the cloud refused or failed something else: a quota, no capacity, a conflict, an outage"),
        (Self::Changes, "plan --detailed-exit-code found changes"),
        (Self::NotConformant, "conformance: a case failed, or did not end in time"),
        (Self::NothingRun, "conformance: no case was run, which proves nothing"),
        (Self::Leaked, "conformance: the cases passed, and something that they made is left"),
        (
            Self::Foreign,
            "what runs here was deployed by another journal, or the journal is another service's; nothing was changed",
        ),
        (Self::Interrupted, "interrupted, and cleaned up"),
    ];

    /// The exit code of the process, one of the table in the book.
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// An error on its way to the terminal: the exit status, the chain, and what to do about it.
#[derive(Debug)]
pub struct Failure {
    /// How the process ends.
    pub status: ExitStatus,
    /// What went wrong, with its causes.
    pub error: anyhow::Error,
    /// What the user can do, a sentence each, without a period.
    pub hints: Vec<String>,
    /// The last lines of what failed, where there are any.
    pub details: Vec<String>,
}

impl Failure {
    /// A failure with a status of its own.
    pub fn new(status: ExitStatus, error: impl Into<anyhow::Error>) -> Self {
        Self { status, error: error.into(), hints: Vec::new(), details: Vec::new() }
    }

    /// The user asked to stop.
    pub fn interrupted() -> Self {
        Self::new(ExitStatus::Interrupted, anyhow::anyhow!("interrupted"))
    }

    /// Adds what the user can do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.error)
    }
}

impl From<remint_core::provider::Error> for Failure {
    fn from(error: remint_core::provider::Error) -> Self {
        use remint_core::provider::ErrorKind;
        let status = match error.kind() {
            ErrorKind::Unauthenticated | ErrorKind::Forbidden => ExitStatus::Credentials,
            ErrorKind::LockLost => ExitStatus::Locked,
            _ => ExitStatus::Provider,
        };
        let hints = error.hint().map(str::to_owned).into_iter().collect();
        Self { hints, ..Self::new(status, error) }
    }
}

impl From<remint_core::manifest::Diagnostics> for Failure {
    fn from(error: remint_core::manifest::Diagnostics) -> Self {
        Self::new(ExitStatus::Manifest, error)
    }
}

impl From<remint_core::journal::JournalError> for Failure {
    fn from(error: remint_core::journal::JournalError) -> Self {
        use remint_core::journal::JournalError;
        let status = match &error {
            JournalError::Held { .. } | JournalError::Lost { .. } => ExitStatus::Locked,
            JournalError::Url { .. } | JournalError::Moved { .. } => ExitStatus::Manifest,
            JournalError::OtherService { .. } => ExitStatus::Foreign,
            JournalError::Interrupted(_) | JournalError::MoveInterrupted => ExitStatus::Interrupted,
            _ => ExitStatus::Failure,
        };
        let hints = error.hint().into_iter().collect();
        Self { hints, ..Self::new(status, error) }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let status = match error.kind() {
            EngineErrorKind::Manifest => ExitStatus::Manifest,
            EngineErrorKind::Credentials => ExitStatus::Credentials,
            EngineErrorKind::Bake => ExitStatus::Bake,
            EngineErrorKind::Gate => ExitStatus::Gate,
            EngineErrorKind::Locked => ExitStatus::Locked,
            EngineErrorKind::Foreign => ExitStatus::Foreign,
            EngineErrorKind::Interrupted => ExitStatus::Interrupted,
            EngineErrorKind::Conflict | EngineErrorKind::Provider => ExitStatus::Provider,
            _ => ExitStatus::Failure,
        };
        let (hints, details) = (error.hints().to_vec(), error.detail_lines().to_vec());
        Self { hints, details, ..Self::new(status, error) }
    }
}

#[cfg(feature = "sandbox")]
impl From<remint_sandbox::process::SandboxError> for Failure {
    fn from(error: remint_sandbox::process::SandboxError) -> Self {
        Self::new(ExitStatus::Failure, error)
    }
}

#[cfg(feature = "sandbox")]
impl From<remint_sandbox::base_image::ImageError> for Failure {
    fn from(error: remint_sandbox::base_image::ImageError) -> Self {
        Self::new(ExitStatus::Failure, error)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::new(ExitStatus::Failure, error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(ExitStatus::Failure, error)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_endings_share_a_number() {
        let codes: BTreeSet<_> = ExitStatus::TABLE.iter().map(|(status, _)| status.code()).collect();
        assert_eq!(codes.len(), ExitStatus::TABLE.len());
    }

    #[test]
    fn the_book_lists_every_ending() {
        let book = include_str!("../../docs/cli.md");
        for (status, sentence) in ExitStatus::TABLE {
            let row = format!("| {} | {sentence} |", status.code());
            assert!(book.contains(&row), "docs/cli.md lacks the row {row}");
        }
    }
}
