//! The gate on real machines: SSH with the release's own keys, cloud-init, health.

use std::{net::IpAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::{
    EngineError, EngineErrorKind,
    digest::ConfigDigest,
    outside::{Opened, Outside, Prepared},
};
use crate::{
    context::Context,
    events::{Event, Stream},
    health::{self, Probe, ProbeRun, wait_healthy},
    logins::{self, KeyFile},
    machine::{Keys, Machine, Way},
    manifest::{ConfigSection, Git, HealthCheck, RenderContext, Secrets},
    provider::{Address, ImageId, Instance, ReleaseId},
    recipe::Recipe,
    remote::{Command, Connection, HostKey, UploadOptions},
    userdata::UserData,
};

/// Gives the machine another host key, which comes on standard input.
const ROTATE: &str = include_str!("rotate.sh");
/// Shows the end of the logs where a cause may stand.
const LOG: &str = include_str!("log.sh");
/// How often the service is asked while the address moves.
const PROBE_EVERY: Duration = Duration::from_millis(50);
/// How long SSH may take to come back with its new host key.
const ROTATES_WITHIN: Duration = Duration::from_secs(60);
/// How long a look at a log may take.
const LOG_WITHIN: Duration = Duration::from_secs(10);

/// Real machines.
pub(super) struct SshOutside {
    secrets: Arc<Secrets>,
}

impl SshOutside {
    pub(super) fn new(ctx: &Context) -> Self {
        Self { secrets: Arc::clone(&ctx.loaded.secrets) }
    }

    async fn probe_of(
        ctx: &Context,
        address: &Address,
        connection: Option<Arc<Connection>>,
    ) -> Result<Probe, EngineError> {
        Probe::of(&ctx.loaded, address, connection)
            .await
            .map_err(|reason| EngineError::new(EngineErrorKind::Manifest, format!("{reason} (health.check)")))
    }

    /// Whether nobody can ask from here: a command needs a connection, and this run may not read the secrets of a header.
    fn is_silent(ctx: &Context) -> bool {
        matches!(ctx.loaded.manifest.health.check, HealthCheck::Command(_)) || ctx.loaded.health_is_sealed()
    }

    /// The user's own parts of the user data, filled in where they ask for it.
    async fn parts(
        &self,
        ctx: &Context,
        release: ReleaseId,
        static_ip: Option<IpAddr>,
    ) -> Result<Vec<(String, SecretString)>, EngineError> {
        let fqdn = ctx.loaded.fqdn();
        let render = self.render_context(ctx, release, static_ip, fqdn.as_deref());
        let mut parts = Vec::new();
        for part in &ctx.loaded.user_data {
            parts.push((part.name.clone(), part.content.render(&render).await?));
        }
        Ok(parts)
    }

    fn render_context<'a>(
        &'a self,
        ctx: &'a Context,
        release: ReleaseId,
        static_ip: Option<IpAddr>,
        fqdn: Option<&'a str>,
    ) -> RenderContext<'a> {
        RenderContext {
            release,
            service: &ctx.loaded.manifest.service,
            environment: &ctx.loaded.environment,
            static_ip,
            fqdn,
            secrets: &self.secrets,
        }
    }
}

#[async_trait]
impl Outside for SshOutside {
    async fn recipe(&self, ctx: &Context, base: &ImageId) -> Result<Recipe, EngineError> {
        let read = Recipe::read(&ctx.loaded, base).await;
        read.map_err(|error| {
            EngineError::new(EngineErrorKind::Manifest, "cannot tell what the image is made of").because(error)
        })
    }

    async fn config_digest(&self, ctx: &Context, salt: &str, static_ip: Option<IpAddr>) -> Result<String, EngineError> {
        let mut digest = ConfigDigest::new(salt);
        // The release's number stands in every configuration that asks for it, and is no change of its own.
        let release = ReleaseId(0);
        if let Some(config) = &ctx.loaded.manifest.config {
            let fqdn = ctx.loaded.fqdn();
            let rendered = config.render(&self.render_context(ctx, release, static_ip, fqdn.as_deref())).await?;
            digest.field(rendered.digest(salt.as_bytes()).as_bytes());
        }
        for (name, body) in self.parts(ctx, release, static_ip).await? {
            digest.field(name.as_bytes());
            digest.field(body.expose_secret().as_bytes());
        }
        for key in &ctx.loaded.manifest.access.ssh_keys {
            digest.field(key.as_bytes());
        }
        digest.finish().await.map_err(|reason| EngineError::new(EngineErrorKind::Journal, reason))
    }

    async fn commit(&self, ctx: &Context) -> Option<String> {
        let folder = ctx.loaded.base_dir.clone();
        tokio::task::spawn_blocking(move || Git::new(&folder).get("sha").ok()).await.ok().flatten()
    }

