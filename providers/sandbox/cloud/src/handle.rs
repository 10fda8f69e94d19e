//! The handle that everything goes through: reading and changing the state, and keeping the file in step with it.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use super::{Api, ApiError, ApiResult, Config, Edge, Front, state::State, store::Store};
use remint_sandbox_machines::{Hypervisor, Share};

/// How long it takes until a state file that could not be written is tried again.
const TRY_AGAIN: Duration = Duration::from_millis(250);

/// Why a cloud could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum CloudError {
    /// The state folder cannot be made.
    #[error("cannot make the sandbox's folder {}", path.display())]
    Folder {
        /// The folder of the account.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file that answers are to be recorded in cannot be opened.
    #[error("cannot record answers in {}", path.display())]
    Record {
        /// The file that `Config::record` names.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The state file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The state file of the account.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The state file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The state file of the account.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The state file is not what this sandbox wrote.
    #[error("cannot understand {}: `remint sandbox reset` starts afresh", path.display())]
    Parse {
        /// The state file of the account.
        path: PathBuf,
        /// Where the JSON is not as expected.
        source: serde_json::Error,
    },
    /// The state file was written by another version.
    #[error(
        "{} has version {found}, this program knows version {known}: use the program that wrote it, or start afresh with \
         `remint sandbox reset`",
        path.display()
    )]
    Version {
        /// The state file of the account.
        path: PathBuf,
        /// The version that the file says it has.
        found: u32,
        /// The version that this program writes.
        known: u32,
    },
    /// The machines cannot be looked up.
    #[error("cannot find the machines of the state file")]
    Machines {
        /// The error of the kind of machine that the account has.
        source: remint_sandbox_machines::MachineError,
    },
    /// The API cannot listen.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address and port that were asked for.
        address: std::net::SocketAddr,
        /// The system's error; often another process has the port.
        source: std::io::Error,
    },
    /// The API would listen on an address that others can reach.
    #[error("the sandbox listens on loopback addresses only, not on {address}")]
    NotLoopback {
        /// The address and port that were asked for.
        address: std::net::SocketAddr,
    },
}

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
    state: Mutex<State<F>>,
    store: Store,
    /// Held while the edge is told something, so that a later word is never overtaken by an earlier one.
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

impl<F: Front> Cloud<F> {
    /// Opens an API's account in a state folder, brings its machines, forwarding and DNS into the state that the file says,
    /// and goes on with what was in flight.
    pub async fn open(
        config: Config,
        hypervisor: Arc<dyn Hypervisor>,
        edge: Arc<dyn Edge>,
    ) -> Result<Self, CloudError> {
        let (store, state) = Store::open(&Self::folder_of(&config))?;
        let hypervisor = Arc::new(Share { whole: hypervisor, ids: F::API.ids() });
        let cloud = Self {
            inner: Arc::new(Inner {
                config,
                hypervisor,
                edge,
                state: Mutex::new(state),
                store,
                telling: tokio::sync::Mutex::new(()),
                looking: tokio::sync::Mutex::new(()),
                stop: CancellationToken::new(),
            }),
        };
        cloud.resume().await?;
        Ok(cloud)
    }

    /// The folder of the account.
    pub fn folder(&self) -> PathBuf {
        Self::folder_of(&self.inner.config)
    }

    /// The folder of the API's account.
    pub fn folder_of(config: &Config) -> PathBuf {
        match F::API {
            Api::DigitalOcean => config.state_dir.clone(),
            other => config.state_dir.join(other.name()),
        }
    }

    /// How the sandbox is set up.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// The machines behind the account's instances.
    pub fn hypervisor(&self) -> &Arc<dyn Hypervisor> {
        &self.inner.hypervisor
    }

    /// Stops working on actions and watching machines. The state file and the machines stay as they are.
    pub fn stop(&self) {
        self.inner.stop.cancel();
    }

    /// Cancelled when the cloud stops.
    pub fn stopped(&self) -> CancellationToken {
        self.inner.stop.clone()
    }

    /// Looks at the state.
    pub fn read<T>(&self, look: impl FnOnce(&State<F>) -> T) -> T {
        look(&self.lock())
    }

    /// Changes the state, and writes the file before anyone hears of it. Where it cannot be written, nothing is changed:
    /// what was answered is what a restart finds. `change` must not have changed anything where it returns an error.
    pub fn change<T>(&self, change: impl FnOnce(&mut State<F>) -> ApiResult<T>) -> ApiResult<T> {
        let mut state = self.lock();
        let value = change(&mut state)?;
        let begun = std::mem::take(&mut state.begun);
        // Under the lock: two writers would otherwise put an older state over a newer one.
        if let Err(error) = self.inner.store.save(&state) {
            tracing::error!(%error, "cannot write the state file");
            match self.inner.store.saved() {
                Ok(saved) => state.go_back(saved),
                Err(error) => tracing::error!(%error, "a change that could not be written stays in memory"),
            }
            return Err(ApiError::internal("The sandbox cannot write its state file."));
        }
        drop(state);
        for action in begun {
            self.spawn(action, false);
        }
        Ok(value)
    }

    /// Records what has happened, which nobody can refuse any more: while the file cannot be written, it is tried again.
    pub(super) async fn record(&self, mut change: impl FnMut(&mut State<F>)) {
        let mut recorded = || {
            self.change(|state| {
                change(state);
                Ok(())
            })
        };
        while recorded().is_err() {
            tokio::time::sleep(TRY_AGAIN).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<F>> {
        // A panic while the lock was held left the state as some request saw it; refusing all others would not help them.
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
