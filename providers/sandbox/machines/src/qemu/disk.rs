//! A machine's disk: a qcow2 file that holds what the machine has changed.

use std::path::Path;

use tokio::process::Command;

use crate::base_image::{DISK, info, run};

/// Bytes in a GiB.
const GIB: u64 = 1 << 30;

/// The size in bytes that an API's size in GiB stands for.
pub(super) fn bytes(gib: u64) -> u64 {
    gib.saturating_mul(GIB)
}

/// A size in GiB, rounded up.
pub(super) fn gib(bytes: u64) -> u64 {
    bytes.div_ceil(GIB)
}

/// Makes an empty disk on a layer. The path to the layer is relative, and as good from a layer's folder as from a
/// machine's, so that a captured disk need not be written to, and the sandbox's folder can be moved.
pub(super) async fn overlay(path: &Path, layer: &str, bytes: u64) -> Result<(), String> {
    let mut command = Command::new("qemu-img");
    command.args(["create", "-q", "-u", "-f", "qcow2", "-F", "qcow2", "-b"]);
    command.arg(format!("../../layers/{layer}/{DISK}")).arg(path).arg(bytes.to_string());
    run(command, &|_| ()).await.map(drop)
}

/// Makes a disk that is switched off at least so large.
pub(super) async fn grow(path: &Path, bytes: u64) -> Result<(), String> {
    if info(path).await?.virtual_size >= bytes {
        return Ok(());
    }
    let mut command = Command::new("qemu-img");
    command.args(["resize", "-q", "-f", "qcow2"]).arg(path).arg(bytes.to_string());
    run(command, &|_| ()).await.map(drop)
}
