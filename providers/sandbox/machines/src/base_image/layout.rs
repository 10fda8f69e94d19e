//! Where images lie, and how one appears and disappears in one step.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    error::{ImageError, Result},
    manifest::{FORMAT, Manifest},
};

/// The name of the disk in an image's folder.
pub(crate) const DISK: &str = "disk.qcow2";

/// The name of the manifest in an image's folder.
const MANIFEST: &str = "manifest.json";

/// The folder for base images of the user who runs this: `$XDG_STATE_HOME/remint/sandbox/images`, by default
/// `~/.local/state/remint/sandbox/images`. `None` where neither variable nor home is known.
pub fn default_dir() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| std::env::home_dir().map(|home| home.join(".local/state")))?;
    Some(state.join("remint/sandbox/images"))
}

/// The images in a store, by name. A store that does not exist is empty.
pub fn list(dir: &Path) -> Result<Vec<Manifest>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(ImageError::new("list", "", format!("{}: {error}", dir.display()))),
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| check_name(name).is_ok() && dir.join(name).join(MANIFEST).is_file())
        .collect();
    names.sort();
    names.iter().map(|name| open(dir, name)).collect()
}

/// Reads one image's manifest.
pub fn open(dir: &Path, name: &str) -> Result<Manifest> {
    check_name(name)?;
    let path = dir.join(name).join(MANIFEST);
    let failed = |what: String| ImageError::new("open", name, what);
    let text = fs::read_to_string(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => failed(format!("there is none in {}", dir.display())),
        _ => failed(format!("{}: {error}", path.display())),
    })?;
    let manifest: Manifest =
        serde_json::from_str(&text).map_err(|error| failed(format!("{}: {error}", path.display())))?;
    match manifest.format {
        0..=FORMAT => Ok(manifest),
        newer => Err(failed(format!("{} has format {newer}, this release knows up to {FORMAT}", path.display()))),
    }
}

/// Removes an image. One that is gone is a success; machines that were made from it keep running.
pub fn remove(dir: &Path, name: &str) -> Result<()> {
    check_name(name)?;
    Staging::discard(dir, name).map_err(|error| ImageError::new("remove", name, error))
}

/// Refuses names that are no plain file name, or that would be hidden.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
        return Err(ImageError::new("name", name, "use letters, digits, '-', '_' and '.' only"));
    }
    Ok(())
}

/// A folder that is prepared for a store, in a hidden one there; what is not published disappears when dropped.
pub(crate) struct Staging {
    store: PathBuf,
    hidden: tempfile::TempDir,
}

impl Staging {
    /// Makes the store if need be, and an empty folder to prepare.
    pub(crate) fn new(store: &Path) -> io::Result<Self> {
        fs::create_dir_all(store)?;
        let hidden = tempfile::Builder::new().prefix(".staging-").tempdir_in(store)?;
        let staging = Self { store: store.to_owned(), hidden };
        fs::create_dir(staging.folder())?;
        Ok(staging)
    }

    /// The folder that is prepared.
    pub(crate) fn folder(&self) -> PathBuf {
        self.path().join("new")
    }

    /// The hidden folder around it, for what is not published.
    pub(crate) fn path(&self) -> &Path {
        self.hidden.path()
    }

    /// Removes what stands in a store under `name` in one step: nothing half-removed can be found there, and whoever still
    /// writes into it is not in the way. What is gone is a success.
    pub(crate) fn discard(store: &Path, name: &str) -> io::Result<()> {
        let trash = Self::new(store)?;
        match fs::rename(store.join(name), trash.path().join("removed")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Puts the prepared folder in place under `name`, where another may stand: that one is gone afterwards.
    pub(crate) fn publish(&self, name: &str) -> io::Result<()> {
        let target = self.store.join(name);
        for _ in 0..8 {
            match fs::rename(self.folder(), &target) {
                Err(error) if target.exists() => {
                    tracing::debug!(%error, target = %target.display(), "replacing what is there");
                    Self::discard(&self.store, name)?;
                }
                done => return done,
            }
        }
        Err(io::Error::other(format!("{} keeps being replaced by someone else", target.display())))
    }
}

/// Writes the manifest into a prepared folder.
pub(super) fn write_manifest(folder: &Path, manifest: &Manifest) -> io::Result<()> {
    let mut text = serde_json::to_string_pretty(manifest)?;
    text.push('\n');
    fs::write(folder.join(MANIFEST), text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base_image::Boot;

    fn publish(store: &Path, name: &str, description: &str) {
        let staging = Staging::new(store).unwrap();
        let manifest = Manifest {
            format: FORMAT,
            name: name.into(),
            description: description.into(),
            sha256: String::new(),
            size_bytes: 0,
            virtual_bytes: 0,
            boot: Boot::Firmware,
            built_at: jiff::Timestamp::UNIX_EPOCH,
        };
        write_manifest(&staging.folder(), &manifest).unwrap();
        staging.publish(name).unwrap();
    }

    #[test]
    fn an_image_is_published_replaced_listed_and_removed() {
        let store = tempfile::tempdir().unwrap();
        assert!(list(&store.path().join("none")).unwrap().is_empty());
        publish(store.path(), "b", "first");
        publish(store.path(), "a", "other");
        publish(store.path(), "b", "second");
        let found: Vec<_> = list(store.path()).unwrap().into_iter().map(|m| (m.name, m.description)).collect();
        assert_eq!(found, [("a".to_owned(), "other".to_owned()), ("b".to_owned(), "second".to_owned())]);
        remove(store.path(), "b").unwrap();
        remove(store.path(), "b").unwrap();
        assert_eq!(open(store.path(), "b").unwrap_err().operation, "open");
        assert_eq!(fs::read_dir(store.path()).unwrap().count(), 1, "nothing is left behind");
    }

    #[test]
    fn names_cannot_leave_the_store() {
        for name in ["", ".", "..", ".hidden", "a/b", "a b"] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_newer_format_is_refused() {
        let store = tempfile::tempdir().unwrap();
        publish(store.path(), "a", "");
        let path = store.path().join("a").join(MANIFEST);
        let text = fs::read_to_string(&path).unwrap().replace("\"format\": 1", "\"format\": 99");
        fs::write(&path, text).unwrap();
        assert!(open(store.path(), "a").unwrap_err().message.contains("format 99"));
    }
}
