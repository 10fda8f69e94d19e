//! What is refused, or works, before the first release and around the manifest: continuous integration, odd environments, user
//! data, rollbacks without a recipe.
#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[expect(dead_code, reason = "other test files use the rest")]
mod common;

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt as _};

use common::{Ended, World};

fn in_ci() -> Vec<(String, String)> {
    vec![("CI".to_owned(), "true".to_owned())]
}

#[tokio::test]
async fn a_first_deploy_in_ci_with_the_journal_in_the_checkout_is_refused_with_two_ways_out() {
    let world = World::with_service().await;
    for verb in ["deploy", "bake"] {
        let calls = world.mutations().await;
        let refused = world.remint_with(&[verb], &in_ci()).await.code(3);
        refused.says("CI").says("[journal]").says("url").says("--new-journal");
        assert!(!world.journal().exists(), "{verb}: no journal is begun");
        assert_eq!(world.mutations().await, calls, "{verb}");
    }
    // Looking is allowed.
    world.remint_with(&["plan"], &in_ci()).await.success();
    world.remint_with(&["status"], &in_ci()).await.success();
    assert!(!world.journal().join("default").exists(), "looking begins no journal");
    // One way out: it is to be a new journal.
    world.remint_with(&["deploy", "--new-journal"], &in_ci()).await.success();
    // And once it is there, nothing is asked.
    world.remint_with(&["deploy", "--var", "version=v2"], &in_ci()).await.success();
    world.remint_with(&["rollback"], &in_ci()).await.success();
}

#[tokio::test]
async fn a_first_deploy_in_ci_with_the_journal_elsewhere_works() {
    let world = World::with_service().await;
    world.append("[journal]\nurl = \"file:../journal\"\n");
    world.remint_with(&["deploy"], &in_ci()).await.success();
    assert!(world.beside("journal/default").is_dir());
}

#[tokio::test]
async fn a_first_deploy_outside_of_ci_asks_for_nothing() {
    let world = World::with_service().await;
    world.remint(&["deploy"]).await.success();
    assert!(world.journal().is_dir());
}

#[tokio::test]
async fn a_variable_that_is_not_utf_8_stops_nothing() {
    let world = World::with_service().await;
    for args in [&["plan"][..], &["deploy"], &["status"], &["doctor"]] {
        let mut command = world.command(args);
        command.env("ODD", OsStr::from_bytes(b"\xff\xfe")).env(OsStr::from_bytes(b"ODD_\xff"), "1");
        Ended::of(args, command.output().await.unwrap()).success();
    }
}

#[tokio::test]
async fn user_data_that_passes_validate_passes_deploy() {
    let world = World::with_service().await;
    let script = "#!/bin/sh\necho \"${var.greeting} of ${release.service}, for ${HOME}\" > /opt/greeting\n";
    world.write("start.sh", script);
    world.append("[[instance.user_data]]\npath = \"start.sh\"\ninterpolate = true\n");
    for command in ["validate", "plan", "deploy"] {
        world.remint(&[command]).await.success();
    }
    // What is not known is refused by all of them alike.
    world.edit_file("start.sh", "var.greeting", "var.absent");
    for command in ["validate", "plan", "deploy"] {
        world.refused(&[command], 3).await.says("var.absent").says("start.sh");
    }
}

#[tokio::test]
async fn a_variable_of_the_user_data_is_part_of_what_is_deployed() {
    let world = World::with_service().await;
    world.write("start.sh", "#!/bin/sh\necho ${var.greeting} > /opt/greeting\n");
    world.append("[[instance.user_data]]\npath = \"start.sh\"\ninterpolate = true\n");
    world.edit("GREETING = \"${var.greeting}\"", "GREETING = \"hello\"");
    world.remint(&["deploy"]).await.success();
    world.remint(&["plan"]).await.success().says("nothing to do");
    world.remint(&["plan", "--var", "greeting=bye"]).await.success().says_not("nothing to do");
}

/// Two releases, the second of which serves.
async fn two_releases() -> World {
    let world = World::with_service().await;
    world.remint(&["deploy"]).await.success();
    world.remint(&["deploy", "--var", "version=v2"]).await.success();
    world
}

#[tokio::test]
async fn a_rollback_does_not_need_the_base_image() {
    let world = two_releases().await;
    world.edit("base = \"debian-12-x64\"", "base = \"debian-21-x64\"");
    world.remint(&["rollback"]).await.success();
    assert_eq!(world.page(&world.static_ip().await).await, (200, "version v1".to_owned()));
}

#[tokio::test]
async fn a_rollback_does_not_need_the_recipe() {
    let world = two_releases().await;
    // A file that only the bake reads.
    fs::remove_file(world.folder().join("simulation.toml")).unwrap();
    world.remint(&["rollback"]).await.success();
    assert_eq!(world.page(&world.static_ip().await).await, (200, "version v1".to_owned()));
}
