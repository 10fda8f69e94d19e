//! What a `file` step uploads: one list that the fingerprint digests and the upload follows, so that they cannot differ.

use std::{
    fs,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Path, PathBuf},
};

use globset::{Glob, GlobSet, GlobSetBuilder};

use crate::manifest::FileProvisioner;

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A file, uploaded with these permission bits.
    File {
        /// The permission bits (`0o777` at most, unless the step's `mode` says more).
        mode: u32,
    },
    /// A folder. One that the upload makes gets 0755; one that is there already keeps what it has.
    Directory,
    /// A symbolic link, made anew with the same text; it is not followed.
    Symlink {
        /// The text of the link.
        target: PathBuf,
    },
}

/// One entry of what a `file` step uploads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its path below the destination; empty when the source is a single file.
    pub relative: PathBuf,
    /// Where it is read.
    pub source: PathBuf,
    /// What it is.
    pub kind: EntryKind,
}

/// Why the files of a step cannot be listed or read.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// A path cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// An entry is neither file, folder nor link.
    #[error("{path} is neither a file, a folder nor a symbolic link")]
    Special {
        /// The path.
        path: PathBuf,
    },
    /// An `exclude` pattern.
    #[error("`{pattern}` is not a glob pattern")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// Why.
        source: globset::Error,
    },
    /// The mode.
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

/// Lists what a `file` step uploads, sorted by the bytes of the relative paths, folders before what is in them.
///
/// Blocking: it reads the file system.
pub fn entries(base_dir: &Path, step: &FileProvisioner) -> Result<Vec<Entry>, TreeError> {
    let root = base_dir.join(&step.source);
    let mode = step.mode.as_deref().map(|mode| parse_mode(mode).ok_or_else(|| TreeError::Mode(mode.to_owned())));
    let mode = mode.transpose()?;
    let exclude = patterns(&step.exclude)?;
    // The source itself may be a link: the user named it, and means what it points at.
    let metadata = fs::metadata(&root).map_err(TreeError::read(&root))?;
    if metadata.is_file() {
        let kind = EntryKind::File { mode: mode.unwrap_or(metadata.permissions().mode() & 0o777) };
        return Ok(vec![Entry { relative: PathBuf::new(), source: root, kind }]);
    }
    if !metadata.is_dir() {
        return Err(TreeError::Special { path: root });
    }
    let mut found = Vec::new();
    walk(&root, Path::new(""), mode, &exclude, &mut found)?;
    found.sort_by(|a, b| a.relative.as_os_str().as_bytes().cmp(b.relative.as_os_str().as_bytes()));
    Ok(found)
}

fn walk(
    root: &Path,
    below: &Path,
    mode: Option<u32>,
    exclude: &GlobSet,
    found: &mut Vec<Entry>,
) -> Result<(), TreeError> {
    let folder = root.join(below);
    for item in fs::read_dir(&folder).map_err(TreeError::read(&folder))? {
        let item = item.map_err(TreeError::read(&folder))?;
        let relative = below.join(item.file_name());
        if exclude.is_match(&relative) {
            continue;
        }
        let source = item.path();
        let metadata = fs::symlink_metadata(&source).map_err(TreeError::read(&source))?;
        let kind = if metadata.is_symlink() {
            EntryKind::Symlink { target: fs::read_link(&source).map_err(TreeError::read(&source))? }
        } else if metadata.is_dir() {
            EntryKind::Directory
        } else if metadata.is_file() {
            EntryKind::File { mode: mode.unwrap_or(metadata.permissions().mode() & 0o777) }
        } else {
            return Err(TreeError::Special { path: source });
        };
        let descend = kind == EntryKind::Directory;
        found.push(Entry { relative: relative.clone(), source, kind });
        if descend {
            walk(root, &relative, mode, exclude, found)?;
        }
    }
    Ok(())
}

/// A pattern without a slash is matched against names at any depth, as in a `.gitignore`.
fn patterns(exclude: &[String]) -> Result<GlobSet, TreeError> {
    let refuse = |pattern: &str| {
        let pattern = pattern.to_owned();
        move |source| TreeError::Pattern { pattern, source }
    };
    let mut set = GlobSetBuilder::new();
    for pattern in exclude {
        let trimmed = pattern.trim_end_matches('/');
        let anywhere = if trimmed.contains('/') { trimmed.to_owned() } else { format!("**/{trimmed}") };
        set.add(Glob::new(&anywhere).map_err(refuse(pattern))?);
    }
    set.build().map_err(refuse(&exclude.join(" ")))
}
