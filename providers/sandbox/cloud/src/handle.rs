//! Opening an account, reading and changing the state, and keeping the file in step with it.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use super::{
    Api, ApiError, ApiResult, Cloud, CloudError, Config, Edge, Front, cloud::Inner, lock::lock, state::State,
    store::Store,
};
use remint_sandbox_machines::Hypervisor;

/// How long it takes until a state file that could not be written is tried again.
const TRY_AGAIN: Duration = Duration::from_millis(250);

impl<F: Front> Cloud<F> {
    /// Opens an API's account in a state folder, brings its machines, forwarding and DNS into the state that the file says,
    /// and goes on with what was in flight.
    pub async fn open(
        config: Config,
        hypervisor: Arc<dyn Hypervisor>,
        edge: Arc<dyn Edge>,
    ) -> Result<Self, CloudError> {
        let (store, state) = Store::open(&Self::folder_of(&config), F::API, State::empty)?;
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
    pub(super) fn folder_of(config: &Config) -> PathBuf {
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
        look(&lock(&self.inner.state))
    }

    /// Changes the state, and writes the file before anyone hears of it. Where it cannot be written, nothing is changed:
    /// what was answered is what a restart finds. `change` must not have changed anything where it returns an error.
    pub fn change<T>(&self, change: impl FnOnce(&mut State<F>) -> ApiResult<T>) -> ApiResult<T> {
        let mut state = lock(&self.inner.state);
        let value = change(&mut state)?;
        state.settle_balancers(&self.inner.config);
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
}
