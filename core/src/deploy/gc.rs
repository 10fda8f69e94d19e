//! Finding and removing what nothing accounts for, of every kind, wherever the environment ever was.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::{
    EngineError,
    engine::{Engine, Session, elsewhere},
    observe::{image_selector, instance_selector, ownership_of_images, role_selector},
};
use crate::{
    bake::{KeyFolder, forget, kept_until, key_prefix},
    context::Context,
    journal::{Identity, Owned, OwnedLoadBalancer, Place, Release, Resource, Resources, Runs, current},
    machine::destroy_all,
    manifest::Retire,
    provider::{
        EnvironmentId, Image, ImageId, ImageState, Images, Instance, InstanceState, LoadBalancer, LoadBalancers,
        LoginKeyId, LoginKeys, Owner, Selector, StaticIp, StaticIps, Stray, Strays, label,
    },
    resources::{
        Ownership, Standing, balancer_name, destroy_balancer, foreign, give_back, release_of, remove_record,
        standing_record, written, zones,
    },
    traffic::check_unused,
};

/// Something that nothing accounts for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Leftover {
    /// `instance`, `builder`, `check machine`, `login key`, `image`, `static IP`, `load balancer`, `record`, or the kind of a provider's stray.
    pub kind: String,
    /// The cloud's id, by which it is removed.
    pub id: String,
    /// Its name in the account; the id again, where the cloud has no names.
    pub name: String,
    /// The provider's id, such as `aws`.
    pub provider: String,
    /// The region; `None` for what belongs to none, such as a DNS record.
    pub region: Option<String>,
    /// When it was created, where the cloud tells.
    pub created_at: Option<Timestamp>,
    /// Why nothing accounts for it, as a fragment: `no release serves under it`.
    pub why: String,
    /// Whether it is proven to be ours. What is only perhaps ours is listed, and never removed.
    pub ours: bool,
    /// Until when somebody wants to keep it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept_until: Option<Timestamp>,
}

impl Leftover {
    /// Whether both are one thing.
    fn is_same(&self, other: &Self) -> bool {
        (&self.provider, &self.kind, &self.id) == (&other.provider, &other.kind, &other.id)
    }
}

/// What [`gc`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Leftovers {
    /// All but what is in `kept`. It includes what is only perhaps ours, which nothing removes.
    pub found: Vec<Leftover>,
    /// Builders of bakes that failed, which somebody wants to keep for a while.
    pub kept: Vec<Leftover>,
    /// Instances under our names that another journal deployed; nothing is removed while there are any.
    pub foreign: Vec<Instance>,
}

impl Leftovers {
    /// The same, with what is kept among what may be removed.
    #[must_use]
    pub fn with_kept(mut self) -> Self {
        self.found.append(&mut self.kept);
        self
    }
}

/// One leftover with what it takes to remove it.
struct Found {
    leftover: Leftover,
    removal: Option<Removal>,
}

impl Found {
    /// The same, of which it is not certain that it is of this journal.
    fn perhaps(self) -> Self {
        let leftover = Leftover { ours: false, kept_until: None, why: UNKNOWN_RUN.to_owned(), ..self.leftover };
        Self { leftover, removal: None }
    }
}

enum Removal {
    Instance(Instance),
    Key(LoginKeyId),
    Image(ImageId),
    Owned(Owned),
    StaticIp(StaticIp),
    LoadBalancer(OwnedLoadBalancer),
    Stray(Stray),
}

/// Finds what neither the journal nor a running bake accounts for; removes and changes nothing.
///
/// # Errors
///
/// The cloud's and the journal's.
pub async fn leftovers(ctx: &Context) -> Result<Leftovers, EngineError> {
    leftovers_with(&Engine::new(ctx)?).await
}

