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
    clock,
    journal::{Entry, Owned, Phase, Release, Resource, Retired, Superseded},
    machine::destroy_all,
    manifest::Retire,
    provider::{Instance, InstanceState},
    resources::{Standing, destroy_balancer, find, give_back, remove_record, written},
};

/// The longest that a deploy waits for resolvers where no instance is to be destroyed after it. What they keep longer goes with the next deploy or `remint gc`.
const RESOLVERS_WITHIN: Duration = Duration::from_secs(600);

/// What is left until a time that another run wrote down. The clock may have been set since, so it is never more than lay between.
fn left(written: Timestamp, until: Timestamp) -> Duration {
    let between = |from: Timestamp, to: Timestamp| Duration::try_from(to.duration_since(from)).unwrap_or_default();
    between(clock::wall(), until).min(between(written, until))
}

/// What is left until a time of the clock that nobody sets.
fn still(until: Duration) -> Duration {
    until.saturating_sub(clock::boottime())
}

impl Run<'_> {
    /// Drains, then removes every other instance of the environment, except the one that is parked.
    pub(super) async fn retire(&mut self) -> Result<(), EngineError> {
        if std::mem::take(&mut self.resumed) && !self.release.record.balanced {
            // It may be sick by now, and what it replaced all that is healthy.
            self.still_healthy(&self.gated_instance().await?).await?;
        }
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
        // Of several behind a load balancer, none is a release's one instance that could take over again.
        let was_alone =
            |release: &Release| Some(release.id()) == self.release.record.replaces && !release.record.balanced;
        self.ctx.loaded.manifest.deploy.retire == Retire::Park
            && self.session.history.iter().any(was_alone)
            && instance.state == InstanceState::Running
            && self.release.record.replaces.is_some_and(|release| belongs(instance, release))
    }

    /// Waits until no resolver hands out the address that the record had before.
    pub(super) async fn forgotten_by_resolvers(&self) -> Result<(), EngineError> {
        let own = self.session.lock.holder().run;
        let others = self.release.entries.iter().filter(|record| record.run != own);
        let left = others.filter_map(|record| match record.entry {
            Entry::AwaitingResolvers { until } => Some(left(record.at, until)),
            _ => None,
        });
        let left = left.chain(self.forgotten.map(still)).max().unwrap_or_default();
        self.wait_for(left, "until resolvers have forgotten the former address").await
    }

    /// How long resolvers may still hand out a record that is on its way out.
    fn kept_by_resolvers(&self, superseded: Option<&Superseded>, ttl: Duration) -> Duration {
        match (superseded, self.renamed) {
            (Some(superseded), Some(since)) if superseded.by == self.release.id() => still(since + ttl),
            (Some(Superseded { since, .. }), _) => left(*since, since.checked_add(ttl).unwrap_or(Timestamp::MAX)),
            (None, _) => ttl,
        }
    }

    async fn wait_for(&self, left: Duration, why: &str) -> Result<(), EngineError> {
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
        let leads = !soon || superseded.iter().any(Owned::is_way_in);
        let longest = superseded.iter().filter_map(|owned| Some(owned.as_record()?.ttl)).max().unwrap_or_default();
        for owned in superseded {
            // Whoever was told the address by a record that goes with it may keep it as long.
            let ttl = Duration::from_secs(owned.as_record().map_or(longest, |record| record.ttl));
            if owned.made_by.is_some() {
                if soon && ttl > RESOLVERS_WITHIN {
                    let since = owned.superseded.as_ref().map_or_else(clock::wall, |superseded| superseded.since);
                    let until = since.checked_add(ttl).unwrap_or(Timestamp::MAX);
                    let (what, until) = (owned.title(), until.strftime("%Y-%m-%d %H:%M:%SZ"));
                    self.ctx.events.info(format!(
                        "{what} stays until resolvers have forgotten it ({until}); then `remint gc` or the next deploy removes it"
                    ));
                    continue;
                }
                if let Resource::Record(_) = &owned.resource {
                    let left = self.kept_by_resolvers(owned.superseded.as_ref(), ttl);
                    self.wait_for(left, &format!("until resolvers have forgotten {}", owned.title())).await?;
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
                    self.note_resolvers(ttl).await?;
                }
            }
            self.resources.forget(&owned.resource);
            self.save_resources().await?;
        }
        Ok(())
    }

    /// Gives back the static IPs that an earlier release did without, where they point at instances that are about to go: they
    /// stayed while somebody else used them, and nobody is to be sent to what is gone.
    pub(super) async fn remove_leftovers_at(&mut self, doomed: &[Instance]) -> Result<(), EngineError> {
        let here = self.ctx.place();
        // Those that this release does without are wanted again should it be undone, until it retires what was before.
        let retires = self.release.entered(Phase::Retiring);
        let left_over = |owned: &&Owned| {
            let by = owned.superseded.as_ref().map(|superseded| superseded.by);
            (retires || by != Some(self.release.id()))
                && owned.made_by.is_some()
                && owned.place().is_some_and(|place| place == here)
        };
        for owned in self.resources.superseded().filter(left_over).cloned().collect::<Vec<_>>() {
            let Some(known) = owned.as_static_ip() else { continue };
            let Some(ip) = find(self.static_ips()?, &known.id).await? else { continue };
            if !doomed.iter().any(|instance| ip.assigned_to.as_ref() == Some(&instance.id)) {
                continue;
            }
            if self.remove(&owned).await? {
                self.ctx.events.info(format!("{} is removed", owned.title()));
                self.resources.forget(&owned.resource);
                self.save_resources().await?;
            }
        }
        Ok(())
    }

    /// Removes a resource that is not wanted any more, unless somebody else uses it by now.
    async fn remove(&self, owned: &Owned) -> Result<bool, EngineError> {
        let written = written(&self.session.history, &self.release);
        match &owned.resource {
            Resource::StaticIp(ip) => give_back(&self.ctx, ip, &self.ownership()).await,
            Resource::LoadBalancer(balancer) => destroy_balancer(&self.ctx, balancer).await.map(|()| true),
            Resource::Record(record) => remove_record(&self.ctx, &owned.provider, record, &written).await,
        }
    }
}
