use std::{collections::BTreeSet, process::Command};

use super::*;

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
        exclude: exclude.iter().map(|&pattern| pattern.to_owned()).collect(),
    }
}

/// The files that a step uploads.
fn uploaded(base_dir: &Path, exclude: &[&str]) -> BTreeSet<String> {
    let entries = entries(base_dir, &step(exclude)).unwrap();
    let files = entries.iter().filter(|entry| matches!(entry.kind, EntryKind::File { .. }));
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
