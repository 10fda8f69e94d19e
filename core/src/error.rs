//! What goes wrong with a command, in one form: kind, message, causes, hints, and the last lines of a machine.

use std::fmt;

use crate::{
    bake::BakeError,
    health::HealthError,
    journal::JournalError,
    machine::MachineError,
    manifest::RenderError,
    provider::{self, ErrorKind},
    remote::RemoteError,
    userdata::UserDataError,
    watch::WatchError,
};

/// What kind of failure it is; the command's exit codes tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EngineErrorKind {
    /// The manifest asks for something that cannot be.
    Manifest,
    /// The cloud refuses the credentials.
    Credentials,
    /// The image could not be baked.
    Bake,
    /// A new instance did not pass its gate, or the service failed behind the address; it was undone.
    Gate,
    /// Something belongs to something else, or is not as the journal says.
    Conflict,
    /// The service runs here, deployed by another journal; or the journal is another service's. Nothing was changed.
    Foreign,
    /// Somebody else holds the lock, or took it.
    Locked,
    /// The user asked to stop.
    Interrupted,
    /// The cloud does not do as asked.
    Provider,
    /// The journal cannot be read or written.
    Journal,
}

/// A failed deploy, rollback, plan or clean-up.
#[derive(Debug)]
pub struct EngineError {
    kind: EngineErrorKind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
    hints: Vec<String>,
    details: Vec<String>,
}

impl EngineError {
    /// A failure, as a lowercase fragment.
    pub(crate) fn new(kind: EngineErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None, hints: Vec::new(), details: Vec::new() }
    }

    /// A bake that failed, or was interrupted.
    pub fn bake(source: BakeError) -> Self {
        let hints = source.hint().into_iter().collect();
        let (kind, message) = match &source {
            source if source.is_cancelled() => (EngineErrorKind::Interrupted, "the bake was interrupted"),
            source if source.is_refused() => (EngineErrorKind::Credentials, "the image could not be baked"),
            source if source.is_lock_lost() => (EngineErrorKind::Locked, "the bake lost the lock"),
            _ => (EngineErrorKind::Bake, "the image could not be baked"),
        };
        Self { hints, ..Self::new(kind, message).because(source) }
    }

    pub(crate) fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    pub(crate) fn details(mut self, lines: Vec<String>) -> Self {
        self.details = lines;
        self
    }

    /// The user asked to stop.
    pub(crate) fn interrupted() -> Self {
        Self::new(EngineErrorKind::Interrupted, "interrupted")
    }

    /// The kind, from which the command's exit code follows.
    pub fn kind(&self) -> EngineErrorKind {
        self.kind
    }

    /// What the user can do about it.
    pub fn hints(&self) -> &[String] {
        &self.hints
    }

    /// The last lines of the instance's console or service logs, where there are any.
    pub fn detail_lines(&self) -> &[String] {
        &self.details
    }

    /// The chain of errors in one line, for the journal.
    pub(crate) fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            text.push_str(": ");
            text.push_str(&error.to_string());
            source = error.source();
        }
        text
    }
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for EngineError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source.as_ref() as _)
    }
}

fn kind_of(error: &provider::Error) -> EngineErrorKind {
    match error.kind() {
        ErrorKind::Unauthenticated | ErrorKind::Forbidden => EngineErrorKind::Credentials,
        ErrorKind::Conflict => EngineErrorKind::Conflict,
        ErrorKind::LockLost => EngineErrorKind::Locked,
        _ => EngineErrorKind::Provider,
    }
}

impl From<provider::Error> for EngineError {
    fn from(error: provider::Error) -> Self {
        let kind = kind_of(&error);
        let hints = error.hint().map(str::to_owned).into_iter().collect();
        Self { hints, ..Self::new(kind, "a request to the cloud failed").because(error) }
    }
}

