//! Which files a manifest may name: those of its own folder, and of folders that the user allows.
//!
//! A manifest may come from anybody. What it names is read, goes into images and user data, and is checked with a message, so a
//! path or a link that leads elsewhere would carry the user's other files away. The journal is not among these files: that it
//! can be elsewhere is what its `url` is for.

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

/// How the user allows what is outside of the manifest's folder.
pub(super) const ALLOW: &str = "allow its folder with `--allow-path DIR` (or REMINT_ALLOW_PATH)";

/// The folders from which files may be read.
#[derive(Debug)]
pub(crate) struct Grounds {
    own: PathBuf,
    allowed: Vec<PathBuf>,
}

impl Grounds {
    /// The manifest's folder, and those that the user allows. One that does not exist allows nothing.
    pub(crate) fn new(base_dir: &Path, further: &[PathBuf]) -> Self {
        let own = fs::canonicalize(base_dir).unwrap_or_else(|_| base_dir.to_owned());
        let allowed = further.iter().filter_map(|folder| fs::canonicalize(folder).ok());
        Self { allowed: allowed.chain([own.clone()]).collect(), own }
    }

    /// Whether a path of the manifest stays within, with all links followed. Where nothing can be found there, the words of the
    /// path decide.
    pub(crate) fn hold(&self, path: &Path) -> bool {
        let full = self.own.join(path);
        let real = fs::canonicalize(&full).unwrap_or_else(|_| plain(&full));
        self.allowed.iter().any(|folder| real.starts_with(folder))
    }
}

/// A path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn paths_and_links_that_lead_outside_are_told_apart() {
        let root = tempfile::tempdir().unwrap();
        let (own, other) = (root.path().join("own"), root.path().join("other"));
        for folder in [&own.join("sub"), &other] {
            fs::create_dir_all(folder).unwrap();
        }
        fs::write(other.join("file"), "").unwrap();
        fs::write(own.join("file"), "").unwrap();
        symlink("../other/file", own.join("link")).unwrap();
        symlink(&other, own.join("folder")).unwrap();
        symlink("file", own.join("inner")).unwrap();
        symlink("/nonexistent/x", own.join("dangling")).unwrap();
        symlink("loop", own.join("loop")).unwrap();
        let grounds = Grounds::new(&own, &[]);
        for path in ["file", "inner", "sub/../file", ".", "", "absent", "sub/absent", "../own/file"] {
            assert!(grounds.hold(Path::new(path)), "{path}");
        }
        assert!(grounds.hold(&own.join("file")), "an absolute path");
        let outside =
            ["../other/file", "link", "folder/file", "folder", "..", "../absent", "sub/../../other", "/etc/passwd"];
        for path in outside {
            assert!(!grounds.hold(Path::new(path)), "{path}");
        }
        // A name that only begins like the folder's.
        fs::create_dir(root.path().join("own-too")).unwrap();
        assert!(!grounds.hold(Path::new("../own-too")));

        let wider = Grounds::new(&own, &[other.clone(), root.path().join("absent")]);
        assert!(wider.hold(Path::new("link")) && wider.hold(&other.join("file")));
        assert!(!wider.hold(Path::new("../own-too")) && !wider.hold(Path::new("/etc/passwd")));
        // The folder itself may be reached by a link.
        symlink(&own, root.path().join("alias")).unwrap();
        assert!(Grounds::new(&root.path().join("alias"), &[]).hold(Path::new("file")));
    }
}
