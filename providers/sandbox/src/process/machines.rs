//! Which machines stand behind a sandbox's droplets.

use std::{env, path::Path, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{Folder, Kind, Result, SandboxError, Settings};
use crate::{
    base_image,
    machine::{
        DiskImage, Hypervisor,
        qemu::{AccelChoice, Qemu, QemuOptions},
        simulated::Simulated,
    },
};

/// The program that runs real machines.
const QEMU: &str = "qemu-system-x86_64";

/// The public images of simulated machines.
const SIMULATED_IMAGES: &[&str] = &["debian-12-x64", "debian-13-x64", "ubuntu-22-04-x64", "ubuntu-24-04-x64"];

/// What is asked for to stand behind the droplets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KindChoice {
    /// What the sandbox has; for a new one, QEMU where it is installed and a base image is built, else simulated.
    #[default]
    Auto,
    /// Real virtual machines.
    Qemu,
    /// Machines simulated in the sandbox's own process.
    Simulated,
}

impl KindChoice {
    /// The kind that was asked for by name, if one was.
    pub(super) fn fixed(self) -> Option<Kind> {
        match self {
            Self::Auto => None,
            Self::Qemu => Some(Kind::Qemu),
            Self::Simulated => Some(Kind::Simulated),
        }
    }

    /// The kind for a new sandbox.
    pub(super) fn decide(self) -> Kind {
        self.fixed().unwrap_or_else(|| if qemu_is_ready() { Kind::Qemu } else { Kind::Simulated })
    }
}

impl FromStr for KindChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "qemu" => Ok(Self::Qemu),
            "simulated" => Ok(Self::Simulated),
            _ => Err(format!("unknown kind {text:?}: use one of auto, qemu, simulated")),
        }
    }
}

fn qemu_is_ready() -> bool {
    let images = base_image::default_dir().and_then(|dir| base_image::list(&dir).ok());
    images.is_some_and(|images| !images.is_empty()) && in_path(QEMU)
}

fn in_path(program: &str) -> bool {
    env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|folder| is_program(&folder.join(program))))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Takes over the machines of a sandbox's folder.
pub(super) async fn open(folder: &Folder, settings: &Settings) -> Result<Arc<dyn Hypervisor>> {
    let kind = settings.kind;
    let dir = folder.file("machines").join(kind.name());
    std::fs::create_dir_all(&dir).map_err(SandboxError::file("make", &dir))?;
    match kind {
        Kind::Simulated => {
            let images = SIMULATED_IMAGES.iter().map(|name| DiskImage((*name).to_owned())).collect();
            let machines = Simulated::new(dir, images).await;
            Ok(machines.map_err(|error| SandboxError::Machines(error.to_string()))?)
        }
        Kind::Qemu => {
            let images = base_image::default_dir().ok_or(SandboxError::NoRoot)?;
            let options = QemuOptions { images, accel: AccelChoice::Auto, warm: !settings.cold };
            Ok(Arc::new(Qemu::new(dir.clone(), options).map_err(SandboxError::file("open", &dir))?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_read_and_written_alike() {
        for (text, choice) in
            [("auto", KindChoice::Auto), ("qemu", KindChoice::Qemu), ("simulated", KindChoice::Simulated)]
        {
            assert_eq!(text.parse(), Ok(choice));
            assert_eq!(serde_json::to_value(choice).unwrap(), text);
        }
        assert!("kvm".parse::<KindChoice>().is_err());
        assert_eq!(KindChoice::Qemu.decide(), Kind::Qemu);
    }

    #[test]
    fn a_program_is_an_executable_file() {
        assert!(in_path("sh"));
        assert!(!in_path("no-such-program"));
        assert!(!is_program(Path::new("/etc")));
        assert!(!is_program(Path::new("/etc/passwd")));
    }
}
