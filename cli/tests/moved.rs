//! A journal that moves to another place.
#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[expect(dead_code, reason = "other test files use the rest")]
mod common;

use std::{collections::BTreeMap, fs, path::Path};

use common::World;

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
