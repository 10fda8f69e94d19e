//! Launching and gating: from an image to an instance that may serve.

use std::time::Duration;

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
    journal::{Entry, EntryRecord, Phase},
    machine::{self, destroy_all},
    manifest::StaticIpChoice,
    provider::{
        Effect, ErrorKind, Instance, InstanceId, InstanceState, Labels, LaunchSpec, LoginKey, Provider, ReleaseId,
        Selector, StaticIp, label,
    },
    resources::{self, release_of},
    traffic::check_unused,
};

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
                return self.note(Entry::GatePassed { instance: instance.id.clone() }).await;
            }
            // Nobody holds the keys of these any more.
            let unopened: Vec<_> = standing.into_iter().filter(|instance| !is_adopted(instance)).collect();
            self.check_unknown(&unopened).await?;
            self.destroy_unused(&unopened).await?;
            self.remove_login_keys().await?;
        }
        let deadline = Instant::now() + self.ctx.loaded.manifest.deploy.timeout.0;
        let name = instance_name(&self.ctx, self.release.id(), 0);
        let static_ip = self.resources.static_ip().map(|(_, owned)| owned.address.ip);
        // Composed, and its size checked, before anything is created.
        let prepared = configuration::prepare(&self.ctx, self.release.id(), &name, static_ip).await?;
        self.enter(Phase::Launching).await?;
        self.fresh = false;
        let ctx = self.ctx.clone();
        let key = ctx.commit(self.register_key(&prepared)).await?;
        let instance = ctx.commit(self.launch(&name, &prepared, key.as_ref())).await?;
        self.enter(Phase::Gating).await?;
        let selector = instance_selector(&self.ctx);
        let instance = machine::with_address(&self.ctx, &selector, instance, deadline).await?;
        let gated = self.gate(&instance, &prepared, deadline).await;
        if gated.is_ok() {
            self.note(Entry::GatePassed { instance: instance.id.clone() }).await?;
            let Instance { id, name, .. } = instance;
            self.ctx.events.emit(Event::InstanceHealthy { instance: id, name });
        }
        if let (Some(keys), Some(key)) = (self.ctx.provider.login_keys(), key) {
            keys.remove(&key.id).await?;
        }
        gated
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

    async fn launch(
        &mut self,
        name: &str,
        prepared: &Prepared,
        key: Option<&LoginKey>,
    ) -> Result<Instance, EngineError> {
        let record = self.release.record.clone();
        self.note(Entry::Launching { names: vec![name.to_owned()] }).await?;
        let spec = LaunchSpec {
            names: vec![name.to_owned()],
            new_names: true,
            image: record.image.clone(),
            size: record.size.clone(),
            region: record.region.clone(),
            labels: self.instance_labels(),
            user_data: Some(prepared.user_data.clone()),
            login_keys: key.map(|key| key.id.clone()).into_iter().collect(),
        };
        let launched = machine::launch(&self.ctx, &spec).await;
        let instance = launched.inspect_err(|error| self.refused = error.effect() == Effect::NotApplied)?;
        let host_key = Some(prepared.keys.host.public().line());
        self.note(Entry::Launched { instances: vec![instance.id.clone()], host_key }).await?;
        let (id, name) = (instance.id.clone(), instance.name.clone());
        self.ctx.events.emit(Event::InstanceLaunched { instance: id, name });
        Ok(instance)
    }

    fn instance_labels(&self) -> Labels {
        Labels::new()
            .with(label::SERVICE, &self.ctx.loaded.manifest.service)
            .with(label::ENV, self.ctx.loaded.environment.as_str())
            .with(label::ENV_ID, self.session.identity.environment.id.as_str())
            .with(label::ROLE, ROLE_INSTANCE)
            .with(label::RELEASE, self.release.id().0.to_string())
    }

    async fn gate(&mut self, instance: &Instance, prepared: &Prepared, deadline: Instant) -> Result<(), EngineError> {
        let within = deadline.saturating_duration_since(Instant::now());
        let ctx = &self.ctx.clone();
        let gate = match Gate::open(ctx, instance, &prepared.keys, within).await {
            Ok(gate) => gate,
            Err(error) => return Err(self.with_console(error, &instance.id).await),
        };
        let examined = match tokio::time::timeout_at(deadline, gate.examine(ctx)).await {
            Ok(examined) => examined,
            Err(_) => {
                let after = ctx.loaded.manifest.deploy.timeout;
                Err(EngineError::new(
                    EngineErrorKind::Gate,
                    format!("the gate took longer than {after} (deploy.timeout)"),
                ))
            }
        };
        if let Err(error) = examined {
            return Err(with_log(error, &gate).await);
        }
        if let Some(command) = ctx.loaded.manifest.deploy.before_switch.clone()
            && !self.release.before_switch_done()
        {
            self.note(Entry::BeforeSwitchStarted).await?;
            if let Err(error) = gate.before_switch(ctx, &command).await {
                return Err(with_log(error, &gate).await);
            }
            self.note(Entry::BeforeSwitchDone).await?;
        }
        // Before the machine has it: a run that dies now leaves an instance that shows one of two keys, both known.
        let host_key = prepared.keys.next.public().line();
        self.note(Entry::RotatingHostKey { instance: instance.id.clone(), host_key }).await?;
        gate.close(ctx).await?;
        // The instance has read it, and nobody else needs to.
        match ctx.provider.instances().withdraw_user_data(&instance.id).await {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::Unsupported => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn with_console(&self, error: EngineError, id: &InstanceId) -> EngineError {
        if error.kind() == EngineErrorKind::Interrupted {
            return error;
        }
        match self.ctx.provider.instances().console_output(id).await {
            Ok(text) => {
                let lines: Vec<_> = text.lines().map(str::to_owned).collect();
                error.details(lines[lines.len().saturating_sub(30)..].to_vec())
            }
            Err(_) => error,
        }
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
        let named = self.ctx.loaded.manifest.address.static_ip == StaticIpChoice::Existing(ip.address.ip);
        named || self.resources.static_ips().any(|(_, owned)| owned.id == ip.id)
    }

    /// Destroys instances of ours that no address points at, and waits until they are gone. Where the address points is read from
    /// the cloud first.
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