    async fn prepare(
        &self,
        ctx: &Context,
        release: ReleaseId,
        name: &str,
        static_ip: Option<IpAddr>,
    ) -> Result<Prepared, EngineError> {
        let keys = Keys::generate();
        let public_key = keys.login.public().line();
        let descriptor = ctx.provider.descriptor();
        let mut data = UserData::new(&keys.host.private_pem(), &descriptor.guest);
        data = data.hostname(name).authorize(public_key.clone());
        for key in &ctx.loaded.manifest.access.ssh_keys {
            data = data.authorize(key);
        }
        if let Some(config) = &ctx.loaded.manifest.config {
            let fqdn = ctx.loaded.fqdn();
            let rendered = config.render(&self.render_context(ctx, release, static_ip, fqdn.as_deref())).await?;
            data = data.config(&rendered)?;
        }
        for (name, body) in self.parts(ctx, release, static_ip).await? {
            data = data.part(name, &body)?;
        }
        let user_data = data.build(descriptor.limits.user_data_bytes)?;
        // A secret that no health check can be asked with is found out before anything is made.
        health::headers(&ctx.loaded).await?;
        Ok(Prepared { user_data, keys })
    }

    async fn open(
        &self,
        ctx: &Context,
        instance: &Instance,
        prepared: &Prepared,
        within: Duration,
    ) -> Result<Box<dyn Opened>, EngineError> {
        let (name, started) = (&instance.name, Instant::now());
        let Some(address) = &instance.address else {
            return Err(EngineError::new(EngineErrorKind::Gate, format!("there is no way into instance {name}")));
        };
        ctx.events.emit(Event::TaskStarted { task: name.clone(), message: "waiting for SSH".to_owned() });
        let Keys { host, next, login } = prepared.keys.clone();
        let way = Way { login, host_key: host.public() };
        let machine = Machine::reach(ctx, name, address, way, started + within).await?;
        let restart = ctx.loaded.manifest.config.as_ref().map(|config| config.restart.clone()).unwrap_or_default();
        Ok(Box::new(OpenMachine { machine, started, next, restart }))
    }

    async fn ask(&self, ctx: &Context, address: &Address) -> Option<Result<(), String>> {
        if Self::is_silent(ctx) {
            return None;
        }
        let probe = Self::probe_of(ctx, address, None).await.ok()?;
        Some(probe.ask().await.map_err(|answer| answer.to_string()))
    }

    async fn observe(&self, ctx: &Context, address: &Address, during: Duration) -> Result<(), EngineError> {
        let health = &ctx.loaded.manifest.health;
        if Self::is_silent(ctx) {
            tokio::time::sleep(during).await;
            return Ok(());
        }
        let probe = Self::probe_of(ctx, address, None).await?;
        let started = Instant::now();
        loop {
            wait_healthy(&probe, health, None, &ctx.cancel, &mut |_| {}).await?;
            if started.elapsed() >= during {
                return Ok(());
            }
            tokio::time::sleep(health.interval.0).await;
        }
    }

    async fn probe(&self, ctx: &Context, address: &Address) -> Option<ProbeRun> {
        if Self::is_silent(ctx) {
            return None;
        }
        let probe = Self::probe_of(ctx, address, None).await.ok()?;
        Some(ProbeRun::start(probe, PROBE_EVERY))
    }
}

/// A new instance, open for its gate.
struct OpenMachine {
    machine: Machine,
    /// When Remint began to knock.
    started: Instant,
    next: HostKey,
    /// The units of `[config].restart`.
    restart: Vec<String>,
}

#[async_trait]
impl Opened for OpenMachine {
    async fn examine(&mut self, ctx: &Context) -> Result<(), EngineError> {
        let manifest = &ctx.loaded.manifest;
        let commands = manifest.config.as_ref().is_some_and(ConfigSection::has_commands);
        self.machine.first_boot_done(commands, None).await?;
        let probe =
            SshOutside::probe_of(ctx, self.machine.address(), Some(Arc::clone(self.machine.connection()))).await?;
        self.machine.progress(format!("asking {probe}"));
        let (task, events) = (self.machine.name().to_owned(), ctx.events.clone());
        let mut change = move |answer: &str| {
            events.emit(Event::TaskProgress { task: task.clone(), message: answer.to_owned() });
        };
        Ok(wait_healthy(&probe, &ctx.loaded.manifest.health, None, &ctx.cancel, &mut change).await?)
    }

