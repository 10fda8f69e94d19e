//! The handle of an account, which everything goes through.

use std::sync::{Arc, Mutex};

use tokio_util::sync::CancellationToken;

use super::{Config, Edge, state::State, store::Store};
use remint_sandbox_machines::Hypervisor;

/// The cloud: its state and behaviour. Clones are the same cloud.
pub struct Cloud<F> {
    pub(super) inner: Arc<Inner<F>>,
}

impl<F> Clone for Cloud<F> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

pub(super) struct Inner<F> {
    pub(super) config: Config,
    pub(super) hypervisor: Arc<dyn Hypervisor>,
    pub(super) edge: Arc<dyn Edge>,
    pub(super) state: Mutex<State<F>>,
    pub(super) store: Store,
    /// Held while a change is passed on to the edge, so that changes arrive there in their order.
    pub(super) telling: tokio::sync::Mutex<()>,
    /// Held while the list of public images is brought up to date.
    pub(super) looking: tokio::sync::Mutex<()>,
    /// Cancelled when the server stops; actions then stay in the state file for the next start.
    pub(super) stop: CancellationToken,
}

impl<F> std::fmt::Debug for Cloud<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cloud").field("config", &self.inner.config).finish_non_exhaustive()
    }
}