pub(super) async fn leftovers_with(engine: &Engine<'_>) -> Result<Leftovers, EngineError> {
    let (ctx, journal) = (engine.ctx, engine.journal());
    journal.check_service(&ctx.loaded.manifest.service).await?;
    let history = journal.history().await?;
    let identity = journal.identity().await?;
    // Whoever bakes or deploys holds the lock: then builders and keys may be in use.
    let quiet = journal.held().await?.is_none();
    let mut all = Leftovers::default();
    let places = identity.as_ref().map_or_else(Vec::new, |identity| identity.environment.places.clone());
    for place in with(places, ctx.place()) {
        let at = match elsewhere(ctx, &place).await {
            Ok(at) => at,
            Err(error) => {
                ctx.events.warn(error.chain());
                continue;
            }
        };
        let search = Search::new(&at, engine, identity.clone(), history.clone(), quiet).await?;
        let (found, foreign) = search.run().await?;
        // Some clouds list all regions at once.
        for Found { leftover, .. } in found {
            let list = if leftover.kept_until.is_some() { &mut all.kept } else { &mut all.found };
            if !list.iter().any(|known| known.is_same(&leftover)) {
                list.push(leftover);
            }
        }
        for instance in foreign {
            if !all.foreign.iter().any(|known| known.id == instance.id) {
                all.foreign.push(instance);
            }
        }
    }
    Ok(all)
}

/// Removes what was found before and still nothing accounts for; returns what is gone. What was not in `approved` stays.
///
/// # Errors
///
/// The cloud's and the journal's.
pub async fn gc(ctx: &Context, approved: &Leftovers) -> Result<Vec<Leftover>, EngineError> {
    gc_with(&Engine::new(ctx)?, Some(approved)).await
}

/// `approved` is what may be removed; without it, whatever is found.
pub(super) async fn gc_with(engine: &Engine<'_>, approved: Option<&Leftovers>) -> Result<Vec<Leftover>, EngineError> {
    let session = engine.begin("gc").await?;
    let removed = engine.until_interrupted(collect(engine, &session, approved)).await;
    engine.give_back_after(session.lock, &removed).await;
    removed
}

async fn collect(
    engine: &Engine<'_>,
    session: &Session,
    approved: Option<&Leftovers>,
) -> Result<Vec<Leftover>, EngineError> {
    let mut searches = Vec::new();
    let history = engine.journal().history().await?;
    for place in &session.identity.environment.places {
        // Where a place cannot be reached, the list that was approved has said so.
        let Ok(at) = engine.at(place, &session.lock).await else { continue };
        let search = Search::new(&at, engine, Some(session.identity.clone()), history.clone(), true).await?;
        let (found, strangers) = search.run().await?;
        if !strangers.is_empty() {
            return Err(foreign(&at, &session.history, &strangers));
        }
        searches.push((at, found));
    }
    if let Some(keys) = KeyFolder::of(&engine.ctx.process_env, &session.identity.environment.id) {
        keys.remove_expired();
    }
    let mut removed: Vec<Leftover> = Vec::new();
    for (at, found) in searches {
        let search = Search::new(&at, engine, Some(session.identity.clone()), history.clone(), true).await?;
        for one in found {
            let may = match approved {
                Some(approved) => approved.found.iter().any(|other| other.is_same(&one.leftover)),
                None => one.leftover.kept_until.is_none(),
            };
            let again = removed.iter().any(|known| known.is_same(&one.leftover));
            if again || !one.leftover.ours || !may {
                continue;
            }
            if let Some(removal) = one.removal
                && search.remove(session, removal).await?
            {
                removed.push(one.leftover);
            }
        }
    }
    Ok(removed)
}

/// The places, with the manifest's own.
fn with(mut places: Vec<Place>, own: Place) -> Vec<Place> {
    if !places.contains(&own) {
        places.push(own);
    }
    places
}

/// Why what carries the environment's id is perhaps not of this journal.
const UNKNOWN_RUN: &str = "it is of a run that this journal does not know: another copy of the journal may be in use";

/// A search at one place.
struct Search<'a> {
    ctx: &'a Context,
    engine: &'a Engine<'a>,
    identity: Option<Identity>,
    history: Vec<Release>,
    ownership: Ownership,
    resources: Resources,
    runs: Runs,
    /// Whether nobody bakes or deploys in this environment.
    quiet: bool,
}

