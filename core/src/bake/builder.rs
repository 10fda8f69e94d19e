//! The builder: launched, reached, and through with its first boot.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use super::{
    Authority, BakeError,
    cleanup::{Cleanup, Machine},
    prepare,
};
use crate::{
    context::Context,
    events::Event,
    first_boot::{self, Expected, Verdict},
    provider::{Fingerprint, Image, Instance, InstanceState, LaunchSpec, Selector, SizeName},
    remote::{Boot, Command, ConnectOptions, Connection, HostKey, LoginKey, RemoteError, WaitOptions, wait_for_ssh},
    userdata::UserData,
    watch::Wait,
};

/// A machine of this bake that Remint logs in to.
pub(super) struct Builder<'a> {
    ctx: &'a Context,
    /// As the cloud showed it when it had an address.
    pub(super) instance: Instance,
    /// The selector with which the cloud lists this machine.
    pub(super) selector: Selector,
    /// The machine's name, which its events carry as their task.
    pub(super) task: String,
    pub(super) options: ConnectOptions,
    pub(super) connection: Arc<Connection>,
    /// When its launch was asked for.
    pub(super) launched: Instant,
}

/// What a machine of a bake is launched from.
pub(super) struct Plan<'a> {
    /// `builder` or `check`.
    pub(super) role: &'static str,
    pub(super) image: &'a Image,
    pub(super) size: &'a SizeName,
    pub(super) fingerprint: &'a Fingerprint,
}

impl<'a> Builder<'a> {
    /// Launches a machine and waits until Remint is logged in to it.
    pub(super) async fn launch(
        ctx: &'a Context,
        authority: &Authority<'_>,
        plan: &Plan<'_>,
        cleanup: &Cleanup,
    ) -> Result<Self, BakeError> {
        let (host_key, login) = (HostKey::generate(), LoginKey::generate());
        let name = name(ctx, plan);
        let descriptor = ctx.provider.descriptor();
        let limits = &descriptor.limits;
        let user_data = UserData::new(&host_key.private_pem(), &descriptor.guest);
        let user_data = user_data.authorize(login.public().line()).hostname(&name).build(limits.user_data_bytes)?;
        let login_keys = match ctx.provider.login_keys() {
            None => Vec::new(),
            Some(keys) => {
                let key_name = format!("{}{}", authority.builder_keys(), ctx.run4());
                cleanup.expect_key(key_name.clone());
                let key = ctx.commit(keys.ensure(&key_name, &login.public().line())).await;
                let key = key.map_err(BakeError::cloud("cannot register the login key"))?;
                cleanup.registered(&key.id);
                vec![key.id]
            }
        };
        let labels = prepare::labels(ctx, authority, plan.fingerprint, plan.role);
        let selector = Selector(labels.0.clone());
        cleanup.expect_instances(selector.clone());
        let spec = LaunchSpec {
            names: vec![name.clone()],
            new_names: true,
            image: plan.image.id.clone(),
            size: plan.size.clone(),
            region: ctx.loaded.section.region.clone(),
            labels,
            user_data: Some(user_data),
            login_keys,
        };
        let started = Instant::now();
        let launched = ctx.commit(ctx.provider.instances().launch(&spec)).await;
        let launched = launched.map_err(BakeError::cloud("cannot launch the builder"))?;
        let Some(instance) = launched.into_iter().next() else {
            let nothing = crate::provider::Error::new(
                crate::provider::ErrorKind::Unexpected,
                "launch instance",
                "the cloud launched nothing",
            );
            return Err(BakeError::cloud("cannot launch the builder")(nothing));
        };
        cleanup.launched(&instance.id);
        let host_key = host_key.public();
        cleanup.opens(Machine {
            id: instance.id.clone(),
            name: name.clone(),
            login: login.clone(),
            host_key: host_key.clone(),
        });
        ctx.events.emit(Event::InstanceLaunched { instance: instance.id.clone(), name: name.clone() });
        ctx.events.emit(Event::TaskStarted { task: name.clone(), message: "launching".to_owned() });
        let deadline = started + ctx.loaded.manifest.image.boot_timeout.0;
        let wait = Wait::new("to have an address").first(limits.launch_time);
        let wait = wait.timeout(deadline.duration_since(Instant::now()));
        // SSH is tried as soon as there is an address: a machine that lets us in runs, whatever the cloud says yet.
        let has_address = |instance: &Instance| instance.address.is_some();
        let instance = match instance.address {
            Some(_) => instance,
            None => {
                let seen = ctx.watcher.instance(&selector, &instance.id, wait, has_address).await;
                seen.map_err(BakeError::watch("the builder does not start"))?
            }
        };
        let Some(address) = &instance.address else { return Err(BakeError::Cancelled) };
        let options = ConnectOptions::new(address.endpoint(22), login, host_key);
        let wait = WaitOptions { deadline, boot: Boot::First(&descriptor.guest), cancel: ctx.cancel.clone() };
        let connection = reach(ctx, &name, &options, &wait).await?;
        let connection = Arc::new(connection);
        Ok(Self { ctx, instance, selector, task: name, options, connection, launched: started })
    }

