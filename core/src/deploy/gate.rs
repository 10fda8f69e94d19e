//! The gate of a new instance: SSH with the release's own keys, cloud-init, health, logins, another host key.

use std::{sync::Arc, time::Duration};

use secrecy::ExposeSecret;
use tokio::time::Instant;

use super::{EngineError, EngineErrorKind, health::probe_of};
use crate::{
    context::Context,
    events::{Event, Stream},
    health::wait_healthy,
    logins::{self, KeyFile},
    machine::{Machine, Way},
    manifest::ConfigSection,
    provider::Instance,
    remote::{Command, HostKey, Keys, UploadOptions},
};

/// Gives the machine another host key, which comes on standard input.
const ROTATE: &str = include_str!("rotate.sh");
/// Shows the end of the logs where a cause may stand.
const LOG: &str = include_str!("log.sh");
/// How long SSH may take to come back with its new host key.
const ROTATES_WITHIN: Duration = Duration::from_secs(60);
/// How long a look at a log may take.
const LOG_WITHIN: Duration = Duration::from_secs(10);

/// A new instance that is open for its gate.
pub(super) struct Gate {
    machine: Machine,
    /// When Remint began to knock.
    started: Instant,
    next: HostKey,
    /// The units of `[config].restart`.
    restart: Vec<String>,
}

impl Gate {
    /// Logs in to a new instance as soon as it lets us in, within a time.
    pub(super) async fn open(
        ctx: &Context,
        instance: &Instance,
        keys: &Keys,
        within: Duration,
    ) -> Result<Self, EngineError> {
        let (name, started) = (&instance.name, Instant::now());
        let Some(address) = &instance.address else {
            return Err(EngineError::new(EngineErrorKind::Gate, format!("there is no way into instance {name}")));
        };
        ctx.events.emit(Event::TaskStarted { task: name.clone(), message: "waiting for SSH".to_owned() });
        let Keys { host, next, login } = keys.clone();
        let way = Way { login, host_key: host.public() };
        let machine = Machine::reach(ctx, name, address, way, started + within).await?;
        let restart = ctx.loaded.manifest.config.as_ref().map(|config| config.restart.clone()).unwrap_or_default();
        Ok(Self { machine, started, next, restart })
    }

    /// cloud-init is done, and the service is healthy, a number of times in a row.
    pub(super) async fn examine(&self, ctx: &Context) -> Result<(), EngineError> {
        let manifest = &ctx.loaded.manifest;
        let commands = manifest.config.as_ref().is_some_and(ConfigSection::has_commands);
        self.machine.first_boot_done(commands, None).await?;
        let session = Some(Arc::clone(self.machine.session()));
        let probe = probe_of(ctx, self.machine.address(), session).await?;
        self.machine.progress(format!("asking {probe}"));
        let (task, events) = (self.machine.name().to_owned(), ctx.events.clone());
        let mut change = move |answer: &str| {
            events.emit(Event::TaskProgress { task: task.clone(), message: answer.to_owned() });
        };
        Ok(wait_healthy(&probe, &ctx.loaded.manifest.health, None, &ctx.cancel, &mut change).await?)
    }

    /// Runs the command before the switch.
    pub(super) async fn before_switch(&self, ctx: &Context, command: &str) -> Result<(), EngineError> {
        self.machine.progress("running the command before the switch");
        let (task, events) = (self.machine.name().to_owned(), ctx.events.clone());
        let mut line = move |stream: Stream, line: &str| {
            let step = "before_switch".to_owned();
            events.emit(Event::Output { task: task.clone(), step, stream, line: line.to_owned() });
        };
        let command = Command::shell(command).timeout(ctx.loaded.manifest.deploy.timeout.0);
        let outcome = self.machine.session().exec(&command, &mut line).await?;
        if outcome.exit.is_success() {
            return Ok(());
        }
        let message = format!("the command before the switch failed on {} ({})", self.machine.name(), outcome.exit);
        Err(EngineError::new(EngineErrorKind::Gate, message)
            .hint("its last lines are shown below; see `deploy.before_switch`")
            .details(outcome.tail))
    }

    /// The last lines of the service's log, for an error.
    pub(super) async fn log(&self) -> Vec<String> {
        let restart = self.restart.join(" ");
        let command = Command::shell(LOG).env("REMINT_UNITS", restart).timeout(LOG_WITHIN);
        match self.machine.session().exec(&command, &mut |_, _| {}).await {
            Ok(outcome) => outcome.tail,
            Err(_) => Vec::new(),
        }
    }

    /// Leaves exactly the logins of the manifest's `[access]`, and gives the machine its next host key. A machine that lets in anybody
    /// else fails.
    pub(super) async fn close(mut self, ctx: &Context) -> Result<(), EngineError> {
        let own_files = self.examine_logins(ctx).await?;
        self.rotate_host_key().await?;
        self.write_logins(ctx, &own_files).await?;
        let elapsed = self.started.elapsed();
        let message = "passed its gate".to_owned();
        ctx.events.emit(Event::TaskFinished { task: self.machine.name().to_owned(), message, elapsed });
        Ok(())
    }

    fn refuse(&self, message: String) -> EngineError {
        EngineError::new(EngineErrorKind::Gate, message)
    }

    /// Asks who can log in. Gives the files that are Remint's to write.
    async fn examine_logins(&self, ctx: &Context) -> Result<Vec<KeyFile>, EngineError> {
        self.machine.progress("asking who can log in");
        let access = &ctx.loaded.manifest.access.ssh_keys;
        let audit = logins::audit(&**self.machine.session(), &self.machine.login(), access).await?;
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
        let outcome = self.machine.session().exec(&command, &mut |_, _| {}).await?;
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
            self.machine.session().upload_bytes(wanted.as_bytes(), &file.path, &options).await?;
            if self.machine.session().download(&file.path).await? != wanted.as_bytes() {
                let message = format!("{} on {} does not hold what was written to it", file.path, self.machine.name());
                return Err(self.refuse(message).hint("something on the machine writes login keys; remove it"));
            }
        }
        Ok(())
    }
}
