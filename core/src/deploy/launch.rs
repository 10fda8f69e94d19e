//! Launching and gating: from an image to an instance that may serve.

use std::{collections::BTreeSet, time::Duration};

use futures::future::try_join_all;
use tokio::time::Instant;

use super::{
    DeployError, DeployErrorKind,
    engine::Run,
    observe::{ROLE_INSTANCE, instance_selector, release_of},
    outside::{Opened, Prepared},
};
use crate::{
    context::Context,
    events::Event,
    journal::{Entry, Phase, ReleaseRecord},
    provider::{Instance, InstanceId, InstanceState, Labels, LaunchSpec, LoginKey, ReleaseId, Selector, label},
    watch::{Observed, Wait},
};

/// How long a machine may take to be gone.
const GONE_WITHIN: Duration = Duration::from_secs(300);

impl Run<'_> {
    /// Makes sure that an instance of this release has passed the gate.
    pub(super) async fn launch_and_gate(&mut self) -> Result<(), DeployError> {
        if !self.fresh {
            let standing = self.own_instances().await?;
            let passed = |instance: &Instance| instance.state == InstanceState::Running && self.is_gated(&instance.id);
            if standing.iter().any(passed) {
                return self.remove_login_keys().await;
            }
            // Nobody holds the keys of these any more.
            self.destroy_all(&standing).await?;
            self.remove_login_keys().await?;
        }
        let deadline = Instant::now() + self.ctx.loaded.manifest.deploy.timeout.0;
        let name = instance_name(self.ctx, self.release.id(), 0);
        let static_ip = self.resources.static_ip.as_ref().map(|owned| owned.address.ip);
        // Composed, and its size checked, before anything is made.
        let prepared = self.outside().prepare(self.ctx, self.release.id(), &name, static_ip).await?;
        self.enter(Phase::Launching).await?;
        self.fresh = false;
        let key = self.register_key(&prepared).await?;
        let instance = self.launch(&name, &prepared, key.as_ref()).await?;
        self.enter(Phase::Gating).await?;
        let instance = self.with_address(instance, deadline).await?;
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

    async fn register_key(&mut self, prepared: &Prepared) -> Result<Option<LoginKey>, DeployError> {
        let Some(keys) = self.ctx.provider.login_keys() else { return Ok(None) };
        let name = format!("{}{}", key_prefix(self.ctx, self.release.id()), self.ctx.run4());
        Ok(Some(keys.ensure(&name, &prepared.public_key).await?))
    }

    async fn launch(
        &mut self,
        name: &str,
        prepared: &Prepared,
        key: Option<&LoginKey>,
    ) -> Result<Instance, DeployError> {
        let record = self.release.record.clone();
        self.note(Entry::Launching { names: vec![name.to_owned()] }).await?;
        let spec = LaunchSpec {
            names: vec![name.to_owned()],
            image: record.image.clone(),
            size: record.size.clone(),
            region: record.region.clone(),
            labels: instance_labels(self.ctx, &record),
            user_data: Some(prepared.user_data.clone()),
            login_keys: key.map(|key| key.id.clone()).into_iter().collect(),
        };
        let launched = self.ctx.provider.instances().launch(&spec).await?;
        let Some(instance) = launched.into_iter().next() else {
            return Err(DeployError::new(DeployErrorKind::Provider, format!("the cloud launched no instance {name}")));
        };
        let host_key = Some(prepared.host_key.clone());
        self.note(Entry::Launched { instances: vec![instance.id.clone()], host_key }).await?;
        let (id, name) = (instance.id.clone(), instance.name.clone());
        self.ctx.events.emit(Event::InstanceLaunched { instance: id, name });
        Ok(instance)
    }

    /// Waits for the instance's address only: SSH tells sooner than the cloud, and for nothing, that it runs.
    async fn with_address(&self, instance: Instance, deadline: Instant) -> Result<Instance, DeployError> {
        if instance.address.is_some() {
            return Ok(instance);
        }
        let wait = Wait::new("to have an address")
            .first(self.ctx.provider.descriptor().limits.launch_time)
            .timeout(deadline.saturating_duration_since(Instant::now()));
        let has_address = |instance: &Instance| instance.address.is_some();
        Ok(self.ctx.watcher.instance(&instance_selector(self.ctx), &instance.id, wait, has_address).await?)
    }

    async fn gate(&mut self, instance: &Instance, prepared: &Prepared, deadline: Instant) -> Result<(), DeployError> {
        let within = deadline.saturating_duration_since(Instant::now());
        let ctx = self.ctx;
        let opened = self.outside().open(ctx, instance, prepared, within).await;
        let mut opened = match opened {
            Ok(opened) => opened,
            Err(error) => return Err(self.with_console(error, &instance.id).await),
        };
        let examined = match tokio::time::timeout_at(deadline, opened.examine(ctx)).await {
            Ok(examined) => examined,
            Err(_) => {
                let after = ctx.loaded.manifest.deploy.timeout;
                Err(DeployError::new(
                    DeployErrorKind::Gate,
                    format!("the gate took longer than {after} (deploy.timeout)"),
                ))
            }
        };
        if let Err(error) = examined {
            return Err(with_log(error, &mut *opened).await);
        }
        if let Some(command) = ctx.loaded.manifest.deploy.before_switch.clone()
            && !self.release.before_switch_done()
        {
            self.note(Entry::BeforeSwitchStarted).await?;
            if let Err(error) = opened.before_switch(ctx, &command).await {
                return Err(with_log(error, &mut *opened).await);
            }
            self.note(Entry::BeforeSwitchDone).await?;
        }
        opened.close(ctx).await
    }

    async fn with_console(&self, error: DeployError, id: &InstanceId) -> DeployError {
        if error.kind() == DeployErrorKind::Interrupted {
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

    /// The instances of this release that stand.
    pub(super) async fn own_instances(&self) -> Result<Vec<Instance>, DeployError> {
        Ok(self.ctx.provider.instances().list(&self.own_selector()).await?)
    }

    /// What finds this release's own instances, and its address on clouds that label addresses.
    pub(super) fn own_selector(&self) -> Selector {
        instance_selector(self.ctx).with(label::RELEASE, self.release.id().0.to_string())
    }

    /// Destroys instances side by side, and waits until they are gone.
    pub(super) async fn destroy_all(&self, instances: &[Instance]) -> Result<(), DeployError> {
        destroy_all(self.ctx, instances).await
    }

    /// Removes the login keys that runs of this release registered with the account.
    pub(super) async fn remove_login_keys(&self) -> Result<(), DeployError> {
        let Some(keys) = self.ctx.provider.login_keys() else { return Ok(()) };
        for key in keys.list(&key_prefix(self.ctx, self.release.id())).await? {
            keys.remove(&key.id).await?;
        }
        Ok(())
    }
}

async fn with_log(error: DeployError, opened: &mut dyn Opened) -> DeployError {
    let log = opened.log().await;
    if log.is_empty() || !error.detail_lines().is_empty() { error } else { error.details(log) }
}

/// Destroys instances side by side, and waits until they are gone.
pub(super) async fn destroy_all(ctx: &Context, instances: &[Instance]) -> Result<(), DeployError> {
    let unique: BTreeSet<_> = instances.iter().map(|instance| (&instance.id, &instance.name)).collect();
    let selector = instance_selector(ctx);
    try_join_all(unique.into_iter().map(|(id, name)| {
        let selector = &selector;
        async move {
            let wait = Wait::new("to take the order to be destroyed").timeout(GONE_WITHIN);
            let order = || async move { ctx.provider.instances().destroy(id).await.map(Observed::Done) };
            ctx.watcher.poll(&format!("instance {name}"), wait, order).await?;
            let first = ctx.provider.descriptor().limits.destroy_time;
            let wait = Wait::new("to be gone").first(first).leisurely().timeout(GONE_WITHIN);
            ctx.watcher.instance_gone(selector, id, wait).await?;
            ctx.events.emit(Event::InstanceDestroyed { instance: id.clone(), name: name.clone() });
            Ok::<_, DeployError>(())
        }
    }))
    .await?;
    Ok(())
}

/// A deterministic name that tells attempts apart: the run is in it.
fn instance_name(ctx: &Context, release: ReleaseId, index: u32) -> String {
    let tail = format!("-{release}-{index}-{}", ctx.run4());
    let mut name = format!("{}-{}", ctx.loaded.manifest.service, ctx.loaded.environment);
    name.truncate(ctx.provider.descriptor().limits.name_length.saturating_sub(tail.len()));
    name + &tail
}

/// What the names of a release's login keys start with.
pub(super) fn key_prefix(ctx: &Context, release: ReleaseId) -> String {
    format!("remint-{}-{}-{release}-", ctx.loaded.manifest.service, ctx.loaded.environment)
}

fn instance_labels(ctx: &Context, record: &ReleaseRecord) -> Labels {
    Labels::new()
        .with(label::SERVICE, &ctx.loaded.manifest.service)
        .with(label::ENV, ctx.loaded.environment.as_str())
        .with(label::ROLE, ROLE_INSTANCE)
        .with(label::RELEASE, record.id.0.to_string())
}

/// Whether an instance belongs to a release.
pub(super) fn belongs(instance: &Instance, release: ReleaseId) -> bool {
    release_of(instance) == Some(release)
}
