use super::*;

const SETTINGS: [&str; 6] = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"];

fn run(folder: &Path, args: &[&str]) {
    let mut git = Command::new("git");
    let output = git.arg("-C").arg(folder).args(SETTINGS).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A repository with one committed file.
fn repository() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), &["init", "--quiet", "--initial-branch", "trunk"]);
    fs::write(dir.path().join("file"), "content\n").unwrap();
    run(dir.path(), &["add", "."]);
    run(dir.path(), &["commit", "--quiet", "-m", "one"]);
    dir
}

fn dirty(folder: &Path) -> String {
    Git::new(folder).get("dirty").unwrap()
}

/// A command line that leaves a file behind, and the file.
fn canary(folder: &Path) -> (String, PathBuf) {
    let file = folder.join("canary");
    (format!("touch {}; cat", file.display()), file)
}

#[test]
fn tells_commit_branch_and_dirt() {
    let dir = repository();
    let git = Git::new(dir.path());
    let sha = git.get("sha").unwrap();
    assert_eq!(sha.len(), 40);
    assert_eq!(git.get("short").unwrap(), sha[..12]);
    assert_eq!(git.get("branch").unwrap(), "trunk");
    assert_eq!(git.get("dirty").unwrap(), "false");
    fs::write(dir.path().join("new"), "").unwrap();
    assert_eq!(git.get("dirty").unwrap(), "false", "asked once");
    assert_eq!(dirty(dir.path()), "true");
    // From a folder below, it is the same repository.
    fs::create_dir(dir.path().join("below")).unwrap();
    assert_eq!(Git::new(&dir.path().join("below")).get("sha").unwrap(), sha);
}

#[test]
fn every_kind_of_change_is_dirt_and_what_is_ignored_is_none() {
    let dir = repository();
    let file = dir.path().join("file");
    for (change, undo) in [("changed\n", "content\n"), ("cONTENT\n", "content\n")] {
        fs::write(&file, change).unwrap();
        assert_eq!(dirty(dir.path()), "true", "{change}");
        fs::write(&file, undo).unwrap();
        assert_eq!(dirty(dir.path()), "false", "the same content again");
    }
    fs::remove_file(&file).unwrap();
    assert_eq!(dirty(dir.path()), "true");
    run(dir.path(), &["checkout", "--quiet", "file"]);
    fs::write(dir.path().join(".git/info/exclude"), "*.log\n").unwrap();
    fs::write(dir.path().join("x.log"), "").unwrap();
    assert_eq!(dirty(dir.path()), "false", "ignored by the clone");
    fs::write(dir.path().join("staged"), "").unwrap();
    run(dir.path(), &["add", "staged"]);
    assert_eq!(dirty(dir.path()), "true");
    run(dir.path(), &["rm", "--quiet", "--force", "staged"]);
    // Settings that say how files are compared are respected.
    run(dir.path(), &["config", "core.filemode", "false"]);
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    assert_eq!(dirty(dir.path()), "false");
    run(dir.path(), &["config", "core.filemode", "true"]);
    assert_eq!(dirty(dir.path()), "true");
}

#[test]
fn worktrees_split_indexes_and_other_hashes_are_read() {
    let dir = repository();
    let other = dir.path().join("../").join(format!("{}-other", dir.path().file_name().unwrap().to_string_lossy()));
    run(dir.path(), &["worktree", "add", "--quiet", "-b", "side", other.to_str().unwrap()]);
    let git = Git::new(&other);
    assert_eq!((git.get("branch").unwrap(), git.get("dirty").unwrap()), ("side".to_owned(), "false".to_owned()));
    fs::write(other.join("new"), "").unwrap();
    assert_eq!((dirty(&other), dirty(dir.path())), ("true".to_owned(), "false".to_owned()));
    fs::remove_dir_all(&other).unwrap();

    run(dir.path(), &["update-index", "--split-index"]);
    assert_eq!(dirty(dir.path()), "false");
    fs::write(dir.path().join("file"), "x").unwrap();
    assert_eq!(dirty(dir.path()), "true");

    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), &["init", "--quiet", "--object-format", "sha256"]);
    run(dir.path(), &["commit", "--quiet", "--allow-empty", "-m", "one"]);
    assert_eq!(Git::new(dir.path()).get("sha").unwrap().len(), 64);
    assert_eq!(dirty(dir.path()), "false");
}

#[test]
fn without_a_repository_or_a_commit_the_reason_is_given() {
    let dir = tempfile::tempdir().unwrap();
    let error = Git::new(dir.path()).get("sha").unwrap_err();
    assert!(error.contains("is not in a git repository"), "{error}");
    run(dir.path(), &["init", "--quiet"]);
    let error = Git::new(dir.path()).get("sha").unwrap_err();
    assert!(error.contains("there is no commit yet"), "{error}");
    assert_eq!(dirty(dir.path()), "false");
    fs::write(dir.path().join("new"), "").unwrap();
    assert_eq!(dirty(dir.path()), "true");
}

