//! A world for tests of the command: a sandbox of its own, a service folder, and the `remint` program between them.
//!
//! ```ignore
//! let world = World::with_service().await;
//! let deployed = world.remint(&["deploy"]).await.success().result();
//! ```
//!
//! Everything that a world started ends when it is dropped, and then every answer that the sandbox gave must be as the
//! published specification says, where the checkout has it beside it. A test file says `#[expect(dead_code, reason = "…")] mod common;`
//! as long as it does not use all of it.

mod answers;
mod books;
mod checkout;
mod droplets;
mod ended;
mod logins;
mod looking;
mod standing;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

pub(crate) use books::{Account, Books};
pub(crate) use ended::Ended;
pub(crate) use standing::Standing;

/// A small service for simulated machines: quick, with a page that shows `var.version`.
pub(crate) const TINY: &str = r#"service = "hello"
provider = "sandbox"

[providers.sandbox]
region = "nyc3"
base = "debian-12-x64"
size = "s-1vcpu-1gb"

[providers.digitalocean]
region = "nyc3"
base = "debian-12-x64"
size = "s-1vcpu-1gb"

[vars]
version = "v1"
greeting = "hello"

[[image.provision]]
type = "file"
source = "simulation.toml"
destination = "/etc/simulation.toml"

[[image.provision]]
type = "shell"
inline = ["mkdir -p /opt", "echo ${var.version} > /opt/version"]

[config]
path = "/etc/hello.env"

[config.env]
GREETING = "${var.greeting}"

[health]
check.http = { path = "/health/check" }
interval = "50ms"
timeout = "2s"
successes = 2
start_period = "5s"

[deploy]
observe = "300ms"
drain = "0s"
timeout = "60s"
"#;

/// How a simulated machine of [`TINY`] behaves.
pub(crate) const SIMULATION: &str = r#"[[http]]
port = 80
path = "/health/check"
status = 200
body = "ok"

[[http]]
port = 80
path = "/"
body = "version {file:/opt/version}"
"#;

/// What [`TINY`] needs on the other two clouds.
const FURTHER_CLOUDS: &str = r#"
[providers.aws]
region = "us-east-1"
base = "136693071363/debian-12-amd64-*"
size = "t3.micro"

[providers.gcp]
region = "us-central1-a"
base = "ubuntu-os-cloud/ubuntu-2404-lts-amd64"
size = "e2-micro"
"#;

/// A sandbox with a service folder.
pub(crate) struct World {
    root: TempDir,
    name: String,
    /// What `remint` finds in its environment beside the sandbox.
    variables: Vec<(String, String)>,
    /// The API's address, without `/v2`.
    pub(crate) api_url: String,
    /// The API's token.
    pub(crate) token: String,
    /// Where the DNS server answers.
    pub(crate) dns: SocketAddr,
    /// Ports up to this one are moved …
    port_through: u16,
    /// … by this much.
    port_offset: u16,
    http: reqwest::Client,
}

impl World {
    /// A world with an instant sandbox and an empty service folder.
    pub(crate) async fn empty() -> Self {
        Self::started_with(&["--profile", "instant"]).await
    }

    /// A world with an instant sandbox and the service [`TINY`].
    pub(crate) async fn with_service() -> Self {
        let world = Self::empty().await;
        world.write("remint.toml", TINY);
        world.write("simulation.toml", SIMULATION);
        world
    }

    /// A world with the service [`TINY`], in which `--provider digitalocean`, `aws` and `gcp` work too.
    pub(crate) async fn on_every_cloud() -> Self {
        let mut world = Self::with_service().await;
        world.append(FURTHER_CLOUDS);
        world.open_accounts().await;
        world
    }

    /// Puts the variables of all three accounts into the environment of every further `remint`.
    pub(crate) async fn open_accounts(&mut self) {
        for account in ["digitalocean", "aws", "gcp"] {
            self.variables.extend(self.variables(account).await);
        }
    }

    /// A world whose sandbox is started with these arguments, on simulated machines.
    pub(crate) async fn started_with(args: &[&str]) -> Self {
        Self::of_kind("simulated", args).await
    }

    /// A world whose sandbox runs machines of a kind, and is started with these arguments.
    pub(crate) async fn of_kind(kind: &str, args: &[&str]) -> Self {
        let root = tempfile::Builder::new().prefix("remint-test-").tempdir().unwrap();
        fs::create_dir(root.path().join("service")).unwrap();
        let name = format!("test-{}", root.path().file_name().unwrap().to_string_lossy().trim_start_matches('.'));
        let mut world = Self {
            root,
            name,
            variables: Vec::new(),
            api_url: String::new(),
            token: String::new(),
            dns: SocketAddr::from(([127, 0, 0, 1], 0)),
            port_through: 0,
            port_offset: 0,
            // A connection that is kept would still lead to the machine that served before.
            http: reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap(),
        };
        let mut start = vec!["sandbox", "start", "--kind", kind, "--no-rate-limits"];
        start.extend(args);
        world.remint(&start).await.success();
        for (name, value) in world.variables("digitalocean").await {
            match name.as_str() {
                "DIGITALOCEAN_API_URL" => world.api_url = value,
                "DIGITALOCEAN_TOKEN" => world.token = value,
                "REMINT_SANDBOX_DNS" => world.dns = value.parse().unwrap(),
                "REMINT_SANDBOX_PORT_THROUGH" => world.port_through = value.parse().unwrap(),
                "REMINT_SANDBOX_PORT_OFFSET" => world.port_offset = value.parse().unwrap(),
                _ => {}
            }
        }
        world
    }

