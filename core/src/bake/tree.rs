//! What a `file` step uploads: one list that the fingerprint digests and the upload follows, so that they cannot differ.

use std::{
    fs,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Path, PathBuf},
};

use ignore::gitignore::{Gitignore, GitignoreBuilder};

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
    #[error("`{pattern}` is not a pattern as in a .gitignore: {reason}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// Why, and what to write.
        reason: String,
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
    let exclude = excludes(&step.exclude)?;
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
    exclude: &Gitignore,
    found: &mut Vec<Entry>,
) -> Result<(), TreeError> {
    let folder = root.join(below);
    for item in fs::read_dir(&folder).map_err(TreeError::read(&folder))? {
        let item = item.map_err(TreeError::read(&folder))?;
        let relative = below.join(item.file_name());
        let source = item.path();
        let metadata = fs::symlink_metadata(&source).map_err(TreeError::read(&source))?;
        // What is in an excluded folder cannot be taken back by a later pattern, as in Git.
        if exclude.matched(&relative, metadata.is_dir()).is_ignore() {
            continue;
        }
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
