use std::{collections::BTreeSet, os::unix::fs::symlink, process::Command};

use super::*;
use crate::manifest::{FileProvisioner, Links};

/// A folder with these empty files.
fn folder(files: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for file in files {
        let path = dir.path().join("app").join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    dir
}

fn step(exclude: &[&str]) -> FileProvisioner {
    FileProvisioner {
        source: "app".into(),
        destination: "/opt/app".into(),
        mode: None,
        owner: None,
        links: None,
        exclude: exclude.iter().map(|&pattern| pattern.to_owned()).collect(),
    }
}

fn entries(base_dir: &Path, step: &FileProvisioner) -> Vec<Entry> {
    match read(base_dir, step.tree()).unwrap() {
        Source::Folder { entries, .. } => entries,
        file => panic!("{file:?}"),
    }
}

/// The files that a step uploads.
fn uploaded(base_dir: &Path, exclude: &[&str]) -> BTreeSet<String> {
    let files = entries(base_dir, &step(exclude)).into_iter();
    let files = files.filter(|entry| matches!(entry.kind, EntryKind::File { .. }));
    files.map(|entry| entry.relative.to_str().unwrap().to_owned()).collect()
}

/// The files that Git does not ignore by these patterns.
fn kept_by_git(base_dir: &Path, exclude: &[&str]) -> BTreeSet<String> {
    fs::write(base_dir.join("patterns"), exclude.join("\n")).unwrap();
    let app = base_dir.join("app");
    let git = |args: &[&str]| {
        let output = Command::new("git").arg("-C").arg(&app).args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    git(&["init", "--quiet"]);
    let listed = git(&["ls-files", "-z", "--others", "--exclude-from=../patterns"]);
    fs::remove_dir_all(app.join(".git")).unwrap();
    listed.split_terminator('\0').map(str::to_owned).collect()
}

#[test]
fn excludes_leave_out_what_git_would() {
    let dir = folder(&[
        "keep.txt",
        "drop.txt",
        "node_modules/a/index.js",
        "deep/node_modules/b.js",
        "tmp/x",
        "deep/tmp/x",
        "static/app.map",
        "static/deep/app.map",
        "static/app.js",
        "deep/static/app.map",
        "docs/keep.txt",
        "docs/a/b/c.md",
        "a file",
        "#hash",
        "!bang",
        "trailing ",
        "[x]",
        "x",
        "build",
        "deep/build/out",
        ".env",
        ".env.example",
    ]);
    let cases: &[&[&str]] = &[
        &[],
        &["/node_modules"],
        &["node_modules"],
        &["node_modules/"],
        &["tmp/", "*.txt", "!keep.txt"],
        &["*.txt", "!docs/keep.txt"],
        &["docs", "!docs/keep.txt"],
        &["docs/*", "!docs/keep.txt"],
        &["static/*.map"],
        &["static/**/*.map"],
        &["**/static/*.map"],
        &["/*", "!/docs"],
        &["docs/**"],
        &["docs/a/**/c.md"],
        &["build/"],
        &["build"],
        &["/build"],
        &["#hash"],
        &["\\#hash"],
        &["!bang"],
        &["\\!bang"],
        &["trailing "],
        &["trailing\\ "],
        &["[x]"],
        &["\\[x\\]"],
        &["?"],
        &["[a-w]*"],
        &["[!a-w]*"],
        &[".env*", "!.env.example"],
        &["", "  ", "a file"],
        &["*"],
        &["*", "!*/", "!*.js"],
        &["static//app.js"],
    ];
    for exclude in cases {
        assert_eq!(uploaded(dir.path(), exclude), kept_by_git(dir.path(), exclude), "{exclude:?}");
    }
}

#[test]
fn what_matches_nothing_by_its_form_is_refused_with_what_to_write() {
    for (pattern, wanted) in
        [("./tmp", "write `/tmp`"), ("!./tmp", "write `!/tmp`"), ("a\nb", "one line"), ("[z-a]", "invalid range")]
    {
        let error = excludes(&[pattern.to_owned()]).unwrap_err().to_string();
        assert!(error.contains(pattern) && error.contains(wanted), "{error}");
    }
}

#[test]
fn links_are_kept_or_followed() {
    let dir = folder(&["real/file", "left/out"]);
    let app = dir.path().join("app");
    fs::create_dir(dir.path().join("shared")).unwrap();
    fs::write(dir.path().join("shared/key"), "one").unwrap();
    for (link, target) in [("config", "../shared"), ("file", "real/file"), ("out", "left")] {
        symlink(target, app.join(link)).unwrap();
    }
    let shown = |step: &FileProvisioner| -> Vec<String> {
        let kind = |entry: &Entry| match &entry.kind {
            EntryKind::File(file) => format!("{} bytes", file.size),
            EntryKind::Directory { .. } => "folder".to_owned(),
            EntryKind::Symlink { target } => target.display().to_string(),
        };
        entries(dir.path(), step).iter().map(|entry| format!("{}: {}", entry.relative.display(), kind(entry))).collect()
    };
    let kept = shown(&step(&["/left", "out/"]));
    assert_eq!(kept, ["config: ../shared", "file: real/file", "out: left", "real: folder", "real/file: 0 bytes"]);
    // Followed, a link is what it leads to, for patterns too.
    let mut follow = FileProvisioner { links: Some(Links::Follow), ..step(&["/left", "out/"]) };
    let followed = shown(&follow);
    assert_eq!(
        followed,
        ["config: folder", "config/key: 3 bytes", "file: 0 bytes", "real: folder", "real/file: 0 bytes"]
    );
    symlink("..", app.join("real/circle")).unwrap();
    let error = read(dir.path(), follow.tree()).unwrap_err().to_string();
    assert!(error.contains("real/circle") && error.contains("never end"), "{error}");
    follow.exclude = vec!["circle".to_owned()];
    assert!(read(dir.path(), follow.tree()).is_ok(), "what is left out is not followed");
    symlink("nowhere", app.join("dangles")).unwrap();
    let error = read(dir.path(), follow.tree()).unwrap_err().to_string();
    assert!(error.ends_with("dangles"), "{error}");
}

#[test]
fn what_is_no_file_is_refused_by_name() {
    let dir = folder(&["file"]);
    nix::unistd::mkfifo(&dir.path().join("app/pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let error = read(dir.path(), step(&[]).tree()).unwrap_err().to_string();
    assert!(error.ends_with("app/pipe is neither a file, a folder nor a symbolic link"), "{error}");
    assert!(read(dir.path(), step(&["pipe"]).tree()).is_ok());
}

#[test]
fn with_a_mode_the_umask_of_a_checkout_makes_no_difference() {
    use std::os::unix::fs::PermissionsExt;
    let dir = folder(&["sub/file"]);
    for (mode, folders) in [("0644", 0o755), ("640", 0o750), ("0600", 0o700), ("4755", 0o755)] {
        let step = FileProvisioner { mode: Some(mode.to_owned()), ..step(&[]) };
        let mut seen = Vec::new();
        for umask in [0o777, 0o700] {
            for path in ["app", "app/sub", "app/sub/file"] {
                fs::set_permissions(dir.path().join(path), fs::Permissions::from_mode(umask)).unwrap();
            }
            seen.push(read(dir.path(), step.tree()).unwrap());
        }
        assert_eq!(seen[0], seen[1]);
        let Source::Folder { mode, entries } = &seen[0] else { panic!("{seen:?}") };
        assert_eq!((*mode, &entries[0].kind), (folders, &EntryKind::Directory { mode: folders }));
    }
}

#[test]
fn modes_are_octal() {
    for (text, mode) in [("0644", 0o644), ("755", 0o755), ("0o600", 0o600), ("7777", 0o7777), ("01755", 0o1755)] {
        assert_eq!(parse_mode(text), Some(mode), "{text}");
    }
    for wrong in ["", "64", "rw-r--r--", "0648", "0x1ff", "100644", "77777", "0o", "-644", "6 44"] {
        assert_eq!(parse_mode(wrong), None, "{wrong}");
    }
}
