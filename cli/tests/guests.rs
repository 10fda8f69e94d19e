//! Remint's user data on guests that behave like those of each cloud: Debian 12 with cloud-init and Google's agent as they are
//! packaged, the clouds' firmware tables, and a metadata service for each.
//!
//! A guest is emulated and takes minutes to boot, so that these tests run by `make test-guests` alone.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test tells how long things took, and may panic")]

#[path = "guests/cloud.rs"]
mod cloud;
#[path = "guests/machine.rs"]
mod machine;
#[path = "guests/metadata.rs"]
mod metadata;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use cloud::Cloud;
use machine::Machine;
use metadata::Metadata;
use remint_core::{
    manifest::RenderedConfig,
    provider::Guest,
    remote::{
        Boot, Command, ConnectOptions, Connection, HostKey, LoginKey, PublicKey, RemoteError, WaitOptions, wait_for_ssh,
    },
    userdata::UserData,
};
use secrecy::ExposeSecret;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long a guest may take to do what it is asked; emulated ones are slow when the machine is busy.
const PATIENCE: Duration = Duration::from_secs(900);
/// How long the guest without the guard is asked once it shows a key.
const ASKED: Duration = Duration::from_secs(15);
/// What the gate installs a host key with.
const ROTATE: &str = include_str!("../../core/src/deploy/rotate.sh");
const HOST_KEY: &str = "/etc/ssh/ssh_host_ed25519_key.pub";

/// What the guest's user data says beside keys.
#[derive(Debug, Clone, Copy)]
enum Role {
    /// A builder's: keys and a name.
    Builder,
    /// An instance's: a configuration with a unit to restart, and a script of the user's.
    Instance,
}

/// A guest, and what it takes to get in.
struct Bench {
    cloud: Cloud,
    machine: Machine,
    metadata: Arc<Metadata>,
    options: ConnectOptions,
    /// The key that the cloud knows for the account.
    account: PublicKey,
    booted: Instant,
}

impl Bench {
    async fn boot(cloud: Cloud, role: Role, guest: &Guest) -> Self {
        let (host, login, account) = (HostKey::generate(), LoginKey::generate(), LoginKey::generate().public());
        let mut data = UserData::new(&host.private_pem(), guest).hostname("guest-1").authorize(login.public().line());
        if matches!(role, Role::Instance) {
            let config = RenderedConfig {
                path: "/etc/app/app.env".to_owned(),
                owner: "root".to_owned(),
                mode: "0600".to_owned(),
                restart: vec!["systemd-logind.service".to_owned()],
                env: BTreeMap::from([("GREETING".to_owned(), "it's $HOME".into())]),
            };
            let script = "#!/bin/sh\necho ran > /etc/app/script\n".into();
            data = data.config(&config).unwrap().part("script.sh", &script).unwrap();
        }
        let data = data.build(cloud.descriptor().limits.user_data_bytes).unwrap();
        let (metadata, service) = Metadata::serve(cloud, data.expose_secret(), &account.line()).await;
        let machine = tokio::task::spawn_blocking(move || Machine::boot(cloud, service)).await.unwrap();
        let options = ConnectOptions::new(machine.endpoint, login, host.public());
        Self { cloud, machine, metadata, options, account, booted: Instant::now() }
    }

    async fn wait(&self, boot: Boot, within: Duration) -> Result<Connection, RemoteError> {
        let wait = WaitOptions { deadline: Instant::now() + within, boot, cancel: CancellationToken::new() };
        wait_for_ssh(&self.options, &wait, &mut |_| ()).await
    }

    /// Logs in as a bake and a gate do.
    async fn log_in(&self) -> Connection {
        match self.wait(Boot::First(&self.cloud.descriptor().guest), PATIENCE).await {
            Ok(connection) => connection,
            Err(error) => panic!("{error}\n{}\n{}", self.machine.console(), self.metadata.requests()),
        }
    }

    async fn output(&self, connection: &Connection, command: &str) -> String {
        let run = connection.capture(&Command::shell(command).timeout(PATIENCE)).await;
        let (outcome, text) = run.unwrap_or_else(|error| panic!("{command}: {error}\n{}", self.machine.console()));
        if !outcome.exit.is_success() {
            let log = connection.capture(&Command::shell("tail -n 40 /var/log/cloud-init.log")).await;
            panic!("{command}: {:?}\n{text}\n{log:?}\n{}", outcome.exit, self.metadata.requests());
        }
        text.trim().to_owned()
    }

    fn say(&self, what: &str) {
        eprintln!("{}: {what} after {:.0} s", self.cloud.id(), self.booted.elapsed().as_secs_f64());
    }

    /// Logs in and holds what every cloud's guest must be once cloud-init has ended; what the gate does comes after that.
    async fn comes_up(&self) -> Connection {
        let connection = self.log_in().await;
        self.say("logged in");
        self.output(&connection, "cloud-init status --wait >&2").await;
        self.say("cloud-init done");
        assert_eq!(self.output(&connection, "cloud-id; hostname").await, format!("{}\nguest-1", self.cloud.id()));

        // The packaged configuration, and the image's SSH server, would both keep root out.
        let stock = "grep -h '^disable_root:' /etc/cloud/cloud.cfg; grep -h '^PermitRootLogin' /etc/ssh/sshd_config";
        assert_eq!(self.output(&connection, stock).await, "disable_root: true\nPermitRootLogin no");
        let keys = self.output(&connection, "cat /root/.ssh/authorized_keys").await;
        let of_cloud = usize::from(self.cloud != Cloud::Gce);
        assert_eq!(keys.matches(&self.account.line()).count(), of_cloud, "{keys}");
        assert!(keys.lines().all(|line| line.starts_with("ssh-ed25519 ")), "a command stands before a key: {keys}");
        connection
    }

