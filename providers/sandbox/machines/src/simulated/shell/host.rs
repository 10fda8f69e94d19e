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

#[cfg(test)]
impl Host {
    /// A machine with this much for its commands, and what they ask of it. cloud-init is done.
    pub(crate) fn alone(limits: Limits, disk: super::super::disk::Disk) -> (Self, mpsc::UnboundedReceiver<Request>) {
        let (requests, asked) = mpsc::unbounded_channel();
        let (_, cloud_init) = watch::channel(CloudInit::Done);
        let disk = std::sync::Arc::new(std::sync::Mutex::new(disk));
        (Self { disk, requests, cloud_init, power: CancellationToken::new(), limits }, asked)
    }
}
