//! What a shell knows of the machine that it runs on.

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::limits::Limits;
use crate::simulated::disk::SharedDisk;

/// How far cloud-init is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CloudInit {
    /// Not done yet.
    Running,
    Done,
    /// Done, and something failed.
    Failed,
}

/// What a command asks of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    /// Start again.
    Reboot,
    /// Switch off.
    PowerOff,
    /// Look at the services' configuration again.
    RefreshServices,
    /// Let the SSH server read its host key again.
    ReloadSsh,
}

/// The machine, as its commands see it.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    pub(crate) disk: SharedDisk,
    /// What is asked of the machine.
    pub(crate) requests: mpsc::UnboundedSender<Request>,
    /// How far cloud-init is.
    pub(crate) cloud_init: watch::Receiver<CloudInit>,
    /// Cancelled when the power goes: so long a command in the background lives.
    pub(crate) power: CancellationToken,
    /// What its commands may take together.
    pub(crate) limits: Limits,
}
