//! A machine's process: starting it, asking it, ending it.

use std::{
    fs, io,
    io::{Read, Seek, SeekFrom},
    os::fd::OwnedFd,
    path::Path,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::json;

use super::{
    command::{CONSOLE, Launch, PID, process},
    qmp::{Qmp, SOCKET},
};
use crate::base_image::run;

/// How long QEMU may take to write its disk's last metadata when told to quit, before it is killed.
const QUIT: Duration = Duration::from_secs(10);

/// How long a saved guest may take to be loaded.
const RESTORE: Duration = Duration::from_secs(120);

/// How much of the console is shown.
const CONSOLE_TAIL: u64 = 64 * 1024;

/// Starts a machine, and returns when it has power.
pub(super) async fn launch(launch: &Launch<'_>) -> Result<(), String> {
    for name in [SOCKET, PID] {
        match fs::remove_file(launch.folder.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(format!("{name}: {error}")),
            _ => {}
        }
    }
    run(launch.command(), &|line| tracing::debug!(machine = launch.name, line, "QEMU")).await.map(drop)
}

/// Starts a machine that goes on from a saved guest, on a disk that has grown since.
pub(super) async fn restore(machine: &Launch<'_>, state: &Path, disk_bytes: u64) -> Result<(), String> {
    let file = fs::File::open(state).map_err(|error| format!("{}: {error}", state.display()))?;
    launch(machine).await?;
    let work = async {
        let mut qmp = Qmp::connect(machine.folder).await?;
        qmp.lend("state", OwnedFd::from(file)).await?;
        qmp.execute("migrate-incoming", json!({"uri": "fd:state"})).await?;
        qmp.migrated().await?;
        qmp.execute("block_resize", json!({"node-name": "disk", "size": disk_bytes})).await?;
        qmp.execute("cont", json!({})).await.map(drop)
    };
    let done = tokio::time::timeout(RESTORE, work).await;
    let done = done.unwrap_or_else(|_| Err(format!("the saved guest was not loaded within {} s", RESTORE.as_secs())));
    if done.is_err() {
        stop(machine.folder).await?;
    }
    done
}

/// Cuts the power, and returns when the process is gone.
pub(super) async fn stop(folder: &Path) -> Result<(), String> {
    if process(folder).is_none() {
        return Ok(());
    }
    // Quitting writes what QEMU itself still holds of the disk's metadata; the guest notices nothing of it either way.
    let asked = async { Qmp::connect(folder).await?.execute("quit", json!({})).await };
    match tokio::time::timeout(QUIT, asked).await {
        Ok(Ok(_)) => {
            if gone(folder, QUIT).await {
                return Ok(());
            }
        }
        Ok(Err(error)) => tracing::debug!(error, folder = %folder.display(), "QEMU does not quit when asked"),
        Err(_) => tracing::debug!(folder = %folder.display(), "QEMU does not answer"),
    }
    if let Some(pid) = process(folder) {
        match kill(Pid::from_raw(pid), Signal::SIGKILL) {
            Ok(()) | Err(nix::errno::Errno::ESRCH) => {}
            Err(error) => return Err(format!("killing process {pid}: {error}")),
        }
    }
    if gone(folder, QUIT).await { Ok(()) } else { Err("QEMU's process does not end".to_owned()) }
}

/// Waits until the machine's process is gone.
pub(super) async fn gone(folder: &Path, limit: Duration) -> bool {
    let poll = async {
        while process(folder).is_some() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(limit, poll).await.is_ok()
}

/// The console's last part.
pub(super) fn console(folder: &Path) -> io::Result<String> {
    let mut file = match fs::File::open(folder.join(CONSOLE)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(error),
    };
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(CONSOLE_TAIL)))?;
    let mut bytes = Vec::new();
    file.take(CONSOLE_TAIL).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_consoles_end_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(console(folder.path()).unwrap(), "");
        let mut text = vec![b'a'; 100_000];
        text.extend(b"login: ");
        fs::write(folder.path().join(CONSOLE), text).unwrap();
        let shown = console(folder.path()).unwrap();
        assert_eq!(shown.len(), 65536);
        assert!(shown.ends_with("login: "));
    }
}
