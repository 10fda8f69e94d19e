//! The service's folder, further checkouts of it, and the journal in it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::World;

/// Where a service's journal is, unless its manifest says otherwise.
const JOURNAL: &str = ".remint";

impl World {
    /// All files below a folder.
    pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => found.extend(Self::files(&entry.path())),
                _ => found.push(entry.path()),
            }
        }
        found
    }

    /// The service folder.
    pub(crate) fn folder(&self) -> PathBuf {
        self.root.path().join("service")
    }

    /// Where a folder beside the service folder is.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// A second checkout of the service, with a journal of its own; what `-C` takes to work in it.
    pub(crate) fn checkout(&self, name: &str) -> String {
        copy_folder(&self.folder(), &self.beside(name));
        let _ = fs::remove_dir_all(self.beside(name).join(JOURNAL));
        format!("../{name}")
    }

    /// Copies a folder with all that is in it.
    pub(crate) fn copy(&self, from: &Path, to: &str) {
        copy_folder(from, &self.beside(to));
    }

    /// The journal's folder.
    pub(crate) fn journal(&self) -> PathBuf {
        self.folder().join(JOURNAL)
    }

    /// Loses the journal, as a fresh clone does.
    pub(crate) fn lose_journal(&self) {
        fs::remove_dir_all(self.journal()).unwrap();
    }

    /// Writes a file of the service folder.
    pub(crate) fn write(&self, path: &str, content: &str) {
        let path = self.folder().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Replaces text of the manifest, which must be in it.
    pub(crate) fn edit(&self, from: &str, to: &str) {
        self.edit_file("remint.toml", from, to);
    }

    /// Replaces text of a file of the service folder, which must be in it.
    pub(crate) fn edit_file(&self, path: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.folder().join(path)).unwrap();
        assert!(text.contains(from), "{path} does not contain {from:?}:\n{text}");
        self.write(path, &text.replacen(from, to, 1));
    }

    /// Adds text to the end of the manifest.
    pub(crate) fn append(&self, text: &str) {
        let manifest = fs::read_to_string(self.folder().join("remint.toml")).unwrap();
        self.write("remint.toml", &format!("{manifest}\n{text}"));
    }
}

/// Copies a folder with all that is in it; what is there already is overwritten.
fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (entry, to) = (entry.as_ref().unwrap().path(), to.join(entry.as_ref().unwrap().file_name()));
        if entry.is_dir() {
            copy_folder(&entry, &to);
        } else {
            fs::copy(&entry, &to).unwrap();
        }
    }
}
