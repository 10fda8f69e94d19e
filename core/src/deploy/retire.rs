//! Retiring: what the release replaced goes, or is parked.

use super::{DeployError, engine::Run, launch::belongs, observe::instance_selector};
use crate::{
    journal::{Entry, Retired},
    manifest::Retire,
    provider::{Instance, InstanceState},
};

impl Run<'_> {
    /// Drains, then removes every other instance of the environment, except the one that is parked.
    pub(super) async fn retire(&mut self) -> Result<(), DeployError> {
        // With those that an earlier run has begun to destroy: they are waited for.
        let standing = self.ctx.provider.instances().list(&instance_selector(self.ctx)).await?;
        let gated = self.release.gated();
        let old: Vec<_> = standing.into_iter().filter(|instance| !gated.contains(&instance.id)).collect();
        if old.is_empty() {
            return Ok(());
        }
        let (parked, doomed): (Vec<_>, Vec<_>) = old.into_iter().partition(|instance| self.is_parked(instance));
        if !parked.is_empty() {
            let instances = parked.iter().map(|instance| instance.id.clone()).collect();
            self.note(Entry::Retiring { instances, how: Retired::Parked }).await?;
        }
        if doomed.is_empty() {
            return Ok(());
        }
        // Connections that the old instance still serves end by themselves.
        tokio::time::sleep(self.ctx.loaded.manifest.deploy.drain.0).await;
        let instances = doomed.iter().map(|instance| instance.id.clone()).collect();
        self.note(Entry::Retiring { instances, how: Retired::Destroyed }).await?;
        self.destroy_all(&doomed).await
    }

    fn is_parked(&self, instance: &Instance) -> bool {
        self.ctx.loaded.manifest.deploy.retire == Retire::Park
            && instance.state == InstanceState::Running
            && self.release.record.replaces.is_some_and(|release| belongs(instance, release))
    }
}
