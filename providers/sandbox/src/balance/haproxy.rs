//! The process of one HAProxy.

use std::{
    collections::VecDeque,
    env, fs, io,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use remint_core::child::plain_environment;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, ChildStdin, Command},
    time::Instant,
};

use super::{
    config::{MASTER, SOCKET},
    control,
};

/// The program, and Debian's package that brings it.
const PROGRAM: &str = "haproxy";

/// Where Debian has it, which is not in everybody's PATH.
const ELSEWHERE: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];

/// Becomes HAProxy, and leaves a process that ends it when standard input does: the sandbox holds the other end, and loses it in
/// whatever way it ends. That process is nobody's child: HAProxy would wait for it as for one of its own.
const SCRIPT: &str = r#"exec 3<&0
( { cat <&3; kill -TERM $$; } >/dev/null 2>&1 & )
exec "$1" -W -S unix@"$2",mode,600 -db -f haproxy.cfg 3<&- </dev/null"#;

/// How many of its complaints are shown.
const SAID: usize = 3;

const CONFIGURATION: &str = "haproxy.cfg";

/// How long it may take to begin, to take a new configuration, and to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// The pause between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// How often it is started where another process has a port: the HAProxy of a sandbox that was killed may have it for a moment.
const TRIES: u32 = 8;
const TRY_AGAIN: Duration = Duration::from_millis(250);

/// The program's path.
///
/// # Errors
///
/// What to install.
pub(super) fn find() -> Result<PathBuf, String> {
    let path = env::var_os("PATH").unwrap_or_default();
    find_in(env::split_paths(&path).chain(ELSEWHERE.map(PathBuf::from)))
}

fn find_in(folders: impl IntoIterator<Item = PathBuf>) -> Result<PathBuf, String> {
    let mut files = folders.into_iter().map(|folder| folder.join(PROGRAM));
    files.find(|file| file.is_file()).ok_or_else(|| {
        format!("The sandbox's load balancers need the program {PROGRAM}: install Debian's package {PROGRAM}.")
    })
}

/// A running HAProxy. Dropping it ends it soon; see [`Haproxy::end`].
#[derive(Debug)]
pub(super) struct Haproxy {
    child: Child,
    /// Its end is HAProxy's end.
    _held: Option<ChildStdin>,
    said: Said,
}

/// The last complaints that were written to standard error.
#[derive(Debug, Clone, Default)]
struct Said(Arc<Mutex<VecDeque<String>>>);

impl Said {
    fn add(&self, line: String) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push_back(line);
        if lines.len() > SAID {
            lines.pop_front();
        }
    }

    fn last(&self) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(String::as_str).collect::<Vec<_>>().join("; ")
    }
}

impl Haproxy {
    /// Starts one in a folder with this configuration. Returns when it takes connections.
    pub(super) async fn start(folder: &Path, configuration: &str) -> Result<Self, String> {
        let program = find()?;
        write(folder, configuration).map_err(|error| format!("cannot write in {}: {error}", folder.display()))?;
        let mut tries = 0;
        loop {
            tries += 1;
            match Self::try_start(&program, folder).await {
                Err(_) if tries < TRIES => tokio::time::sleep(TRY_AGAIN).await,
                done => return done,
            }
        }
    }

    async fn try_start(program: &Path, folder: &Path) -> Result<Self, String> {
        // One that outlived its sandbox, and has not noticed yet, is not to answer for this one.
        for socket in [SOCKET, MASTER] {
            match fs::remove_file(folder.join(socket)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(format!("{socket}: {error}")),
                _ => {}
            }
        }
        let mut command = Command::new("sh");
        plain_environment(command.as_std_mut());
        command
            .args(["-c", SCRIPT, "sh"])
            .arg(program)
            .arg(MASTER)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("cannot start {PROGRAM}: {error}"))?;
        let (held, said) = (child.stdin.take(), Said::default());
        if let Some(errors) = child.stderr.take() {
            let said = said.clone();
            tokio::spawn(async move {
                let mut lines = BufReader::new(errors).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    tracing::debug!(line, "HAProxy");
                    if line.starts_with("[ALERT]") {
                        said.add(line);
                    }
                }
            });
        }
        let mut haproxy = Self { child, _held: held, said };
        let deadline = Instant::now() + PATIENCE;
        while control::worker(folder).await.is_none() {
            if !haproxy.runs() {
                // What it wrote at its end is read a moment later.
                tokio::time::sleep(LOOK).await;
                return Err(format!("{PROGRAM} does not start: {}", haproxy.said.last()));
            }
            if Instant::now() > deadline {
                haproxy.end().await;
                return Err(format!("{PROGRAM} did not start within {} s", PATIENCE.as_secs()));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(haproxy)
    }

    /// Whether it still runs.
    pub(super) fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Makes it take another configuration, without closing a port that it keeps. Connections that are open go on in the former
    /// process, whose number is returned; it stops taking connections soon.
    pub(super) async fn reload(&self, folder: &Path, configuration: &str) -> Result<u32, String> {
        write(folder, configuration).map_err(|error| format!("cannot write in {}: {error}", folder.display()))?;
        let deadline = Instant::now() + PATIENCE;
        while !control::is_ready(folder).await {
            if Instant::now() > deadline {
                return Err("HAProxy does not answer".to_owned());
            }
            tokio::time::sleep(LOOK).await;
        }
        let before = control::worker(folder).await.ok_or("HAProxy does not answer")?;
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok()).ok_or("HAProxy has ended")?;
        kill(Pid::from_raw(pid), Signal::SIGUSR2).map_err(|error| format!("cannot reload HAProxy: {error}"))?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = control::worker(folder).await;
            if now.is_some_and(|now| now != before) {
                return Ok(before);
            }
            if Instant::now() > deadline {
                return Err(format!("HAProxy does not take its new configuration: {}", self.said.last()));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Ends it with all its connections. Returns when its ports are free.
    pub(super) async fn end(mut self) {
        drop(self._held.take());
        if tokio::time::timeout(PATIENCE, self.child.wait()).await.is_err() {
            tracing::warn!("HAProxy does not end, and is killed");
            if let Err(error) = self.child.kill().await {
                tracing::error!(%error, "HAProxy cannot be killed");
            }
        }
    }
}

/// Writes the configuration into the folder, which is made when it is missing; both are the owner's alone.
fn write(folder: &Path, configuration: &str) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let file = folder.join(CONFIGURATION);
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file)?;
    file.write_all(configuration.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_told_with_its_package() {
        let empty = tempfile::tempdir().unwrap();
        let told = find_in([empty.path().to_owned()]).unwrap_err();
        assert!(told.contains("Debian's package haproxy"), "{told}");
        fs::write(empty.path().join("haproxy"), "").unwrap();
        assert_eq!(find_in([empty.path().to_owned()]), Ok(empty.path().join("haproxy")));
    }
}
