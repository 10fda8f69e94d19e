//! The folder of a local journal: closed to other users, and listed in one go.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// No name of the journal's is deeper; so a link that leads to itself ends somewhere.
const DEEPEST: usize = 8;
/// How often, and how often a second, a folder is tried that another process holds.
const HOLD_LOOKS: u32 = 50;
const HOLD_EVERY: std::time::Duration = std::time::Duration::from_millis(20);

/// Makes a folder with those above it, each closed to other users whatever the umask is, and each on the disk when this
/// returns: an entry in a folder that is lost is lost, too.
pub(super) fn create(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let missing: Vec<&Path> = folder.ancestors().take_while(|above| !above.exists()).collect();
    make(folder)?;
    for made in missing {
        if let Some(parent) = made.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs::File::open(parent)?.sync_all()?;
        }
    }
    Ok(())
}

#[cfg(unix)]
fn make(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn make(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}

/// Keeps other processes from comparing and writing for as long as the returned file lives. A file system that cannot do this,
/// and a process that does not go on, are not waited for: then two writes at the very same moment are not told apart.
pub(super) async fn hold(root: &Path) -> Option<fs::File> {
    let folder = fs::File::open(root).ok()?;
    for _ in 0..HOLD_LOOKS {
        match folder.try_lock() {
            Ok(()) => return Some(folder),
            Err(fs::TryLockError::WouldBlock) => tokio::time::sleep(HOLD_EVERY).await,
            Err(fs::TryLockError::Error(_)) => return None,
        }
    }
    None
}

/// Closes a file to other users. Its folder is closed already, unless the user made it or opened it.
pub(super) fn close(file: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if let Err(error) = fs::set_permissions(file, fs::Permissions::from_mode(0o600)) {
            tracing::debug!(%error, file = %file.display(), "cannot close a journal file to others");
        }
    }
    #[cfg(not(unix))]
    let _ = file;
}

/// The files below a prefix, as names of objects in their order, and a note for each that cannot be one.
///
/// `object_store` would list them, too. But it fails on names that are not UTF-8 and on links that lead to themselves, and it
/// looks at each file after it has read the folder: one that is deleted meanwhile is missing, and so may be the one made
/// before that. This takes the names as the folder has them at one moment.
pub(super) async fn list(root: Arc<PathBuf>, prefix: String) -> io::Result<(Vec<String>, Vec<String>)> {
    let walk = move || {
        let mut found = Found::default();
        found.walk(&root.join(&prefix), &prefix, 0)?;
        found.names.sort();
        Ok((found.names, found.notes))
    };
    tokio::task::spawn_blocking(walk).await.map_err(io::Error::other)?
}

/// Files that a run left behind which was killed while it wrote: `name#1`. Nobody reads them.
pub(super) fn unfinished(root: &Path, prefix: &str) -> io::Result<Vec<String>> {
    let mut found = Found::default();
    found.walk(&root.join(prefix), prefix, 0)?;
    found.unfinished.sort();
    Ok(found.unfinished)
}

#[derive(Default)]
struct Found {
    names: Vec<String>,
    notes: Vec<String>,
    unfinished: Vec<String>,
}

impl Found {
    fn walk(&mut self, folder: &Path, name: &str, depth: usize) -> io::Result<()> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            // It is not there, or no more.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let Some(last) = entry.file_name().to_str().map(str::to_owned) else {
                let shown = format!("{name}/{}", entry.file_name().to_string_lossy());
                self.notes.push(format!("ignored `{shown}` in the journal: its name is not UTF-8"));
                continue;
            };
            let name = if name.is_empty() { last } else { format!("{name}/{last}") };
            let mut kind = entry.file_type()?;
            if kind.is_symlink() {
                // One that leads nowhere is what an editor leaves while it has a file open.
                let Ok(target) = fs::metadata(entry.path()) else { continue };
                kind = target.file_type();
            }
            if kind.is_dir() && depth < DEEPEST {
                self.walk(&entry.path(), &name, depth + 1)?;
            } else if kind.is_file() {
                if is_unfinished(&name) { self.unfinished.push(name) } else { self.names.push(name) }
            }
        }
        Ok(())
    }
}

/// Whether `object_store` calls a file so while it writes it.
fn is_unfinished(name: &str) -> bool {
    let digits = name.rsplit('/').next().and_then(|last| last.split_once('#')).map(|(_, digits)| digits);
    digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The kind of network file system that a folder is on, if it is on one. What is mounted through FUSE counts: mostly it is
/// one, and nothing tells otherwise.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn network(folder: &Path) -> Option<&'static str> {
    /// `linux/magic.h` and each file system's own header.
    const KINDS: &[(u32, &str)] = &[
        (0x6969, "NFS"),
        (0x517b, "SMB"),
        (0xff53_4d42, "CIFS"),
        (0xfe53_4d42, "SMB"),
        (0x6573_5546, "FUSE"),
        (0x0102_1997, "9P"),
        (0x5346_414f, "AFS"),
    ];
    // Of 64 bits on some architectures; all kinds fit into 32.
    let kind = nix::sys::statfs::statfs(folder).ok()?.filesystem_type().0 as u32;
    KINDS.iter().find(|(magic, _)| *magic == kind).map(|(_, name)| *name)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn network(_: &Path) -> Option<&'static str> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[tokio::test]
    async fn strange_files_do_not_keep_the_others_from_being_listed() {
        use std::os::unix::{ffi::OsStrExt, fs::symlink};
        let root = tempfile::tempdir().unwrap();
        let lock = root.path().join("production/lock");
        create(&lock).unwrap();
        for name in ["000000000001.json", "000000000002.json#1", ".000000000001.json.swp", "a#b", "50%25.json"] {
            fs::write(lock.join(name), "{}").unwrap();
        }
        fs::write(lock.join(std::ffi::OsStr::from_bytes(b"\xff.json")), "{}").unwrap();
        symlink("me@host.1234:5678", lock.join(".#000000000001.json")).unwrap();
        symlink(".", lock.join("loop")).unwrap();
        let (names, notes) = list(Arc::new(root.path().to_owned()), "production".to_owned()).await.unwrap();
        let flat: Vec<_> = names.iter().filter(|name| !name.contains("loop")).map(String::as_str).collect();
        assert_eq!(
            flat,
            [
                "production/lock/.000000000001.json.swp",
                "production/lock/000000000001.json",
                "production/lock/50%25.json",
                "production/lock/a#b"
            ]
        );
        assert!(notes.iter().any(|note| note.contains("not UTF-8")), "{notes:?}");
        let left = unfinished(root.path(), "production/lock").unwrap();
        assert!(left.contains(&"production/lock/000000000002.json#1".to_owned()), "{left:?}");
        let missing = list(Arc::new(root.path().to_owned()), "staging".to_owned()).await.unwrap();
        assert_eq!(missing.0, [""; 0]);
    }

    #[cfg(unix)]
    #[test]
    fn each_folder_that_is_made_is_closed_to_others() {
        use std::os::unix::fs::PermissionsExt;
        let root = tempfile::tempdir().unwrap();
        create(&root.path().join("production/releases/000001/journal")).unwrap();
        for made in ["production", "production/releases", "production/releases/000001/journal"] {
            let mode = root.path().join(made).metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o700, "{made}");
        }
    }
}
