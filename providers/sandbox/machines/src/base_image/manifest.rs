//! What an image's folder says about itself.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The version of [`Manifest`] that this release writes.
pub(super) const FORMAT: u32 = 1;

/// How a machine with this disk starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Boot {
    /// The hypervisor loads the kernel; the disk is one file system without partitions or boot loader.
    Direct {
        /// The kernel, a file name in the image's folder.
        kernel: String,
        /// The initial RAM file system, a file name in the image's folder.
        initrd: String,
        /// The kernel's command line, without the console.
        command_line: String,
        /// Whether the image can be saved after booting, before it has taken its user data, and go on from there.
        warm: bool,
    },
    /// The firmware runs the disk's own boot loader.
    Firmware,
}

/// What is known of a base image, in a file next to its disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of this file's format.
    pub format: u32,
    /// The slug under which instances launch from it: `debian-12-x64`.
    pub name: String,
    /// What it holds, for people.
    pub description: String,
    /// SHA-256 of the disk, in hexadecimal.
    pub sha256: String,
    /// What the disk occupies, in bytes.
    pub size_bytes: u64,
    /// The disk's size as a guest sees it, in bytes.
    pub virtual_bytes: u64,
    /// How it starts.
    pub boot: Boot,
    /// When it was built or imported, by this computer's clock.
    pub built_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_format_is_read() {
        let text = r#"{
            "format": 1, "name": "debian-12-x64", "description": "Debian 12", "sha256": "00", "size_bytes": 5,
            "virtual_bytes": 10, "built_at": "2026-11-20T10:00:00Z",
            "boot": {"kind": "direct", "kernel": "vmlinuz", "initrd": "initrd.img", "command_line": "root=/dev/vda", "warm": true}
        }"#;
        let manifest: Manifest = serde_json::from_str(text).unwrap();
        assert_eq!(manifest.format, FORMAT);
        let Boot::Direct { kernel, warm, .. } = &manifest.boot else { panic!("direct boot: {:?}", manifest.boot) };
        assert_eq!(kernel, "vmlinuz");
        assert!(*warm);
        assert_eq!(serde_json::from_str::<Manifest>(&serde_json::to_string(&manifest).unwrap()).unwrap(), manifest);
    }
}