    /// What a client of one of this world's accounts needs in its environment.
    pub(crate) async fn variables(&self, account: &str) -> Vec<(String, String)> {
        let variables = self.json(&["sandbox", "env", account]).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        variables.as_array().unwrap().iter().map(|one| (text(&one["name"]), text(&one["value"]))).collect()
    }

    /// `remint` with these arguments, in the service folder, against this world's sandbox. It is killed when its handle is
    /// dropped.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_remint"));
        self.environment(command.as_std_mut());
        command.args(args).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// As [`World::command`], in a namespace of processes of its own: it and all others take each other for processes of
    /// another machine.
    pub(crate) fn elsewhere(&self, args: &[&str]) -> Command {
        let mut command = Command::new("unshare");
        self.environment(command.as_std_mut());
        if !nix::unistd::geteuid().is_root() {
            command.args(["--user", "--map-current-user"]);
        }
        command.args(["--pid", "--fork", "--kill-child", env!("CARGO_BIN_EXE_remint")]);
        command.args(args).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Makes a process see this world's sandbox, and nothing of the developer's own settings.
    fn environment(&self, command: &mut std::process::Command) {
        // What the developer's own shell says must not matter; nor whether the tests are run by continuous integration,
        // where a first deploy with a journal in the checkout is refused.
        for (name, _) in std::env::vars_os() {
            let prefixes =
                ["REMINT_", "DIGITALOCEAN_", "AWS_", "GOOGLE_", "CLOUDSDK_", "XDG_CONFIG", "GITHUB_", "GITLAB_"];
            if name == "CI" || prefixes.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        command
            .current_dir(self.folder())
            .env("REMINT_SANDBOX_DIR", self.root.path().join("sandboxes"))
            .env("REMINT_SANDBOX", &self.name)
            .env("REMINT_SANDBOX_RECORD", self.answers())
            // The base images of real machines are the user's own.
            .env("XDG_STATE_HOME", state_home())
            .env("HOME", self.root.path())
            .env("NO_COLOR", "1")
            .envs(self.variables.iter().cloned());
    }

    /// Runs `remint` to its end.
    pub(crate) async fn remint(&self, args: &[&str]) -> Ended {
        Ended::of(args, self.command(args).output().await.unwrap())
    }

    /// Runs `remint` to its end, which must be this exit code, and must change nothing in any account.
    pub(crate) async fn refused(&self, args: &[&str], code: i32) -> Ended {
        self.untouched(args).await.code(code)
    }

    /// Runs `remint` to its end, and asserts that it changes nothing in any account: not even something that is taken back.
    pub(crate) async fn untouched(&self, args: &[&str]) -> Ended {
        let (before, calls) = (self.books(), self.mutations().await);
        let ended = self.remint(args).await;
        let (after, later) = (self.books(), self.mutations().await);
        let (gone, new) = (before.beyond(&after), after.beyond(&before));
        assert!(gone.is_empty() && new.is_empty(), "gone: {gone:#?}\nnew: {new:#?}\n{}", ended.text());
        assert_eq!(calls, later, "it changed something, and took it back:\n{}", ended.text());
        ended
    }

    /// As [`World::remint`], with further variables: another account's, or another secret.
    pub(crate) async fn remint_with(&self, args: &[&str], variables: &[(String, String)]) -> Ended {
        let mut command = self.command(args);
        command.envs(variables.iter().cloned());
        Ended::of(args, command.output().await.unwrap())
    }

    /// The data of a command's result, which must succeed.
    pub(crate) async fn json(&self, args: &[&str]) -> Value {
        let args: Vec<_> = std::iter::once("--json").chain(args.iter().copied()).collect();
        self.remint(&args).await.success().result()
    }

    /// Another program in the service folder, with the variables of `remint sandbox env`. It is killed when its handle is
    /// dropped.
    pub(crate) fn client(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        self.environment(command.as_std_mut());
        command
            .env("DIGITALOCEAN_API_URL", &self.api_url)
            .env("DIGITALOCEAN_TOKEN", &self.token)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// How many answers the sandbox has written down, to be checked when the world ends.
    pub(crate) fn recorded(&self) -> usize {
        answers::read(&self.answers()).len()
    }

    /// Where the sandbox writes its answers down.
    fn answers(&self) -> PathBuf {
        self.root.path().join("answers.jsonl")
    }

    /// Where the sandbox's own files are.
    pub(crate) fn sandbox_dir(&self) -> &Path {
        self.root.path()
    }
}

/// Where the user's state is, and with it the base images.
pub(crate) fn state_home() -> PathBuf {
    let set = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    set.unwrap_or_else(|| std::env::home_dir().unwrap().join(".local/state"))
}

impl Drop for World {
    fn drop(&mut self) {
        let mut stop = std::process::Command::new(env!("CARGO_BIN_EXE_remint"));
        self.environment(&mut stop);
        let _ = stop.args(["--quiet", "sandbox", "stop", "--machines"]).stdin(Stdio::null()).output();
        // A test that failed already has told enough.
        if !std::thread::panicking() {
            answers::check(&self.answers());
        }
    }
}
