//! Where the files of a step go on a machine: the rules of the table in `docs/files.md`, without a machine.
//!
//! What a folder of the machine holds stays, unless a file or link of the same name is copied: a folder is never removed, and
//! never changes its owner or mode. A file or link of the machine is replaced, a link by itself and not what it points to.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use crate::{
    recipe::Destination,
    remote::{Found, Owner, Upload, UploadKind},
    tree::{EntryKind, Source},
};

/// The permission bits of folders above the destination that are missing, and of one that a single file goes into.
const FOLDER: u32 = 0o755;

/// Why files cannot go where they should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// There is something else where a folder is needed.
    #[error("{path} on the machine is not a folder")]
    NotAFolder {
        /// What is in the way: a file, a device or a dangling link.
        path: PathBuf,
    },
    /// There is a folder where a file or link is to go.
    #[error("{path} on the machine is a folder, which a file or link does not replace")]
    IsAFolder {
        /// The folder that is in the way.
        path: PathBuf,
    },
    /// An artifact is to go into a folder, and its URL does not say under which name.
    #[error("{path} is a folder, and the URL does not end with the name of a file")]
    NoName {
        /// The folder that the artifact was to go into.
        path: PathBuf,
    },
}

impl PlaceError {
    /// What the user can do about it: a fragment that names the key of the manifest.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotAFolder { .. } | Self::IsAFolder { .. } => {
                "choose another `destination`, or remove what is there in a step before this one"
            }
            Self::NoName { .. } => "write the whole path, with the name of the file, in `destination`",
        }
    }
}

/// What is known of the machine's paths.
#[derive(Debug, Default)]
pub(super) struct Machine(HashMap<PathBuf, Found>);

impl Machine {
    pub(super) fn learn(&mut self, paths: Vec<PathBuf>, found: Vec<Found>) {
        self.0.extend(paths.into_iter().zip(found));
    }

    fn at(&self, path: &Path) -> Found {
        if path == Path::new("/") {
            return Found::Folder;
        }
        self.0.get(path).copied().unwrap_or(Found::Missing)
    }

    /// What is in a folder that is missing is missing.
    fn may_be(&self, path: &Path) -> bool {
        path.parent().is_some_and(|parent| self.at(parent).is_folder())
    }
}

/// The folders to look at next, if any.
pub(super) fn folders(destination: &Destination, source: &Source, machine: &Machine) -> Vec<PathBuf> {
    match source {
        Source::Folder { entries, .. } if machine.at(&destination.path).is_folder() => {
            let folders = entries.iter().filter(|entry| matches!(entry.kind, EntryKind::Directory { .. }));
            folders.map(|entry| destination.path.join(&entry.relative)).collect()
        }
        _ => Vec::new(),
    }
}

/// The files and links to look at last: those in folders that the machine has.
pub(super) fn files(destination: &Destination, source: &Source, machine: &Machine) -> Vec<PathBuf> {
    let paths: Vec<PathBuf> = match source {
        Source::File { name, .. } if name.is_empty() => Vec::new(),
        Source::File { name, .. } => vec![destination.path.join(name)],
        Source::Folder { entries, .. } => {
            let files = entries.iter().filter(|entry| !matches!(entry.kind, EntryKind::Directory { .. }));
            files.map(|entry| destination.path.join(&entry.relative)).collect()
        }
    };
    paths.into_iter().filter(|path| machine.may_be(path)).collect()
}

/// What to create, in this order.
pub(super) fn plan(
    destination: &Destination,
    source: Source,
    owner: Owner,
    machine: &Machine,
) -> Result<Vec<Upload>, PlaceError> {
    let Destination { path, folder } = destination;
    let mut items = Vec::new();
    let (above, itself) = match destination.way().split_last() {
        Some((itself, above)) => (above.to_vec(), Some(itself.clone())),
        None => (Vec::new(), None),
    };
    for above in above {
        // Root's, as `mkdir -p` makes them: only the destination is the owner's.
        ensure_folder(above, FOLDER, Owner::default(), machine, &mut items)?;
    }
    match source {
        Source::File { name, file } => {
            let there = machine.at(path);
            let into = *folder || there.is_folder();
            if let Some(itself) = itself.filter(|_| into) {
                ensure_folder(itself, FOLDER, owner, machine, &mut items)?;
            }
            if into && name.is_empty() {
                return Err(PlaceError::NoName { path: path.clone() });
            }
            let path = if into { path.join(name) } else { path.clone() };
            let kind = UploadKind::File { source: file.path, mode: file.mode, size: file.size };
            place(Upload { path, owner, kind }, machine, &mut items)?;
        }
        Source::Folder { mode, entries } => {
            if let Some(itself) = itself {
                ensure_folder(itself, mode, owner, machine, &mut items)?;
            }
            for entry in entries {
                let path = path.join(&entry.relative);
                let kind = match entry.kind {
                    EntryKind::Directory { mode } => {
                        ensure_folder(path, mode, owner, machine, &mut items)?;
                        continue;
                    }
                    EntryKind::File(file) => UploadKind::File { source: file.path, mode: file.mode, size: file.size },
                    EntryKind::Symlink { target } => UploadKind::Symlink { target },
                };
                place(Upload { path, owner, kind }, machine, &mut items)?;
            }
        }
    }
    Ok(items)
}

fn ensure_folder(
    path: PathBuf,
    mode: u32,
    owner: Owner,
    machine: &Machine,
    items: &mut Vec<Upload>,
) -> Result<(), PlaceError> {
    match machine.at(&path) {
        Found::Folder | Found::LinkToFolder => {}
        Found::Missing => items.push(Upload { path, owner, kind: UploadKind::Directory { mode } }),
        Found::Dangling | Found::Other => return Err(PlaceError::NotAFolder { path }),
    }
    Ok(())
}

/// A file or link, where no folder is in its way. A link may replace a link to a folder, a file may not: for `cp`, too, that is
/// a folder.
fn place(item: Upload, machine: &Machine, items: &mut Vec<Upload>) -> Result<(), PlaceError> {
    let link = matches!(item.kind, UploadKind::Symlink { .. });
    match machine.at(&item.path) {
        Found::Folder => return Err(PlaceError::IsAFolder { path: item.path }),
        Found::LinkToFolder if !link => return Err(PlaceError::IsAFolder { path: item.path }),
        _ => items.push(item),
    }
    Ok(())
}

#[cfg(test)]
#[path = "place_tests.rs"]
mod tests;
