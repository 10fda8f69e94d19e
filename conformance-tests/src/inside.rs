//! Looking inside a machine, by a key that its user data lets in.

use std::time::Duration;

use remint_core::{
    provider::{Address, Guest, Instance, InstanceState, LaunchSpec, LoginKeyId},
    remote::{Boot, Command, ConnectOptions, Connection, Exit, HostKey, LoginKey, WaitOptions, wait_for_ssh},
    userdata::UserData,
};
use secrecy::SecretString;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{CaseContext, Failure};

/// How long a machine may take from running to letting in, before [`crate::Target::patience`].
const BOOT: Duration = Duration::from_secs(600);

/// The keys of one machine: who may log in, and how it proves that it is this machine.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    pub(crate) login: LoginKey,
    pub(crate) host: HostKey,
}

impl Keys {
    pub(crate) fn generate() -> Self {
        Self { login: LoginKey::generate(), host: HostKey::generate() }
    }

    /// User data that installs them, and more.
    pub(crate) fn user_data(&self, guest: &Guest, more: &[&str]) -> Result<SecretString, Failure> {
        let mut data = UserData::new(&self.host.private_pem(), guest).authorize(self.login.public().line());
        for (number, part) in more.iter().enumerate() {
            let part = SecretString::from(*part);
            data = data.part(format!("part-{number}"), &part).map_err(|error| Failure::new(error.to_string()))?;
        }
        data.build(usize::MAX).map_err(|error| Failure::new(error.to_string()))
    }
}

impl CaseContext {
    /// What the provider says of its machines.
    pub(crate) fn guest(&self) -> &'static Guest {
        &self.provider().descriptor().guest
    }

    /// Lets the keys in. Clouds that register keys want one at launch as well.
    pub(crate) async fn open(&self, spec: &mut LaunchSpec, keys: &Keys, more: &[&str]) -> Result<(), Failure> {
        spec.user_data = Some(keys.user_data(self.guest(), more)?);
        spec.login_keys = self.registered(keys).await?;
        Ok(())
    }

    /// The registered login key, where the provider registers keys.
    async fn registered(&self, keys: &Keys) -> Result<Vec<LoginKeyId>, Failure> {
        let Some(login_keys) = self.provider().login_keys() else { return Ok(Vec::new()) };
        let line = keys.login.public().line();
        Ok(vec![login_keys.ensure(&self.name(&format!("key-{}", &line[line.len() - 6..])), &line).await?.id])
    }

    /// An instance that runs, and lets the keys in.
    pub(crate) async fn opened(&self, spec: &mut LaunchSpec, keys: &Keys, more: &[&str]) -> Result<Instance, Failure> {
        self.open(spec, keys, more).await?;
        let made = self.launch(spec).await?;
        self.reaches(&made.id, InstanceState::Running).await
    }

    /// Logs in at an address, to the machine of these keys and to no other.
    pub(crate) async fn login(&self, address: Option<&Address>, keys: &Keys) -> Result<Connection, Failure> {
        let address = address.ok_or_else(|| Failure::new("an instance runs and has no address"))?;
        self.say(format!("{} to let in", address.endpoint(22)));
        let options = ConnectOptions::new(address.endpoint(22), keys.login.clone(), keys.host.public());
        let deadline = Instant::now() + BOOT.mul_f64(self.target().patience);
        let wait = WaitOptions { deadline, boot: Boot::First(self.guest()), cancel: CancellationToken::new() };
        let mut last = String::new();
        let connected = wait_for_ssh(&options, &wait, &mut |error| last = error.to_string()).await;
        connected.map_err(|error| Failure::new(format!("{} does not let in: {error}: {last}", address.endpoint(22))))
    }

    /// Waits until a machine lets in at its own address.
    pub(crate) async fn boots_at(&self, instance: &Instance, keys: &Keys) -> Result<(), Failure> {
        self.login(instance.address.as_ref(), keys).await.map(drop)
    }

    /// Logs in by one connection, to the machine of these keys and to no other.
    pub(crate) async fn login_once(&self, address: &Address, keys: &Keys) -> Result<(), Failure> {
        let options = ConnectOptions::new(address.endpoint(22), keys.login.clone(), keys.host.public());
        let connected = Connection::connect(&options).await;
        connected.map(drop).map_err(|error| Failure::new(error.to_string()))
    }

    /// Logs in, and waits until cloud-init is through.
    pub(crate) async fn booted(&self, address: Option<&Address>, keys: &Keys) -> Result<Connection, Failure> {
        let machine = self.login(address, keys).await?;
        output(&machine, "cloud-init status --wait").await?;
        Ok(machine)
    }
}

/// What a command that has to succeed writes.
pub(crate) async fn output(machine: &Connection, command: &str) -> Result<String, Failure> {
    let (outcome, text) = machine
        .capture(&Command::shell(command).timeout(Duration::from_secs(300)))
        .await
        .map_err(|error| Failure::new(format!("`{command}` on {}: {error}", machine.endpoint())))?;
    match outcome.exit {
        Exit::Status(0) => Ok(text),
        exit => Err(Failure::new(format!("`{command}` on {}: {exit}: {:?}", machine.endpoint(), outcome.tail))),
    }
}
