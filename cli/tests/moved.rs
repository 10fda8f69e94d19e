//! A journal that moves to another place, and what it says without a cloud: all environments, and who changed them.
#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[expect(dead_code, reason = "other test files use the rest")]
mod common;

use std::{collections::BTreeMap, fs, path::Path};

use common::World;
use serde_json::json;

/// The exit code of a manifest that must be changed.
const MANIFEST: i32 = 3;

const ENVIRONMENTS: &str =
    "\n[environments.production]\nvars.greeting = \"p\"\n\n[environments.staging]\nvars.greeting = \"s\"\n";

/// All files below a folder.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    World::files(folder)
        .into_iter()
        .map(|file| (file.strip_prefix(folder).unwrap().display().to_string(), fs::read(&file).unwrap()))
        .collect()
}

/// Without what a move writes at either place.
fn content(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = files(folder);
    files.retain(|name, _| name != "move.json" && !name.contains("/lock/"));
    files
}

#[tokio::test]
async fn a_journal_moves_and_the_old_place_refuses_every_command() {
    let world = World::with_service().await;
    world.append(ENVIRONMENTS);
    for environment in ["production", "staging"] {
        world.remint(&["deploy", "-e", environment]).await.success();
    }
    let history = world.json(&["history", "-e", "staging"]).await;
    let (old, new) = (world.journal(), world.beside("moved"));
    let to = &["journal", "move", "--to", "file:../moved"][..];
    world.refused(to, 1).await.says("answer yes");
    assert!(!new.exists());
    world.refused(&[to, &["--to-region", "x", "--yes"]].concat(), 1).await.says("`region` is for a journal at `s3://`");
    let moved =
        world.refused(&[to, &["--yes"]].concat(), 0).await.says("production, staging").says("[journal]\nurl = ");
    let line = moved.stdout.lines().find(|line| line.starts_with("url = ")).unwrap().to_owned();
    assert!(line.contains("/moved\""), "{line}");
    assert_eq!(content(&old), content(&new));

    let before = files(&old);
    for verb in [
        &["plan"][..],
        &["status"],
        &["history"],
        &["show", "r1"],
        &["images"],
        &["lock", "status"],
        &["lock", "release", "--yes"],
        &["deploy", "--force"],
        &["bake"],
        &["rollback"],
        &["resume"],
        &["abort"],
        &["gc", "--yes"],
        &["destroy", "--yes"],
        &["images", "prune", "--yes"],
    ] {
        let args = [verb, &["-e", "staging"]].concat();
        world.refused(&args, MANIFEST).await.says("the journal has moved to `file:/").says(&line);
    }
    world.refused(&["status", "--all"], MANIFEST).await.says(&line);
    world.refused(&["journal", "check", "-e", "staging"], 1).await.says("move.json").says(&line);
    world.refused(&["journal", "repair", "--yes", "-e", "staging"], 1).await.says(&line);
    world.refused(&["journal", "move", "--to", "file:../third", "--yes"], MANIFEST).await.says(&line);
    assert_eq!(files(&old), before, "nothing is written at the old place");

    world.append(&format!("\n[journal]\n{line}\n"));
    assert_eq!(world.json(&["history", "-e", "staging"]).await, history);
    for environment in ["production", "staging"] {
        world.remint(&["journal", "check", "-e", environment]).await.success().says("the journal is whole");
        world.remint(&["deploy", "-e", environment]).await.success().says("nothing to do");
        world.remint(&["destroy", "--images", "--yes", "-e", environment]).await.success();
    }
    assert!(world.standing().await.is_empty());
    assert_eq!(files(&old), before);
}

#[tokio::test]
async fn all_environments_are_listed_without_a_cloud_and_without_a_section() {
    let world = World::with_service().await;
    world.remint(&["status", "--all"]).await.success().says("no environment yet");
    world.append(ENVIRONMENTS);
    for environment in ["production", "staging"] {
        world.remint(&["deploy", "-e", environment]).await.success();
    }
    world.remint(&["deploy", "-e", "staging", "--force"]).await.success();
    world.remint(&["sandbox", "stop"]).await.success();
    world.edit(ENVIRONMENTS, "");
    let text =
        world.remint(&["status", "--all"]).await.success().says("hello in production").says("hello in staging").stdout;
    assert!(text.contains("r1") && text.contains("r2") && text.contains("changed "), "{text}");
    let data = world.json(&["status", "--all"]).await;
    assert_eq!(data["service"], "hello");
    let staging = &data["environments"][1];
    assert_eq!((&staging["environment"], &staging["current"]), (&json!("staging"), &json!(2)), "{data:#}");
    assert!(staging["unfinished"].is_null() && staging["lock"].is_null() && staging["problem"].is_null(), "{data:#}");
    assert!(staging["changed"]["by"].as_str().unwrap().contains('@'), "{data:#}");
    world.remint(&["status", "--all", "--with-secrets"]).await.code(2);
    // Environments with different journals are no one journal's.
    world.append("\n[environments.a]\njournal.url = \"file:a\"\n[environments.b]\nvars.greeting = \"b\"\n");
    world.remint(&["status", "--all"]).await.code(MANIFEST).says("different journals");
    world.remint(&["status", "--all", "-e", "b"]).await.success().says("hello in staging");
    world.edit("\n[environments.a]\njournal.url = \"file:a\"\n[environments.b]\nvars.greeting = \"b\"\n", "");
    world.edit("service = \"hello\"", "service = \"other\"");
    world.remint(&["status", "--all"]).await.code(13).says("hello");
}

#[tokio::test]
async fn a_release_and_a_lock_name_the_ci_job() {
    let world = World::with_service().await;
    let github = [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_SERVER_URL", "https://github.example"),
        ("GITHUB_REPOSITORY", "team/web"),
        ("GITHUB_RUN_ID", "42"),
        ("GITHUB_ACTOR", "octo\u{1b}[31mcat"),
    ];
    let github = github.map(|(name, value)| (name.to_owned(), value.to_owned()));
    world.remint_with(&["deploy"], &github).await.success();
    let job = "CI job https://github.example/team/web/actions/runs/42 of octocat";
    for args in [&["history"][..], &["show", "r1"], &["lock", "status"], &["status", "--all"]] {
        world.remint(args).await.success().says(job).says("@");
    }
    let history = world.json(&["history"]).await;
    assert_eq!(history[0]["record"]["ci"]["user"], "octocat");
    // A release of a Remint that did not write it.
    world.remint(&["deploy", "--force"]).await.success();
    world.remint(&["show", "r2"]).await.success().says_not("CI job");
}
