//! A tree of files on this side, as a `file` step copies it: one list that the fingerprint digests and the copy follows, so that they
//! cannot differ.

use std::{
    ffi::OsString,
    fs::{self, Metadata},
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};

use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// Which files are meant, and what is changed of them.
#[derive(Debug, Clone, Copy)]
pub struct Selection<'a> {
    /// A file or folder, relative to a folder that the caller knows.
    pub source: &'a Path,
    /// Permissions in octal that every file gets; its own when not given.
    pub mode: Option<&'a str>,
    /// Patterns of what is left out of a folder, as in a `.gitignore` that lies in it.
    pub exclude: &'a [String],
    /// Whether what a symbolic link leads to is copied, and not the link.
    pub follow: bool,
}

/// What a `file` step copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The source is a file, or a link to one.
    File {
        /// Its name, which it gets in a folder.
        name: OsString,
        /// Where it is read, and with which permission bits it is written.
        file: FileEntry,
    },
    /// The source is a folder; what is in it is copied, not the folder itself.
    Folder {
        /// The folder's permission bits, for a destination that does not exist yet.
        mode: u32,
        /// Sorted by the bytes of the relative paths, folders before what is in them.
        entries: Vec<Entry>,
    },
}

/// A file on this side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// Where it is read.
    pub path: PathBuf,
    /// The permission bits: the step's `mode`, else its own.
    pub mode: u32,
    /// Its length in bytes, as it was listed.
    pub size: u64,
}

/// What an entry of a folder is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A file. One with several names in the tree is several files.
    File(FileEntry),
    /// A folder with these permission bits. One that the machine has already keeps its own.
    Directory {
        /// The permission bits.
        mode: u32,
    },
    /// A symbolic link, created with the same text.
    Symlink {
        /// The text of the link.
        target: PathBuf,
    },
}

/// One entry of a folder that is copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its path in the folder.
    pub relative: PathBuf,
    /// Whether it is a file, a folder or a link, with what is needed to create it.
    pub kind: EntryKind,
}

/// Why the files of a step cannot be listed or read.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// A path cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file or folder on this side.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// An entry is neither file, folder nor link.
    #[error("{path} is neither a file, a folder nor a symbolic link")]
    Special {
        /// The device, socket or pipe on this side.
        path: PathBuf,
    },
    /// A link that is followed leads to a folder that it lies in.
    #[error("{path} leads to a folder that it lies in, and `links = \"follow\"` would never end")]
    Circle {
        /// The link on this side.
        path: PathBuf,
    },
    /// A link that may not be followed.
    #[error("{path} leads out of the folders that the manifest may name")]
    Outside {
        /// The link on this side.
        path: PathBuf,
    },
    /// An `exclude` pattern that Git would not read, or would never match.
    #[error("`{pattern}` is not a pattern as in a .gitignore: {reason}")]
    Pattern {
        /// The pattern, as the manifest has it.
        pattern: String,
        /// Why, and what to write.
        reason: String,
    },
    /// The step's `mode` is not octal; holds the text of the manifest.
    #[error("`{0}` is not a mode in octal, such as \"0644\"")]
    Mode(String),
}

impl TreeError {
    pub(crate) fn read(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Read { path, source }
    }
}

/// Reads permissions in octal: `0644`, `755`, `0o600`.
pub fn parse_mode(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    let octal = (3..=5).contains(&digits.len()) && digits.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    octal.then(|| u32::from_str_radix(digits, 8).ok()).flatten().filter(|mode| *mode <= 0o7777)
}

/// Lists what a `file` step copies. That its links stay within what the manifest may name was checked when that was loaded.
///
/// Blocking: it reads the file system.
pub fn read(base_dir: &Path, selection: Selection<'_>) -> Result<Source, TreeError> {
    read_within(base_dir, selection, &|_| true)
}

/// As [`read`], where no link may be followed for which `may_follow` is false.
pub(crate) fn read_within(
    base_dir: &Path,
    selection: Selection<'_>,
    may_follow: &dyn Fn(&Path) -> bool,
) -> Result<Source, TreeError> {
    let root = base_dir.join(selection.source);
    let mode = selection.mode.map(|mode| parse_mode(mode).ok_or_else(|| TreeError::Mode(mode.to_owned())));
    let walk = Walk {
        root: &root,
        mode: mode.transpose()?,
        exclude: excludes(selection.exclude)?,
        follow: selection.follow,
        may_follow,
    };
    // The source itself may be a link: the user named it, and means what it points at.
    let metadata = fs::metadata(&root).map_err(TreeError::read(&root))?;
    if metadata.is_file() {
        let name = selection.source.file_name().unwrap_or_default().to_owned();
        return Ok(Source::File { name, file: walk.file(root.clone(), &metadata) });
    }
    if !metadata.is_dir() {
        return Err(TreeError::Special { path: root });
    }
    let mut entries = Vec::new();
    walk.folder(Path::new(""), &mut vec![identity(&metadata)], &mut entries)?;
    entries.sort_by(|a, b| a.relative.as_os_str().as_bytes().cmp(b.relative.as_os_str().as_bytes()));
    Ok(Source::Folder { mode: walk.folder_mode(&metadata), entries })
}

