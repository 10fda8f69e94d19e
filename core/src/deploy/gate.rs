//! The gate on real machines: SSH with the release's own keys, cloud-init, health.

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::{
    DeployError, DeployErrorKind,
    digest::ConfigDigest,
    outside::{Opened, Outside, Prepared},
};
use crate::{
    context::Context,
    events::{Event, Stream},
    first_boot::{self, Expected, Verdict},
    health::{self, Probe, ProbeRun, wait_healthy},
    logins::{self, KeyFile},
    manifest::{ConfigSection, Git, HealthCheck, RenderContext, Secrets},
    provider::{Address, ImageId, Instance, ReleaseId},
    recipe::Recipe,
    remote::{Boot, Command, ConnectOptions, Connection, HostKey, LoginKey, UploadOptions, WaitOptions, wait_for_ssh},
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

/// A release's keys, in memory only.
struct Keys {
    host: HostKey,
    /// The host key that the gate installs: nobody has ever had it in user data.
    next: HostKey,
    login: LoginKey,
}

impl SshOutside {
    pub(super) fn new(ctx: &Context) -> Self {
        Self { secrets: Arc::clone(&ctx.loaded.secrets) }
    }

    async fn probe_of(
        ctx: &Context,
        address: &Address,
        connection: Option<Arc<Connection>>,
    ) -> Result<Probe, DeployError> {
        Probe::of(&ctx.loaded, address, connection)
            .await
            .map_err(|reason| DeployError::new(DeployErrorKind::Manifest, format!("{reason} (health.check)")))
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
    ) -> Result<Vec<(String, SecretString)>, DeployError> {
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
    async fn recipe(&self, ctx: &Context, base: &ImageId) -> Result<Recipe, DeployError> {
        let read = Recipe::read(&ctx.loaded, base).await;
        read.map_err(|error| {
            DeployError::new(DeployErrorKind::Manifest, "cannot tell what the image is made of").because(error)
        })
    }

    async fn config_digest(&self, ctx: &Context, salt: &str, static_ip: Option<IpAddr>) -> Result<String, DeployError> {
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
        digest.finish().await.map_err(|reason| DeployError::new(DeployErrorKind::Journal, reason))
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
    ) -> Result<Prepared, DeployError> {
        let keys = Keys { host: HostKey::generate(), next: HostKey::generate(), login: LoginKey::generate() };
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
        let host_key = keys.host.public().line();
        let next_host_key = keys.next.public().line();
        Ok(Prepared { user_data, public_key, host_key, next_host_key, keys: Box::new(keys) })
    }

    async fn open(
        &self,
        ctx: &Context,
        instance: &Instance,
        prepared: &Prepared,
        within: Duration,
    ) -> Result<Box<dyn Opened>, DeployError> {
        let (task, started) = (instance.name.clone(), Instant::now());
        let keys = prepared.keys.downcast_ref::<Keys>();
        let (Some(keys), Some(address)) = (keys, instance.address.clone()) else {
            return Err(DeployError::new(DeployErrorKind::Gate, format!("there is no way into instance {task}")));
        };
        ctx.events.emit(Event::TaskStarted { task: task.clone(), message: "waiting for SSH".to_owned() });
        let options = ConnectOptions::new(address.endpoint(22), keys.login.clone(), keys.host.public());
        let boot = Boot::First(&ctx.provider.descriptor().guest);
        let wait = WaitOptions { deadline: Instant::now() + within, boot, cancel: ctx.cancel.clone() };
        let mut failed = |error: &crate::remote::RemoteError| tracing::debug!(%error, "not in yet");
        let connection = wait_for_ssh(&options, &wait, &mut failed).await?;
        Ok(Box::new(OpenMachine {
            task,
            started,
            address,
            connection: Arc::new(connection),
            options,
            next: keys.next.clone(),
            restart: ctx.loaded.manifest.config.as_ref().map(|config| config.restart.clone()).unwrap_or_default(),
        }))
    }

    async fn ask(&self, ctx: &Context, address: &Address) -> Option<Result<(), String>> {
        if Self::is_silent(ctx) {
            return None;
        }
        let probe = Self::probe_of(ctx, address, None).await.ok()?;
        Some(probe.ask().await.map_err(|answer| answer.to_string()))
    }

    async fn observe(&self, ctx: &Context, address: &Address, during: Duration) -> Result<(), DeployError> {
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
    task: String,
    /// When Remint began to knock.
    started: Instant,
    address: Address,
    connection: Arc<Connection>,
    options: ConnectOptions,
    next: HostKey,
    /// The units of `[config].restart`.
    restart: Vec<String>,
}

impl fmt::Debug for OpenMachine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenMachine").field("task", &self.task).field("address", &self.address).finish_non_exhaustive()
    }
}

impl OpenMachine {
    fn progress(&self, ctx: &Context, message: impl Into<String>) {
        ctx.events.emit(Event::TaskProgress { task: self.task.clone(), message: message.into() });
    }

    /// Waits until cloud-init has finished, and judges it by the manifest's rule.
    async fn cloud_init(&self, ctx: &Context) -> Result<(), DeployError> {
        self.progress(ctx, "waiting for cloud-init");
        let manifest = &ctx.loaded.manifest;
        let commands = manifest.config.as_ref().is_some_and(ConfigSection::has_commands);
        let expected = Expected { rule: manifest.instance.cloud_init, commands };
        match first_boot::finished(&self.connection, None, expected).await? {
            Verdict::Clean => Ok(()),
            Verdict::Warned(told) => {
                ctx.events.warn(first_boot::warning(&self.task, &told));
                Ok(())
            }
            Verdict::Failed(failure) => {
                let message = format!("cloud-init failed on {}: {}", self.task, failure.summary);
                Err(DeployError::new(DeployErrorKind::Gate, message).hint(failure.hint).details(failure.log))
            }
        }
    }
}

#[async_trait]
impl Opened for OpenMachine {
    async fn examine(&mut self, ctx: &Context) -> Result<(), DeployError> {
        self.cloud_init(ctx).await?;
        let probe = SshOutside::probe_of(ctx, &self.address, Some(Arc::clone(&self.connection))).await?;
        self.progress(ctx, format!("asking {probe}"));
        let (task, events) = (self.task.clone(), ctx.events.clone());
        let mut change = move |answer: &str| {
            events.emit(Event::TaskProgress { task: task.clone(), message: answer.to_owned() });
        };
        Ok(wait_healthy(&probe, &ctx.loaded.manifest.health, None, &ctx.cancel, &mut change).await?)
    }

    async fn before_switch(&mut self, ctx: &Context, command: &str) -> Result<(), DeployError> {
        self.progress(ctx, "running the command before the switch");
        let (task, events) = (self.task.clone(), ctx.events.clone());
        let mut line = move |stream: Stream, line: &str| {
            let step = "before_switch".to_owned();
            events.emit(Event::Output { task: task.clone(), step, stream, line: line.to_owned() });
        };
        let command = Command::shell(command).timeout(ctx.loaded.manifest.deploy.timeout.0);
        let outcome = self.connection.exec(&command, &mut line).await?;
        if outcome.exit.is_success() {
            return Ok(());
        }
        let message = format!("the command before the switch failed on {} ({})", self.task, outcome.exit);
        Err(DeployError::new(DeployErrorKind::Gate, message)
            .hint("its last lines are shown below; see `deploy.before_switch`")
            .details(outcome.tail))
    }

    async fn log(&mut self) -> Vec<String> {
        let restart = self.restart.join(" ");
        let command = Command::shell(LOG).env("REMINT_UNITS", restart).timeout(LOG_WITHIN);
        match self.connection.exec(&command, &mut |_, _| {}).await {
            Ok(outcome) => outcome.tail,
            Err(_) => Vec::new(),
        }
    }

    async fn close(mut self: Box<Self>, ctx: &Context) -> Result<(), DeployError> {
        let own_files = self.examine_logins(ctx).await?;
        self.rotate_host_key(ctx).await?;
        self.write_logins(ctx, &own_files).await?;
        let elapsed = self.started.elapsed();
        let message = "passed its gate".to_owned();
        ctx.events.emit(Event::TaskFinished { task: self.task.clone(), message, elapsed });
        Ok(())
    }
}

impl OpenMachine {
    fn refuse(&self, message: String) -> DeployError {
        DeployError::new(DeployErrorKind::Gate, message)
    }

    /// Asks who can log in. Gives the files that are Remint's to write.
    async fn examine_logins(&self, ctx: &Context) -> Result<Vec<KeyFile>, DeployError> {
        self.progress(ctx, "asking who can log in");
        let access = &ctx.loaded.manifest.access.ssh_keys;
        let audit = logins::audit(&self.connection, &self.options.login.public().line(), access).await?;
        if !audit.found.is_empty() {
            let message = format!("{} would let in somebody whom `[access]` does not name", self.task);
            return Err(self
                .refuse(message)
                .hint("correct the recipe, the image or `instance.user_data`, or name the keys in `[access]`")
                .details(audit.found));
        }
        for file in audit.own_files.iter().filter(|file| file.foreign > 0) {
            ctx.events.warn(format!("removing from {} {}", self.task, file.surplus()));
        }
        if audit.own_files.is_empty() {
            let message = format!("{} lets Remint in, and no file of login keys says so", self.task);
            return Err(self.refuse(message).hint("see `AuthorizedKeysFile` of the machine's sshd_config"));
        }
        Ok(audit.own_files)
    }

    /// Installs the next host key, and connects to it: the one of the user data is worth nothing from then on.
    async fn rotate_host_key(&mut self, ctx: &Context) -> Result<(), DeployError> {
        self.progress(ctx, "replacing the host key");
        let command = Command::shell(ROTATE)
            .env("PUBLIC", self.next.public().line())
            .stdin(self.next.private_pem().expose_secret())
            .timeout(ROTATES_WITHIN);
        let outcome = self.connection.exec(&command, &mut |_, _| {}).await?;
        if !outcome.exit.is_success() {
            let message = format!("the host key of {} could not be replaced ({})", self.task, outcome.exit);
            return Err(self.refuse(message).details(outcome.tail));
        }
        self.options.host_key = self.next.public();
        // The server may take a moment to read it, and shows the former one until then.
        let deadline = Instant::now() + ROTATES_WITHIN;
        let boot = Boot::First(&ctx.provider.descriptor().guest);
        let wait = WaitOptions { deadline, boot, cancel: ctx.cancel.clone() };
        let mut failed = |error: &crate::remote::RemoteError| tracing::debug!(%error, "not with the new host key yet");
        self.connection = Arc::new(wait_for_ssh(&self.options, &wait, &mut failed).await?);
        Ok(())
    }

    /// Writes root's files of login keys from `[access]`, and reads them again.
    async fn write_logins(&self, ctx: &Context, files: &[KeyFile]) -> Result<(), DeployError> {
        self.progress(ctx, "removing the login key");
        let access = logins::access_file(&ctx.loaded.manifest.access.ssh_keys);
        let options = UploadOptions { mode: Some(0o600), ..UploadOptions::default() };
        // Remint's key goes last where there are several: a run that is cut off leaves no file half done.
        for (index, file) in files.iter().enumerate().rev() {
            let wanted = if index == 0 { access.as_str() } else { "" };
            self.connection.upload_bytes(wanted.as_bytes(), &file.path, &options).await?;
            if self.connection.download(&file.path).await? != wanted.as_bytes() {
                let message = format!("{} on {} does not hold what was written to it", file.path, self.task);
                return Err(self.refuse(message).hint("something on the machine writes login keys; remove it"));
            }
        }
        Ok(())
    }
}
