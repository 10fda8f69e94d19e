//! The log of a sandbox in the background, which does not grow without end.
//!
//! Everything that the process writes goes there, a panic's words too, so the file itself is watched: once it is too large,
//! it becomes the former log, and goes on empty. What is written in between may be lost.

use std::{
    fs::{self, OpenOptions},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

/// How large the log may become, in bytes. With the former one there is twice that, and what comes between two looks.
pub(super) const LARGEST: u64 = 8 << 20;

/// How often its size is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Watches a log for as long as the process lives, on a thread of its own: it has to go on when all others are busy
/// writing.
pub(super) fn watch(path: PathBuf) -> io::Result<()> {
    let look = move || {
        loop {
            std::thread::sleep(LOOK);
            // A log that cannot be turned over, on a full disk for one, is tried again.
            turn(&path, LARGEST).ok();
        }
    };
    std::thread::Builder::new().name("sandbox-log".to_owned()).spawn(look).map(drop)
}

/// Keeps a log that is too large as the former one, and empties it. It is not replaced by another file: the process has
/// this one open, for appending.
pub(super) fn turn(path: &Path, largest: u64) -> io::Result<()> {
    if fs::metadata(path)?.len() <= largest {
        return Ok(());
    }
    let kept = fs::copy(path, path.with_extension("1"));
    OpenOptions::new().write(true).open(path)?.set_len(0)?;
    kept.map(drop)
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn a_log_that_is_too_large_becomes_the_former_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = OpenOptions::new().append(true).create(true).mode(0o600).open(&path).unwrap();
        log.write_all(b"0123456789").unwrap();
        turn(&path, 10).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"0123456789");
        for round in ["x", "y"] {
            log.write_all(round.as_bytes()).unwrap();
            turn(&path, 0).unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"");
        }
        let former = dir.path().join("log.1");
        assert_eq!(fs::read(&former).unwrap(), b"y");
        assert_eq!(fs::metadata(&former).unwrap().permissions().mode() & 0o777, 0o600);
        log.write_all(b"z").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"z", "what is appended afterwards is at its beginning");
    }
}
