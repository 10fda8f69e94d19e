//! A sandbox's folder, and the files in it.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Serialize, de::DeserializeOwned};

use super::{Result, SandboxError};

/// The sandbox that is meant when none is named.
pub const DEFAULT_NAME: &str = "default";

/// How much of the log is shown when a start fails.
const LOG_TAIL: u64 = 4096;

/// The folder that all sandboxes of this user are below.
///
/// # Errors
///
/// `NoRoot` where the environment names none.
pub fn root() -> Result<PathBuf> {
    root_of(|name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from))
}

fn root_of(env: impl Fn(&str) -> Option<PathBuf>) -> Result<PathBuf> {
    env("REMINT_SANDBOX_DIR")
        .or_else(|| env("XDG_STATE_HOME").map(|state| state.join("remint/sandbox")))
        .or_else(|| env("HOME").map(|home| home.join(".local/state/remint/sandbox")))
        .ok_or(SandboxError::NoRoot)
}

/// One sandbox's folder: state, machines, log and token. It need not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    name: String,
    path: PathBuf,
}

impl Folder {
    /// The folder of a name; it need not exist.
    ///
    /// # Errors
    ///
    /// `Name` for one that cannot be; `NoRoot`.
    pub fn of(name: &str) -> Result<Self> {
        Self::below(&root()?, name)
    }

    /// The folder of a name below this root.
    ///
    /// # Errors
    ///
    /// `Name` for one that cannot be.
    pub fn below(root: &Path, name: &str) -> Result<Self> {
        let valid = !name.is_empty()
            && name.len() <= 40
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            // The store of base images stands beside the sandboxes.
            && name != "images";
        if !valid {
            return Err(SandboxError::Name(name.to_owned()));
        }
        let root = std::path::absolute(root).map_err(SandboxError::file("find", root))?;
        Ok(Self { name: name.to_owned(), path: root.join(name) })
    }

    /// The last part of the folder's path, which is how `--name` calls the sandbox.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The absolute path; it need not exist.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file that the process in the background writes to.
    pub fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Makes the folder, or makes sure that nobody else can read the one that is there.
    pub(super) fn make(&self) -> Result<()> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.path)
            .and_then(|()| fs::set_permissions(&self.path, fs::Permissions::from_mode(0o700)))
            .map_err(SandboxError::file("make", &self.path))
    }

    /// Takes a lock of the folder, or `None` where another process has it. It is free again when the file is dropped, and
    /// when the process ends in whatever way.
    pub(super) fn try_lock(&self, name: &str) -> Result<Option<File>> {
        let path = self.file(name);
        let file = lock_file(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(SandboxError::file("lock", &path)(error)),
        }
    }

    /// Takes a lock of the folder, waiting for whoever has it.
    pub(super) fn lock(&self, name: &str) -> Result<File> {
        let path = self.file(name);
        let file = lock_file(&path)?;
        file.lock().map_err(SandboxError::file("lock", &path))?;
        Ok(file)
    }

    /// Reads a JSON file; `None` where there is none.
    pub(super) fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let path = self.file(name);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(SandboxError::file("read", &path)(error)),
        };
        match serde_json::from_slice(&bytes) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(SandboxError::Format { path, problem: error.to_string() }),
        }
    }

    /// Replaces a JSON file as a whole.
    pub(super) fn write<T: Serialize>(&self, name: &str, value: &T) -> Result<()> {
        let path = self.file(name);
        let mut text =
            serde_json::to_vec_pretty(value).map_err(|error| SandboxError::file("write", &path)(error.into()))?;
        text.push(b'\n');
        self.replace(name, &text).map_err(SandboxError::file("write", &path))
    }

    fn replace(&self, name: &str, content: &[u8]) -> std::io::Result<()> {
        // Files made by `tempfile` have mode 0600.
        let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(&self.path)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist(self.file(name))?;
        Ok(())
    }

    /// The token; made on the first call.
    pub(super) fn token(&self) -> Result<SecretString> {
        if let Some(token) = self.existing_token()? {
            return Ok(token);
        }
        // The shape of a real one, so that programs that check it are content.
        let token = format!("dop_v1_{}", hex::encode(rand::random::<[u8; 32]>()));
        let token = SecretString::from(token);
        let path = self.file("token");
        self.replace("token", token.expose_secret().as_bytes()).map_err(SandboxError::file("write", &path))?;
        Ok(token)
    }

    pub(super) fn existing_token(&self) -> Result<Option<SecretString>> {
        let path = self.file("token");
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(SecretString::from(text.trim().to_owned()))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(SandboxError::file("read", &path)(error)),
        }
    }

    /// The last lines of the log that were written at or after this length.
    pub(super) fn log_since(&self, start: u64) -> String {
        let read = || -> std::io::Result<String> {
            let mut file = File::open(self.log())?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(start.max(length.saturating_sub(LOG_TAIL)).min(length)))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
        };
        read().unwrap_or_default()
    }
}

fn lock_file(path: &Path) -> Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(SandboxError::file("open", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_comes_from_the_first_variable_that_is_set() {
        let with = |set: &[(&str, &str)]| {
            root_of(|name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| PathBuf::from(value)))
        };
        let all = [("REMINT_SANDBOX_DIR", "/a"), ("XDG_STATE_HOME", "/b"), ("HOME", "/c")];
        assert_eq!(with(&all).unwrap(), Path::new("/a"));
        assert_eq!(with(&all[1..]).unwrap(), Path::new("/b/remint/sandbox"));
        assert_eq!(with(&all[2..]).unwrap(), Path::new("/c/.local/state/remint/sandbox"));
        assert!(matches!(with(&[]), Err(SandboxError::NoRoot)));
    }

    #[test]
    fn nobody_else_can_read_a_sandbox() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::below(root.path(), "mine").unwrap();
        fs::create_dir(folder.path()).unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        folder.make().unwrap();
        let token = folder.token().unwrap();
        assert_eq!(folder.token().unwrap().expose_secret(), token.expose_secret());
        folder.write("settings.json", &1).unwrap();
        drop(folder.try_lock("lock").unwrap());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(folder.path()), 0o700);
        for name in ["token", "settings.json", "lock"] {
            assert_eq!(mode(&folder.file(name)), 0o600, "{name}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "no temporary file stays behind");
    }

    #[test]
    fn names_that_would_leave_the_root_are_refused() {
        for name in ["", "..", "a/b", "images", "a b", &"x".repeat(41)] {
            assert!(matches!(Folder::below(Path::new("/tmp"), name), Err(SandboxError::Name(_))), "{name}");
        }
    }

    #[test]
    fn only_one_holds_a_lock() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::below(root.path(), "mine").unwrap();
        folder.make().unwrap();
        let held = folder.try_lock("lock").unwrap();
        assert!(held.is_some());
        assert!(folder.try_lock("lock").unwrap().is_none());
        drop(held);
        assert!(folder.try_lock("lock").unwrap().is_some());
    }
}
