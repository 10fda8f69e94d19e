//! Real virtual machines, run by QEMU.
//!
//! Each machine is one QEMU process in a session of its own, so that it outlives the sandbox; a sandbox that starts anew
//! finds it by its folder, its process id file and its control socket. libvirt is not used: it is a daemon that an
//! ordinary user's laptop may not have, and it would hide the few features that matter here (saved guests, live disk
//! switches).
//!
//! ```text
//! DIR/layers/NAME/      what disks rest on: linked base images, captured images
//! DIR/machines/ID/      machine.json, disk-N.qcow2, seed.iso, console.log, qmp.sock, pid
//! ```

mod accel;
mod command;
mod disk;
mod hypervisor;
mod iso9660;
mod layers;
mod lifecycle;
mod options;
mod process;
mod qmp;
mod record;
mod seed;
mod warm;

pub use hypervisor::Qemu;
pub use options::{AccelChoice, QemuOptions};
