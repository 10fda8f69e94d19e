//! The machines of Remint's sandbox: one trait, two kinds, and the base images that they start from.
//!
//! A [`Hypervisor`] knows disks and power, nothing of instances, actions, tags or delays; those are the API's. What it is
//! told here is all that it needs to find its machines again after the sandbox was killed and started anew.

pub mod base_image;
#[cfg(test)]
#[path = "../../../../core/src/fuzz/run.rs"]
mod fuzz;
pub mod qemu;
pub mod simulated;

use std::{net::Ipv4Addr, time::Duration};

use async_trait::async_trait;
use remint_core::provider::PortMap;
use serde::{Deserialize, Serialize};

/// What went wrong with a machine.
#[derive(Debug, thiserror::Error)]
#[error("{operation} machine {machine}: {message}")]
pub struct MachineError {
    /// What was tried, as a verb: `shut down`.
    pub operation: &'static str,
    /// The instance's id, or the name of a disk image.
    pub machine: String,
    /// What came of it, with the last lines that the machine's process wrote.
    pub message: String,
}

/// A result whose error is [`MachineError`] unless it says otherwise.
pub type Result<T, E = MachineError> = std::result::Result<T, E>;

/// The name of a disk image in the sandbox's store: a public one (`debian-12-x64`) or a snapshot's (`snapshot-1234`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DiskImage(pub String);

/// A machine, as the API asks for it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MachineSpec {
    /// The id of the instance; the machine's folder is named by it.
    pub id: u64,
    /// The name that the machine takes as its host name.
    pub name: String,
    /// The loopback address of this instance alone, under which its ports are opened.
    pub address: Ipv4Addr,
    /// How ports that cannot be bound on that address are moved.
    pub ports: PortMap,
    /// The service ports to open beside 22, as the guest sees them.
    pub open: Vec<u16>,
    /// The image that its disk starts from.
    pub image: DiskImage,
    /// The region's slug, for the machine's metadata.
    pub region: String,
    /// Virtual processors.
    pub vcpus: u32,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Disk in GiB.
    pub disk_gib: u64,
    /// cloud-init user data.
    pub user_data: Option<String>,
    /// Public keys (OpenSSH lines) for root, from the instance's create call.
    pub ssh_keys: Vec<String>,
    /// How long after power-on the machine's SSH answers at the earliest, where machines do not really boot.
    pub boot_delay: Duration,
}

/// Whether a machine is switched on; says nothing about what runs inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Power {
    /// Switched on, or booting.
    On,
    /// Off; the disk is kept.
    Off,
}

/// What is known of a disk image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskInfo {
    /// The space that its file takes on the disk of this computer, in bytes.
    pub size_bytes: u64,
    /// The size that the guest sees, in GiB, rounded up.
    pub virtual_gib: u64,
}

/// Disks and power of one kind of machine. All methods may be called concurrently for different machines.
#[async_trait]
pub trait Hypervisor: Send + Sync {
    /// Makes the machine's disk from its image, with power off. A machine of that id that exists is an error.
    async fn create(&self, spec: &MachineSpec) -> Result<()>;

    /// Switches on; returns when the machine has power, before it has booted. A machine that is on is left alone.
    async fn start(&self, id: u64) -> Result<()>;

    /// Asks the operating system to shut down, and returns at once.
    async fn shutdown(&self, id: u64) -> Result<()>;

    /// Cuts the power. A machine that is off is left alone.
    async fn power_off(&self, id: u64) -> Result<()>;

    /// Asks the operating system to reboot, and returns at once.
    async fn reboot(&self, id: u64) -> Result<()>;

    /// Whether it has power now: a guest may switch itself off.
    async fn power(&self, id: u64) -> Result<Power>;

    /// Copies the disk to a new image. A machine that is on is captured as if its power were cut.
    async fn capture(&self, id: u64, image: &DiskImage) -> Result<DiskInfo>;

    /// Replaces the disk by a fresh one from the image (rebuild, restore), with power off afterwards.
    async fn replace_disk(&self, id: u64, image: &DiskImage) -> Result<()>;

    /// Gives the machine another size from its next start on; the disk only grows.
    async fn resize(&self, id: u64, vcpus: u32, memory_mib: u64, disk_gib: u64) -> Result<()>;

    /// Cuts the power and removes every trace: process, disk, folder. A machine that is gone is a success.
    async fn destroy(&self, id: u64) -> Result<()>;

    /// The last 64 KiB of what the machine wrote to its console.
    async fn console(&self, id: u64) -> Result<String>;

    /// The ids of the machines that exist, found anew after a restart; those that were on and whose processes died with
    /// the sandbox are off.
    async fn machines(&self) -> Result<Vec<u64>>;

    /// The public images that this machine can launch from now.
    async fn base_images(&self) -> Result<Vec<DiskImage>>;

    /// What is known of a disk image. An unknown one is an error.
    async fn image(&self, image: &DiskImage) -> Result<DiskInfo>;

    /// Deletes a disk image. Machines made from it keep running. One that is gone is a success.
    async fn delete_image(&self, image: &DiskImage) -> Result<()>;

    /// Opens further service ports on all machines, running ones included.
    async fn open_ports(&self, ports: &[u16]) -> Result<()>;
}
