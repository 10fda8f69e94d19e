//! `remint conformance new-provider` writes a crate that compiles as it is, without a warning: it has every method of every
//! contract.
#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The folder that this program was built into.
fn target() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_remint")).ancestors().nth(2).unwrap().to_owned()
}

fn new_provider(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_remint"));
    command.current_dir(folder).args(["conformance", "new-provider"]).args(arguments).output().unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn the_new_crate_compiles_without_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let written = new_provider(folder.path(), &["acme", "--remint", root().to_str().unwrap()]);
    assert!(written.status.success(), "{}", text(&written));
    let package = folder.path().join("remint-acme");
    // The versions that this workspace is built from, so that nothing is fetched; and its profile, so that what was compiled
    // for it serves here.
    fs::copy(root().join("Cargo.lock"), package.join("Cargo.lock")).unwrap();
    let profile = root().join(".cargo/config.toml");

    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(&package).args(["check", "--offline", "--all-targets", "--target-dir"]).arg(target());
    command.arg("--config").arg(profile);
    let checked = command.output().unwrap();
    assert!(checked.status.success(), "{}", text(&checked));
    assert!(!text(&checked).contains("`remint-acme` ("), "it warns:\n{}", text(&checked));
}

#[test]
fn nothing_is_written_over_and_no_bad_name_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("taken")).unwrap();
    fs::write(folder.path().join("taken/notes"), "mine").unwrap();
    for (arguments, code, says) in [
        (&["acme", "--path", "taken"][..], 1, "already exists and is not empty"),
        (&["Acme"], 2, "cannot be a provider's id"),
        (&["aws"], 2, "this build has a provider `aws` already"),
        (&["acme", "--remint", "taken"], 2, "no checkout of Remint"),
    ] {
        let refused = new_provider(folder.path(), arguments);
        assert_eq!(refused.status.code(), Some(code), "{}", text(&refused));
        assert!(text(&refused).contains(says), "{}", text(&refused));
    }
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["taken"]);
}
