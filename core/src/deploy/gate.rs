//! The gate on real machines: SSH with the release's own keys, cloud-init, health.

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::{
    DeployError, DeployErrorKind,
    digest::ConfigDigest,
    outside::{Opened, Outside, Prepared, Recipe},
};
use crate::{
    bake::fingerprint,
    context::Context,
    events::{Event, Stream},
    health::{Probe, ProbeRun, wait_healthy},
    manifest::{Git, HealthCheck, RenderContext, Secrets},
    provider::{Address, ImageId, Instance, ReleaseId},
    remote::{Command, ConnectOptions, Connection, HostKey, LoginKey, UploadOptions, WaitOptions, wait_for_ssh},
    userdata::UserData,
};

/// Where the login key is.
const AUTHORIZED_KEYS: &str = "/root/.ssh/authorized_keys";
/// How often the service is asked while the address moves.
const PROBE_EVERY: Duration = Duration::from_millis(50);
/// How long a look at a log may take.
const LOG_WITHIN: Duration = Duration::from_secs(10);

/// Real machines.
pub(super) struct SshOutside {
    secrets: Arc<Secrets>,
}

/// A release's keys, in memory only.
struct Keys {
    host: HostKey,
    login: LoginKey,
}

impl SshOutside {
    pub(super) fn new(ctx: &Context) -> Self {
        Self { secrets: Arc::clone(&ctx.loaded.secrets) }
    }

    fn probe_of(ctx: &Context, address: &Address, connection: Option<Arc<Connection>>) -> Result<Probe, DeployError> {
        let health = &ctx.loaded.manifest.health;
        Probe::new(&health.check, address, fqdn(ctx).as_deref(), connection, health.timeout.0)
            .map_err(|reason| DeployError::new(DeployErrorKind::Manifest, format!("{reason} (health.check)")))
    }

