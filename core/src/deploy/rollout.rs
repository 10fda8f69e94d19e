//! Rolling out behind a load balancer: new instances take over from old ones, wave after wave.
//!
//! Before each wave, the cloud is asked what there is, and the next wave is chosen from that. An instance becomes a member when
//! it has passed its gate, and no old one is drained before the load balancer itself says that the new ones are in service.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::{
    EngineError, EngineErrorKind, health,
    launch::{Source, belongs},
    observe,
    walk::Run,
    waves::{Mixture, Rollout, Wave, next},
};
use crate::{
    journal::{Entry, OwnedLoadBalancer, Phase, Release, ReleaseRecord, Retired},
    provider::{ErrorKind, Instance, InstanceId, InstanceState, Labels, LoadBalancer, MemberHealth, ReleaseId, label},
    resources::{Standing, balancers, destroy_balancer, find_balancer, release_of, wanted_balancer},
    traffic,
};

/// How often the load balancer is asked what it makes of new instances while they are watched.
const BETWEEN_VERDICTS: Duration = Duration::from_secs(5);

/// The instances behind a load balancer, as they are to be and not.
struct Fleet {
    fresh: Vec<Instance>,
    /// Those that have passed their gate and are not in service yet: of a run that died, or taken out by somebody.
    waiting: Vec<Instance>,
    old: Vec<Instance>,
    sick: Vec<Instance>,
}

