//! What every command of the engine is given.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{events::Events, manifest::Loaded, provider::Provider, watch::Watcher};

/// One run of one command on one environment: the manifest, the clouds, and where news goes.
#[derive(Debug, Clone)]
pub struct Context {
    /// The manifest, with its environment chosen.
    pub loaded: Loaded,
    /// The cloud that hosts the instances.
    pub provider: Arc<dyn Provider>,
    /// The cloud that serves the DNS zone, where it is another one.
    pub dns: Option<Arc<dyn Provider>>,
    /// Where events go.
    pub events: Events,
    /// Cancelled when the user asks to stop.
    pub cancel: CancellationToken,
    /// This run; in names, labels and the lock.
    pub run: Uuid,
    /// Environment variables that `secrets` may name, so that tests need not touch the process's own.
    pub process_env: BTreeMap<String, String>,
    /// How long to wait for the environment's lock where another run holds it; `None` fails at once.
    pub lock_wait: Option<Duration>,
    /// Waits for the cloud on behalf of everybody in this run.
    pub watcher: Watcher,
}

impl Context {
    /// A context with a new run id, the process's environment variables, and nothing to cancel it yet.
    pub fn new(loaded: Loaded, provider: Arc<dyn Provider>, events: Events) -> Self {
        let watcher = Watcher::new(Arc::clone(&provider));
        Self {
            loaded,
            provider,
            dns: None,
            events,
            cancel: CancellationToken::new(),
            run: Uuid::now_v7(),
            process_env: std::env::vars().collect(),
            lock_wait: None,
            watcher,
        }
    }

    /// The provider whose zones hold the DNS record.
    pub fn dns_provider(&self) -> &Arc<dyn Provider> {
        self.dns.as_ref().unwrap_or(&self.provider)
    }

    /// Four characters of the run id, which tell the names of two attempts apart.
    ///
    /// A version 7 UUID starts with its time: the last characters are the random ones.
    pub fn run4(&self) -> String {
        let text = self.run.simple().to_string();
        text[text.len() - 4..].to_owned()
    }
}
