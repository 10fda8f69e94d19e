//! Why a bake failed.

use crate::{
    health::HealthError,
    journal::JournalError,
    machine::MachineError,
    manifest::RenderError,
    provider::{Error, ErrorKind, Region},
    recipe::FingerprintError,
    remote::RemoteError,
    tree::TreeError,
    userdata::UserDataError,
    watch::WatchError,
};

use super::{files::CopyError, place::PlaceError};

/// A bake that failed. What it had made is gone by the time the error is returned, or is kept, or an event has named it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BakeError {
    /// An input cannot be read, or is not what the manifest says it is.
    #[error(transparent)]
    Fingerprint(#[from] FingerprintError),
    /// The files of a step cannot be listed or read on this side.
    #[error("{step}")]
    Files {
        /// The step as messages number it: `step 1 (file app)`.
        step: String,
        /// The path that cannot be read, or the pattern or mode that is not one.
        source: TreeError,
    },
    /// The files of a step do not fit what the builder has.
    #[error("{step}")]
    Place {
        /// The step as messages number it: `step 1 (file app)`.
        step: String,
        /// What is in the way on the builder.
        source: PlaceError,
    },
    /// The files of a step cannot be copied to the builder.
    #[error("{step}")]
    Copy {
        /// The step as messages number it: `step 1 (file app)`.
        step: String,
        /// How the connection or the unpacking failed.
        source: RemoteError,
    },
    /// The cloud refused something.
    #[error("{doing}")]
    Cloud {
        /// What failed, as a fragment: `cannot launch the builder`.
        doing: &'static str,
        /// The provider's error, which may carry a hint for the user.
        source: Box<Error>,
    },
    /// The cloud did not get there.
    #[error("{doing}")]
    Watch {
        /// What failed, as a fragment: `the builder does not stop`.
        doing: &'static str,
        /// How the wait ended, with the last status that was seen.
        source: WatchError,
    },
    /// The base image does not fit on the builder's disk.
    #[error("the base image {base} needs a disk of {needed} GiB, and {size} in {region} has {disk} GiB")]
    DiskTooSmall {
        /// The name of the base image, as the manifest has it where the image is public.
        base: String,
        /// The smallest disk that the image fits on, in GiB.
        needed: u64,
        /// The size of the builder: `builder_size`, or `size` where the manifest has none.
        size: String,
        /// The region of the provider's section in the manifest.
        region: Region,
        /// The disk of that size, in GiB.
        disk: u64,
    },
    /// The builder's user data cannot be composed, or is too large for the provider.
    #[error("cannot write the builder's user data")]
    UserData(#[from] UserDataError),
    /// The way into the builder.
    #[error("{doing}")]
    Remote {
        /// What was being done: `waiting for cloud-init`, or the step.
        doing: String,
        /// How the connection failed.
        source: RemoteError,
    },
    /// cloud-init failed on a machine of the bake, or does not run there.
    #[error("cloud-init failed on {machine}: {summary}{}", show(tail))]
    CloudInit {
        /// The name of the builder or check machine in the account.
        machine: String,
        /// Which modules failed, or what else it says.
        summary: String,
        /// What the user can do about it: what to correct in the manifest, or in the image.
        hint: String,
        /// Lines of its logs.
        tail: Vec<String>,
    },
    /// A step of the recipe failed.
    #[error("{step} failed: {reason}{}", show(tail))]
    Step {
        /// The step, or `verify 1 (COMMAND)` for a verify command.
        step: String,
        /// How it ended, and after how many attempts.
        reason: String,
        /// The last lines that it wrote.
        tail: Vec<String>,
        /// What the user can do about it, chosen by the kind of step and its output.
        hint: String,
    },
    /// An artifact cannot be fetched, or is not the right one.
    #[error("{step}: {url}: {reason}")]
    Artifact {
        /// The step as messages number it: `step 3 (artifact /usr/local/bin/app)`.
        step: String,
        /// Its URL, without credentials.
        url: String,
        /// Why the download failed, or which sha256 was found.
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
        /// One line for each file or setting that is still there.
        found: Vec<String>,
    },
    /// A secret that a step is given cannot be read.
    #[error("{step}: cannot read its secrets")]
    Secret {
        /// The step as messages number it: `step 2 (script install.sh)`.
        step: String,
        /// Which secret has no value, and why.
        source: RenderError,
    },
    /// The image would hold a secret that a step was given.
    #[error("the image would hold secrets of `secret_env`, in {}", found.join(", "))]
    SecretsLeft {
        /// The paths on the builder, a line each.
        found: Vec<String>,
    },
    /// Instances of the image would let in somebody else than `[access]` says.
    #[error("the image would let in somebody whom `[access]` does not name: {}", found.join("; "))]
    Logins {
        /// One line for each way in.
        found: Vec<String>,
    },
    /// Remint could not log in to instances of the image.
    #[error("Remint could not log in to instances of this image: {}", found.join("; "))]
    LockedOut {
        /// One line for each reason why root cannot log in by key.
        found: Vec<String>,
    },
    /// The throw-away instance from the new image is not healthy.
    #[error("the new image {image} does not pass its boot check; it was deleted")]
    BootCheck {
        /// The name that the image had in the account.
        image: String,
        /// The last answer of the health check.
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

impl From<MachineError> for BakeError {
    fn from(error: MachineError) -> Self {
        match error {
            MachineError::Cancelled => Self::Cancelled,
            MachineError::Cloud(doing, source) => Self::cloud(doing)(source),
            MachineError::Watch(doing, source) => Self::watch(doing)(source),
            MachineError::Remote(doing, source) => Self::remote(doing)(source),
            MachineError::FirstBoot(machine, failure) => {
                Self::CloudInit { machine, summary: failure.summary, hint: failure.hint, tail: failure.log }
            }
            error @ MachineError::NotRebooted(_) => Self::Step {
                step: "expect_reboot".to_owned(),
                reason: error.to_string(),
                tail: Vec::new(),
                hint: "correct the step that has `expect_reboot`, so that it reboots the machine, or make `[image] boot_timeout` \
                       longer"
                    .to_owned(),
            },
        }
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