    /// The user's own parts of the user data, filled in where they ask for it.
    async fn parts(
        &self,
        ctx: &Context,
        release: ReleaseId,
        static_ip: Option<IpAddr>,
    ) -> Result<Vec<(String, SecretString)>, DeployError> {
        let fqdn = fqdn(ctx);
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

fn fqdn(ctx: &Context) -> Option<String> {
    let dns = ctx.loaded.manifest.dns.as_ref()?;
    Some(if dns.name == "@" { dns.zone.clone() } else { format!("{}.{}", dns.name, dns.zone) })
}

#[async_trait]
impl Outside for SshOutside {
    async fn recipe(&self, ctx: &Context, base: &ImageId) -> Result<Recipe, DeployError> {
        let (image, provider) = (ctx.loaded.manifest.image.clone(), ctx.loaded.provider.clone());
        let (base, base_dir) = (base.clone(), ctx.loaded.base_dir.clone());
        let computed = tokio::task::spawn_blocking(move || {
            let inputs = fingerprint::Inputs { image: &image, provider: &provider, base: &base, base_dir: &base_dir };
            fingerprint::compute(&inputs)
        });
        let fail = |error: Box<dyn std::error::Error + Send + Sync>| {
            DeployError::new(DeployErrorKind::Manifest, "cannot tell what the image is made of").because(error)
        };
        let (fingerprint, inputs) = computed.await.map_err(|error| fail(error.into()))?.map_err(|e| fail(e.into()))?;
        Ok(Recipe { fingerprint, inputs })
    }

    async fn config_digest(&self, ctx: &Context, salt: &str, static_ip: Option<IpAddr>) -> Result<String, DeployError> {
        let mut digest = ConfigDigest::new(salt);
        // The release's number stands in every configuration that asks for it, and is no change of its own.
        let release = ReleaseId(0);
        if let Some(config) = &ctx.loaded.manifest.config {
            let fqdn = fqdn(ctx);
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
        let keys = Keys { host: HostKey::generate(), login: LoginKey::generate() };
        let public_key = keys.login.public().line();
        let mut data = UserData::new(&keys.host.private_pem()).hostname(name).authorize(public_key.clone());
        for key in &ctx.loaded.manifest.access.ssh_keys {
            data = data.authorize(key);
        }
        if let Some(config) = &ctx.loaded.manifest.config {
            let fqdn = fqdn(ctx);
            let rendered = config.render(&self.render_context(ctx, release, static_ip, fqdn.as_deref())).await?;
            data = data.config(&rendered)?;
        }
        for (name, body) in self.parts(ctx, release, static_ip).await? {
            data = data.part(name, &body)?;
        }
        let user_data = data.build(ctx.provider.descriptor().limits.user_data_bytes)?;
        let host_key = keys.host.public().line();
        Ok(Prepared { user_data, public_key, host_key, keys: Box::new(keys) })
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
        let wait = WaitOptions { deadline: Instant::now() + within, first_boot: true, cancel: ctx.cancel.clone() };
        let mut failed = |error: &crate::remote::RemoteError| tracing::debug!(%error, "not in yet");
        let connection = wait_for_ssh(&options, &wait, &mut failed).await?;
        Ok(Box::new(OpenMachine {
            task,
            started,
            address,
            connection: Arc::new(connection),
            public_key: prepared.public_key.clone(),
        }))
    }

    async fn ask(&self, ctx: &Context, address: &Address) -> Option<Result<(), String>> {
        if matches!(ctx.loaded.manifest.health.check, HealthCheck::Command(_)) {
            return None;
        }
        let probe = Self::probe_of(ctx, address, None).ok()?;
        Some(probe.ask().await)
    }

    async fn observe(&self, ctx: &Context, address: &Address, during: Duration) -> Result<(), DeployError> {
        let health = &ctx.loaded.manifest.health;
        if matches!(health.check, HealthCheck::Command(_)) {
            tokio::time::sleep(during).await;
            return Ok(());
        }
        let probe = Self::probe_of(ctx, address, None)?;
        let started = Instant::now();
        loop {
            wait_healthy(&probe, health, None, &ctx.cancel, &mut |_| {}).await?;
            if started.elapsed() >= during {
                return Ok(());
            }
            tokio::time::sleep(health.interval.0).await;
        }
    }

    fn probe(&self, ctx: &Context, address: &Address) -> Option<ProbeRun> {
        if matches!(ctx.loaded.manifest.health.check, HealthCheck::Command(_)) {
            return None;
        }
        let probe = Self::probe_of(ctx, address, None).ok()?;
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
    public_key: String,
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

    /// Waits for cloud-init. Status 2 means that it got over its errors.
    async fn cloud_init(&self, ctx: &Context) -> Result<(), DeployError> {
        self.progress(ctx, "waiting for cloud-init");
        let outcome = self.connection.exec(&Command::shell("cloud-init status --wait"), &mut |_, _| {}).await?;
        match outcome.exit {
            crate::remote::Exit::Status(0) => Ok(()),
            crate::remote::Exit::Status(2) => {
                ctx.events.warn(format!("cloud-init on {} got over errors: {}", self.task, outcome.tail.join("; ")));
                Ok(())
            }
            exit => {
                let log = self.run("tail -n 30 /var/log/cloud-init-output.log").await;
                Err(DeployError::new(DeployErrorKind::Gate, format!("cloud-init failed on {} ({exit})", self.task))
                    .hint("its log is shown below; check `[config]` and the parts in `instance.user_data`")
                    .details(if log.is_empty() { outcome.tail } else { log }))
            }
        }
    }

    async fn run(&self, shell: &str) -> Vec<String> {
        let command = Command::shell(shell).timeout(LOG_WITHIN);
        match self.connection.exec(&command, &mut |_, _| {}).await {
            Ok(outcome) => outcome.tail,
            Err(_) => Vec::new(),
        }
    }
}

#[async_trait]
impl Opened for OpenMachine {
    async fn examine(&mut self, ctx: &Context) -> Result<(), DeployError> {
        self.cloud_init(ctx).await?;
        let probe = SshOutside::probe_of(ctx, &self.address, Some(Arc::clone(&self.connection)))?;
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
        self.run("journalctl -n 30 --no-pager --output=short").await
    }

    async fn close(self: Box<Self>, ctx: &Context) -> Result<(), DeployError> {
        self.progress(ctx, "removing the login key");
        let keys = self.connection.download(AUTHORIZED_KEYS).await?;
        let text = String::from_utf8_lossy(&keys);
        let kept: String = text.lines().filter(|line| may_stay(ctx, line)).map(|line| format!("{line}\n")).collect();
        let foreign = text.lines().filter(|line| is_key(line) && !may_stay(ctx, line) && !self.names_key(line)).count();
        if foreign > 0 {
            ctx.events.warn(format!(
                "{} came with {foreign} login keys that `[access]` does not name, from its image or the cloud: removed",
                self.task
            ));
        }
        let options = UploadOptions { mode: Some(0o600), ..UploadOptions::default() };
        self.connection.upload_bytes(kept.as_bytes(), AUTHORIZED_KEYS, &options).await?;
        let now = self.connection.download(AUTHORIZED_KEYS).await?;
        if String::from_utf8_lossy(&now).lines().any(|line| is_key(line) && !may_stay(ctx, line)) {
            let message =
                format!("a login key that `[access]` does not name is still in {AUTHORIZED_KEYS} on {}", self.task);
            return Err(DeployError::new(DeployErrorKind::Gate, message));
        }
        let elapsed = self.started.elapsed();
        let message = "passed its gate".to_owned();
        ctx.events.emit(Event::TaskFinished { task: self.task.clone(), message, elapsed });
        Ok(())
    }
}

impl OpenMachine {
    /// Whether a line of `authorized_keys` holds this release's login key, whatever options or comment are around it.
    fn names_key(&self, line: &str) -> bool {
        let key = self.public_key.split_whitespace().nth(1).unwrap_or(&self.public_key);
        line.split_whitespace().any(|word| word == key)
    }
}

/// The key itself in a line of `authorized_keys`, whatever options or comment are around it.
fn key_data(line: &str) -> Option<&str> {
    let line = line.trim_start();
    // Every key begins with the length of its kind's name, which is below 256: so the first of its base 64 are letters A.
    (!line.starts_with('#')).then(|| line.split_whitespace().find(|word| word.starts_with("AAAA")))?
}

fn is_key(line: &str) -> bool {
    key_data(line).is_some()
}

/// Whether a line of `authorized_keys` is of a key that the manifest's `[access]` names. Others go, wherever they came from:
/// an image that another tool made may hold the key of its maker.
fn may_stay(ctx: &Context, line: &str) -> bool {
    let key = key_data(line);
    key.is_some() && ctx.loaded.manifest.access.ssh_keys.iter().any(|named| key_data(named) == key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_between_options_and_comment() {
        let lines = [
            ("ssh-rsa AAAAB3Nz packer", Some("AAAAB3Nz")),
            ("  no-pty,command=\"sh -c x\" ssh-ed25519 AAAAC3Nz", Some("AAAAC3Nz")),
            ("# ssh-rsa AAAAB3Nz", None),
            ("", None),
        ];
        for (line, expected) in lines {
            assert_eq!(key_data(line), expected, "{line}");
        }
    }
}