    /// Waits until cloud-init has finished the first boot, and judges it by the manifest's rule.
    pub(super) async fn first_boot_done(&self) -> Result<(), BakeError> {
        self.progress("waiting for cloud-init");
        let manifest = &self.ctx.loaded.manifest;
        // A builder's user data has no configuration, and so no commands.
        let expected = Expected { rule: manifest.instance.cloud_init, commands: false };
        let verdict = first_boot::finished(&self.connection, Some(manifest.image.boot_timeout.0), expected).await;
        match verdict.map_err(BakeError::remote("waiting for cloud-init"))? {
            Verdict::Clean => Ok(()),
            Verdict::Warned(told) => {
                self.ctx.events.warn(first_boot::warning(&self.task, &told));
                Ok(())
            }
            Verdict::Failed(failure) => Err(BakeError::CloudInit {
                machine: self.task.clone(),
                summary: failure.summary,
                hint: failure.hint,
                tail: failure.log,
            }),
        }
    }

    /// A number that is another one after each boot.
    pub(super) async fn boot_id(&self) -> Result<String, RemoteError> {
        let (_, text) = self.connection.capture(&Command::shell("cat /proc/sys/kernel/random/boot_id")).await?;
        Ok(text.trim().to_owned())
    }

    /// Connects anew, to the same host key, where the connection is gone.
    pub(super) async fn reconnect(&mut self) -> Result<(), BakeError> {
        let deadline = Instant::now() + self.ctx.loaded.manifest.image.boot_timeout.0;
        let wait = WaitOptions { deadline, boot: Boot::Later, cancel: self.ctx.cancel.clone() };
        self.connection = Arc::new(reach(self.ctx, &self.task, &self.options, &wait).await?);
        Ok(())
    }

    /// Waits until the machine has booted since `before` was read.
    pub(super) async fn rebooted(&mut self, before: &str) -> Result<(), BakeError> {
        self.progress("rebooting");
        let started = Instant::now();
        let limit = self.ctx.loaded.manifest.image.boot_timeout.0;
        loop {
            if self.connection.is_closed() {
                self.reconnect().await?;
            }
            match self.boot_id().await {
                Ok(now) if now != before => return Ok(()),
                Ok(_) => {}
                Err(RemoteError::ConnectionLost { .. }) => self.reconnect().await?,
                Err(error) => return Err(BakeError::remote("waiting for the reboot")(error)),
            }
            if started.elapsed() > limit {
                let reason = format!("the machine did not reboot within {} s", limit.as_secs());
                let hint = "correct the step that has `expect_reboot`, so that it reboots the machine, or make `[image] \
                            boot_timeout` longer";
                let (step, hint) = ("expect_reboot".to_owned(), hint.to_owned());
                return Err(BakeError::Step { step, reason, tail: Vec::new(), hint });
            }
            sleep(Duration::from_millis(500)).await;
        }
    }

