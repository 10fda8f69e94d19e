//! A journal that is damaged, or has things in it that are not ours: said by name, nothing changed, mended on request.
#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[expect(dead_code, reason = "other test files use the rest")]
mod common;
#[expect(dead_code, reason = "other test files use the rest")]
#[path = "common/stopped.rs"]
mod stopped;

use std::{
    fs,
    path::{Path, PathBuf},
};

use common::World;
use nix::sys::signal::Signal;
use stopped::stop_at;

/// The newest file of a folder of the journal.
fn newest(world: &World, folder: &str) -> PathBuf {
    let files = fs::read_dir(world.journal().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "json")).max().unwrap()
}

/// What is left of a file whose writing was cut short.
fn truncate(file: &Path) -> Vec<u8> {
    let whole = fs::read(file).unwrap();
    let part = whole[..whole.len() / 2].to_vec();
    fs::write(file, &part).unwrap();
    part
}

/// Whether some file below a folder has this content.
fn is_kept(folder: &Path, content: &[u8]) -> bool {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).any(|path| match path.is_dir() {
        true => is_kept(&path, content),
        false => fs::read(&path).unwrap() == content,
    })
}

fn name(file: &Path) -> String {
    file.file_name().unwrap().to_str().unwrap().to_owned()
}

/// All commands refuse a damaged object by its name, until it is mended, of which a copy is kept.
async fn is_refused_and_mended(world: &World, damaged: &Path) {
    let part = truncate(damaged);
    let name = name(damaged);
    for args in [&["deploy"][..], &["gc", "--yes"], &["destroy", "--yes"], &["rollback"]] {
        let ended = world.untouched(args).await;
        assert!(!matches!(ended.code, Some(0)), "{}", ended.text());
        ended.says(&name).says("remint journal");
    }
    world.untouched(&["journal", "check"]).await.says(&name);
    // Nothing is mended unless somebody says so.
    world.refused(&["journal", "repair"], 1).await.says("--yes");
    assert_eq!(fs::read(damaged).unwrap(), part);
    world.refused(&["journal", "repair", "--yes"], 0).await;
    assert!(is_kept(&world.journal(), &part), "no copy is kept of {name}");
    world.refused(&["journal", "check"], 0).await;
}

#[tokio::test]
async fn a_truncated_lock_is_named_and_mended() {
    let world = World::with_service().await;
    world.remint(&["deploy"]).await.success();
    is_refused_and_mended(&world, &newest(&world, "default/lock")).await;
    world.remint(&["deploy"]).await.success().says("nothing to do");
    world.remint(&["destroy", "--images", "--yes"]).await.success();
    assert!(world.standing().await.is_empty());
}

#[tokio::test]
async fn a_truncated_entry_is_named_and_mended() {
    let world = World::with_service().await;
    world.remint(&["deploy"]).await.success();
    let before = world.standing().await;
    stop_at(&world, &["deploy", "--force"], "gating", Signal::SIGKILL).await;
    is_refused_and_mended(&world, &newest(&world, "default/releases/000002/journal")).await;
    // What the entry said is lost, and what it spoke of is found again.
    world.remint(&["abort"]).await.success();
    world.remint(&["gc", "--yes"]).await.success();
    let after = world.standing().await;
    assert_eq!((after.droplets, after.keys, after.reserved_ips), (before.droplets, before.keys, before.reserved_ips));
}

#[tokio::test]
async fn an_empty_lock_says_what_is_still_known() {
    let world = World::with_service().await;
    world.remint(&["deploy"]).await.success();
    fs::write(newest(&world, "default/lock"), "").unwrap();
    // What does not need the lock is not held up by it.
    world.refused(&["history"], 0).await.says("r1");
    world.refused(&["show", "r1"], 0).await.says("done");
}

#[tokio::test]
async fn a_release_without_its_record_does_not_lend_its_entries_to_the_next() {
    let world = World::with_service().await;
    world.remint(&["deploy"]).await.success();
    world.remint(&["deploy", "--force"]).await.success();
    let record = world.journal().join("default/releases/000001/release.json");
    let kept = fs::read(&record).unwrap();
    fs::remove_file(&record).unwrap();
    for args in [&["deploy", "--force"][..], &["rollback"], &["gc", "--yes"], &["destroy", "--yes"]] {
        let ended = world.untouched(args).await;
        assert!(!matches!(ended.code, Some(0)), "{}", ended.text());
        ended.says("000001");
    }
    world.untouched(&["journal", "check"]).await.says("000001");
    fs::write(&record, kept).unwrap();
    world.remint(&["destroy", "--images", "--yes"]).await.success();
    assert!(world.standing().await.is_empty());
}

#[tokio::test]
async fn what_is_not_ours_in_the_journal_s_folder_is_ignored_with_a_note() {
    let world = World::with_service().await;
    world.remint(&["deploy"]).await.success();
    for path in [".DS_Store", "default/lock/notes.txt", "default/lock/latest.json", "default/releases/.keep"] {
        fs::write(world.journal().join(path), "not ours").unwrap();
    }
    let journal = world.journal().join("default/releases/000001/journal");
    fs::copy(journal.join("000001.json"), journal.join("000001.json~")).unwrap();
    let release = world.journal().join("default/releases/000001");
    world.copy(&release, "service/.remint/default/releases/000001 copy");
    world.remint(&["status"]).await.success().says("r1");
    world.remint(&["deploy", "--force"]).await.success().says("latest.json");
    world.remint(&["rollback"]).await.success();
    let history = world.json(&["history"]).await;
    assert_eq!(history.as_array().unwrap().len(), 3, "{history:#}");
    world.remint(&["destroy", "--images", "--yes"]).await.success();
    assert!(world.standing().await.is_empty());
    assert_eq!(fs::read(world.journal().join("default/lock/notes.txt")).unwrap(), b"not ours");
}

#[tokio::test]
async fn a_journal_in_memory_is_refused() {
    let world = World::with_service().await;
    world.append("[journal]\nurl = \"memory:///\"\n");
    for args in [&["plan"][..], &["deploy"], &["bake"]] {
        world.refused(args, 3).await.says("memory:").says("journal");
    }
}

#[test]
fn the_book_says_what_a_journal_on_a_network_file_system_is_worth() {
    let pages = fs::read_dir("../docs").unwrap().map(|entry| entry.unwrap().path());
    let mut pages = pages.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    assert!(pages.any(|path| fs::read_to_string(path).unwrap().contains("NFS")), "no page speaks of NFS");
}
