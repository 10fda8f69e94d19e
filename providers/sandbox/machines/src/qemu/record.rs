//! `machine.json`: what is known of a machine across restarts.

use std::{fs, io, os::unix::fs::OpenOptionsExt, path::Path};

use serde::{Deserialize, Serialize};

use crate::MachineSpec;

/// The file's name in a machine's folder.
const FILE: &str = "machine.json";

/// The version that this release writes.
const FORMAT: u32 = 1;

/// One machine. Its file can be read by its owner alone, since user data may hold secrets.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Record {
    format: u32,
    /// As the API asked for it, with later changes of size.
    pub(super) spec: MachineSpec,
    /// The layer that the disk rests on.
    pub(super) layer: String,
    /// Which of the disk's files is the current one; it goes up by one when a capture takes the current one away.
    pub(super) disk: u32,
    /// The saved guest that the first start goes on from.
    pub(super) warm: Option<String>,
}

impl Record {
    /// A machine whose disk rests on `layer`.
    pub(super) fn new(spec: MachineSpec, layer: String, warm: Option<String>) -> Self {
        Self { format: FORMAT, spec, layer, disk: 0, warm }
    }

    pub(super) fn disk_file(&self) -> String {
        format!("disk-{}.qcow2", self.disk)
    }

    /// Reads a machine's record; `None` where there is none.
    pub(super) fn read(folder: &Path) -> io::Result<Option<Self>> {
        let text = match fs::read(folder.join(FILE)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let record: Self = serde_json::from_slice(&text)?;
        if record.format > FORMAT {
            return Err(io::Error::other(format!("{FILE} has format {}, newer than this release", record.format)));
        }
        Ok(Some(record))
    }

    /// Writes it in one step.
    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        write_private(folder, FILE, &serde_json::to_vec_pretty(self)?)
    }
}

/// Puts a file that only its owner can read into a folder, in one step.
pub(super) fn write_private(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let new = folder.join(format!("{name}.new"));
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    io::Write::write_all(&mut file, bytes)?;
    file.sync_all()?;
    fs::rename(new, folder.join(name))
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt, time::Duration};

    use remint_core::provider::PortMap;

    use super::*;
    use crate::DiskImage;

    #[test]
    fn a_record_is_private_and_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Record::read(folder.path()).unwrap().is_none());
        let spec = MachineSpec {
            id: 7,
            name: "app".into(),
            address: [127, 1, 0, 7].into(),
            ports: PortMap::default(),
            open: vec![80],
            image: DiskImage("debian-12-x64".into()),
            region: "fra1".into(),
            vcpus: 1,
            memory_mib: 512,
            disk_gib: 10,
            user_data: Some("secret".into()),
            ssh_keys: vec![],
            boot_delay: Duration::ZERO,
        };
        Record::new(spec, "layer".into(), None).write(folder.path()).unwrap();
        let mode = fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let record = Record::read(folder.path()).unwrap().unwrap();
        assert_eq!((record.spec.id, record.layer.as_str(), record.disk_file().as_str()), (7, "layer", "disk-0.qcow2"));
    }
}