impl<'a> Search<'a> {
    async fn new(
        ctx: &'a Context,
        engine: &'a Engine<'a>,
        identity: Option<Identity>,
        history: Vec<Release>,
        quiet: bool,
    ) -> Result<Self, EngineError> {
        let ownership = Ownership::new(identity.as_ref(), &history);
        let resources = engine.journal().resources().await?;
        let runs = engine.journal().known_runs().await?;
        Ok(Self { ctx, engine, identity, history, ownership, resources, runs, quiet })
    }

    async fn run(&self) -> Result<(Vec<Found>, Vec<Instance>), EngineError> {
        let (mut found, foreign) = self.instances().await?;
        let machines = self.machines_of_bakes().await?;
        let of_unknown_runs = machines.iter().any(|found| found.leftover.why == UNKNOWN_RUN);
        found.extend(machines);
        found.extend(self.keys().await?);
        found.extend(self.images().await?);
        found.extend(self.static_ips().await?);
        found.extend(self.balancers().await?);
        found.extend(self.owned());
        found.extend(self.capture().await?);
        // What carries no label may be of those runs, too.
        found.extend(
            self.strays().await?.into_iter().map(|found| if of_unknown_runs { found.perhaps() } else { found }),
        );
        Ok((found, foreign))
    }

    fn environment(&self) -> Option<&EnvironmentId> {
        self.identity.as_ref().map(|identity| &identity.environment.id)
    }

    fn leftover(&self, kind: &str, id: impl ToString, name: &str, why: impl Into<String>) -> Leftover {
        Leftover {
            kind: kind.to_owned(),
            id: id.to_string(),
            name: name.to_owned(),
            provider: self.ctx.provider.descriptor().id.to_owned(),
            region: None,
            created_at: None,
            why: why.into(),
            ours: true,
            kept_until: None,
        }
    }

    fn machine(&self, kind: &str, instance: Instance, why: impl Into<String>, ours: bool) -> Found {
        let leftover = Leftover {
            region: Some(instance.region.to_string()),
            created_at: instance.created_at,
            ours,
            ..self.leftover(kind, &instance.id, &instance.name, why)
        };
        Found { leftover, removal: ours.then_some(Removal::Instance(instance)) }
    }

    async fn instances(&self) -> Result<(Vec<Found>, Vec<Instance>), EngineError> {
        let mut all = self.ctx.provider.instances().list(&instance_selector(self.ctx)).await?;
        all.retain(|instance| instance.state != InstanceState::Destroying);
        let Standing { ours, foreign } = Standing::sort(all, &self.ownership);
        let orphans = ours.into_iter().filter_map(|instance| {
            let why = self.why_orphan(&instance)?;
            Some(self.machine("instance", instance, why, true))
        });
        Ok((orphans.collect(), foreign))
    }

    /// Why nothing accounts for an instance of ours, where nothing does.
    fn why_orphan(&self, instance: &Instance) -> Option<String> {
        let of = release_of(instance).and_then(|id| self.history.iter().find(|release| release.id() == id));
        let Some(release) = of else { return Some("it belongs to no release".to_owned()) };
        if !release.phase().is_final() {
            return None;
        }
        let serving = current(&self.history);
        let parked = serving
            .and_then(|release| release.record.replaces)
            .filter(|_| self.ctx.loaded.manifest.deploy.retire == Retire::Park);
        let id = release.id();
        if serving.map(Release::id) != Some(id) && parked != Some(id) {
            return Some(format!("{id} neither serves nor is parked nor is being deployed"));
        }
        // An undone release may have launched some for the one before it.
        let passed = self.history.iter().any(|release| release.gated().contains(&instance.id));
        (!passed).then(|| format!("it never passed the gate of {id}, which serves"))
    }

