//! An account, whichever API it is reached by: what the sandbox itself asks of it and does with it.

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use serde::Serialize;

use super::{ApiResult, Cloud, DrawnDelay, Front};
use remint_sandbox_machines::Hypervisor;

/// How much there is in an account.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// Instances, those that are being made or destroyed included.
    #[serde(rename = "droplets")]
    pub instances: usize,
    /// Images that were captured.
    pub snapshots: usize,
    /// Static addresses.
    #[serde(rename = "reserved_ips")]
    pub static_ips: usize,
    /// Load balancers.
    pub load_balancers: usize,
    /// DNS zones.
    pub zones: usize,
    /// What takes time and has not ended.
    pub actions_in_progress: usize,
}

/// An account of any API.
#[async_trait]
pub trait Account: Send + Sync {
    /// Where its files are.
    fn folder(&self) -> PathBuf;

    /// How much there is in it.
    fn standing(&self) -> Standing;

    /// The delays that were drawn, oldest first.
    fn delays(&self) -> Vec<DrawnDelay>;

    /// Whether an instance is its own.
    fn has_instance(&self, id: u64) -> bool;

    /// The machines behind its instances.
    fn hypervisor(&self) -> &Arc<dyn Hypervisor>;

    /// Makes a zone, and serves it. Gives its name as it is kept.
    ///
    /// # Errors
    ///
    /// For a name that is none, or that the account has already.
    async fn add_zone(&self, name: &str) -> ApiResult<String>;

    /// Stops working on actions and watching machines. The state file and the machines stay as they are.
    fn stop(&self);
}

#[async_trait]
impl<F: Front> Account for Cloud<F> {
    fn folder(&self) -> PathBuf {
        Self::folder(self)
    }

    fn standing(&self) -> Standing {
        self.read(|state| Standing {
            instances: state.instances.len(),
            snapshots: state.images.values().filter(|image| !image.public()).count(),
            static_ips: state.static_ips.len(),
            load_balancers: state.load_balancers.len(),
            zones: state.zones.len(),
            actions_in_progress: state.actions.values().filter(|action| action.pending.is_some()).count(),
        })
    }

    fn delays(&self) -> Vec<DrawnDelay> {
        self.read(|state| state.delays.clone())
    }

    fn has_instance(&self, id: u64) -> bool {
        self.read(|state| state.instances.contains_key(&id))
    }

    fn hypervisor(&self) -> &Arc<dyn Hypervisor> {
        Self::hypervisor(self)
    }

    async fn add_zone(&self, name: &str) -> ApiResult<String> {
        let name = self.change(|state| F::add_zone(state, name))?;
        self.tell_zone(&name).await;
        Ok(name)
    }

    fn stop(&self) {
        Self::stop(self);
    }
}
