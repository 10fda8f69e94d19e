//! The state file: one JSON document, replaced as a whole.
//!
//! Written to a temporary file and renamed over the old one, so that a reader, or a sandbox started after a SIGKILL, sees
//! the state before or after a change and nothing between. It is not synced to the disk: it has to survive the process,
//! not the machine, whose virtual machines would be gone as well.

use std::{
    collections::BTreeMap,
    fs, io,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Mutex,
};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{
    Api, CloudError,
    lock::lock,
    state::{State, VERSION},
};

/// The state, as the file has it.
#[derive(Serialize)]
struct Saved<'a, F> {
    #[serde(flatten)]
    state: &'a State<F>,
    /// What the account's API keeps, under its name.
    #[serde(flatten)]
    own: BTreeMap<&'static str, &'a F>,
}

/// Where the state lies.
#[derive(Debug)]
pub(crate) struct Store {
    file: PathBuf,
    next: PathBuf,
    api: Api,
    /// What the file holds: what there is to go back to where the next state cannot be written.
    saved: Mutex<Vec<u8>>,
}

impl Store {
    /// The name of the state file in the state folder.
    pub(crate) const FILE: &str = "cloud.json";

    /// Opens the folder, making it when missing, and reads the state; an account that is new is written at once, so that
    /// even its id is the same after a restart.
    pub(crate) fn open<F: Default + Serialize + DeserializeOwned>(
        dir: &Path,
        api: Api,
        empty: impl FnOnce() -> State<F>,
    ) -> Result<(Self, State<F>), CloudError> {
        let failed = |what, path: &Path| {
            let path = path.to_owned();
            move |source| CloudError::File { what, path, source }
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(failed("make the sandbox's folder", dir))?;
        let store =
            Self { file: dir.join(Self::FILE), next: dir.join("cloud.json.next"), api, saved: Mutex::default() };
        let state = match fs::read(&store.file) {
            Ok(bytes) => {
                let state = store.parse(&bytes)?;
                store.keep(bytes);
                state
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let state = empty();
                store.save(&state).map_err(failed("write", &store.file))?;
                state
            }
            Err(source) => return Err(failed("read", &store.file)(source)),
        };
        Ok((store, state))
    }

    fn keep(&self, bytes: Vec<u8>) {
        *lock(&self.saved) = bytes;
    }

    /// The state that was written last.
    pub(crate) fn saved<F: Default + DeserializeOwned>(&self) -> Result<State<F>, CloudError> {
        self.parse(&lock(&self.saved))
    }

    fn parse<F: Default + DeserializeOwned>(&self, bytes: &[u8]) -> Result<State<F>, CloudError> {
        #[derive(serde::Deserialize)]
        struct Version {
            version: u32,
        }
        let broken = |source| CloudError::Parse { path: self.file.clone(), source };
        // The version first: what another one holds need not fit today's types.
        let Version { version } = serde_json::from_slice(bytes).map_err(broken)?;
        if version != VERSION {
            return Err(CloudError::Version { path: self.file.clone(), found: version, known: VERSION });
        }
        let read = || {
            let mut all: Map<String, Value> = serde_json::from_slice(bytes)?;
            let own = all.remove(self.api.name()).map(serde_json::from_value).transpose()?;
            let mut state: State<F> = serde_json::from_value(Value::Object(all))?;
            state.own = own.unwrap_or_default();
            Ok(state)
        };
        read().map_err(broken)
    }

    /// Replaces the state file.
    pub(crate) fn save<F: Serialize>(&self, state: &State<F>) -> io::Result<()> {
        let own = BTreeMap::from([(self.api.name(), &state.own)]);
        let bytes = serde_json::to_vec(&Saved { state, own })?;
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&self.next)?;
        file.write_all(&bytes)?;
        fs::rename(&self.next, &self.file)?;
        self.keep(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::{Front as _, front::Plain};

    fn open(dir: &Path) -> Result<(Store, State<Plain>), CloudError> {
        Store::open(dir, Plain::API, State::empty)
    }

    #[test]
    fn a_state_comes_back_and_only_its_owner_can_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let (store, mut state) = open(&dir.path().join("deep/er")).unwrap();
        state.tags.insert("web".to_owned());
        store.save(&state).unwrap();
        let mode = fs::metadata(&store.file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let (_, read) = open(&dir.path().join("deep/er")).unwrap();
        assert!(read.tags.contains("web"));
        assert_eq!(read.account, state.account);
    }

    #[test]
    fn another_version_and_a_torn_file_are_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(Store::FILE);
        fs::write(&file, r#"{"version": 99, "unheard": "of"}"#).unwrap();
        assert!(open(dir.path()).unwrap_err().to_string().contains("version 99"));
        fs::write(&file, r#"{"version": 1, "acc"#).unwrap();
        assert!(open(dir.path()).unwrap_err().to_string().contains("cloud.json"));
    }
}
