//! Retiring: what the release replaced goes, or is parked; and with it the addresses and records that are not wanted any more.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::sleep;

use super::{
    EngineError,
    launch::belongs,
    observe::{self, instance_selector},
    walk::Run,
};
use crate::{
    journal::{Entry, Owned, Resource, Retired},
    machine::destroy_all,
    manifest::Retire,
    provider::{Instance, InstanceState},
    resources::{Standing, give_back, remove_record, written},
};

/// The longest that a deploy waits for resolvers where no instance is to be destroyed after it. What they keep longer goes with the next deploy or `remint gc`.
const RESOLVERS_WITHIN: Duration = Duration::from_secs(600);

impl Run<'_> {
    /// Drains, then removes every other instance of the environment, except the one that is parked.
    pub(super) async fn retire(&mut self) -> Result<(), EngineError> {
        // With those that an earlier run has begun to destroy: they are waited for.
        let all = self.ctx.provider.instances().list(&observe::instance_selector(&self.ctx)).await?;
        let gated = self.release.gated();
        let mut old = Standing::sort(all, &self.ownership()).ours;
        old.retain(|instance| !gated.contains(&instance.id));
        let (parked, doomed): (Vec<_>, Vec<_>) = old.into_iter().partition(|instance| self.is_parked(instance));
        if !parked.is_empty() {
            let instances = parked.iter().map(|instance| instance.id.clone()).collect();
            self.note(Entry::Retiring { instances, how: Retired::Parked }).await?;
        }
        // What leads to the old instances goes before they do.
        self.remove_superseded(doomed.is_empty()).await?;
        if !doomed.is_empty() {
            self.forgotten_by_resolvers().await?;
            // Connections that the old instance still serves end by themselves.
            self.wait(self.ctx.loaded.manifest.deploy.drain.0).await?;
            let instances = doomed.iter().map(|instance| instance.id.clone()).collect();
            self.note(Entry::Retiring { instances, how: Retired::Destroyed }).await?;
            // A request of a run that died may have moved the address meanwhile.
            self.answered_by_us().await?;
            destroy_all(&self.ctx, &instance_selector(&self.ctx), &doomed).await?;
        }
        Ok(())
    }

    fn is_parked(&self, instance: &Instance) -> bool {
        self.ctx.loaded.manifest.deploy.retire == Retire::Park
            && instance.state == InstanceState::Running
            && self.release.record.replaces.is_some_and(|release| belongs(instance, release))
    }

    /// Waits until no resolver hands out the address that the record had before.
    async fn forgotten_by_resolvers(&self) -> Result<(), EngineError> {
        let until = self.release.entries.iter().filter_map(|record| match record.entry {
            Entry::AwaitingResolvers { until } => Some(until),
            _ => None,
        });
        let Some(until) = until.max() else { return Ok(()) };
        self.wait_until(until, "until resolvers have forgotten the former address").await
    }

    async fn wait_until(&self, until: Timestamp, why: &str) -> Result<(), EngineError> {
        let left = Duration::try_from(until.duration_since(crate::clock::wall())).unwrap_or_default();
        if left.is_zero() {
            return Ok(());
        }
        self.ctx.events.info(format!("waiting {} s {why}", left.as_secs() + 1));
        self.wait(left).await
    }

    /// Waits; an interruption ends it.
    async fn wait(&self, time: Duration) -> Result<(), EngineError> {
        tokio::select! {
            biased;
            () = self.ctx.cancel.cancelled() => Err(EngineError::interrupted()),
            () = sleep(time) => Ok(()),
        }
    }

    /// Removes the addresses and records that the manifest does not want any more, once nobody can be using them. With `soon`,
    /// what resolvers keep for long is left for later.
    pub(super) async fn remove_superseded(&mut self, soon: bool) -> Result<(), EngineError> {
        let mut superseded: Vec<_> = self.resources.superseded().cloned().collect();
        // Clients first, so that nobody is sent to an address that is gone.
        superseded.sort_by_key(|owned| owned.as_record().is_none());
        // Whether something goes to which a record led.
        let leads = !soon || superseded.iter().any(|owned| owned.as_static_ip().is_some());
        let longest = superseded.iter().filter_map(|owned| Some(owned.as_record()?.ttl)).max().unwrap_or_default();
        for owned in superseded {
            let since = owned.superseded.as_ref().map_or_else(crate::clock::wall, |superseded| superseded.since);
            // Whoever was told the address by a record that goes with it may keep it as long.
            let ttl = Duration::from_secs(owned.as_record().map_or(longest, |record| record.ttl));
            if owned.made_by.is_some() {
                if soon && ttl > RESOLVERS_WITHIN {
                    let until = since.checked_add(ttl).unwrap_or(Timestamp::MAX);
                    let (what, until) = (owned.title(), until.strftime("%Y-%m-%d %H:%M:%SZ"));
                    self.ctx.events.info(format!(
                        "{what} stays until resolvers have forgotten it ({until}); then `remint gc` or the next deploy removes it"
                    ));
                    continue;
                }
                if let Resource::Record(_) = &owned.resource {
                    let until = since.checked_add(ttl).unwrap_or(Timestamp::MAX);
                    self.wait_until(until, &format!("until resolvers have forgotten {}", owned.title())).await?;
                } else {
                    self.forgotten_by_resolvers().await?;
                }
                if !self.remove(&owned).await? {
                    continue;
                }
                self.ctx.events.info(format!("{} is removed", owned.title()));
                if let Some(record) = owned.as_record().filter(|_| leads) {
                    // Resolvers may have asked for it a moment ago.
                    let ttl = Duration::from_secs(record.ttl);
                    let until = crate::clock::wall().checked_add(ttl).unwrap_or(Timestamp::MAX);
                    self.note(Entry::AwaitingResolvers { until }).await?;
                }
            }
            self.resources.forget(&owned.resource);
            self.save_resources().await?;
        }
        Ok(())
    }

    /// Removes a resource that is not wanted any more, unless somebody else uses it by now.
    async fn remove(&self, owned: &Owned) -> Result<bool, EngineError> {
        let written = written(&self.session.history, &self.release);
        match &owned.resource {
            Resource::StaticIp(ip) => give_back(&self.ctx, ip, &self.ownership()).await,
            Resource::Record(record) => remove_record(&self.ctx, &owned.provider, record, &written).await,
        }
    }
}