    async fn before_switch(&mut self, ctx: &Context, command: &str) -> Result<(), EngineError> {
        self.machine.progress("running the command before the switch");
        let (task, events) = (self.machine.name().to_owned(), ctx.events.clone());
        let mut line = move |stream: Stream, line: &str| {
            let step = "before_switch".to_owned();
            events.emit(Event::Output { task: task.clone(), step, stream, line: line.to_owned() });
        };
        let command = Command::shell(command).timeout(ctx.loaded.manifest.deploy.timeout.0);
        let outcome = self.machine.connection().exec(&command, &mut line).await?;
        if outcome.exit.is_success() {
            return Ok(());
        }
        let message = format!("the command before the switch failed on {} ({})", self.machine.name(), outcome.exit);
        Err(EngineError::new(EngineErrorKind::Gate, message)
            .hint("its last lines are shown below; see `deploy.before_switch`")
            .details(outcome.tail))
    }

    async fn log(&mut self) -> Vec<String> {
        let restart = self.restart.join(" ");
        let command = Command::shell(LOG).env("REMINT_UNITS", restart).timeout(LOG_WITHIN);
        match self.machine.connection().exec(&command, &mut |_, _| {}).await {
            Ok(outcome) => outcome.tail,
            Err(_) => Vec::new(),
        }
    }

    async fn close(mut self: Box<Self>, ctx: &Context) -> Result<(), EngineError> {
        let own_files = self.examine_logins(ctx).await?;
        self.rotate_host_key().await?;
        self.write_logins(ctx, &own_files).await?;
        let elapsed = self.started.elapsed();
        let message = "passed its gate".to_owned();
        ctx.events.emit(Event::TaskFinished { task: self.machine.name().to_owned(), message, elapsed });
        Ok(())
    }
}

impl OpenMachine {
    fn refuse(&self, message: String) -> EngineError {
        EngineError::new(EngineErrorKind::Gate, message)
    }

    /// Asks who can log in. Gives the files that are Remint's to write.
    async fn examine_logins(&self, ctx: &Context) -> Result<Vec<KeyFile>, EngineError> {
        self.machine.progress("asking who can log in");
        let access = &ctx.loaded.manifest.access.ssh_keys;
        let audit = logins::audit(self.machine.connection(), &self.machine.login(), access).await?;
        if !audit.found.is_empty() {
            let message = format!("{} would let in somebody whom `[access]` does not name", self.machine.name());
            return Err(self
                .refuse(message)
                .hint("correct the recipe, the image or `instance.user_data`, or name the keys in `[access]`")
                .details(audit.found));
        }
        for file in audit.own_files.iter().filter(|file| file.foreign > 0) {
            ctx.events.warn(format!("removing from {} {}", self.machine.name(), file.surplus()));
        }
        if audit.own_files.is_empty() {
            let message = format!("{} lets Remint in, and no file of login keys says so", self.machine.name());
            return Err(self.refuse(message).hint("see `AuthorizedKeysFile` of the machine's sshd_config"));
        }
        Ok(audit.own_files)
    }

    /// Installs the next host key, and connects to it: the one of the user data is worth nothing from then on.
    async fn rotate_host_key(&mut self) -> Result<(), EngineError> {
        self.machine.progress("replacing the host key");
        let command = Command::shell(ROTATE)
            .env("PUBLIC", self.next.public().line())
            .stdin(self.next.private_pem().expose_secret())
            .timeout(ROTATES_WITHIN);
        let outcome = self.machine.connection().exec(&command, &mut |_, _| {}).await?;
        if !outcome.exit.is_success() {
            let message = format!("the host key of {} could not be replaced ({})", self.machine.name(), outcome.exit);
            return Err(self.refuse(message).details(outcome.tail));
        }
        Ok(self.machine.reconnect_as(self.next.public(), ROTATES_WITHIN).await?)
    }

    /// Writes root's files of login keys from `[access]`, and reads them again.
    async fn write_logins(&self, ctx: &Context, files: &[KeyFile]) -> Result<(), EngineError> {
        self.machine.progress("removing the login key");
        let access = logins::access_file(&ctx.loaded.manifest.access.ssh_keys);
        let options = UploadOptions { mode: Some(0o600), ..UploadOptions::default() };
        // Remint's key goes last where there are several: a run that is cut off leaves no file half done.
        for (index, file) in files.iter().enumerate().rev() {
            let wanted = if index == 0 { access.as_str() } else { "" };
            self.machine.connection().upload_bytes(wanted.as_bytes(), &file.path, &options).await?;
            if self.machine.connection().download(&file.path).await? != wanted.as_bytes() {
                let message = format!("{} on {} does not hold what was written to it", file.path, self.machine.name());
                return Err(self.refuse(message).hint("something on the machine writes login keys; remove it"));
            }
        }
        Ok(())
    }
}