    /// Installs another host key as the gate does, and logs in with that one.
    async fn rotate(&mut self, connection: &Connection) -> Connection {
        let next = HostKey::generate();
        let command = Command::shell(ROTATE)
            .env("PUBLIC", next.public().line())
            .stdin(next.private_pem().expose_secret())
            .timeout(PATIENCE);
        let outcome = connection.exec(&command, &mut |_, _| {}).await.unwrap();
        assert!(outcome.exit.is_success(), "{:?}", outcome.tail);
        self.options.host_key = next.public();
        self.log_in().await
    }

    /// Holds that the guest has the host key that Remint expects, and no other kind of key.
    async fn shows_our_key(&self, connection: &Connection) {
        let files = self.output(connection, &format!("cat {HOST_KEY}; ls /etc/ssh/ssh_host_*")).await;
        let (key, names) = files.split_once('\n').unwrap();
        assert_eq!(PublicKey::from_line(key).unwrap().fingerprint(), self.options.host_key.fingerprint());
        assert_eq!(names, "/etc/ssh/ssh_host_ed25519_key\n/etc/ssh/ssh_host_ed25519_key.pub");
    }
}

/// Waits until the agent has begun what it does at an instance's first boot, and is up.
const AGENT_IS_UP: &str = "until systemctl is-active --quiet google-guest-agent && journalctl -u google-guest-agent | \
                           grep -q 'first-boot'; do sleep 1; done; systemctl is-active google-guest-agent";

#[tokio::test]
#[ignore = "boots an emulated machine for minutes: make test-guests"]
async fn googles_agent_leaves_the_host_key_and_remint_passes_its_gate() {
    let mut bench = Bench::boot(Cloud::Gce, Role::Instance, &Cloud::Gce.descriptor().guest).await;
    let connection = bench.comes_up().await;
    assert_eq!(bench.output(&connection, AGENT_IS_UP).await, "active");
    bench.say("agent up");
    bench.shows_our_key(&connection).await;
    let app = bench.output(&connection, ". /etc/app/app.env; echo \"$GREETING\"; cat /etc/app/script").await;
    assert_eq!(app, "it's $HOME\nran");

    let connection = bench.rotate(&connection).await;
    // The agent compares the instance's id whenever it starts, before it says that it has.
    bench.output(&connection, "systemctl restart google-guest-agent").await;
    bench.shows_our_key(&bench.log_in().await).await;
}

#[tokio::test]
#[ignore = "boots an emulated machine for minutes: make test-guests"]
async fn googles_agent_leaves_the_host_key_of_a_builder() {
    let bench = Bench::boot(Cloud::Gce, Role::Builder, &Cloud::Gce.descriptor().guest).await;
    let connection = bench.comes_up().await;
    assert_eq!(bench.output(&connection, AGENT_IS_UP).await, "active");
    bench.shows_our_key(&bench.log_in().await).await;
}

#[tokio::test]
#[ignore = "boots an emulated machine for minutes: make test-guests"]
async fn without_its_file_googles_agent_replaces_the_host_key_and_the_timeout_names_it() {
    let guest = Guest { files: &[], ..Cloud::Gce.descriptor().guest };
    let bench = Bench::boot(Cloud::Gce, Role::Builder, &guest).await;
    // What answers is refused at once in any boot but the first.
    let error = bench.wait(Boot::Later, PATIENCE).await.unwrap_err();
    bench.say("another key");
    let RemoteError::HostKeyMismatch { got, .. } = &error else { panic!("{error}\n{}", bench.machine.console()) };

    let error = bench.wait(Boot::First(&Cloud::Gce.descriptor().guest), ASKED).await.unwrap_err();
    let RemoteError::NotInTime { foreign: Some(foreign), .. } = &error else { panic!("{error}") };
    assert_eq!(foreign.got, *got);
    let text = error.to_string();
    assert!(text.contains(got.as_str()) && text.contains("google-guest-agent replaces"), "{text}");
    // cloud-init installed and published Remint's key, and then the agent its own.
    let published: Vec<_> =
        bench.metadata.host_keys().iter().map(|line| PublicKey::from_line(line).unwrap().fingerprint()).collect();
    assert_eq!(published, [bench.options.host_key.fingerprint(), foreign.got.clone()], "{}", bench.metadata.requests());
}

#[tokio::test]
#[ignore = "boots an emulated machine for minutes: make test-guests"]
async fn a_droplet_lets_root_in_by_our_key_though_its_password_has_expired() {
    let mut bench = Bench::boot(Cloud::DigitalOcean, Role::Instance, &Cloud::DigitalOcean.descriptor().guest).await;
    let connection = bench.comes_up().await;
    let shadow = bench.output(&connection, "grep ^root: /etc/shadow | cut -c 1-6").await;
    assert_eq!(shadow, "root:$", "the cloud's vendor data has set a password");
    let connection = bench.rotate(&connection).await;
    bench.shows_our_key(&connection).await;
}

#[tokio::test]
#[ignore = "boots an emulated machine for minutes: make test-guests"]
async fn an_ec2_instance_lets_root_in_by_our_key() {
    let mut bench = Bench::boot(Cloud::Ec2, Role::Builder, &Cloud::Ec2.descriptor().guest).await;
    let connection = bench.comes_up().await;
    let connection = bench.rotate(&connection).await;
    bench.shows_our_key(&connection).await;
}
