//! OpenSSH's own server on a loopback port, run by whoever runs the tests.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use remint_core::remote::{ConnectOptions, HostKey, LoginKey, PublicKey};
use secrecy::ExposeSecret;
use tempfile::TempDir;

/// A running `sshd` that has one ed25519 host key and lets one key in. Ends when it is dropped.
pub(crate) struct Sshd {
    pub(crate) endpoint: SocketAddr,
    pub(crate) login: LoginKey,
    folder: TempDir,
    process: Option<Child>,
}

impl Sshd {
    /// Starts a server with this host key; returns when it listens.
    pub(crate) async fn start(host_key: &HostKey) -> Self {
        Self::start_with_key(host_key.private_pem().expose_secret()).await
    }

    /// Starts a server with a host key of any kind, in OpenSSH's PEM form.
    pub(crate) async fn start_with_key(host_key: &str) -> Self {
        let login = LoginKey::generate();
        let folder = tempfile::tempdir().expect("a folder for sshd");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).expect("sshd's files");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("their modes");
            path
        };
        let key = write("host_key", host_key);
        let authorized = write("authorized_keys", &login.public().line());
        // The port may be taken between finding it and binding it; then the server ends and another one is tried.
        for _ in 0..5 {
            let endpoint = free_port();
            let config = write("sshd_config", &config(endpoint, &key, &authorized));
            let mut process = Command::new(program())
                .args(["-D", "-e", "-f"])
                .arg(config)
                .stdin(Stdio::null())
                .stderr(fs::File::create(folder.path().join("log")).expect("sshd's log"))
                .spawn()
                .expect("sshd starts");
            if listens(&mut process, endpoint).await {
                return Self { endpoint, login, folder, process: Some(process) };
            }
        }
        panic!("sshd does not start: {}", fs::read_to_string(folder.path().join("log")).unwrap_or_default());
    }

    /// How to connect to it, expecting a host key.
    pub(crate) fn options(&self, host_key: PublicKey) -> ConnectOptions {
        let mut options = ConnectOptions::new(self.endpoint, self.login.clone(), host_key);
        options.user = user();
        options
    }

    /// What it logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// A folder of this test, on "the machine".
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Ends the server and the processes that serve its connections.
    pub(crate) fn kill(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        // From the top down: a server that still stood when its command is killed would report that to the client.
        for child in children(process.id()) {
            let _ = Command::new("kill").args(["-KILL", &child.to_string()]).status();
        }
        let _ = process.kill();
        let _ = process.wait();
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The name of whoever runs the tests.
pub(crate) fn user() -> String {
    let name = Command::new("id").arg("-un").output().expect("id").stdout;
    String::from_utf8(name).expect("a name").trim().to_owned()
}

fn program() -> PathBuf {
    let found =
        ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/sbin/sshd"].into_iter().map(PathBuf::from).find(|p| p.exists());
    found.expect("these tests need a real sshd: apt-get install openssh-server")
}

fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port on loopback")
}

fn config(endpoint: SocketAddr, key: &std::path::Path, authorized: &std::path::Path) -> String {
    // Run by root, sshd insists on the folder that its package's unit makes at boot.
    if user() == "root" {
        fs::create_dir_all("/run/sshd").expect("/run/sshd");
    }
    format!(
        "ListenAddress {endpoint}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\nUsePAM no\n\
         PasswordAuthentication no\nPermitRootLogin prohibit-password\nSubsystem sftp internal-sftp\nLogLevel VERBOSE\n\
         MaxStartups 100\n",
        key.display(),
        authorized.display()
    )
}

async fn listens(process: &mut Child, endpoint: SocketAddr) -> bool {
    loop {
        if process.try_wait().expect("sshd's state").is_some() {
            return false;
        }
        if tokio::net::TcpStream::connect(endpoint).await.is_ok() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The descendants of a process, parents before children.
fn children(parent: u32) -> Vec<u32> {
    let listed = Command::new("ps").args(["-o", "pid=", "--ppid", &parent.to_string()]).output();
    let text = listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let direct: Vec<u32> = text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect();
    direct.iter().flat_map(|pid| std::iter::once(*pid).chain(children(*pid))).collect()
}