    /// Builders and check machines of this environment; those of a remint that knew no ids are perhaps ours.
    async fn machines_of_bakes(&self) -> Result<Vec<Found>, EngineError> {
        if !self.quiet {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        for (role, kind) in [("builder", "builder"), ("check", "check machine")] {
            for instance in self.ctx.provider.instances().list(&role_selector(self.ctx, role)).await? {
                match instance.labels.get(label::ENV_ID) {
                    Some(id) if self.ownership.is_environment(id) => {
                        let known = self.runs.has(instance.labels.get(label::RUN));
                        let kept_until = kept_until(&instance.labels);
                        let why =
                            if kept_until.is_some() { "its bake failed, and it is kept" } else { "no bake uses it" };
                        let mut one = self.machine(kind, instance, why, true);
                        one.leftover.kept_until = kept_until;
                        found.push(if known { one } else { one.perhaps() });
                    }
                    Some(_) => {}
                    None => {
                        let why = "it carries no id: an older remint, or somebody else, created it";
                        found.push(self.machine(kind, instance, why, false));
                    }
                }
            }
        }
        Ok(found)
    }

    async fn keys(&self) -> Result<Vec<Found>, EngineError> {
        let unfinished = self.history.last().is_some_and(|last| !last.phase().is_final());
        let (Some(keys), Some(environment)) = (self.ctx.provider.login_keys(), self.environment()) else {
            return Ok(Vec::new());
        };
        if unfinished || !self.quiet {
            return Ok(Vec::new());
        }
        let all = LoginKeys::list(keys, &key_prefix(environment)).await?;
        let found = all.into_iter().map(|key| {
            let leftover = self.leftover("login key", &key.id, &key.name, "no bake and no gate uses it");
            let one = Found { leftover, removal: Some(Removal::Key(key.id)) };
            if self.runs.has_name(&key.name) { one } else { one.perhaps() }
        });
        Ok(found.collect())
    }

    /// Images that were never finished. Those that are whole are `remint images prune`'s.
    async fn images(&self) -> Result<Vec<Found>, EngineError> {
        let ownership = ownership_of_images(self.ctx, self.engine.journal()).await?;
        let all = Images::list(self.ctx.provider.images(), &image_selector(self.ctx)).await?;
        let broken = all.into_iter().filter(|image| matches!(image.state, ImageState::Failed(_)));
        Ok(broken.map(|image| self.image(image, &ownership)).collect())
    }

    /// A capture that an earlier run began. Every command that changes something finishes it first.
    async fn capture(&self) -> Result<Option<Found>, EngineError> {
        if !self.quiet || *self.ctx.provider.descriptor().id != *self.ctx.loaded.provider.as_str() {
            return Ok(None);
        }
        let capture = self.engine.journal().capture().await?;
        Ok(capture.map(|spec| Found {
            leftover: self.leftover(
                "capture",
                &spec.instance,
                &spec.name,
                "it was left under way; the next command that changes something finishes it",
            ),
            removal: None,
        }))
    }

    fn image(&self, image: Image, ownership: &Ownership) -> Found {
        let ours = ownership.has_image(&image);
        let leftover = Leftover {
            created_at: image.created_at,
            ours,
            ..self.leftover("image", &image.id, &image.name, "its capture failed")
        };
        Found { leftover, removal: ours.then_some(Removal::Image(image.id)) }
    }

    /// Static IPs that carry this environment's id and that its journal does not know.
    async fn static_ips(&self) -> Result<Vec<Found>, EngineError> {
        let (Some(static_ips), Some(environment)) = (self.ctx.provider.static_ips(), self.environment()) else {
            return Ok(Vec::new());
        };
        let unfinished = self.history.last().is_some_and(|last| !last.phase().is_final());
        let labelled = self.ctx.provider.descriptor().has(crate::provider::Capability::StaticIpLabels);
        if !labelled || unfinished || !self.quiet {
            return Ok(Vec::new());
        }
        let mut all = StaticIps::list(static_ips, &Selector::all().with(label::ENV_ID, environment.as_str())).await?;
        all.retain(|ip| self.resources.static_ips().all(|(_, owned)| owned.id != ip.id));
        let found = all.into_iter().map(|ip| {
            let name = ip.address.ip.to_string();
            let leftover = Leftover {
                region: Some(ip.region.to_string()),
                ..self.leftover("static IP", &ip.id, &name, "no release serves under it")
            };
            Found { leftover, removal: Some(Removal::StaticIp(ip)) }
        });
        Ok(found.collect())
    }

    /// Load balancers that carry the environment's id in their names, and that the journal does not know: of a run that died, or of
    /// a journal that was lost.
    async fn balancers(&self) -> Result<Vec<Found>, EngineError> {
        let (Some(balancers), Some(environment)) = (self.ctx.provider.load_balancers(), self.environment()) else {
            return Ok(Vec::new());
        };
        let unfinished = self.history.last().is_some_and(|last| !last.phase().is_final());
        if unfinished || !self.quiet {
            return Ok(Vec::new());
        }
        let name = balancer_name(environment);
        let mut all = LoadBalancers::list(balancers, &name).await?;
        let known = |balancer: &LoadBalancer| {
            self.resources.owned.iter().filter_map(Owned::as_load_balancer).any(|owned| owned.id == balancer.id)
        };
        all.retain(|balancer| balancer.name == name && !known(balancer));
        let found = all.into_iter().map(|balancer| {
            let leftover = Leftover {
                region: Some(balancer.region.to_string()),
                ..self.leftover("load balancer", &balancer.id, &balancer.name, "no release serves behind it")
            };
            let owned = OwnedLoadBalancer { id: balancer.id, name: balancer.name, certificates: BTreeMap::new() };
            Found { leftover, removal: Some(Removal::LoadBalancer(owned)) }
        });
        Ok(found.collect())
    }

    /// What the journal names as not wanted any more, once resolvers have forgotten it. What a release that is under way does
    /// without still serves, and is wanted again should it be undone.
    fn owned(&self) -> Vec<Found> {
        let (id, dns) = (self.ctx.provider.descriptor().id, self.ctx.dns_provider().descriptor().id);
        let here = |owned: &&Owned| match &owned.resource {
            Resource::Record(_) => owned.provider.as_str() == dns,
            Resource::StaticIp(_) | Resource::LoadBalancer(_) => owned.provider.as_str() == id,
        };
        let under_way = self.history.last().filter(|last| !last.phase().is_final()).map(Release::id);
        let longest = self.resources.owned.iter().filter_map(|owned| Some(owned.as_record()?.ttl)).max();
        let due = |owned: &&Owned| {
            let Some(superseded) = &owned.superseded else { return false };
            let ttl = owned.as_record().map_or(longest.unwrap_or_default(), |record| record.ttl);
            let until = superseded.since.checked_add(std::time::Duration::from_secs(ttl)).unwrap_or(Timestamp::MAX);
            owned.made_by.is_some() && under_way != Some(superseded.by) && until <= crate::clock::wall()
        };
        let superseded = self.resources.superseded().filter(here).filter(due);
        let found = superseded.map(|owned| {
            let (kind, id) = match &owned.resource {
                Resource::StaticIp(ip) => ("static IP", ip.id.to_string()),
                Resource::LoadBalancer(balancer) => ("load balancer", balancer.id.to_string()),
                Resource::Record(record) => ("record", format!("{} {}", record.fqdn(), record.kind)),
            };
            let leftover = Leftover {
                region: owned.region.as_ref().map(ToString::to_string),
                ..self.leftover(kind, id, &owned.title(), "the manifest does not ask for it any more")
            };
            Found { leftover, removal: Some(Removal::Owned(owned.clone())) }
        });
        found.collect()
    }

    fn owner(&self) -> Option<Owner> {
        let identity = self.identity.as_ref()?;
        let environment = Some(identity.environment.id.clone());
        Some(Owner { service: identity.service.id.clone(), environment })
    }

    /// The images that some environment of the journal has begun to capture.
    async fn captures(&self) -> Result<Vec<String>, EngineError> {
        let journal = self.engine.journal();
        let mut names = Vec::new();
        for environment in journal.environments().await? {
            names.extend(journal.sibling(&environment).capture().await?.map(|spec| spec.name));
        }
        Ok(names)
    }

    /// What the provider created beside what it was asked for. What is younger than a request may last is left alone.
    async fn strays(&self) -> Result<Vec<Found>, EngineError> {
        let (Some(strays), Some(owner)) = (self.ctx.provider.strays(), self.owner()) else { return Ok(Vec::new()) };
        if !self.quiet {
            return Ok(Vec::new());
        }
        let settle_time = self.ctx.provider.descriptor().limits.settle_time;
        let newest = crate::clock::wall().checked_sub(settle_time).unwrap_or(Timestamp::MIN);
        let mut all = Strays::list(strays, &owner).await?;
        // An image without labels may be what another environment is capturing right now.
        let captures = self.captures().await?;
        all.retain(|stray| !captures.contains(&stray.name));
        let old = all.into_iter().filter(|stray| stray.created_at.is_none_or(|at| at < newest));
        let found = old.map(|stray| {
            let leftover = Leftover {
                region: stray.region.as_ref().map(ToString::to_string),
                created_at: stray.created_at,
                ..self.leftover(stray.kind.as_str(), &stray.id, &stray.name, stray.why.clone())
            };
            Found { leftover, removal: Some(Removal::Stray(stray)) }
        });
        Ok(found.collect())
    }

    /// The record that is wanted, where Remint has not set it, or somebody has sent it elsewhere: a run that was to set it did not get
    /// that far, and clients find the service under the former one.
    async fn unset_record(&self) -> Result<Option<String>, EngineError> {
        let Some((owned, record)) = self.resources.record() else { return Ok(None) };
        let standing = standing_record(zones(self.ctx, &owned.provider)?, record).await?;
        let written = written(&self.history, None);
        let is_set = standing.is_some_and(|standing| standing.values.iter().all(|value| written.contains(value)));
        Ok((!is_set).then(|| record.fqdn()))
    }

    /// Removes one; returns whether it is gone. Its use is read again first.
    async fn remove(&self, session: &Session, removal: Removal) -> Result<bool, EngineError> {
        let ctx = self.ctx;
        match removal {
            Removal::Instance(instance) => {
                let alone = std::slice::from_ref(&instance);
                if let Err(error) = check_unused(ctx, &self.resources, alone).await {
                    ctx.events.warn(format!("{} stays: {}", instance.name, error.chain()));
                    return Ok(false);
                }
                destroy_all(ctx, &instance_selector(ctx), alone).await?;
                forget(ctx, &session.identity.environment.id, &instance);
            }
            Removal::Key(id) => match ctx.provider.login_keys() {
                Some(keys) => LoginKeys::remove(keys, &id).await?,
                None => return Ok(false),
            },
            Removal::Image(id) => ctx.provider.images().delete(&id).await?,
            Removal::LoadBalancer(owned) => destroy_balancer(ctx, &owned).await?,
            Removal::StaticIp(ip) => {
                let owned = crate::journal::OwnedStaticIp { id: ip.id, address: ip.address };
                return give_back(ctx, &owned, &self.ownership).await;
            }
            Removal::Owned(owned) => {
                let gone = match &owned.resource {
                    Resource::StaticIp(ip) => give_back(ctx, ip, &self.ownership).await?,
                    Resource::LoadBalancer(balancer) => destroy_balancer(ctx, balancer).await.map(|()| true)?,
                    Resource::Record(record) => {
                        if let Some(next) = self.unset_record().await? {
                            let (fqdn, kind) = (record.fqdn(), record.kind);
                            ctx.events
                                .warn(format!("{fqdn} {kind} stays: {next}, which replaces it, does not lead to the service yet; `remint deploy` sets it"));
                            return Ok(false);
                        }
                        remove_record(ctx, &owned.provider, record, &written(&self.history, None)).await?
                    }
                };
                if gone {
                    let journal = self.engine.journal();
                    let mut resources = journal.resources().await?;
                    resources.forget(&owned.resource);
                    journal.set_resources(&session.lock, &resources).await?;
                }
                return Ok(gone);
            }
            Removal::Stray(stray) => match (ctx.provider.strays(), self.owner()) {
                (Some(strays), Some(owner)) => Strays::remove(strays, &owner, &stray).await?,
                _ => return Ok(false),
            },
        }
        Ok(true)
    }
}
