//! What is kept of a machine beside its disk.

use std::{fs, io, io::Write, path::Path};

use serde::{Deserialize, Serialize};

use crate::{MachineSpec, Power};

/// The version of the form on disk.
const VERSION: u32 = 1;

/// A machine as it stands in `machine.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    version: u32,
    /// As the API asked for it; ports and size may have changed since.
    pub(super) spec: MachineSpec,
    /// Whether it has power, or had it when the sandbox ended.
    pub(super) power: Power,
}

impl Record {
    /// A machine that has not been switched on.
    pub(super) fn new(spec: MachineSpec) -> Self {
        Self { version: VERSION, spec, power: Power::Off }
    }

    pub(super) fn load(file: &Path) -> io::Result<Self> {
        let invalid = |message: String| io::Error::new(io::ErrorKind::InvalidData, message);
        let record: Self = serde_json::from_slice(&fs::read(file)?)
            .map_err(|error| invalid(format!("{}: {error}", file.display())))?;
        if record.version != VERSION {
            return Err(invalid(format!("{}: version {} is not known", file.display(), record.version)));
        }
        Ok(record)
    }

    /// Writes it in one step. Only the sandbox's user can read it, since user data may hold secrets.
    pub(super) fn save(&self, file: &Path) -> io::Result<()> {
        let mut out = tempfile::NamedTempFile::new_in(file.parent().unwrap_or(Path::new(".")))?;
        out.write_all(&serde_json::to_vec_pretty(self)?)?;
        out.persist(file).map_err(|error| error.error)?;
        Ok(())
    }
}