impl Run<'_> {
    /// Makes the instances behind the load balancer those of this release.
    pub(super) async fn roll_out(&mut self) -> Result<(), EngineError> {
        if !self.fresh {
            self.settle_launches().await?;
            self.finish_keeping().await?;
            let own = self.own_instances().await?;
            // Nobody holds the keys of these any more.
            let unopened: Vec<_> = own.into_iter().filter(|instance| !self.is_gated(&instance.id)).collect();
            self.destroy_unused(&unopened).await?;
            self.remove_login_keys().await?;
        }
        self.enter(Phase::Rolling).await?;
        let balancer = self.ensure_balancer().await?;
        let record = self.release.record.clone();
        let rollout = Rollout::of(&self.ctx.loaded.manifest, record.count);
        let launched = self.release.entries.iter().any(|record| matches!(record.entry, Entry::GatePassed { .. }));
        self.watched = Box::pin(self.converge(&balancer, &rollout, &record, !launched)).await?;
        Ok(())
    }

    /// Sets the load balancer up as the manifest says, and makes the instances of this release, which is done, its only members of ours.
    pub(super) async fn put_right(&mut self) -> Result<(), EngineError> {
        let balancer = self.ensure_balancer().await?;
        let record = self.release.record.clone();
        let rollout = Rollout::of(&self.ctx.loaded.manifest, record.count);
        Box::pin(self.converge(&balancer, &rollout, &record, true)).await.map(drop)
    }

    /// Creates the load balancer, or sets it up as the manifest says, and waits until it takes connections. That it is wanted is
    /// written down before it is created.
    async fn ensure_balancer(&mut self) -> Result<LoadBalancer, EngineError> {
        let id = &self.session.identity.environment.id;
        let Some(spec) = wanted_balancer(&self.ctx, id) else {
            let message =
                format!("{} is behind a load balancer, and the manifest has none any more", self.release.id());
            return Err(EngineError::new(EngineErrorKind::Manifest, message)
                .hint("run `remint abort`, or put `[load_balancer]` back until this release is finished"));
        };
        let is_known = self.resources.load_balancer().is_some_and(|(_, owned)| owned.name == spec.name);
        // A request of a run that died may still be on its way: there would be two.
        if !is_known && self.find_own_balancer().await?.is_none_or(|standing| standing.name != spec.name) {
            self.note(Entry::MakingBalancer { name: spec.name.clone() }).await?;
        }
        let ctx = self.ctx.clone();
        let certificates = spec.settings.certificates();
        let mut balancer = ctx.commit(self.own_balancer(traffic::ensure(&ctx, &spec), certificates.clone())).await?;
        if traffic::never_worked(&balancer) {
            // Asked for again, the cloud shows the same one. Its name says that it is ours, and nobody was ever sent to it.
            let failed = OwnedLoadBalancer {
                id: balancer.id.clone(),
                name: balancer.name.clone(),
                certificates: certificates.clone(),
            };
            destroy_balancer(&ctx, &failed).await?;
            balancer = ctx.commit(self.own_balancer(traffic::ensure(&ctx, &spec), certificates)).await?;
        }
        let balancer = traffic::active(&ctx, &balancer).await?;
        Ok(balancer)
    }

    /// Writes down that a load balancer is ours, and which certificates it was given.
    async fn own_balancer(
        &mut self,
        made: impl Future<Output = Result<LoadBalancer, EngineError>>,
        certificates: BTreeMap<String, String>,
    ) -> Result<LoadBalancer, EngineError> {
        let balancer = made.await?;
        let owned = OwnedLoadBalancer { id: balancer.id.clone(), name: balancer.name.clone(), certificates };
        if self.resources.load_balancer().is_none_or(|(_, known)| *known != owned) {
            self.resources.want_load_balancer(owned, &self.release.record.place(), self.release.id());
            self.save_resources().await?;
        }
        Ok(balancer)
    }

    /// Goes wave by wave until as many instances of a release as wanted are in service, and no others. `watched`: whether those
    /// that there are have proven themselves. Gives whether the new ones were watched through the load balancer.
    pub(super) async fn converge(
        &mut self,
        balancer: &LoadBalancer,
        rollout: &Rollout,
        wanted: &ReleaseRecord,
        mut watched: bool,
    ) -> Result<bool, EngineError> {
        let source = Source::of(wanted);
        // Whether clients were answered as they should be before anything was launched.
        let mut well = None;
        // The wave that goes on.
        let mut began = Instant::now();
        loop {
            let mut fleet = self.fleet(balancer, wanted.id, rollout.count).await?;
            if !fleet.waiting.is_empty() {
                let within = self.in_service_within();
                traffic::put_in_service(&self.ctx, balancer, &fleet.waiting, within, began).await?;
                fleet.fresh.append(&mut fleet.waiting);
            }
            let (fresh, old, sick) = (size(&fleet.fresh), size(&fleet.old), size(&fleet.sick));
            let Some(wave) = next(rollout, &Mixture { fresh, old, sick, watched }) else {
                return Ok(well != Some(false));
            };
            match wave {
                Wave::Launch(many) => {
                    began = Instant::now();
                    if well.is_none() && old > 0 {
                        well = Some(health::is_well_behind(&self.ctx, balancer).await?);
                    }
                    self.ctx.events.info(format!("launching {} of {}", counted(many), source.release));
                    let gated = Box::pin(self.launch_gated(many, &source)).await?;
                    let within = self.in_service_within();
                    traffic::put_in_service(&self.ctx, balancer, &gated, within, began).await?;
                    watched = false;
                }
                Wave::Watch => {
                    // While what is undone still serves, too, answers that clients get say nothing of what came back; and nothing
                    // of what is new while old ones serve that were bad before.
                    let bad_old = wanted.id != self.release.id() || well == Some(false);
                    watched =
                        self.watch_members(balancer, &fleet.fresh, !bad_old || fleet.old.is_empty(), began).await?;
                }
                Wave::Retire(many) => {
                    fleet.old.truncate(many as usize);
                    self.retire_members(balancer, &fleet.old, began).await?;
                }
                Wave::Clear(many) => {
                    fleet.sick.truncate(many as usize);
                    self.clear(balancer, &fleet.sick, began).await?;
                }
            }
        }
    }

    /// How long the load balancer may take to find new members healthy.
    fn in_service_within(&self) -> Duration {
        self.ctx.loaded.manifest.deploy.timeout.0
    }

    /// Looks at what there is behind the load balancer. Members that are not ours are nobody's business here.
    async fn fleet(&self, balancer: &LoadBalancer, wanted: ReleaseId, count: u32) -> Result<Fleet, EngineError> {
        let (instances, members) =
            tokio::try_join!(observe::instances(&self.ctx), traffic::members(&self.ctx, balancer))?;
        let mut ours = Standing::sort(instances, &self.ownership()).ours;
        ours.sort_by(|one, other| (release_of(one), &one.name).cmp(&(release_of(other), &other.name)));
        let gated = self.gated_of_all();
        let mut fleet = Fleet { fresh: Vec::new(), waiting: Vec::new(), old: Vec::new(), sick: Vec::new() };
        for instance in ours {
            let health = members.get(&instance.id);
            let serves = traffic::serves(health) && instance.state == InstanceState::Running;
            if belongs(&instance, wanted) && gated.contains(&instance.id) && size(&fleet.fresh) < count {
                if serves {
                    fleet.fresh.push(instance);
                } else if instance.state == InstanceState::Running {
                    fleet.waiting.push(instance);
                } else {
                    fleet.sick.push(instance);
                }
            } else if !self.is_behind_it(&instance) && health.is_none() {
                // It has another way in, by which clients still come.
            } else if serves {
                fleet.old.push(instance);
            } else {
                fleet.sick.push(instance);
            }
        }
        self.look_again_at(&mut fleet).await?;
        // Those that wait come on top only as far as there is need for them.
        let room = (count.saturating_sub(size(&fleet.fresh))) as usize;
        if fleet.waiting.len() > room {
            fleet.sick.extend(fleet.waiting.split_off(room));
        }
        Ok(fleet)
    }

    /// Reads those that wait once more, each by its id: a list may show one that is gone.
    async fn look_again_at(&self, fleet: &mut Fleet) -> Result<(), EngineError> {
        for instance in std::mem::take(&mut fleet.waiting) {
            match self.ctx.provider.instances().get(&instance.id).await {
                Ok(now) if now.state == InstanceState::Running => fleet.waiting.push(now),
                Ok(now) => fleet.sick.push(now),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Whether an instance was launched to be behind the load balancer.
    fn is_behind_it(&self, instance: &Instance) -> bool {
        let Some(release) = release_of(instance) else { return false };
        let all = self.session.history.iter().chain([&self.release]);
        all.filter(|known| known.id() == release).any(|known| known.record.balanced)
    }

    /// The instances that have passed a gate of any release.
    fn gated_of_all(&self) -> BTreeSet<InstanceId> {
        self.session.history.iter().chain([&self.release]).flat_map(Release::gated).collect()
    }

    /// Watches new instances for a while, all of which must stay in service. `asks`: the service must also be healthy through the
    /// load balancer. `false` where some were taken out and can be put in again: an order of a run that died came late, or somebody
    /// did it. No longer than new members may take since the wave `began`.
    async fn watch_members(
        &mut self,
        balancer: &LoadBalancer,
        fresh: &[Instance],
        asks: bool,
        began: Instant,
    ) -> Result<bool, EngineError> {
        self.ctx.events.info(format!("watching {} through the load balancer", counted(size(fresh))));
        let until = Instant::now() + self.ctx.loaded.manifest.deploy.observe.0;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let turn = left.min(BETWEEN_VERDICTS);
            if asks {
                health::observe_balancer(&self.ctx, balancer, turn).await?;
            } else {
                sleep(turn).await;
            }
            let members = traffic::members(&self.ctx, balancer).await?;
            let sick: Vec<_> = fresh.iter().filter(|one| !traffic::serves(members.get(&one.id))).collect();
            if !sick.is_empty() {
                let in_time = began.elapsed() < self.in_service_within();
                if in_time && self.are_only_taken_out(&sick, &members).await? {
                    let names: Vec<&str> = sick.iter().map(|instance| instance.name.as_str()).collect();
                    let names = names.join(", ");
                    self.ctx
                        .events
                        .warn(format!("taken out of the load balancer while watched, and put back: {names}"));
                    return Ok(false);
                }
                let line = |instance: &&Instance| {
                    let health = members.get(&instance.id).map_or("not a member", |health| health.as_str());
                    format!("{}: {health}", instance.name)
                };
                let message = format!("{} of {} new instances did not stay in service", sick.len(), fresh.len());
                return Err(EngineError::new(EngineErrorKind::Gate, message).details(sick.iter().map(line).collect()));
            }
            if Instant::now() >= until {
                return Ok(true);
            }
        }
    }

    /// Whether instances run and are no members, which says nothing against them.
    async fn are_only_taken_out(
        &self,
        instances: &[&Instance],
        members: &BTreeMap<InstanceId, MemberHealth>,
    ) -> Result<bool, EngineError> {
        for instance in instances {
            if !matches!(members.get(&instance.id), None | Some(MemberHealth::Draining)) {
                return Ok(false);
            }
            match self.ctx.provider.instances().get(&instance.id).await {
                Ok(now) if now.state == InstanceState::Running => {}
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Drains old members and destroys them.
    async fn retire_members(
        &mut self,
        balancer: &LoadBalancer,
        old: &[Instance],
        began: Instant,
    ) -> Result<(), EngineError> {
        self.ctx.events.info(format!("draining {}", counted(size(old))));
        traffic::drain(&self.ctx, balancer, old, self.ctx.loaded.manifest.deploy.drain.0, began).await?;
        self.destroy_members(old).await
    }

    /// Destroys instances that the load balancer sends nobody to.
    async fn clear(&mut self, balancer: &LoadBalancer, sick: &[Instance], began: Instant) -> Result<(), EngineError> {
        traffic::drain(&self.ctx, balancer, sick, Duration::ZERO, began).await?;
        self.destroy_members(sick).await
    }

    async fn destroy_members(&mut self, doomed: &[Instance]) -> Result<(), EngineError> {
        self.remove_leftovers_at(doomed).await?;
        let instances = doomed.iter().map(|instance| instance.id.clone()).collect();
        self.note(Entry::Retiring { instances, how: Retired::Destroyed }).await?;
        self.destroy_unused(doomed).await
    }

    /// Hands instances of the current release, which are as they are to be, to this one. That it does so is written down first:
    /// should the release be undone, they go back.
    pub(super) async fn keep_instances(&mut self, kept: &[InstanceId], from: ReleaseId) -> Result<(), EngineError> {
        self.enter(Phase::Rolling).await?;
        self.fresh = false;
        if kept.is_empty() {
            return Ok(());
        }
        self.note(Entry::Keeping { instances: kept.to_vec(), from }).await?;
        self.finish_keeping().await
    }

    /// Gives this release's label to what it keeps and does not have it yet.
    async fn finish_keeping(&mut self) -> Result<(), EngineError> {
        let adopted = self.release.adopted();
        if adopted.is_empty() {
            return Ok(());
        }
        let standing = Standing::sort(observe::instances(&self.ctx).await?, &self.ownership()).ours;
        let is_kept = |instance: &&Instance| adopted.iter().any(|(id, _)| *id == instance.id);
        self.label_as(self.release.id(), standing.iter().filter(is_kept)).await
    }

    /// Gives a release's label to instances of ours that have another one.
    pub(super) async fn label_as(
        &self,
        release: ReleaseId,
        instances: impl Iterator<Item = &Instance>,
    ) -> Result<(), EngineError> {
        let labels = Labels::new().with(label::RELEASE, release.0.to_string());
        for instance in instances.filter(|instance| !belongs(instance, release)) {
            self.ctx.provider.instances().label(&instance.id, &labels).await?;
        }
        Ok(())
    }

    /// The load balancer of the environment, where there is one: the one that is wanted; the one of this release, whose undo may
    /// have begun to do without it; or one that a dead run of this release asked for.
    pub(super) async fn find_own_balancer(&mut self) -> Result<Option<LoadBalancer>, EngineError> {
        let intended =
            self.release.entries.iter().rev().find(|record| matches!(record.entry, Entry::MakingBalancer { .. }));
        let intended = intended.cloned();
        let name = match intended.as_ref().map(|record| &record.entry) {
            Some(Entry::MakingBalancer { name }) => Some(name),
            _ => None,
        };
        let intends = |known: &OwnedLoadBalancer| name.is_some_and(|name| *name == known.name);
        let wanted = self.resources.load_balancer();
        let known = wanted.or_else(|| self.resources.load_balancers().find(|(_, known)| intends(known)));
        if let Some(id) = known.map(|(_, known)| known.id.clone()) {
            return find_balancer(balancers(&self.ctx)?, &id).await;
        }
        let (Some(announced), Some(name)) = (&intended, name) else { return Ok(None) };
        let mut settling = self.settling(announced, format!("load balancer {name}"));
        let all = balancers(&self.ctx)?;
        let found = loop {
            // It was asked for long ago, perhaps: then one look shows it.
            let last = !settling.goes_on().await;
            let found = all.list(name).await?.into_iter().find(|balancer| balancer.name == *name);
            if found.is_some() || last {
                break found;
            }
        };
        let Some(balancer) = found else { return Ok(None) };
        self.own_balancer(async { Ok(balancer) }, BTreeMap::new()).await.map(Some)
    }

    /// Takes instances of this release out of the load balancer.
    pub(super) async fn drain_own(&self, balancer: Option<&LoadBalancer>, own: &[Instance]) -> Result<(), EngineError> {
        let Some(balancer) = balancer else { return Ok(()) };
        let drain = self.ctx.loaded.manifest.deploy.drain.0;
        traffic::drain(&self.ctx, balancer, own, drain, self.started).await
    }
}

fn size(instances: &[Instance]) -> u32 {
    u32::try_from(instances.len()).unwrap_or(u32::MAX)
}

fn counted(many: u32) -> String {
    if many == 1 { "1 instance".to_owned() } else { format!("{many} instances") }
}
