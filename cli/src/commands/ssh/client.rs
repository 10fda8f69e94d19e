//! OpenSSH's client, with nothing of the user's configuration and one folder of ours.
//!
//! `~/.ssh/config` may forward an agent, run commands here or go through a proxy, for any host; so it is not read. The folder is
//! ssh's working folder, and the file in it has a relative name: how the path of `TMPDIR` is spelt does not matter. A command
//! that ssh runs here once it is logged in removes both, which is also how the login is noticed; so nothing is left by a process
//! that is killed afterwards.

use std::{
    fs::{self, DirBuilder, OpenOptions, Permissions},
    io::Write,
    net::SocketAddr,
    os::unix::{
        fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
        process::ExitStatusExt,
    },
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use anyhow::Context as _;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use crate::exit::{self, Failure};

const KNOWN_HOSTS: &str = "known_hosts";
/// How often it is looked whether the login has worked.
const LOOKS: Duration = Duration::from_millis(50);

/// A login by OpenSSH's client: where to, by which keys, and for what.
pub(super) struct Login {
    pub(super) endpoint: SocketAddr,
    /// The host keys that the instance may show, as OpenSSH lines.
    pub(super) keys: Vec<String>,
    pub(super) identity: Option<PathBuf>,
    /// Empty for a shell.
    pub(super) command: Vec<String>,
    /// Names the folder.
    pub(super) run: String,
}

/// A folder that is gone when this is dropped.
struct Folder {
    path: PathBuf,
    name: String,
}

impl Folder {
    fn create(parent: &Path, run: &str) -> anyhow::Result<Self> {
        let name = format!("remint-{run}");
        let path = parent.join(&name);
        DirBuilder::new().mode(0o700).create(&path).context("cannot make a folder for the host key")?;
        let folder = Self { path, name };
        // A umask takes rights away that are needed here, too.
        fs::set_permissions(&folder.path, Permissions::from_mode(0o700))?;
        Ok(folder)
    }

    fn write_known_hosts(&self, login: &Login) -> anyhow::Result<()> {
        let path = self.path.join(KNOWN_HOSTS);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        let (ip, port) = (login.endpoint.ip(), login.endpoint.port());
        for key in &login.keys {
            writeln!(file, "[{ip}]:{port} {key}\n{ip} {key}")?;
        }
        Ok(())
    }

    fn is_logged_in(&self) -> bool {
        !self.path.join(KNOWN_HOSTS).exists()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Gone already, where the login has worked.
        _ = fs::remove_dir_all(&self.path);
    }
}

/// The options of ssh's command line. They come before any other source.
fn arguments(login: &Login, folder: &str) -> anyhow::Result<Vec<String>> {
    let mut words: Vec<String> = ["-F", "/dev/null", "-a", "-x"].map(str::to_owned).to_vec();
    let logged_in = format!("LocalCommand=rm -f {KNOWN_HOSTS}; rmdir ../{folder}");
    let user_hosts = format!("UserKnownHostsFile={KNOWN_HOSTS}");
    let options = [
        "StrictHostKeyChecking=yes",
        &user_hosts,
        "GlobalKnownHostsFile=/dev/null",
        "UpdateHostKeys=no",
        "CheckHostIP=no",
        "VerifyHostKeyDNS=no",
        "ForwardAgent=no",
        "ForwardX11=no",
        "ClearAllForwardings=yes",
        "ProxyCommand=none",
        "ControlMaster=no",
        "ControlPath=none",
        "PasswordAuthentication=no",
        "KbdInteractiveAuthentication=no",
        "PermitLocalCommand=yes",
        &logged_in,
    ];
    for option in options {
        words.extend(["-o".to_owned(), option.to_owned()]);
    }
    if let Some(identity) = &login.identity {
        let path = std::path::absolute(identity).context("cannot tell where the private key is")?;
        anyhow::ensure!(path.exists(), "there is no private key {}", path.display());
        let path = path.to_str().context("the path of the private key is not UTF-8")?;
        words.extend(["-o".to_owned(), "IdentitiesOnly=yes".to_owned(), "-i".to_owned(), path.replace('%', "%%")]);
    }
    let port = login.endpoint.port().to_string();
    words.extend(["-l", "root", "-p", &port, "--", &login.endpoint.ip().to_string()].map(str::to_owned));
    words.extend(login.command.iter().cloned());
    Ok(words)
}

/// Runs ssh to its end, and `logged_in` as soon as it is logged in. Gives ssh's exit code.
pub(super) async fn run(
    login: &Login,
    logged_in: impl Future<Output = ()>,
    cancel: &CancellationToken,
) -> Result<i32, Failure> {
    let parent = std::env::temp_dir();
    let folder = Folder::create(&parent, &login.run)?;
    folder.write_known_hosts(login).context("cannot write the host key")?;
    let mut ssh = Command::new("ssh");
    ssh.args(arguments(login, &folder.name)?).current_dir(&folder.path);
    remint_core::child::without_credentials(ssh.as_std_mut(), []);
    let mut child = ssh.spawn().map_err(|error| {
        let failure = Failure::new(exit::ExitStatus::Failure, anyhow::Error::from(error).context("cannot run ssh"));
        failure.hint("install an OpenSSH client")
    })?;
    let noticed = async {
        while !folder.is_logged_in() {
            tokio::time::sleep(LOOKS).await;
        }
        logged_in.await;
    };
    tokio::pin!(noticed);
    let mut marked = false;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status.context("cannot wait for ssh")?,
            () = &mut noticed, if !marked => marked = true,
            () = cancel.cancelled() => {
                if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
                    // It may have ended meanwhile.
                    _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
                }
                child.wait().await.context("cannot wait for ssh")?;
                // Whether it was logged in or not counts here, too.
                if !marked && folder.is_logged_in() {
                    noticed.await;
                }
                return Ok(i32::from(exit::ExitStatus::Interrupted.code()));
            }
        }
    };
    if !marked && folder.is_logged_in() {
        noticed.await;
    }
    Ok(code(status))
}

fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}