    /// Says what the machine does now.
    pub(super) fn progress(&self, message: &str) {
        self.ctx.events.emit(Event::TaskProgress { task: self.task.clone(), message: message.to_owned() });
    }

    /// Stops the machine: asks, waits, then cuts the power.
    pub(super) async fn stop(&self) -> Result<(), BakeError> {
        use crate::provider::PowerOp;
        const HEEDS: Duration = Duration::from_secs(90);
        self.progress("stopping");
        let limits = &self.ctx.provider.descriptor().limits;
        let instances = self.ctx.provider.instances();
        let stopped = |instance: &Instance| instance.state == InstanceState::Stopped && !instance.busy;
        let failed = || BakeError::cloud("cannot stop the builder");
        for (op, patience) in [(PowerOp::Stop, HEEDS), (PowerOp::ForceStop, Duration::from_secs(300))] {
            patiently(self.ctx, || instances.power(&self.instance.id, op)).await.map_err(failed())?;
            let asked = Instant::now();
            // The connection breaks when the system goes down: waiting for that costs no calls.
            while op == PowerOp::Stop && !self.connection.is_closed() && asked.elapsed() < HEEDS / 3 {
                sleep(Duration::from_millis(100)).await;
            }
            let first = limits.assign_time.saturating_sub(asked.elapsed());
            let wait = Wait::new("to be stopped").first(first).short_part(self.launched).timeout(patience);
            match self.ctx.watcher.instance(&self.selector, &self.instance.id, wait, stopped).await {
                Ok(_) => return Ok(()),
                Err(crate::watch::WatchError::TimedOut { .. }) if op == PowerOp::Stop => {
                    self.ctx.events.warn(format!("{} does not shut down; cutting its power", self.task));
                }
                Err(error) => return Err(BakeError::watch("the builder does not stop")(error)),
            }
        }
        Ok(())
    }
}

/// Repeats a call while the cloud is busy with the resource.
pub(super) async fn patiently<T, F, Fut>(ctx: &Context, mut call: F) -> crate::provider::Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = crate::provider::Result<T>>,
{
    let started = Instant::now();
    loop {
        match call().await {
            Err(error)
                if error.kind() == crate::provider::ErrorKind::Busy && started.elapsed() < Duration::from_secs(300) =>
            {
                let pause = ctx.provider.descriptor().limits.assign_time / 2;
                sleep(error.retry_after().unwrap_or(pause.max(Duration::from_millis(200)))).await;
            }
            other => return other,
        }
    }
}

/// `SERVICE-bake-FP12-RUN4`, the same for every repetition of a call in this run.
fn name(ctx: &Context, plan: &Plan<'_>) -> String {
    let verb = if plan.role == "builder" { "bake" } else { plan.role };
    format!("{}-{verb}-{}-{}", ctx.loaded.manifest.service, plan.fingerprint.short(), ctx.run4())
}

async fn reach(
    ctx: &Context,
    task: &str,
    options: &ConnectOptions,
    wait: &WaitOptions,
) -> Result<Connection, BakeError> {
    let progress = |message: String| ctx.events.emit(Event::TaskProgress { task: task.to_owned(), message });
    progress(format!("waiting for SSH on {}", options.endpoint));
    let mut last = String::new();
    let mut on_failure = |error: &RemoteError| {
        let reason = error.to_string();
        if matches!(error, RemoteError::HostKeyMismatch { .. }) && reason != last {
            ctx.events.warn(format!("{task}: {reason}; refused, asking again while it boots"));
        }
        last = reason;
    };
    let connected = wait_for_ssh(options, wait, &mut on_failure).await;
    connected.map_err(|error| match error {
        RemoteError::Cancelled => BakeError::Cancelled,
        error => BakeError::remote(format!("cannot log in to {task}"))(error),
    })
}