impl From<WatchError> for EngineError {
    fn from(error: WatchError) -> Self {
        let kind = error.provider_error().map_or(EngineErrorKind::Provider, kind_of);
        let hints = error.hint().map(str::to_owned).into_iter().collect();
        let message = match &error {
            WatchError::TimedOut { .. } => "the cloud did not finish in time",
            WatchError::Gone { .. } => "what was waited for is gone",
            WatchError::Refused { .. } => "the cloud refuses what was asked for",
        };
        Self { hints, ..Self::new(kind, message).because(error) }
    }
}

impl From<JournalError> for EngineError {
    fn from(error: JournalError) -> Self {
        let kind = match error {
            JournalError::Interrupted(_) | JournalError::MoveInterrupted => return Self::interrupted().because(error),
            JournalError::Held { .. } | JournalError::Lost { .. } => EngineErrorKind::Locked,
            JournalError::Url { .. } | JournalError::Moved { .. } => EngineErrorKind::Manifest,
            JournalError::OtherService { .. } => EngineErrorKind::Foreign,
            JournalError::NoRelease { .. } => EngineErrorKind::Conflict,
            _ => EngineErrorKind::Journal,
        };
        let hints = error.hint().into_iter().collect();
        let message = match kind {
            EngineErrorKind::Locked => "cannot go on without the lock",
            EngineErrorKind::Manifest | EngineErrorKind::Foreign => "the journal cannot be used",
            EngineErrorKind::Conflict => "the journal has no such release",
            _ => "the journal cannot be read or written",
        };
        Self { hints, ..Self::new(kind, message).because(error) }
    }
}

impl From<RemoteError> for EngineError {
    fn from(error: RemoteError) -> Self {
        if matches!(error, RemoteError::Cancelled) {
            return Self::interrupted();
        }
        let hints = error.hint().map(str::to_owned).into_iter().collect();
        let details = error.tail().to_vec();
        Self {
            hints,
            details,
            ..Self::new(EngineErrorKind::Gate, "cannot look inside the new instance").because(error)
        }
    }
}

impl From<MachineError> for EngineError {
    fn from(error: MachineError) -> Self {
        match error {
            MachineError::Cancelled => Self::interrupted(),
            MachineError::Cloud(_, source) => source.into(),
            MachineError::Watch(_, source) => source.into(),
            MachineError::Remote(_, source) => source.into(),
            MachineError::FirstBoot(machine, failure) => {
                let message = format!("cloud-init failed on {machine}: {}", failure.summary);
                Self::new(EngineErrorKind::Gate, message).hint(failure.hint).details(failure.log)
            }
            MachineError::NotRebooted(_) => Self::new(EngineErrorKind::Gate, error.to_string()),
        }
    }
}

impl From<HealthError> for EngineError {
    fn from(error: HealthError) -> Self {
        let HealthError::NotInTime { last, lines, .. } = &error else { return Self::interrupted() };
        let hint = if last.contains("certificate") {
            "the certificate must be for the name in `health.check.http.host` and from an authority that this machine trusts, or one \
             of `ca`; `verify = false` takes any"
        } else {
            "look at the service's own answer and log below, and at `[health]` in the manifest"
        };
        let lines = lines.clone();
        Self::new(EngineErrorKind::Gate, "the service is not healthy").because(error).hint(hint).details(lines)
    }
}

impl From<RenderError> for EngineError {
    fn from(error: RenderError) -> Self {
        Self::new(EngineErrorKind::Manifest, "cannot fill in the configuration").because(error)
    }
}

impl From<UserDataError> for EngineError {
    fn from(error: UserDataError) -> Self {
        let hint = match &error {
            UserDataError::TooLarge { .. } => {
                "make `[[instance.user_data]]` smaller: bake what does not change into the image"
            }
            _ => "correct `[config]` or the part in `[[instance.user_data]]`",
        };
        Self::new(EngineErrorKind::Manifest, "cannot compose the user data").hint(hint).because(error)
    }
}
