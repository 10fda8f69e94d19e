use std::fmt::Write;

use super::*;
use crate::tree::{Entry, FileEntry};

const OWNER: Owner = Owner { user: 7, group: 8 };

fn file(mode: u32) -> FileEntry {
    FileEntry { path: "/here".into(), mode, size: 1 }
}

fn one(name: &str) -> Source {
    Source::File { name: name.into(), file: file(0o644) }
}

fn tree() -> Source {
    let entry = |relative: &str, kind| Entry { relative: relative.into(), kind };
    let entries = vec![
        entry("link", EntryKind::Symlink { target: "sub".into() }),
        entry("sub", EntryKind::Directory { mode: 0o750 }),
        entry("sub/file", EntryKind::File(file(0o600))),
    ];
    Source::Folder { mode: 0o711, entries }
}

/// What a copy creates, where the machine has these paths: `/a d`, `/l l`, `/f f`, `/b b`.
fn placed(source: Source, destination: &str, machine: &[(&str, Found)]) -> Result<String, String> {
    let destination = Destination::new(destination);
    let known: HashMap<&str, Found> = machine.iter().copied().collect();
    let mut learnt = Machine::default();
    let learn = |learnt: &mut Machine, paths: Vec<PathBuf>| {
        let at = |path: &PathBuf| known.get(path.to_str().unwrap()).copied().unwrap_or(Found::Missing);
        let found = paths.iter().map(at).collect();
        learnt.learn(paths, found);
    };
    learn(&mut learnt, destination.way());
    let folders = folders(&destination, &source, &learnt);
    learn(&mut learnt, folders);
    let files = files(&destination, &source, &learnt);
    learn(&mut learnt, files);
    let items = plan(&destination, source, OWNER, &learnt).map_err(|error| error.to_string())?;
    let mut out = String::new();
    for item in items {
        let owner = if item.owner == OWNER { "own" } else { "root" };
        let _ = match item.kind {
            UploadKind::File { mode, .. } => write!(out, "{} {mode:o} {owner}; ", item.path.display()),
            UploadKind::Directory { mode } => write!(out, "{}/ {mode:o} {owner}; ", item.path.display()),
            UploadKind::Symlink { target } => write!(out, "{} -> {}; ", item.path.display(), target.display()),
        };
    }
    Ok(out.trim_end_matches("; ").to_owned())
}

use Found::{Dangling, Folder, LinkToFolder, Other};

/// A destination, what the machine has, and what is created.
type Case = (&'static str, &'static [(&'static str, Found)], &'static str);

#[test]
fn a_file_gets_the_name_of_its_destination_or_goes_into_its_folder() {
    let into = "/etc/app/a.conf 644 own";
    let cases: &[Case] = &[
        ("/etc/app", &[("/etc", Folder)], "/etc/app 644 own"),
        ("/etc/app", &[], "/etc/ 755 root; /etc/app 644 own"),
        ("/etc/app", &[("/etc", Folder), ("/etc/app", Other)], "/etc/app 644 own"),
        ("/etc/app", &[("/etc", Folder), ("/etc/app", Dangling)], "/etc/app 644 own"),
        ("/etc/app", &[("/etc", Folder), ("/etc/app", Folder)], into),
        ("/etc/app", &[("/etc", Folder), ("/etc/app", LinkToFolder)], into),
        ("/etc/app/", &[("/etc", Folder), ("/etc/app", Folder)], into),
        ("/etc//app/.", &[("/etc", LinkToFolder), ("/etc/app", Folder)], into),
        ("/etc/app/", &[("/etc", Folder)], "/etc/app/ 755 own; /etc/app/a.conf 644 own"),
        ("/", &[], "/a.conf 644 own"),
        ("/.", &[], "/a.conf 644 own"),
        ("/etc/app/", &[("/etc", Folder), ("/etc/app", Other)], "/etc/app on the machine is not a folder"),
        ("/etc/app/", &[("/etc", Folder), ("/etc/app", Dangling)], "/etc/app on the machine is not a folder"),
        ("/etc/app/x", &[("/etc", Folder), ("/etc/app", Other)], "/etc/app on the machine is not a folder"),
    ];
    for (destination, machine, expected) in cases {
        let placed = placed(one("a.conf"), destination, machine).unwrap_or_else(|error| error);
        assert_eq!(placed, *expected, "{destination} with {machine:?}");
    }
    for folder in [Folder, LinkToFolder] {
        let machine = [("/etc", Folder), ("/etc/a.conf", folder)];
        let refused = placed(one("a.conf"), "/etc/", &machine).unwrap_err();
        assert!(refused.starts_with("/etc/a.conf on the machine is a folder"), "{refused}");
    }
    assert!(placed(one(""), "/etc", &[("/etc", Folder)]).unwrap_err().contains("the URL does not end"));
    assert_eq!(placed(one(""), "/tool", &[]).unwrap(), "/tool 644 own");
}

#[test]
fn a_tree_goes_into_the_folder_and_leaves_existing_ones_alone() {
    let new = "/opt/app/ 711 own; /opt/app/link -> sub; /opt/app/sub/ 750 own; /opt/app/sub/file 600 own";
    let merged = "/opt/app/link -> sub; /opt/app/sub/file 600 own";
    let there = [("/opt", Folder), ("/opt/app", LinkToFolder), ("/opt/app/sub", Folder)];
    for slash in ["", "/"] {
        let destination = format!("/opt/app{slash}");
        assert_eq!(placed(tree(), &destination, &[("/opt", Folder)]).unwrap(), new);
        assert_eq!(placed(tree(), &destination, &there).unwrap(), merged);
        let mut linked = there.to_vec();
        linked.extend([("/opt/app/sub", LinkToFolder), ("/opt/app/link", LinkToFolder), ("/opt/app/sub/file", Other)]);
        assert_eq!(placed(tree(), &destination, &linked).unwrap(), merged);
        assert!(
            placed(tree(), &destination, &[("/opt", Folder), ("/opt/app", Other)]).unwrap_err().contains("is not a")
        );
    }
    assert_eq!(placed(tree(), "/", &[("/sub", Folder)]).unwrap(), "/link -> sub; /sub/file 600 own");
    for (path, found, expected) in [
        ("/opt/app/link", Folder, "/opt/app/link on the machine is a folder"),
        ("/opt/app/sub", Other, "/opt/app/sub on the machine is not a folder"),
        ("/opt/app/sub", Dangling, "/opt/app/sub on the machine is not a folder"),
        ("/opt/app/sub/file", Folder, "/opt/app/sub/file on the machine is a folder"),
        ("/opt/app/sub/file", LinkToFolder, "/opt/app/sub/file on the machine is a folder"),
    ] {
        let mut machine = there.to_vec();
        machine.push((path, found));
        let error = placed(tree(), "/opt/app", &machine).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
}
