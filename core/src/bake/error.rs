//! Why a bake failed.

use crate::{
    health::HealthError,
    journal::JournalError,
    manifest::RenderError,
    provider::{Error, ErrorKind, Region},
    remote::RemoteError,
    userdata::UserDataError,
    watch::WatchError,
};

use super::{files::CopyError, fingerprint::FingerprintError, place::PlaceError, tree::TreeError};

/// A bake that failed. What it had made is gone by the time the error is returned, or is kept, or an event has named it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BakeError {
    /// An input cannot be read, or is not what the manifest says it is.
    #[error(transparent)]
    Fingerprint(#[from] FingerprintError),
    /// The files of a step.
    #[error("{step}")]
    Files {
        /// Which step.
        step: String,
        /// Why.
        source: TreeError,
    },
    /// The files of a step do not fit what the builder has.
    #[error("{step}")]
    Place {
        /// Which step.
        step: String,
        /// Why.
        source: PlaceError,
    },
    /// The files of a step cannot be copied to the builder.
    #[error("{step}")]
    Copy {
        /// Which step.
        step: String,
        /// Why.
        source: RemoteError,
    },
    /// The cloud refused something.
    #[error("{doing}")]
    Cloud {
        /// What was going on.
        doing: &'static str,
        /// The refusal.
        source: Box<Error>,
    },
    /// The cloud did not get there.
    #[error("{doing}")]
    Watch {
        /// What was going on.
        doing: &'static str,
        /// What was waited for.
        source: WatchError,
    },
    /// The base image does not fit on the builder's disk.
    #[error("the base image {base} needs a disk of {needed} GiB, and {size} in {region} has {disk} GiB")]
    DiskTooSmall {
        /// The base image.
        base: String,
        /// The disk that it needs.
        needed: u64,
        /// The size of the builder.
        size: String,
        /// The region.
        region: Region,
        /// The disk that the size has.
        disk: u64,
    },
    /// The builder's user data.
    #[error("cannot write the builder's user data")]
    UserData(#[from] UserDataError),
    /// The way into the builder.
    #[error("{doing}")]
    Remote {
        /// What was going on.
        doing: String,
        /// What happened.
        source: RemoteError,
    },
    /// cloud-init failed on a machine of the bake, or does not run there.
    #[error("cloud-init failed on {machine}: {summary}{}", show(tail))]
    CloudInit {
        /// The machine's name.
        machine: String,
        /// Which modules failed, or what else it says.
        summary: String,
        /// What to do about it.
        hint: String,
        /// Lines of its logs.
        tail: Vec<String>,
    },
    /// A step of the recipe failed.
    #[error("{step} failed: {reason}{}", show(tail))]
    Step {
        /// Which step.
        step: String,
        /// How it ended, and after how many attempts.
        reason: String,
        /// The last lines that it wrote.
        tail: Vec<String>,
        /// What to do about it.
        hint: String,
    },
    /// An artifact cannot be fetched, or is not the right one.
    #[error("{step}: {url}: {reason}")]
    Artifact {
        /// Which step.
        step: String,
        /// Its URL, without credentials.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// The seal itself failed.
    #[error("the builder could not be sealed: {reason}{}", show(tail))]
    Seal {
        /// How the script ended.
        reason: String,
        /// The last lines that it wrote.
        tail: Vec<String>,
    },
    /// The builder holds what must not be in an image.
    #[error("the image would hold what is the builder's own: {}", found.join(", "))]
    Leftovers {
        /// What was found.
        found: Vec<String>,
    },
    /// A secret that a step is given cannot be read.
    #[error("{step}: cannot read its secrets")]
    Secret {
        /// Which step.
        step: String,
        /// Why.
        source: RenderError,
    },
    /// The image would hold a secret that a step was given.
    #[error("the image would hold secrets of `secret_env`, in {}", found.join(", "))]
    SecretsLeft {
        /// The files.
        found: Vec<String>,
    },
    /// Instances of the image would let in somebody else than `[access]` says.
    #[error("the image would let in somebody whom `[access]` does not name: {}", found.join("; "))]
    Logins {
        /// What was found.
        found: Vec<String>,
    },
    /// Remint could not log in to instances of the image.
    #[error("Remint could not log in to instances of this image: {}", found.join("; "))]
    LockedOut {
        /// What was found.
        found: Vec<String>,
    },
    /// The throw-away instance from the new image is not healthy.
    #[error("the new image {image} does not pass its boot check; it was deleted")]
    BootCheck {
        /// The image's name.
        image: String,
        /// Why.
        source: HealthError,
    },
    /// The capture cannot be written down.
    #[error("the journal cannot be read or written")]
    Journal(#[from] JournalError),
    /// The health check cannot be asked.
    #[error("the health check cannot be asked: {0}")]
    Probe(String),
    /// An image is needed, and the run was told to capture none.
    #[error("nothing was captured")]
    NotCaptured,
    /// The user asked to stop.
    #[error("interrupted")]
    Cancelled,
}

fn show(tail: &[String]) -> String {
    if tail.is_empty() { String::new() } else { format!("; its last lines:\n  {}", tail.join("\n  ")) }
}

impl BakeError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Cloud { source, .. } => source.hint().map(str::to_owned),
            Self::Watch { source, .. } => source.hint().map(str::to_owned),
            Self::Remote { source, .. } => source.hint().map(str::to_owned),
            Self::Place { source, .. } => Some(source.hint().to_owned()),
            Self::Copy { source, .. } => source.hint().map(str::to_owned),
            Self::Journal(source) => source.hint(),
            Self::Step { hint, .. } => Some(hint.clone()),
            Self::DiskTooSmall { .. } => Some("choose a larger `builder_size` or `size`".to_owned()),
            Self::UserData(UserDataError::TooLarge { .. }) => Some("make `[[instance.user_data]]` smaller".to_owned()),
            Self::Leftovers { .. } => {
                Some("a step starts something that creates them again; stop it before the end of the recipe".to_owned())
            }
            Self::SecretsLeft { .. } => Some(
                "have the step read it from its environment; a file that must be goes to /run, which is in memory"
                    .to_owned(),
            ),
            Self::Logins { .. } => {
                Some("correct the step that opens this way in, or name the keys in `[access]`".to_owned())
            }
            Self::CloudInit { hint, .. } => Some(hint.clone()),
            Self::LockedOut { .. } => Some("correct the step that changes the SSH server's configuration".to_owned()),
            _ => None,
        }
    }

    /// Whether the cloud refuses the credentials.
    pub fn is_refused(&self) -> bool {
        let refused = |error: &Error| matches!(error.kind(), ErrorKind::Unauthenticated | ErrorKind::Forbidden);
        match self {
            Self::Cloud { source, .. } => refused(source),
            Self::Watch { source, .. } => source.provider_error().is_some_and(refused),
            _ => false,
        }
    }

    /// Whether the lock was lost, so that nothing more was sent.
    pub fn is_lock_lost(&self) -> bool {
        match self {
            Self::Cloud { source, .. } => source.kind() == ErrorKind::LockLost,
            Self::Watch { source, .. } => source.provider_error().is_some_and(|e| e.kind() == ErrorKind::LockLost),
            Self::Journal(source) => matches!(source, JournalError::Lost { .. } | JournalError::Held { .. }),
            _ => false,
        }
    }

    /// Whether it is certain by now that nothing is captured, and nothing will be.
    pub(super) fn is_settled(&self) -> bool {
        let settled = |error: &Error| error.kind() == ErrorKind::NotFound;
        match self {
            Self::Cloud { source, .. } => settled(source),
            Self::Watch { source, .. } => source.provider_error().is_some_and(settled),
            _ => false,
        }
    }

    /// Whether the user asked to stop.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled | Self::Remote { source: RemoteError::Cancelled, .. })
    }

    pub(super) fn cloud(doing: &'static str) -> impl FnOnce(Error) -> Self {
        move |source| Self::Cloud { doing, source: Box::new(source) }
    }

    pub(super) fn watch(doing: &'static str) -> impl FnOnce(WatchError) -> Self {
        move |source| Self::Watch { doing, source }
    }

    /// A step's copy that failed.
    pub(super) fn copy(step: &str) -> impl FnOnce(CopyError) -> Self {
        let step = step.to_owned();
        move |error| match error {
            CopyError::Tree(source) => Self::Files { step, source },
            CopyError::Place(source) => Self::Place { step, source },
            CopyError::Remote(source) => Self::Copy { step, source },
        }
    }

    pub(super) fn remote(doing: impl Into<String>) -> impl FnOnce(RemoteError) -> Self {
        let doing = doing.into();
        move |source| Self::Remote { doing, source }
    }
}

/// An error and what caused it, on one line.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
