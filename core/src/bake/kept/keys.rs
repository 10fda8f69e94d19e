//! The keys of kept builders, in files that only their user can read.
//!
//! ```text
//! $XDG_STATE_HOME/remint/builders/    0700; ~/.local/state where XDG_STATE_HOME is not set
//! ENVIRONMENT-ID/PROVIDER@NAME/       0700
//!     key                             0600, the private key, in OpenSSH's form
//!     kept.json                       0600, until when, and the builder's host key
//! ```

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use crate::{
    provider::EnvironmentId,
    remote::{LoginKey, PublicKey},
};

const KEY: &str = "key";
const RECORD: &str = "kept.json";
/// The format of [`Record`].
const FORMAT: u32 = 1;

/// The way into a kept builder.
#[derive(Debug, Clone)]
pub struct KeptKey {
    /// The file of the private key, for `ssh -i`.
    pub file: PathBuf,
    /// The only host key that the builder may show.
    pub host_key: PublicKey,
}

/// What `kept.json` holds.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    format: u32,
    until: Timestamp,
    host_key: String,
}

/// Where the keys of one environment's kept builders are.
#[derive(Debug, Clone)]
pub struct KeyFolder {
    root: PathBuf,
    environment: EnvironmentId,
}

impl KeyFolder {
    /// The folder in the user's state folder; `None` where the variables name no such folder.
    pub fn of(variables: &BTreeMap<String, String>, environment: &EnvironmentId) -> Option<Self> {
        // As the XDG base directory specification says, a relative path is as good as none.
        let variable = |name: &str| variables.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let state = variable("XDG_STATE_HOME").or_else(|| Some(variable("HOME")?.join(".local/state")))?;
        Some(Self { root: state.join("remint/builders"), environment: environment.clone() })
    }

    fn all(&self) -> PathBuf {
        self.root.join(self.environment.as_str())
    }

    /// The folder of one builder. A name that the cloud tells is not taken for a path.
    fn folder(&self, provider: &str, name: &str) -> Option<PathBuf> {
        let is_plain = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (is_plain(name) && !name.is_empty()).then(|| self.all().join(format!("{provider}@{name}")))
    }

    /// The key of a builder, where it was kept by this user on this machine.
    pub fn find(&self, provider: &str, name: &str) -> Option<KeptKey> {
        let folder = self.folder(provider, name)?;
        let record = read(&folder)?;
        let host_key = PublicKey::from_line(&record.host_key).ok()?;
        Some(KeptKey { file: folder.join(KEY), host_key })
    }

    /// Writes the key of a builder down.
    pub(in crate::bake) fn write(
        &self,
        provider: &str,
        name: &str,
        login: &LoginKey,
        host_key: &PublicKey,
        until: Timestamp,
    ) -> io::Result<()> {
        let folder = self.folder(provider, name).ok_or(io::ErrorKind::InvalidFilename)?;
        create_private(&self.root)?;
        create_private(&folder)?;
        let record = Record { format: FORMAT, until, host_key: host_key.line() };
        write_private(&folder.join(RECORD), &serde_json::to_vec(&record)?)?;
        write_private(&folder.join(KEY), login.private_pem().expose_secret().as_bytes())
    }

    /// Removes the key of a builder, if there is one.
    pub(in crate::bake) fn remove(&self, provider: &str, name: &str) {
        if let Some(folder) = self.folder(provider, name) {
            remove(&folder);
        }
    }

    /// Removes the keys that have expired: their builders may be gone, destroyed by somebody else.
    pub(crate) fn remove_expired(&self) {
        let now = crate::clock::wall();
        let Ok(entries) = fs::read_dir(self.all()) else { return };
        for folder in entries.flatten().map(|entry| entry.path()) {
            if read(&folder).is_none_or(|record| record.until <= now) {
                remove(&folder);
            }
        }
    }
}

fn read(folder: &Path) -> Option<Record> {
    let record: Record = serde_json::from_slice(&fs::read(folder.join(RECORD)).ok()?).ok()?;
    (record.format == FORMAT).then_some(record)
}

fn remove(folder: &Path) {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, folder = %folder.display(), "cannot remove the key of a kept builder");
        }
        _ => {}
    }
}

fn create_private(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // One that was there may be open to others, and a umask takes rights away that are needed.
    fs::set_permissions(folder, Permissions::from_mode(0o700))
}

fn write_private(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    opened.set_permissions(Permissions::from_mode(0o600))?;
    opened.write_all(bytes)?;
    opened.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::HostKey;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn folder_in(state: &Path) -> KeyFolder {
        let variables = BTreeMap::from([("XDG_STATE_HOME".to_owned(), state.to_str().unwrap().to_owned())]);
        KeyFolder::of(&variables, &"0123456789abcdef".into()).unwrap()
    }

    #[test]
    fn a_key_is_for_its_user_alone_and_gone_when_its_time_is_over() {
        let state = tempfile::tempdir().unwrap();
        let keys = folder_in(state.path());
        // Open to everybody, from somewhere else.
        fs::create_dir_all(&keys.root).unwrap();
        fs::set_permissions(&keys.root, Permissions::from_mode(0o777)).unwrap();
        let (login, host) = (LoginKey::generate(), HostKey::generate().public());
        let now = crate::clock::wall();
        keys.write("aws", "app-bake-1", &login, &host, later(now, 60)).unwrap();
        keys.write("gcp", "app-bake-1", &login, &host, now).unwrap();
        let found = keys.find("aws", "app-bake-1").unwrap();
        assert_eq!(found.host_key, host);
        assert_eq!(fs::read_to_string(&found.file).unwrap(), login.private_pem().expose_secret());
        assert_eq!((mode(&found.file), mode(found.file.parent().unwrap()), mode(&keys.root)), (0o600, 0o700, 0o700));
        keys.remove_expired();
        assert!(keys.find("gcp", "app-bake-1").is_none() && keys.find("aws", "app-bake-1").is_some());
        keys.remove("aws", "app-bake-1");
        assert!(!found.file.exists());
    }

    fn later(now: Timestamp, seconds: i64) -> Timestamp {
        now.checked_add(jiff::SignedDuration::from_secs(seconds)).unwrap()
    }

    #[test]
    fn a_name_of_a_cloud_is_no_path() {
        let state = tempfile::tempdir().unwrap();
        let keys = folder_in(state.path());
        for name in ["", "..", "../x", "a/b", ".", "a b"] {
            assert!(keys.folder("aws", name).is_none(), "{name:?}");
        }
        let relative = BTreeMap::from([("XDG_STATE_HOME".to_owned(), "state".to_owned())]);
        assert!(KeyFolder::of(&relative, &"0123456789abcdef".into()).is_none());
    }
}