/// Settings that name a program, each with what makes `git status` run it.
#[test]
fn no_setting_of_a_repository_runs_a_program() {
    let outside = tempfile::tempdir().unwrap();
    let (line, file) = canary(outside.path());
    let script = outside.path().join("script");
    fs::write(&script, format!("#!/bin/sh\n{line}\n")).unwrap();
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let script = script.to_str().unwrap();
    let included = outside.path().join("included");
    fs::write(&included, format!("[core]\n\tfsmonitor = {script}\n[filter \"x\"]\n\tclean = {script}\n")).unwrap();
    let settings = [
        ("core.fsmonitor", script),
        ("filter.x.clean", script),
        ("filter.x.process", script),
        ("include.path", included.to_str().unwrap()),
        ("core.sshCommand", script),
        ("core.pager", script),
        ("diff.external", script),
        ("diff.x.textconv", script),
        ("diff.x.command", script),
        ("status.submoduleSummary", "true"),
        ("alias.status", "!false"),
    ];
    for attributes in [".gitattributes", ".git/info/attributes"] {
        for (key, value) in settings {
            let dir = repository();
            run(dir.path(), &["config", key, value]);
            fs::write(dir.path().join(attributes), "file filter=x diff=x\n").unwrap();
            // The index has other times than the file: its content is compared.
            fs::write(dir.path().join("file"), "cONTENT\n").unwrap();
            for name in NAMES {
                let value = Git::new(dir.path()).get(name).unwrap();
                assert!(*name != "dirty" || value == "true", "{key}");
            }
            assert!(!file.exists(), "{key} was run, by {attributes}");
        }
    }
    let hooks = repository();
    for hook in ["post-index-change", "reference-transaction", "fsmonitor-watchman"] {
        fs::copy(script, hooks.path().join(".git/hooks").join(hook)).unwrap();
    }
    assert_eq!(dirty(hooks.path()), "false");
    assert!(!file.exists(), "a hook was run");
}

#[test]
fn a_missing_object_is_not_fetched() {
    let outside = tempfile::tempdir().unwrap();
    let (line, file) = canary(outside.path());
    let dir = repository();
    for (key, value) in [
        ("remote.origin.url", "ssh://example.invalid/x"),
        ("remote.origin.promisor", "true"),
        ("remote.origin.partialclonefilter", "blob:none"),
        ("extensions.partialClone", "origin"),
        ("core.repositoryformatversion", "1"),
        ("core.sshCommand", line.as_str()),
        ("remote.origin.uploadpack", line.as_str()),
        ("protocol.allow", "always"),
    ] {
        run(dir.path(), &["config", key, value]);
    }
    let objects = fs::read_dir(dir.path().join(".git/objects")).unwrap().map(|entry| entry.unwrap().path());
    for folder in objects.filter(|path| path.file_name().unwrap().len() == 2) {
        fs::remove_dir_all(folder).unwrap();
    }
    let answer = Git::new(dir.path()).get("dirty");
    assert!(answer.is_err(), "{answer:?}");
    assert!(!file.exists(), "something was fetched");
}

/// A checkout cannot carry a `.git`, but files with any other name: a bare repository among them.
#[test]
fn a_folder_that_looks_like_a_bare_repository_is_not_taken_for_one() {
    let outer = repository();
    let sha = Git::new(outer.path()).get("sha").unwrap();
    let (line, file) = canary(&outer.path().join(".git"));
    let planted = outer.path().join("service");
    for folder in ["objects", "refs/heads"] {
        fs::create_dir_all(planted.join(folder)).unwrap();
    }
    fs::write(planted.join("HEAD"), "ref: refs/heads/main\n").unwrap();
    let config = format!("[core]\n\tbare = false\n\tworktree = {}\n\tfsmonitor = \"{line}\"\n", planted.display());
    fs::write(planted.join("config"), config).unwrap();
    fs::write(planted.join("refs/heads/main"), &sha).unwrap();
    let git = Git::new(&planted);
    assert_eq!((git.get("sha").unwrap(), git.get("branch").unwrap()), (sha, "trunk".to_owned()));
    assert_eq!(git.get("dirty").unwrap(), "true");
    assert!(!file.exists(), "fsmonitor was run");

    // Without a repository around it, there is none.
    let alone = tempfile::tempdir().unwrap();
    fs::rename(&planted, alone.path().join("service")).unwrap();
    let error = Git::new(&alone.path().join("service")).get("dirty").unwrap_err();
    assert!(error.contains("is not in a git repository"), "{error}");
    assert!(!file.exists(), "fsmonitor was run");
}

#[test]
fn a_submodule_s_settings_run_nothing() {
    let (dir, inner) = (repository(), repository());
    let (line, file) = canary(inner.path());
    run(
        dir.path(),
        &["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", inner.path().to_str().unwrap(), "sub"],
    );
    run(dir.path(), &["commit", "--quiet", "-m", "two"]);
    assert_eq!(dirty(dir.path()), "false");
    run(&dir.path().join("sub"), &["config", "core.fsmonitor", &line]);
    fs::write(dir.path().join("sub/file"), "cONTENT\n").unwrap();
    assert_eq!(dirty(dir.path()), "false", "a submodule's files are its own");
    run(&dir.path().join("sub"), &["-c", "core.fsmonitor=false", "commit", "--quiet", "--allow-empty", "-m", "moved"]);
    assert_eq!(dirty(dir.path()), "true", "its commit is not");
    assert!(!file.exists(), "fsmonitor was run");
}
