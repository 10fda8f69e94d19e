//! What is written down of a sandbox beside its state.

use std::net::SocketAddr;

use remint_core::provider::PortMap;
use serde::{Deserialize, Serialize};

use super::{Folder, Kind, Result, SandboxError};
use crate::cloud::{AccountLimits, Api, Profile};

/// The service ports that are open on every machine and reserved IP, beside 22.
pub const DEFAULT_PORTS: &[u16] = &[80, 443, 3000, 5000, 8000, 8080, 8443, 9000];

const VERSION: u32 = 1;
const SETTINGS: &str = "settings.json";
const RECORD: &str = "sandbox.json";

/// What a sandbox is started with; kept for its next start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The version of this file: 1.
    pub version: u32,
    /// The APIs that it speaks, in their order; all of them where a file of before there were several does not say.
    #[serde(default = "all_apis")]
    pub apis: Vec<Api>,
    /// What stands behind the droplets.
    pub kind: Kind,
    /// How long things take.
    pub profile: Profile,
    /// By how much the profile's delays are divided.
    pub speed: f64,
    /// What the delays are drawn from.
    pub seed: u64,
    /// The service ports beside 22, as guests see them.
    pub open: Vec<u16>,
    /// Where the API was asked to listen.
    pub api_port: Option<u16>,
    /// Whether the API's rate limits are enforced.
    pub rate_limits: bool,
    /// Whether real machines boot from the beginning, where a saved guest of their image could go on in their place.
    #[serde(default)]
    pub cold: bool,
    /// How many instances each account may have at one time; as many as a new account, where nobody has said.
    #[serde(default)]
    pub instances: Option<usize>,
}

impl Settings {
    /// What a sandbox has that was started without options.
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            version: VERSION,
            apis: all_apis(),
            kind,
            profile: Profile::default(),
            speed: 1.0,
            seed: 0,
            open: DEFAULT_PORTS.to_vec(),
            api_port: None,
            rate_limits: true,
            cold: false,
            instances: None,
        }
    }

    /// How much each account may have.
    pub(super) fn limits(&self) -> AccountLimits {
        let usual = AccountLimits::default();
        AccountLimits { instances: self.instances.unwrap_or(usual.instances), ..usual }
    }

    /// Adds ports, and says whether any was new.
    pub(super) fn add_ports(&mut self, ports: &[u16]) -> bool {
        let before = self.open.len();
        self.open.extend(ports.iter().filter(|port| **port != 22));
        self.open.sort_unstable();
        self.open.dedup();
        self.open.len() > before
    }

    pub(super) fn read(folder: &Folder) -> Result<Option<Self>> {
        let settings: Option<Self> = folder.read(SETTINGS)?;
        check(folder, SETTINGS, settings.as_ref().map(|settings| settings.version))?;
        Ok(settings)
    }

    pub(super) fn write(&self, folder: &Folder) -> Result<()> {
        folder.write(SETTINGS, self)
    }
}

fn all_apis() -> Vec<Api> {
    Api::ALL.to_vec()
}

/// Where a sandbox is. Kept when it stops, so that it comes back at the same addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The version of this file: 1.
    pub version: u32,
    /// The process that wrote it last. Whether it runs, only the lock tells.
    pub pid: u32,
    /// Where the API answers, on loopback.
    pub api: SocketAddr,
    /// Where the DNS server answers, by UDP and TCP.
    pub dns: SocketAddr,
    /// Its addresses are 127.SLOT.x.y.
    pub slot: u8,
    /// What stands behind the droplets.
    pub kind: Kind,
    /// Which ports are moved on its addresses.
    pub ports: PortMap,
}

impl Record {
    pub(super) const VERSION: u32 = VERSION;

    /// The API's address as clients write it.
    pub fn api_url(&self) -> String {
        format!("http://{}", self.api)
    }

    pub(super) fn read(folder: &Folder) -> Result<Option<Self>> {
        let record: Option<Self> = folder.read(RECORD)?;
        check(folder, RECORD, record.as_ref().map(|record| record.version))?;
        Ok(record)
    }

    pub(super) fn write(&self, folder: &Folder) -> Result<()> {
        folder.write(RECORD, self)
    }
}

fn check(folder: &Folder, file: &str, found: Option<u32>) -> Result<()> {
    match found {
        Some(found) if found != VERSION => Err(SandboxError::Format {
            path: folder.file(file),
            problem: format!("version {found} where {VERSION} is known"),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_version_of_both_files_is_read() {
        let settings = r#"{"version":1,"kind":"simulated","profile":"realistic","speed":100.0,"seed":7,"open":[80],
            "api_port":null,"rate_limits":true}"#;
        let settings: Settings = serde_json::from_str(settings).unwrap();
        assert_eq!((settings.profile, settings.seed), (Profile::Realistic, 7));
        assert_eq!(settings.apis, Api::ALL);
        let record = r#"{"version":1,"pid":1,"api":"127.0.0.1:7070","dns":"127.0.0.1:7053","slot":16,"kind":"qemu",
            "ports":{"through":1023,"offset":20000}}"#;
        let record: Record = serde_json::from_str(record).unwrap();
        assert_eq!((record.slot, record.ports.resolve(22)), (16, 20022));
    }

    #[test]
    fn another_version_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::below(root.path(), "mine").unwrap();
        folder.make().unwrap();
        assert_eq!(Settings::read(&folder).unwrap(), None);
        Settings { version: 2, ..Settings::new(Kind::Simulated) }.write(&folder).unwrap();
        let error = Settings::read(&folder).unwrap_err();
        assert!(error.to_string().contains("version 2 where 1 is known"), "{error}");
    }

    #[test]
    fn ports_are_added_once() {
        let mut settings = Settings::new(Kind::Simulated);
        assert!(!settings.add_ports(&[80, 22]));
        assert!(settings.add_ports(&[7777, 80]));
        assert_eq!(settings.open.len(), DEFAULT_PORTS.len() + 1);
    }
}
