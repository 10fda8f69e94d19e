//! A machine that Remint is logged in to.

use std::{fmt, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::MachineError;
use crate::{
    context::Context,
    events::{Event, Events},
    first_boot::{self, Expected, Verdict},
    manifest::CloudInitRule,
    provider::{Address, Guest},
    remote::{Boot, Command, ConnectOptions, LoginKey, Machines, PublicKey, RemoteError, Session, WaitOptions},
};

/// How often a machine is asked whether it has booted again.
const LOOKS: Duration = Duration::from_millis(500);

/// The keys by which Remint and a machine know each other.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    /// Remint's.
    pub(crate) login: LoginKey,
    /// The machine's.
    pub(crate) host_key: PublicKey,
}

/// A machine that Remint is logged in to.
pub(crate) struct Machine {
    name: String,
    address: Address,
    options: ConnectOptions,
    machines: Arc<dyn Machines>,
    session: Arc<dyn Session>,
    events: Events,
    cancel: CancellationToken,
    guest: &'static Guest,
    rule: CloudInitRule,
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine").field("name", &self.name).field("address", &self.address).finish_non_exhaustive()
    }
}

impl Machine {
    /// Logs in to a machine that boots for the first time, as soon as it lets us in. A machine that lets us in runs, whatever the
    /// cloud says yet.
    pub(crate) async fn reach(
        ctx: &Context,
        name: &str,
        address: &Address,
        way: Way,
        deadline: Instant,
    ) -> Result<Self, MachineError> {
        let guest = &ctx.provider.descriptor().guest;
        let options = ConnectOptions::new(address.endpoint(22), way.login, way.host_key);
        let wait = WaitOptions { deadline, boot: Boot::First(guest), cancel: ctx.cancel.clone() };
        let machines = Arc::clone(&ctx.machines);
        let session = connect(&*machines, &ctx.events, name, &options, &wait).await?;
        let (name, address) = (name.to_owned(), address.clone());
        let (events, cancel) = (ctx.events.clone(), ctx.cancel.clone());
        let rule = ctx.loaded.manifest.instance.cloud_init;
        Ok(Self { name, address, options, machines, session, events, cancel, guest, rule })
    }

    /// Its name, for messages and events.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    pub(crate) fn session(&self) -> &Arc<dyn Session> {
        &self.session
    }

    /// Remint's login key, as one OpenSSH line.
    pub(crate) fn login(&self) -> String {
        self.options.login.public().line()
    }

    /// Says what the machine does now.
    pub(crate) fn progress(&self, message: impl Into<String>) {
        self.events.emit(Event::TaskProgress { task: self.name.clone(), message: message.into() });
    }

    /// Waits until cloud-init has finished the first boot, and judges it by the manifest's rule. `commands`: whether Remint's own
    /// part of the user data has some.
    pub(crate) async fn first_boot_done(&self, commands: bool, within: Option<Duration>) -> Result<(), MachineError> {
        self.progress("waiting for cloud-init");
        let verdict = first_boot::finished(&*self.session, within, Expected { rule: self.rule, commands }).await;
        match verdict.map_err(MachineError::remote("waiting for cloud-init"))? {
            Verdict::Clean => Ok(()),
            Verdict::Warned(told) => {
                self.events.warn(first_boot::warning(&self.name, &told));
                Ok(())
            }
            Verdict::Failed(failure) => Err(MachineError::FirstBoot(self.name.clone(), failure)),
        }
    }

    /// A number that is another one after each boot.
    pub(crate) async fn boot_id(&self) -> Result<String, RemoteError> {
        let (_, text) = self.session.capture(&Command::shell("cat /proc/sys/kernel/random/boot_id")).await?;
        Ok(text.trim().to_owned())
    }

    /// Connects again, to the same host key, where the connection is gone.
    pub(crate) async fn reconnect(&mut self, within: Duration) -> Result<(), MachineError> {
        let wait = WaitOptions { deadline: Instant::now() + within, boot: Boot::Later, cancel: self.cancel.clone() };
        self.session = connect(&*self.machines, &self.events, &self.name, &self.options, &wait).await?;
        Ok(())
    }

    /// Connects to another host key that the machine was given. Its server may take a moment to read it, and shows the former one
    /// until then.
    pub(crate) async fn reconnect_as(&mut self, host_key: PublicKey, within: Duration) -> Result<(), MachineError> {
        self.options.host_key = host_key;
        let boot = Boot::First(self.guest);
        let wait = WaitOptions { deadline: Instant::now() + within, boot, cancel: self.cancel.clone() };
        let mut failed = |error: &RemoteError| tracing::debug!(%error, "not with the new host key yet");
        let connected = self.machines.reach(&self.options, &wait, &mut failed).await;
        self.session = connected.map_err(MachineError::remote(doing(&self.name)))?;
        Ok(())
    }

    /// Waits until the machine has booted since `before` was read.
    pub(crate) async fn rebooted(&mut self, before: &str, within: Duration) -> Result<(), MachineError> {
        self.progress("rebooting");
        let started = Instant::now();
        loop {
            if self.session.is_closed() {
                self.reconnect(within).await?;
            }
            match self.boot_id().await {
                Ok(now) if now != before => return Ok(()),
                Ok(_) => {}
                Err(RemoteError::ConnectionLost { .. }) => self.reconnect(within).await?,
                Err(error) => return Err(MachineError::remote("waiting for the reboot")(error)),
            }
            if started.elapsed() > within {
                return Err(MachineError::NotRebooted(within.as_secs()));
            }
            sleep(LOOKS).await;
        }
    }
}

fn doing(name: &str) -> String {
    format!("cannot log in to {name}")
}

/// Connects. A machine that shows another host key is named at once: it may still be booting.
async fn connect(
    machines: &dyn Machines,
    events: &Events,
    name: &str,
    options: &ConnectOptions,
    wait: &WaitOptions,
) -> Result<Arc<dyn Session>, MachineError> {
    let message = format!("waiting for SSH on {}", options.endpoint);
    events.emit(Event::TaskProgress { task: name.to_owned(), message });
    let mut last = String::new();
    let mut on_failure = |error: &RemoteError| {
        let reason = error.to_string();
        if matches!(error, RemoteError::HostKeyMismatch { .. }) && reason != last {
            events.warn(format!("{name}: {reason}; refused, asking again while it boots"));
        }
        last = reason;
    };
    let connected = machines.reach(options, wait, &mut on_failure).await;
    connected.map_err(MachineError::remote(doing(name)))
}
