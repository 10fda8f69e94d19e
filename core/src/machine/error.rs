//! What goes wrong with a machine.

use crate::{first_boot::Failure, provider::Error, remote::RemoteError, watch::WatchError};

/// Why a machine is not as it should be. Bakes and deploys make errors of their own of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MachineError {
    /// The user asked to stop.
    #[error("interrupted")]
    Cancelled,
    /// The cloud refused something. Holds what was going on.
    #[error("{0}")]
    Cloud(&'static str, #[source] Error),
    /// The cloud did not get there. Holds what was going on.
    #[error("{0}")]
    Watch(&'static str, #[source] WatchError),
    /// The way in. Holds what was going on.
    #[error("{0}")]
    Remote(String, #[source] RemoteError),
    /// cloud-init failed on the machine of this name.
    #[error("cloud-init failed on {0}")]
    FirstBoot(String, Failure),
    /// It did not boot again. Holds how long that was waited for, in seconds.
    #[error("the machine did not reboot within {0} s")]
    NotRebooted(u64),
}

impl MachineError {
    pub(crate) fn cloud(doing: &'static str) -> impl FnOnce(Error) -> Self {
        move |error| Self::Cloud(doing, error)
    }

    pub(crate) fn watch(doing: &'static str) -> impl FnOnce(WatchError) -> Self {
        move |error| Self::Watch(doing, error)
    }

    /// A way in that was given up because the user asked to stop is no error of its own.
    pub(crate) fn remote(doing: impl Into<String>) -> impl FnOnce(RemoteError) -> Self {
        let doing = doing.into();
        move |error| match error {
            RemoteError::Cancelled => Self::Cancelled,
            error => Self::Remote(doing, error),
        }
    }
}