fn permissions(metadata: &Metadata) -> u32 {
    metadata.permissions().mode() & 0o7777
}

/// What tells a folder from all others of this machine.
fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

struct Walk<'a> {
    root: &'a Path,
    /// What every file gets.
    mode: Option<u32>,
    exclude: Gitignore,
    follow: bool,
    may_follow: &'a dyn Fn(&Path) -> bool,
}

impl Walk<'_> {
    fn file(&self, path: PathBuf, metadata: &Metadata) -> FileEntry {
        FileEntry { path, mode: self.mode.unwrap_or_else(|| permissions(metadata)), size: metadata.len() }
    }

    /// With the step's `mode`, a folder has it too, and everybody who may read it may enter it: then it is the same for everybody,
    /// whatever the umask of their checkout.
    fn folder_mode(&self, metadata: &Metadata) -> u32 {
        match self.mode {
            Some(mode) => (mode & 0o777) | (mode & 0o444) >> 2,
            None => permissions(metadata),
        }
    }

    /// Lists what is in a folder; `above` are the identities of the folders down to it.
    fn folder(&self, below: &Path, above: &mut Vec<(u64, u64)>, found: &mut Vec<Entry>) -> Result<(), TreeError> {
        let folder = self.root.join(below);
        for item in fs::read_dir(&folder).map_err(TreeError::read(&folder))? {
            let item = item.map_err(TreeError::read(&folder))?;
            let relative = below.join(item.file_name());
            let path = item.path();
            let own = fs::symlink_metadata(&path).map_err(TreeError::read(&path))?;
            // As for Git, a link is no folder, whatever it leads to; and what is in an excluded folder cannot be taken back by
            // a later pattern.
            if self.exclude.matched(&relative, own.is_dir()).is_ignore() {
                continue;
            }
            if self.follow && own.is_symlink() && !(self.may_follow)(&path) {
                return Err(TreeError::Outside { path });
            }
            let metadata = match own.is_symlink() && self.follow {
                true => fs::metadata(&path).map_err(TreeError::read(&path))?,
                false => own,
            };
            // One that is followed is what it leads to.
            if self.follow && self.exclude.matched(&relative, metadata.is_dir()).is_ignore() {
                continue;
            }
            if metadata.is_symlink() {
                let target = fs::read_link(&path).map_err(TreeError::read(&path))?;
                found.push(Entry { relative, kind: EntryKind::Symlink { target } });
            } else if metadata.is_file() {
                found.push(Entry { relative, kind: EntryKind::File(self.file(path, &metadata)) });
            } else if metadata.is_dir() {
                if above.contains(&identity(&metadata)) {
                    return Err(TreeError::Circle { path });
                }
                let kind = EntryKind::Directory { mode: self.folder_mode(&metadata) };
                found.push(Entry { relative: relative.clone(), kind });
                above.push(identity(&metadata));
                self.folder(&relative, above, found)?;
                above.pop();
            } else {
                return Err(TreeError::Special { path });
            }
        }
        Ok(())
    }
}

/// The patterns of a step's `exclude`, with the rules of a `.gitignore` that lies in the source folder.
///
/// # Errors
///
/// [`TreeError::Pattern`] for what is no pattern, and for one that Git would accept and never match.
pub fn excludes(patterns: &[String]) -> Result<Gitignore, TreeError> {
    let refuse = |pattern: &str, reason: String| TreeError::Pattern { pattern: pattern.to_owned(), reason };
    let mut builder = GitignoreBuilder::new("");
    for pattern in patterns {
        if let Some(rest) = pattern.strip_prefix("./").or_else(|| pattern.strip_prefix("!./")) {
            let not = if pattern.starts_with('!') { "!" } else { "" };
            return Err(refuse(pattern, format!("write `{not}/{rest}` for a path from the source folder on")));
        }
        if pattern.contains(['\n', '\r', '\0']) {
            return Err(refuse(pattern, "a pattern is one line".to_owned()));
        }
        builder.add_line(None, pattern).map_err(|error| refuse(pattern, error.to_string()))?;
    }
    builder.build().map_err(|error| refuse(&patterns.join(" "), error.to_string()))
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
