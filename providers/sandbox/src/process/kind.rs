//! What stands behind the instances.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What stands behind the droplets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Real virtual machines.
    Qemu,
    /// Machines that are simulated in the process that serves the sandbox; they need no QEMU.
    Simulated,
}

impl Kind {
    /// The name, as on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Qemu => "qemu",
            Self::Simulated => "simulated",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
