//! Launching and gating: from an image to an instance that may serve.

use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, future::join_all, stream};
use tokio::time::{Instant, sleep};

use super::{
    EngineError, EngineErrorKind, configuration,
    configuration::Prepared,
    gate::Gate,
    health,
    observe::{ROLE_INSTANCE, instance_selector},
    walk::Run,
};
use crate::{
    bake::key_prefix,
    context::Context,
    events::{Event, Events},
    health::HealthError,
    journal::{Entry, EntryRecord, Phase, ReleaseRecord},
    machine::{self, destroy_all},
    manifest::StaticIpChoice,
    provider::{
        Effect, ErrorKind, ImageId, Instance, InstanceId, InstanceState, Labels, LaunchSpec, LoginKey, Provider,
        Region, ReleaseId, Selector, SizeName, StaticIp, label,
    },
    remote::Keys,
    resources::{self, release_of},
    traffic::check_unused,
};

/// How many instances are taken through the gate at a time: each has a connection of its own.
const AT_THE_GATE: usize = 100;

/// How many launch calls are on their way at a time.
const LAUNCHES: usize = 8;

/// How often a request whose reply is not known is looked for.
const SETTLE_LOOKS: Duration = Duration::from_secs(2);

impl Run<'_> {
    /// Makes sure that an instance of this release has passed the gate.
    pub(super) async fn launch_and_gate(&mut self) -> Result<(), EngineError> {
        if !self.fresh {
            self.settle_launches().await?;
            let standing = self.own_instances().await?;
            let passed = |instance: &&Instance| self.may_serve(instance);
            // Whether it is healthy still is asked before the switch.
            if standing.iter().any(|instance| passed(&instance)) {
                return self.remove_login_keys().await;
            }
            let adopted = self.release.adopted();
            let is_adopted = |instance: &Instance| adopted.iter().any(|(id, _)| *id == instance.id);
            if let Some(instance) = standing.iter().find(|one| is_adopted(one) && one.state == InstanceState::Running) {
                // A parked one, which passed the gate of its own release.
                return self.note(Entry::GatePassed { instances: vec![instance.id.clone()] }).await;
            }
            // Nobody holds the keys of these any more.
            let unopened: Vec<_> = standing.into_iter().filter(|instance| !is_adopted(instance)).collect();
            self.check_unknown(&unopened).await?;
            self.destroy_unused(&unopened).await?;
            self.remove_login_keys().await?;
        }
        let source = Source::of(&self.release.record);
        self.launch_gated(1, &source).await.map(drop)
    }

    /// Launches instances and takes them through the gate, side by side.
    pub(super) async fn launch_gated(&mut self, many: u32, source: &Source) -> Result<Vec<Instance>, EngineError> {
        let deadline = Instant::now() + self.ctx.loaded.manifest.deploy.timeout.0;
        let names = self.new_names(many, source.release);
        let static_ip = self.resources.static_ip().map(|(_, owned)| owned.address.ip);
        // What is launched by one call has one text of user data: then the cloud's own metadata say which name is whose.
        let hostname = names.first().filter(|_| names.len() == 1);
        // Composed, and its size checked, before anything is created.
        let hostname = hostname.map(String::as_str);
        let prepared = configuration::prepare(&self.ctx, source.release, hostname, static_ip).await?;
        // Behind a load balancer, launching is a part of rolling.
        let has_phases = !self.release.record.balanced;
        if has_phases {
            self.enter(Phase::Launching).await?;
        }
        self.fresh = false;
        let ctx = self.ctx.clone();
        let key = ctx.commit(self.register_key(&prepared)).await?;
        let launched = ctx.commit(self.launch(&names, source, &prepared, key.as_ref())).await?;
        if has_phases {
            self.enter(Phase::Gating).await?;
        }
        let gated = Box::pin(self.gate(launched, &prepared, deadline)).await;
        if let Ok(gated) = &gated {
            let instances = gated.iter().map(|instance| instance.id.clone()).collect();
            self.note(Entry::GatePassed { instances }).await?;
        }
        for Instance { id, name, .. } in gated.iter().flatten() {
            self.ctx.events.emit(Event::InstanceHealthy { instance: id.clone(), name: name.clone() });
        }
        if let (Some(keys), Some(key)) = (self.ctx.provider.login_keys(), key) {
            keys.remove(&key.id).await?;
        }
        gated
    }

    /// Names that no instance has had: the run is in them, and how many this run has named before.
    fn new_names(&self, many: u32, release: ReleaseId) -> Vec<String> {
        let run = format!("-{}", self.ctx.run4());
        let before = self.release.names().iter().filter(|name| name.ends_with(&run)).count();
        let first = u32::try_from(before).unwrap_or(u32::MAX);
        (first..first.saturating_add(many)).map(|index| instance_name(&self.ctx, release, index)).collect()
    }

    /// Whether an instance runs and has passed this release's gate.
    pub(super) fn may_serve(&self, instance: &Instance) -> bool {
        instance.state == InstanceState::Running && self.is_gated(&instance.id)
    }

    /// An instance that passed its gate in an earlier run may be sick by now.
    pub(super) async fn still_healthy(&self, instance: &Instance) -> Result<(), EngineError> {
        match &instance.address {
            Some(address) => health::observe(&self.ctx, address, Duration::ZERO).await,
            None => Ok(()),
        }
    }

    async fn register_key(&mut self, prepared: &Prepared) -> Result<Option<LoginKey>, EngineError> {
        let Some(keys) = self.ctx.provider.login_keys() else { return Ok(None) };
        let name = format!("{}{}", self.key_prefix(), self.ctx.run4());
        Ok(Some(keys.ensure(&name, &prepared.keys.login.public().line()).await?))
    }

    /// Launches instances in the largest batches that the cloud takes, several side by side. After a refusal, no more are sent; those
    /// that are on their way are waited for.
    async fn launch(
        &mut self,
        names: &[String],
        source: &Source,
        prepared: &Prepared,
        key: Option<&LoginKey>,
    ) -> Result<Vec<Instance>, EngineError> {
        self.refused = false;
        self.note(Entry::Launching { names: names.to_vec() }).await?;
        let spec = LaunchSpec {
            names: Vec::new(),
            new_names: true,
            image: source.image.clone(),
            size: source.size.clone(),
            region: source.region.clone(),
            labels: self.instance_labels(source.release),
            user_data: Some(prepared.user_data.clone()),
            login_keys: key.map(|key| key.id.clone()).into_iter().collect(),
        };
        let batches: Vec<LaunchSpec> = names
            .chunks(self.ctx.provider.descriptor().limits.launch_batch.max(1))
            .map(|names| LaunchSpec { names: names.to_vec(), ..spec.clone() })
            .collect();
        let mut launched = Vec::new();
        for batches in batches.chunks(LAUNCHES) {
            let mut refused = None;
            for ended in join_all(batches.iter().map(|batch| machine::launch_all(&self.ctx, batch))).await {
                match ended {
                    Ok(instances) => launched.extend(instances),
                    Err(error) => refused = refused.or(Some(error)),
                }
            }
            if let Some(error) = refused {
                // What was launched is found by its label.
                self.refused = launched.is_empty() && batches.len() == 1 && error.effect() == Effect::NotApplied;
                return Err(error.into());
            }
        }
        let host_key = Some(prepared.keys.host.public().line());
        let instances = launched.iter().map(|instance| instance.id.clone()).collect();
        self.note(Entry::Launched { instances, host_key }).await?;
        for Instance { id, name, .. } in &launched {
            self.ctx.events.emit(Event::InstanceLaunched { instance: id.clone(), name: name.clone() });
        }
        Ok(launched)
    }

    fn instance_labels(&self, release: ReleaseId) -> Labels {
        Labels::new()
            .with(label::SERVICE, &self.ctx.loaded.manifest.service)
            .with(label::ENV, self.ctx.loaded.environment.as_str())
            .with(label::ENV_ID, self.session.identity.environment.id.as_str())
            .with(label::ROLE, ROLE_INSTANCE)
            .with(label::RELEASE, release.0.to_string())
    }

    /// Takes new instances through the gate. The first that does not pass ends it for all.
    async fn gate(
        &mut self,
        launched: Vec<Instance>,
        prepared: &Prepared,
        deadline: Instant,
    ) -> Result<Vec<Instance>, EngineError> {
        let ctx = &self.ctx.clone();
        let alone = launched.len() == 1;
        let examined = launched.into_iter().map(|instance| {
            // One that is launched alone has the keys that were made with its user data.
            let keys = if alone { prepared.keys.clone() } else { prepared.keys.with_another_next(&*ctx.machines) };
            examined(ctx, instance, keys, deadline)
        });
        let open: Vec<_> = stream::iter(examined).buffered(AT_THE_GATE).try_collect().await?;
        if let Some(command) = ctx.loaded.manifest.deploy.before_switch.clone()
            && !self.release.before_switch_done()
            && let Some((_, gate, _)) = open.first()
        {
            self.note(Entry::BeforeSwitchStarted).await?;
            if let Err(error) = gate.before_switch(ctx, &command).await {
                return Err(with_log(error, gate).await);
            }
            self.note(Entry::BeforeSwitchDone).await?;
        }
        // Before the machines have them: a run that dies now leaves instances that show one of two keys, both known.
        let next = |(instance, _, keys): &(Instance, Gate, Keys)| (instance.id.clone(), keys.next.public().line());
        self.note(Entry::RotatingHostKeys { host_keys: open.iter().map(next).collect() }).await?;
        let closed = open.into_iter().map(|(instance, gate, _)| closed(ctx, instance, gate));
        stream::iter(closed).buffered(AT_THE_GATE).try_collect().await
    }

    /// The instances of this release that exist: those that carry its label, and those that its journal names, which a list may
    /// lag behind.
    pub(super) async fn own_instances(&self) -> Result<Vec<Instance>, EngineError> {
        let ownership = self.ownership();
        let instances = self.ctx.provider.instances();
        let mut own = instances.list(&self.own_selector()).await?;
        own.retain(|instance| ownership.has(instance));
        for id in self.release.launched() {
            if own.iter().any(|instance| instance.id == id) {
                continue;
            }
            match instances.get(&id).await {
                Ok(instance) if belongs(&instance, self.release.id()) && ownership.has(&instance) => own.push(instance),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(own)
    }

    /// What finds this release's own instances, and its address on clouds that label addresses.
    pub(super) fn own_selector(&self) -> Selector {
        instance_selector(&self.ctx).with(label::RELEASE, self.release.id().0.to_string())
    }

    /// Waits until nothing can come any more of a launch that a dead run sent, or whose reply was lost.
    pub(super) async fn settle_launches(&self) -> Result<(), EngineError> {
        if self.refused {
            return Ok(());
        }
        let entries = &self.release.entries;
        let Some(at) = entries.iter().rposition(|record| matches!(record.entry, Entry::Launching { .. })) else {
            return Ok(());
        };
        let answered = |record: &EntryRecord| matches!(record.entry, Entry::Launched { .. });
        if entries[at..].iter().any(answered) {
            return Ok(());
        }
        let Entry::Launching { names } = &entries[at].entry else { return Ok(()) };
        let mut settling = self.settling(&entries[at], format!("the launch of {}", names.join(", ")));
        while settling.goes_on().await {
            let standing = self.ctx.provider.instances().list(&self.own_selector()).await?;
            if names.iter().all(|name| standing.iter().any(|instance| instance.name == *name)) {
                break;
            }
        }
        Ok(())
    }

    /// How long to look for the effect of a request that was announced here, and whose reply is not known.
    pub(super) fn settling(&self, announced: &EntryRecord, what: String) -> Settling {
        self.settling_at(self.ctx.provider.as_ref(), announced, what)
    }

    /// As [`Run::settling`], for a request to this provider.
    pub(super) fn settling_at(&self, provider: &dyn Provider, announced: &EntryRecord, what: String) -> Settling {
        let settle_time = provider.descriptor().limits.settle_time;
        let mut age = Duration::try_from(crate::clock::wall().duration_since(announced.at)).unwrap_or_default();
        if announced.run == self.session.lock.holder().run {
            // The wall clock may have been set since.
            age = age.min(self.started.elapsed());
        }
        let deadline = Instant::now() + settle_time.saturating_sub(age);
        Settling { deadline, what, looks: 0, events: self.ctx.events.clone() }
    }

    /// Fails when clients are sent to instances of a release that has not switched yet, as far as this journal knows: it is an older
    /// copy, and the true one knows better.
    pub(super) async fn check_unknown(&self, doomed: &[Instance]) -> Result<(), EngineError> {
        if doomed.is_empty() {
            return Ok(());
        }
        let ips = match self.ctx.provider.static_ips() {
            Some(static_ips) => static_ips.list(&Selector::all()).await?,
            None => Vec::new(),
        };
        // A zone that cannot be read must not keep a release from being undone.
        let record = resources::record(&self.ctx).await.unwrap_or_else(|error| {
            self.ctx.events.warn(error.chain());
            None
        });
        for instance in doomed {
            let ip = ips.iter().find(|ip| ip.assigned_to.as_ref() == Some(&instance.id) && !self.is_known_address(ip));
            let own = instance.address.as_ref().map(|address| address.ip.to_string());
            let named = record.as_ref().filter(|record| own.as_ref().is_some_and(|own| record.values.contains(own)));
            let what = match (ip, named) {
                (Some(ip), _) => format!("static IP {}", ip.address.ip),
                (None, Some(record)) => record.fqdn(),
                (None, None) => continue,
            };
            let (name, release) = (&instance.name, self.release.id());
            let message = format!("{what} leads to {name}, and as this journal has it, {release} does not serve yet");
            return Err(EngineError::new(EngineErrorKind::Foreign, message)
                .hint("the journal may be an older copy: run remint where this was deployed from"));
        }
        Ok(())
    }

    /// Whether the journal or the manifest names a static IP.
    pub(super) fn is_known_address(&self, ip: &StaticIp) -> bool {
        let named = *self.ctx.loaded.manifest.static_ip() == StaticIpChoice::Existing(ip.address.ip);
        named || self.resources.static_ips().any(|(_, owned)| owned.id == ip.id)
    }

    /// Destroys instances of ours to which no client is sent, and waits until they are gone. Where static IPs point and what load
    /// balancers have as members is read from the cloud first.
    pub(super) async fn destroy_unused(&self, doomed: &[Instance]) -> Result<(), EngineError> {
        if doomed.is_empty() {
            return Ok(());
        }
        check_unused(&self.ctx, &self.resources, doomed).await?;
        Ok(destroy_all(&self.ctx, &instance_selector(&self.ctx), doomed).await?)
    }

    /// What the names of this release's login keys start with. The environment's id is in it: nobody else's do.
    fn key_prefix(&self) -> String {
        format!("{}r{}-", key_prefix(&self.session.identity.environment.id), self.release.id().0)
    }

    /// Removes the login keys that runs of this release registered with the account.
    pub(super) async fn remove_login_keys(&self) -> Result<(), EngineError> {
        let Some(keys) = self.ctx.provider.login_keys() else { return Ok(()) };
        for key in keys.list(&self.key_prefix()).await? {
            keys.remove(&key.id).await?;
        }
        Ok(())
    }
}

/// Looks again and again for the effect of a request, until it cannot come any more.
pub(super) struct Settling {
    deadline: Instant,
    what: String,
    looks: u32,
    events: Events,
}

impl Settling {
    /// Whether to look once more; waits before every look but the first.
    pub(super) async fn goes_on(&mut self) -> bool {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        if self.looks == 1 {
            let what = &self.what;
            self.events.info(format!("{what} does not show; waiting in case it still takes effect"));
        }
        if self.looks > 0 {
            sleep(SETTLE_LOOKS.min(left)).await;
        }
        self.looks += 1;
        true
    }
}

/// What instances are launched from.
pub(super) struct Source {
    /// The release whose label they carry.
    pub(super) release: ReleaseId,
    image: ImageId,
    size: SizeName,
    region: Region,
}

impl Source {
    /// What the instances of a release are launched from.
    pub(super) fn of(record: &ReleaseRecord) -> Self {
        Self {
            release: record.id,
            image: record.image.clone(),
            size: record.size.clone(),
            region: record.region.clone(),
        }
    }
}

/// Waits for a new instance's address, lets itself in, and examines it.
async fn examined(
    ctx: &Context,
    instance: Instance,
    keys: Keys,
    deadline: Instant,
) -> Result<(Instance, Gate, Keys), EngineError> {
    let instance = machine::with_address(ctx, &instance_selector(ctx), instance, deadline).await?;
    let within = deadline.saturating_duration_since(Instant::now());
    let gate = match Gate::open(ctx, &instance, &keys, within).await {
        Ok(gate) => gate,
        Err(error) => return Err(with_console(ctx, error, &instance.id).await),
    };
    let examined = match tokio::time::timeout_at(deadline, gate.examine(ctx)).await {
        Ok(examined) => examined,
        Err(_) => {
            let after = ctx.loaded.manifest.deploy.timeout;
            Err(EngineError::new(EngineErrorKind::Gate, format!("the gate took longer than {after} (deploy.timeout)")))
        }
    };
    match examined {
        Ok(()) => Ok((instance, gate, keys)),
        Err(error) => Err(with_log(error, &gate).await),
    }
}

/// Closes the gate behind an instance that has passed it.
async fn closed(ctx: &Context, instance: Instance, gate: Gate) -> Result<Instance, EngineError> {
    gate.close(ctx).await?;
    // The instance has read it, and nobody else needs to.
    match ctx.provider.instances().withdraw_user_data(&instance.id).await {
        Ok(_) => Ok(instance),
        Err(error) if error.kind() == ErrorKind::Unsupported => Ok(instance),
        Err(error) => Err(error.into()),
    }
}

async fn with_console(ctx: &Context, error: EngineError, id: &InstanceId) -> EngineError {
    if error.kind() == EngineErrorKind::Interrupted {
        return error;
    }
    match ctx.provider.instances().console_output(id).await {
        Ok(text) => {
            let lines: Vec<_> = text.lines().map(str::to_owned).collect();
            error.details(lines[lines.len().saturating_sub(30)..].to_vec())
        }
        Err(_) => error,
    }
}

/// Adds the machine's log where the error shows no lines of its own; and where the service is not healthy, after the end of its answer.
async fn with_log(error: EngineError, gate: &Gate) -> EngineError {
    let own = error.detail_lines().to_vec();
    let is_health = std::error::Error::source(&error).is_some_and(|source| source.is::<HealthError>());
    if error.kind() == EngineErrorKind::Interrupted || !own.is_empty() && !is_health {
        return error;
    }
    let log = gate.log().await;
    match (own.is_empty(), log.is_empty()) {
        (_, true) => error,
        (true, false) => error.details(log),
        (false, false) => error.details([own, vec![LOG_TITLE.to_owned()], log].concat()),
    }
}

/// What stands between an error's own lines and the machine's log.
const LOG_TITLE: &str = "the end of its log:";

/// A deterministic name that tells attempts apart: the run is in it.
fn instance_name(ctx: &Context, release: ReleaseId, index: u32) -> String {
    let tail = format!("-{release}-{index}-{}", ctx.run4());
    let mut name = format!("{}-{}", ctx.loaded.manifest.service, ctx.loaded.environment);
    name.truncate(ctx.provider.descriptor().limits.name_length.saturating_sub(tail.len()));
    name + &tail
}

/// Whether an instance belongs to a release.
pub(super) fn belongs(instance: &Instance, release: ReleaseId) -> bool {
    release_of(instance) == Some(release)
}
