//! Each row of the table on a folder: planted, found from inside and outside, removed, not found.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use super::{outside::examine, script, table::TABLE};

fn run(script: &str, root: &Path) -> String {
    let mut shell = Command::new("sh")
        .args(["-eu", "-s"])
        .env("REMINT_ROOT", root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    shell.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = shell.wait_with_output().unwrap();
    assert!(output.status.success(), "{script}");
    String::from_utf8(output.stdout).unwrap()
}

/// A path that a pattern names.
fn example(pattern: &str) -> String {
    let deep = pattern.replace("//", "/.deep/er/");
    let name = deep.replace("/.*", "/.a").replace("[0-9]", "7").replace('?', "q");
    name.replace("/*", "/some").replace('*', "x")
}

fn plant(root: &Path, path: &str, text: &str) {
    let path = root.join(path.trim_start_matches('/'));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[test]
fn each_row_is_found_when_planted_and_gone_when_sealed() {
    for row in TABLE {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let mut planted: Vec<_> = row.gone.iter().chain(row.emptied).map(|pattern| example(pattern)).collect();
        for path in &planted {
            plant(root, path, "the builder's own\n");
        }
        for (file, start, _) in row.lines {
            plant(root, file, &format!("other:x\n{start}abc:1:2\n"));
            planted.push((*file).to_owned());
        }
        plant(root, "/etc/kept", "not the builder's\n");
        let inside = run(&format!("r=$REMINT_ROOT\n{}", script::look(row)), root);
        let inside = inside.replace(root.to_str().unwrap(), "");
        let outside = examine(root).unwrap();
        let busy: Vec<_> = row.emptied.iter().filter(|_| row.is_busy).map(|pattern| example(pattern)).collect();
        for path in &planted {
            let line = format!("{}: {path}", row.what);
            assert!(
                busy.contains(path) || inside.lines().any(|found| found == line),
                "inside: {line} not in\n{inside}"
            );
            assert!(outside.contains(&line), "outside: {line} not in\n{outside:#?}");
        }
        run(&script::seal(), root);
        assert_eq!(run(&script::check(), root), "", "{}", row.what);
        assert_eq!(examine(root).unwrap(), Vec::<String>::new(), "{}", row.what);
        assert_eq!(fs::read_to_string(root.join("etc/kept")).unwrap(), "not the builder's\n");
        for (file, ..) in row.lines {
            if let Ok(text) = fs::read_to_string(root.join(file.trim_start_matches('/'))) {
                assert!(text.starts_with("other:x\n") || *file != "/etc/shadow", "{text}");
            }
        }
    }
}

#[test]
fn what_the_table_does_not_name_stays() {
    let folder = tempfile::tempdir().unwrap();
    let kept = [
        ("/var/lib/cloud/seed/nocloud/meta-data", "a seed that came with the base image"),
        ("/etc/ssh/sshd_config", "PermitRootLogin prohibit-password"),
        ("/etc/shadow", "root:!locked:1:2\napp:$y$hash:1:2\n"),
        ("/home/app/.ssh/config", "Host *"),
        ("/etc/iscsi/iscsid.conf", "x"),
    ];
    for (path, text) in kept {
        plant(folder.path(), path, text);
    }
    run(&script::seal(), folder.path());
    assert_eq!(run(&script::check(), folder.path()), "");
    for (path, text) in kept {
        assert_eq!(fs::read_to_string(folder.path().join(path.trim_start_matches('/'))).unwrap(), text, "{path}");
    }
    assert_eq!(examine(folder.path()).unwrap(), Vec::<String>::new());
}

#[test]
fn the_builders_own_name_leaves_the_hosts_file_and_all_else_stays() {
    let folder = tempfile::tempdir().unwrap();
    plant(folder.path(), "/etc/hostname", "app-bake-1\n");
    let kept = "127.0.0.1 localhost\n127.0.1.1 other\n127.0.1.1\tmy-app-bake-1\n10.0.0.5 db app-bake-1\n127.0.0.1 localhost \
                app-bake-1\n# app-bake-1\n";
    let own = "127.0.1.1 app-bake-1 app-bake-1\n127.0.1.1\tapp-bake-1\n127.0.1.1 app-bake-1.example.org  app-bake-1\n127.0.0.1 \
               app-bake-1.local app-bake-1\n";
    plant(folder.path(), "/etc/hosts", &format!("{kept}{own}"));
    run(&script::seal(), folder.path());
    assert_eq!(fs::read_to_string(folder.path().join("etc/hosts")).unwrap(), kept);
}

#[test]
fn a_log_that_programs_hold_open_is_kept_empty() {
    let folder = tempfile::tempdir().unwrap();
    plant(folder.path(), "/var/log/syslog", "line\n");
    run(&script::seal(), folder.path());
    assert_eq!(fs::read_to_string(folder.path().join("var/log/syslog")).unwrap(), "");
}

#[test]
fn the_book_has_the_table() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/sealing.md")).unwrap();
    let wanted = super::markdown();
    assert!(page.contains(&wanted), "docs/sealing.md should contain:\n\n{wanted}");
}
