//! Guests that were saved after booting, before they knew who they are.
//!
//! An image that is made for it (see `base_image/files/warm.py`) boots without cloud-init when `remint.warm` is on the
//! kernel's command line and the seed disk is empty, says so on its console, and waits for a seed. Its memory and disk
//! are kept there, beside the base image; a machine made from it goes on within seconds, takes its own user data, and
//! renews clock, random numbers and machine id first. A saved guest fits one kind of processor, one QEMU and one size of
//! memory, so there is one for each; memory and disk belong together, so such a machine's disk rests on the saved one.
//!
//! A machine from a captured image has no saved guest. It boots with the same flag and finds its seed at once: one process
//! then loads cloud-init and runs all its stages, where Debian's four units would each load it anew.

use std::{
    fs::{self, File},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::process::Command;

use super::{
    accel::{Accel, Kind},
    command::{Launch, Start, process},
    process::{console, launch, stop},
    qmp::Qmp,
    seed::{SEED, SIZE},
};
use crate::base_image::{Boot, DISK, Manifest, Staging, run};

/// The file with the guest's memory and devices.
pub(super) const STATE: &str = "state";

/// What the guest says on its console when it waits.
const READY: &str = "remint-warm: ready";

/// How long the guest may take to boot.
const BOOT: Duration = Duration::from_secs(300);

/// The kernel's flag that makes a guest wait.
const FLAG: &str = "remint.warm";

/// The name of a saved guest's description.
const FILE: &str = "warm.json";

/// What a saved guest's folder says about itself.
#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    format: u32,
    /// The base image's digest.
    image: String,
    /// The exact processor and kernel decide too; a host that boots anew may have got others.
    host: String,
}

/// The kernel's command line of a guest that is to be saved, and of every machine whose first boot is as quick.
pub(super) fn command_line(cold: &str) -> String {
    format!("{cold} {FLAG}")
}

/// Whether such guests can be made of an image.
pub(super) fn possible(image: &Manifest) -> bool {
    matches!(image.boot, Boot::Direct { warm: true, .. })
}

/// The folder of the saved guest, which is made where it is missing. It takes as long as a boot then.
pub(super) async fn ensure(
    images: &Path,
    image: &Manifest,
    kind: &Kind<'_>,
    progress: &(dyn Fn(&str) + Send + Sync),
) -> Result<PathBuf, String> {
    let store = images.join(&image.name);
    let target = store.join(kind.name());
    if fs::read(target.join(FILE)).ok().and_then(|text| serde_json::from_slice::<Saved>(&text).ok()).is_some_and(
        |saved| saved.format == 1 && saved.image == image.sha256 && (kind.accel == Accel::Tcg || saved.host == host()),
    ) {
        return Ok(target);
    }
    let failed = |error: std::io::Error| format!("{}: {error}", store.display());
    let Boot::Direct { kernel, initrd, command_line: cold, .. } = &image.boot else {
        return Err(format!("image {} cannot be saved while it runs", image.name));
    };
    let staging = Staging::new(&store).map_err(failed)?;
    let folder = staging.folder();
    File::create(folder.join(SEED)).and_then(|seed| seed.set_len(SIZE as u64)).map_err(failed)?;
    let mut overlay = Command::new("qemu-img");
    overlay.args(["create", "-q", "-u", "-f", "qcow2", "-F", "qcow2", "-b"]).arg(format!("../{DISK}"));
    overlay.arg(folder.join(DISK)).arg(image.virtual_bytes.to_string());
    run(overlay, &|_| ()).await?;
    // While it is prepared it lies one folder deeper than it will.
    std::os::unix::fs::symlink(store.join(DISK), staging.path().join(DISK)).map_err(failed)?;

    progress(&format!("booting a guest with {} processors and {} MiB to save it", kind.vcpus, kind.memory_mib));
    let machine = Launch {
        name: format!("remint-{}", kind.name()),
        folder: &folder,
        kind: *kind,
        disk: DISK.to_owned(),
        start: Start::Direct {
            kernel: store.join(kernel),
            initrd: store.join(initrd),
            command_line: command_line(cold),
        },
        forwards: Vec::new(),
        incoming: false,
    };
    launch(&machine).await?;
    // The guard ends the guest even when this future is dropped.
    let guard = Guard(&folder);
    let saved = save(&folder, progress).await;
    stop(&folder).await?;
    drop(guard);
    saved?;
    for entry in fs::read_dir(&folder).map_err(failed)?.flatten() {
        if entry.file_name() != DISK && entry.file_name() != STATE {
            fs::remove_file(entry.path()).map_err(failed)?;
        }
    }
    let about = Saved { format: 1, image: image.sha256.clone(), host: host() };
    let text = serde_json::to_vec_pretty(&about).map_err(|error| error.to_string())?;
    fs::write(folder.join(FILE), text).map_err(failed)?;
    staging.publish(&kind.name()).map_err(failed)?;
    Ok(target)
}

/// Waits for the guest, and writes its state.
async fn save(folder: &Path, progress: &(dyn Fn(&str) + Send + Sync)) -> Result<(), String> {
    let ready = async {
        loop {
            let shown = console(folder).map_err(|error| format!("the console: {error}"))?;
            if shown.contains(READY) {
                return Ok(());
            }
            if process(folder).is_none() {
                let end: String = shown.lines().rev().take(5).collect::<Vec<_>>().join(" < ");
                return Err(format!("the guest ended while it booted: {end}"));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(BOOT, ready)
        .await
        .unwrap_or_else(|_| Err(format!("the guest was not ready within {} s", BOOT.as_secs())))?;
    progress("saving the guest");
    let file = File::create(folder.join(STATE)).map_err(|error| format!("the guest's state: {error}"))?;
    let mut qmp = Qmp::connect(folder).await?;
    qmp.lend("state", OwnedFd::from(file)).await?;
    qmp.execute("migrate-set-parameters", json!({"max-bandwidth": 1_u64 << 40})).await?;
    qmp.execute("migrate", json!({"uri": "fd:state"})).await?;
    qmp.migrated().await
}

/// What the processor is, for guests that see it as it is.
fn host() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find(|line| line.starts_with("model name")).unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{} {}", model.rsplit(':').next().unwrap_or_default().trim(), kernel.trim())
}

/// Kills the guest in a folder when dropped.
struct Guard<'a>(&'a Path);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if let Some(pid) = process(self.0) {
            // It may have ended just now, which is as good.
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
        }
    }
}
