use std::{fs, os::unix::fs::symlink};

use super::*;

/// What packing these items comes to.
fn packed(items: Vec<Upload>) -> Result<(), String> {
    let (sender, mut pieces) = mpsc::channel(WAITING);
    let taking = std::thread::spawn(move || while pieces.blocking_recv().is_some() {});
    let result = pack(&items, sender, &Counts::default());
    taking.join().unwrap();
    result.map_err(|stopped| match stopped {
        Stopped::Gone => "gone".to_owned(),
        Stopped::Local(RemoteError::Local { path, source }) => format!("{path}: {source}"),
        Stopped::Local(error) => error.to_string(),
    })
}

fn file(source: &Path, size: u64) -> Upload {
    let kind = UploadKind::File { source: source.to_owned(), mode: 0o644, size };
    Upload { path: "/opt/file".into(), owner: Owner::default(), kind }
}

#[test]
fn a_file_that_is_not_what_was_listed_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, "four").unwrap();
    assert_eq!(packed(vec![file(&path, 4)]), Ok(()));
    for size in [0, 3, 5, 1 << 40] {
        let error = packed(vec![file(&path, size)]).unwrap_err();
        assert!(error.contains("/file: the file changes while it is copied"), "{error}");
    }
    // What lies about its length, as files of /proc do.
    assert!(packed(vec![file(Path::new("/proc/self/status"), 0)]).unwrap_err().contains("changes"));
    fs::remove_file(&path).unwrap();
    assert!(packed(vec![file(&path, 4)]).unwrap_err().contains("No such file"));
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(packed(vec![file(&path, 0)]).unwrap_err().contains("changes"), "and it does not wait for a writer");
    fs::remove_file(&path).unwrap();
    symlink(dir.path(), &path).unwrap();
    assert!(packed(vec![file(&path, 0)]).is_err());
}

#[test]
fn a_reader_that_goes_away_ends_the_packing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let noise: Vec<u8> = (0..1_000_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    fs::write(&path, &noise).unwrap();
    let (sender, pieces) = mpsc::channel(WAITING);
    drop(pieces);
    let ended = pack(&[file(&path, noise.len() as u64)], sender, &Counts::default());
    assert!(matches!(ended, Err(Stopped::Gone)));
}

#[test]
fn what_tar_says_is_told_in_short() {
    let of = |status, said: &[&str]| {
        reason(&Exit::Status(status), &said.iter().map(|&line| line.to_owned()).collect::<Vec<_>>())
    };
    assert_eq!(of(127, &["env: 'tar': No such file or directory"]), "it has no `tar`");
    assert_eq!(
        of(2, &["tar (child): gzip: Cannot exec: No such file or directory", "tar: Child returned status 2"]),
        "it has no `gzip`"
    );
    let full = ["tar: opt/a: Cannot write: No space left on device"; 9];
    let mut lines = full.to_vec();
    lines.push("tar: Exiting with failure status due to previous errors");
    let told = of(2, &lines);
    assert!(
        told.starts_with("opt/a: Cannot write: No space left on device; ") && told.ends_with("; and 6 more"),
        "{told}"
    );
    assert!(RemoteError::Unpack { reason: told }.hint().unwrap().contains("builder_size"));
    assert_eq!(of(2, &[]), "tar: exit status 2");
}
