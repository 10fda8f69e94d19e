//! How large a manifest and what it names may be. The bounds are far above what anybody writes; they keep a file that came
//! with a repository from using up the memory or the stack.

use std::{fs::File, io::Read, path::Path};

/// Bytes of a manifest, of a part of the user data, and of a text after it was filled in.
pub(crate) const MAX_TEXT: usize = 1024 * 1024;
/// Bytes of all texts of a manifest after they were filled in.
pub(crate) const MAX_FILLED: usize = 16 * 1024 * 1024;
/// Levels of nesting of tables and arrays.
pub(crate) const MAX_DEPTH: usize = 32;
/// Variables, `--var` included.
pub(crate) const MAX_VARS: usize = 1000;
/// Variables that refer to each other in a row.
pub(crate) const MAX_CHAIN: usize = 64;
/// Parts of the user data.
pub(crate) const MAX_PARTS: usize = 32;
/// Diagnostics that are shown.
pub(crate) const MAX_REPORTS: usize = 100;
/// Errors of the syntax that are shown: those after the first few follow from them.
pub(crate) const MAX_SYNTAX_REPORTS: usize = 10;
/// Bytes of a secret.
pub(crate) const MAX_SECRET: usize = 1024 * 1024;

/// A size for people.
pub(crate) fn mib(bytes: usize) -> String {
    format!("{} MiB", bytes / 1024 / 1024)
}

/// Reads a text of at most [`MAX_TEXT`] from a regular file: a pipe or a device may never end.
pub(crate) fn read_text(path: &Path) -> std::io::Result<String> {
    let invalid = |message: String| std::io::Error::new(std::io::ErrorKind::InvalidData, message);
    if !std::fs::metadata(path)?.is_file() {
        return Err(invalid("it is not a regular file".to_owned()));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_TEXT as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_TEXT {
        return Err(invalid(format!("it is larger than {}", mib(MAX_TEXT))));
    }
    String::from_utf8(bytes).map_err(|_| invalid("it is not UTF-8 text".to_owned()))
}
