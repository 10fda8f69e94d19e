//! What runs the guests' instructions: found out by running one.
//!
//! That /dev/kvm can be opened says little: inside another virtual machine QEMU may abort when it sets up the processor,
//! or the guest may crash. So a guest of one sector, which only reports that it lives, is run under KVM with the very
//! processor that machines get, and the answer is kept until this machine boots anew or QEMU changes.

use std::{fs, path::Path, process::Stdio, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::options::AccelChoice;

/// QEMU's program.
pub(super) const QEMU: &str = "qemu-system-x86_64";

/// Writes 16 to port 0x501, QEMU's debug exit, and halts: QEMU ends with status 33.
const GUEST: [u8; 9] = [0xba, 0x01, 0x05, 0xb0, 0x10, 0xee, 0xf4, 0xeb, 0xfd];
const ALIVE: i32 = 33;

/// What runs the guests' instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accel {
    Kvm,
    Tcg,
}

impl Accel {
    /// QEMU's name for it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }

    /// The processor that guests see.
    pub(super) fn cpu(self) -> &'static str {
        match self {
            Self::Kvm => "host",
            Self::Tcg => "max",
        }
    }
}

/// The hardware that a machine has. A saved guest fits machines of one kind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind<'a> {
    pub(super) accel: Accel,
    pub(super) qemu: &'a str,
    pub(super) vcpus: u32,
    pub(super) memory_mib: u64,
}

impl Kind<'_> {
    /// The saved guest's folder.
    pub(super) fn name(&self) -> String {
        format!("warm-{}-{}-{}c-{}m", self.accel.name(), self.qemu, self.vcpus, self.memory_mib)
    }
}

/// The answer as it is kept.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    format: u32,
    boot: String,
    qemu: String,
    kvm: bool,
}

/// QEMU's version, `7.2.22` for example.
pub(super) async fn version() -> Result<String, String> {
    let output = Command::new(QEMU).arg("--version").stdin(Stdio::null()).output().await;
    let output = output.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => format!("{QEMU} is not installed (Debian's package is qemu-system-x86)"),
        _ => format!("{QEMU}: {error}"),
    })?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    version.map(str::to_owned).ok_or_else(|| format!("{QEMU} does not tell its version"))
}

/// Decides, with the answer kept in `cache`.
pub(super) async fn choose(choice: AccelChoice, cache: &Path, qemu: &str) -> Accel {
    match choice {
        AccelChoice::Kvm => return Accel::Kvm,
        AccelChoice::Tcg => return Accel::Tcg,
        AccelChoice::Auto => {}
    }
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned();
    let kept = fs::read(cache).ok().and_then(|text| serde_json::from_slice::<Answer>(&text).ok());
    let kvm = match kept {
        Some(answer) if answer.boot == boot && answer.qemu == qemu => answer.kvm,
        _ => {
            let kvm = guest_runs().await;
            let answer = Answer { format: 1, boot, qemu: qemu.to_owned(), kvm };
            if let Err(error) = serde_json::to_vec(&answer).map_err(Into::into).and_then(|text| fs::write(cache, text))
            {
                tracing::debug!(%error, path = %cache.display(), "cannot keep the answer of the KVM probe");
            }
            kvm
        }
    };
    if kvm { Accel::Kvm } else { Accel::Tcg }
}

/// Runs the one-sector guest under KVM.
async fn guest_runs() -> bool {
    // Opening it tells at once where there is no KVM or no right to it, the usual cases.
    if let Err(error) = fs::OpenOptions::new().read(true).write(true).open("/dev/kvm") {
        tracing::debug!(%error, "/dev/kvm cannot be used");
        return false;
    }
    let Ok(disk) = tempfile::NamedTempFile::new() else { return false };
    let mut sector = [0; 512];
    sector[..GUEST.len()].copy_from_slice(&GUEST);
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    if fs::write(disk.path(), sector).is_err() {
        return false;
    }
    let blockdev = serde_json::json!({
        "driver": "raw", "node-name": "disk", "read-only": true, "file": {"driver": "file", "filename": disk.path()},
    });
    let mut command = Command::new(QEMU);
    command
        .args(["-nodefaults", "-no-user-config", "-display", "none", "-machine", "pc,accel=kvm", "-cpu", "host"])
        .args(["-m", "16", "-no-reboot", "-device", "isa-debug-exit,iobase=0x501,iosize=1"])
        .arg("-blockdev")
        .arg(blockdev.to_string())
        .args(["-device", "ide-hd,drive=disk"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    match tokio::time::timeout(Duration::from_secs(15), command.output()).await {
        Ok(Ok(output)) if output.status.code() == Some(ALIVE) => true,
        Ok(Ok(output)) => {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            tracing::info!(status = %output.status, said, "a guest does not run under KVM here: guests are emulated");
            false
        }
        Ok(Err(error)) => {
            tracing::info!(%error, "the KVM probe cannot be run: guests are emulated");
            false
        }
        Err(_) => {
            tracing::info!("a guest hangs under KVM here: guests are emulated");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_kept_answer_counts_until_this_machine_boots() {
        let dir = tempfile::tempdir().unwrap();
        let cache = dir.path().join("accel.json");
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap().trim().to_owned();
        let answer = Answer { format: 1, boot, qemu: "9".into(), kvm: true };
        fs::write(&cache, serde_json::to_vec(&answer).unwrap()).unwrap();
        assert_eq!(choose(AccelChoice::Auto, &cache, "9").await, Accel::Kvm);
        assert_eq!(choose(AccelChoice::Tcg, &cache, "9").await, Accel::Tcg);
    }
}
