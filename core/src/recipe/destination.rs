//! Where the files of a step go, as far as the manifest says.

use std::path::{Path, PathBuf};

/// A `destination`, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Destination {
    /// The absolute path, without `.` and double or final slashes.
    pub(crate) path: PathBuf,
    /// Whether it is written as a folder: with a final `/`.
    pub(crate) folder: bool,
}

impl Destination {
    pub(crate) fn new(text: &str) -> Self {
        let names = text.split('/').filter(|name| !name.is_empty() && *name != ".");
        let folder = text.ends_with('/') || text.ends_with("/.");
        Self { path: Path::new("/").join(names.collect::<PathBuf>()), folder }
    }

    /// The folders above it and itself, from the top, without `/`: what to look at first.
    pub(crate) fn way(&self) -> Vec<PathBuf> {
        let mut way: Vec<PathBuf> = self.path.ancestors().map(Path::to_owned).collect();
        way.pop();
        way.reverse();
        way
    }
}
