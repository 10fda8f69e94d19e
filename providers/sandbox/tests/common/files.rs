//! The table of `docs/files.md`, run on a machine.

use std::{collections::BTreeMap, fmt::Write, fs, os::unix::fs::PermissionsExt, path::Path};

use remint_core::{
    bake::files::{CopyError, copy_step},
    manifest::FileProvisioner,
    remote::{Command, Connection},
};

const PAGE: &str = include_str!("../../../../docs/files.md");

struct Row {
    source: String,
    destination: String,
    before: Vec<String>,
    creates: Vec<String>,
    /// What the step says when it is refused.
    refused: Option<String>,
    kept: Vec<String>,
}

/// The rows, each in a folder of its own in place of `/srv`.
fn rows() -> Vec<Row> {
    let mut lines = PAGE.lines().skip_while(|line| !line.starts_with("| source | `destination` |"));
    lines.nth(1).expect("the table");
    let rows: Vec<&str> = lines.take_while(|line| line.starts_with('|')).collect();
    rows.iter()
        .enumerate()
        .map(|(number, line)| {
            let line = line.replace("/srv/", &format!("/srv/{number}/"));
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [source, destination, before, creates, kept] = cells[..] else { panic!("{line}") };
            let list = |cell: &str| -> Vec<String> {
                cell.split(", ").filter(|item| !item.is_empty()).map(|item| item.replace('`', "")).collect()
            };
            let refused = creates.strip_prefix("refused: `").map(|rest| rest.replace("` is", " on the machine is"));
            Row {
                source: source.replace('`', ""),
                destination: destination.replace('`', ""),
                before: list(before),
                creates: if refused.is_some() { Vec::new() } else { list(creates) },
                refused,
                kept: list(kept),
            }
        })
        .collect()
}

/// What makes the machine have what the rows say, with a word in each file that is not the step's.
fn prepare(rows: &[Row]) -> String {
    let mut script = String::new();
    for (number, row) in rows.iter().enumerate() {
        let _ = writeln!(script, "mkdir -p /srv/{number}");
        for item in &row.before {
            let _ = match (item.strip_suffix('/'), item.split_once(" → ")) {
                (Some(folder), _) => writeln!(script, "mkdir {folder}; chmod 2751 {folder}"),
                (_, Some((link, target))) => writeln!(script, "ln -s {target} {link}"),
                _ => writeln!(script, "echo before > {item}"),
            };
        }
    }
    script
}

/// What is at each path: `folder`, `before` or the step's content, or the text of a link; with owner, and the mode of what is
/// no link.
async fn observe(connection: &Connection) -> BTreeMap<String, String> {
    let script = "for p in $(find /srv /app.conf /sub /current); do
        if [ -h $p ]; then echo \"$p $(readlink $p) $(stat -c %U:%G $p)\"
        elif [ -d $p ]; then echo \"$p folder $(stat -c '%U:%G %a' $p)\"
        else echo \"$p $(cat $p) $(stat -c '%U:%G %a' $p)\"; fi; done";
    let (outcome, text) = connection.capture(&Command::shell(script)).await.unwrap();
    assert!(outcome.exit.is_success(), "{outcome:?}");
    text.lines()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(path, what)| (path.to_owned(), what.to_owned()))
        .collect()
}

/// Runs every row of the table, and compares all that is there then with what it says.
pub(crate) async fn follow_the_table(connection: &Connection) {
    let here = tempfile::tempdir().unwrap();
    let app = here.path().join("app");
    fs::create_dir_all(app.join("sub")).unwrap();
    fs::write(app.join("sub/run"), "after").unwrap();
    fs::write(here.path().join("app.conf"), "after").unwrap();
    std::os::unix::fs::symlink("sub", app.join("current")).unwrap();
    for (path, mode) in [("app", 0o711), ("app/sub", 0o750), ("app/sub/run", 0o755), ("app.conf", 0o600)] {
        fs::set_permissions(here.path().join(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    let rows = rows();
    assert!(rows.len() > 20, "the table has its rows");
    let roots = "stat -c '%U:%G %a' / /srv";
    let (_, before) = connection.capture(&Command::shell(roots)).await.unwrap();
    let prepared = connection.exec(&Command::shell(prepare(&rows)), &mut |_, _| {}).await.unwrap();
    assert!(prepared.exit.is_success(), "{prepared:?}");
    for row in &rows {
        let step = step(row);
        let copied = copy_step(connection, here.path(), &step, &mut |_| ()).await;
        match (&row.refused, copied) {
            (None, copied) => drop(copied.unwrap_or_else(|error| panic!("{step:?}: {error}"))),
            (Some(expected), Err(CopyError::Place(error))) => {
                assert!(error.to_string().starts_with(expected), "{step:?}: {error}, and not {expected}");
            }
            (Some(expected), other) => panic!("{step:?}: {other:?}, and not {expected}"),
        }
    }
    let mut expected = BTreeMap::from([("/srv".to_owned(), "folder root:root 755".to_owned())]);
    for (number, row) in rows.iter().enumerate() {
        expected.insert(format!("/srv/{number}"), "folder root:root 755".to_owned());
        for item in &row.kept {
            let (path, what) = match (item.strip_suffix('/'), item.split_once(" → ")) {
                (Some(folder), _) => (folder, "folder root:root 2751".to_owned()),
                (_, Some((link, target))) => (link, format!("{target} root:root")),
                _ => (item.as_str(), "before root:root 644".to_owned()),
            };
            expected.insert(path.to_owned(), what);
        }
        for item in &row.creates {
            let owner = if item.ends_with(" (root's)") { "root:root" } else { "nobody:nogroup" };
            let item = item.trim_end_matches(" (root's)");
            let (path, what) = match (item.strip_suffix('/'), item.split_once(" → ")) {
                (Some(folder), _) => {
                    let mode = match folder.rsplit('/').next() {
                        Some("app" | "sub") => 750,
                        _ => 755,
                    };
                    (folder, format!("folder {owner} {mode}"))
                }
                (_, Some((link, target))) => (link, format!("{target} {owner}")),
                _ => (item, format!("after {owner} 640")),
            };
            expected.insert(path.to_owned(), what);
        }
    }
    assert_eq!(observe(connection).await, expected);
    let (_, after) = connection.capture(&Command::shell(roots)).await.unwrap();
    assert_eq!(before, after, "`/` keeps its owner and mode");
}

fn step(row: &Row) -> FileProvisioner {
    FileProvisioner {
        source: Path::new(&row.source).to_owned(),
        destination: row.destination.clone(),
        mode: Some("0640".to_owned()),
        owner: Some("nobody:nogroup".to_owned()),
        links: None,
        exclude: Vec::new(),
    }
}
