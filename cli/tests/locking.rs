//! The lock of an environment: one holder at a time, however runs race, stop or die, and how people wait for it and free it.
#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[expect(dead_code, reason = "other test files use the rest")]
mod common;
#[expect(dead_code, reason = "other test files use the rest")]
#[path = "common/stopped.rs"]
mod stopped;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use common::{Ended, World};
use nix::sys::signal::Signal;
use serde_json::Value;
use stopped::{Running, stop_at};

/// The exit code of a command that another one locks out.
const LOCKED: i32 = 7;

/// A service whose bake says "here" and then does this.
async fn world(step: &str) -> World {
    let world = World::with_service().await;
    world.edit("\"mkdir -p /opt\"", &format!("\"echo here\", \"{step}\", \"mkdir -p /opt\""));
    world
}

fn locks(world: &World) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(world.journal().join("default/lock")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// The highest lock, as it is stored.
fn lock(world: &World) -> (PathBuf, Value) {
    let newest = locks(world).pop().unwrap();
    let text = fs::read(&newest).unwrap();
    (newest, serde_json::from_slice(&text).unwrap())
}

/// Compiles the library that holds an opening of a file back.
async fn stall(world: &World) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/locking/stall.c");
    let library = world.beside("stall.so");
    let mut compiler = tokio::process::Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).arg("-ldl");
    let status = compiler.status().await.unwrap();
    assert!(status.success(), "cc: {status}");
    library
}

async fn appears(path: &Path) {
    for _ in 0..6000 {
        if path.exists() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{} does not appear", path.display());
}

#[tokio::test]
async fn a_run_that_looks_at_the_lock_while_another_one_takes_it_does_not_get_it() {
    let world = world("sleep 5").await;
    // So that there is a lock to look at, which was given back.
    world.remint(&["abort"]).await.success();
    let (mark, go) = (world.beside("stalled"), world.beside("go"));
    let mut command = world.command(&["--json", "gc", "--yes"]);
    command.env("LD_PRELOAD", stall(&world).await).env("STALL_PATH", "/default/lock/");
    command.env("STALL_MARK", &mark).env("STALL_GO", &go);
    let first = Running::of(command, &["gc", "--yes"]);
    appears(&mark).await;
    let mut second = Running::start(&world, &["bake"]);
    second.until("here").await;
    fs::write(&go, "").unwrap();
    first.end().await.code(LOCKED).says("remint bake");
    second.end().await.code(0);
    let numbers: Vec<_> = locks(&world).iter().map(|file| file.file_name().unwrap().to_owned()).collect();
    assert!(!numbers.iter().any(|number| number == "000000000001.json"), "a number was given twice: {numbers:?}");
}

#[tokio::test]
async fn of_runs_that_start_together_one_works_and_the_others_name_it() {
    let world = world("sleep 2").await;
    let runs = (0..6).map(|_| Running::start(&world, &["bake"]).end());
    let ended = futures_all(runs).await;
    let worked = ended.iter().filter(|ended| ended.code == Some(0)).count();
    assert_eq!(worked, 1, "{:#?}", ended.iter().map(Ended::text).collect::<Vec<_>>());
    for other in ended.into_iter().filter(|ended| ended.code != Some(0)) {
        other.code(LOCKED).says("remint bake");
    }
    let calls = world.calls().await;
    assert_eq!(calls["calls"]["POST /v2/droplets"], 1, "{calls:#}");
}

/// Runs all of them side by side.
async fn futures_all(runs: impl Iterator<Item = impl Future<Output = Ended> + Send + 'static>) -> Vec<Ended> {
    let tasks: Vec<_> = runs.map(tokio::spawn).collect();
    let mut ended = Vec::new();
    for task in tasks {
        ended.push(task.await.unwrap());
    }
    ended
}

#[tokio::test]
async fn a_suspended_run_on_this_host_keeps_its_lock_whatever_the_clock_says() {
    let world = world("sleep 1").await;
    let mut first = Running::start(&world, &["bake"]);
    first.until("here").await;
    first.signal(Signal::SIGSTOP);
    let (file, mut record) = lock(&world);
    record["expires"] = "2026-01-01T00:00:00Z".into();
    fs::write(file, record.to_string()).unwrap();
    let before = world.books();
    for args in [&["bake"][..], &["gc", "--yes"], &["deploy"]] {
        world.refused(args, LOCKED).await.says(&format!("process {}", first.pid()));
    }
    first.signal(Signal::SIGCONT);
    let ended = first.end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.text());
    assert!(!before.of("bake").is_empty() && world.books().of("bake").is_empty(), "the builder is gone by now");
}

#[tokio::test]
async fn lock_wait_waits_for_the_holder_and_names_it() {
    let world = world("sleep 2").await;
    let mut first = Running::start(&world, &["bake"]);
    first.until("here").await;
    let holder = format!("process {}", first.pid());
    let second = world.remint(&["--lock-wait", "60s", "deploy"]).await.success().says(&holder);
    assert_eq!(first.end().await.code, Some(0));
    let deployed = world.standing().await;
    assert_eq!((deployed.droplets.len(), deployed.images.len()), (1, 1), "{deployed:#?}\n{}", second.text());
}

#[tokio::test]
async fn lock_wait_ends_when_its_time_is_up() {
    let world = world("sleep 600").await;
    let mut first = Running::start(&world, &["bake"]);
    first.until("here").await;
    let holder = format!("process {}", first.pid());
    world.refused(&["--lock-wait", "1s", "deploy"], LOCKED).await.says(&holder);
    first.signal(Signal::SIGKILL);
    first.end().await;
    world.remint(&["gc", "--yes"]).await.success();
}

#[tokio::test]
async fn lock_status_says_who_holds_the_lock() {
    let world = world("sleep 600").await;
    world.refused(&["lock", "status"], 0).await.says_not("process");
    let mut first = Running::start(&world, &["bake"]);
    first.until("here").await;
    world.refused(&["lock", "status"], 0).await.says(&format!("process {}", first.pid())).says("remint bake");
    let status = world.json(&["lock", "status"]).await;
    assert!(status.to_string().contains(&first.pid().to_string()), "{status:#}");
    first.signal(Signal::SIGKILL);
    first.end().await;
}

#[tokio::test]
async fn lock_release_is_refused_while_the_holder_lives_on_this_host() {
    let world = world("sleep 600").await;
    let mut first = Running::start(&world, &["bake"]);
    first.until("here").await;
    let ended = world.refused(&["lock", "release", "--yes"], LOCKED).await.says(&format!("process {}", first.pid()));
    world.refused(&["deploy"], LOCKED).await;
    first.signal(Signal::SIGKILL);
    first.end().await;
    drop(ended);
}

#[tokio::test]
async fn lock_release_frees_the_lock_of_a_run_that_nobody_can_see() {
    let world = world("sleep 600").await;
    let mut first = Running::start_elsewhere(&world, &["bake"]);
    first.until("here").await;
    first.signal(Signal::SIGKILL);
    first.end().await;
    world.refused(&["deploy"], LOCKED).await.says("lock release");
    // Somebody has to say that it is dead.
    world.refused(&["lock", "release"], 1).await.says("--yes");
    world.refused(&["deploy"], LOCKED).await;
    world.refused(&["lock", "release", "--yes"], 0).await;
    world.edit(", \"sleep 600\"", "");
    let deployed = world.remint(&["deploy"]).await.success();
    let standing = world.standing().await;
    assert_eq!((standing.droplets.len(), standing.keys.len()), (1, 0), "{standing:#?}\n{}", deployed.text());
}

#[tokio::test]
async fn a_lock_that_was_freed_by_force_is_lost_to_its_holder() {
    let world = world("sleep 5").await;
    let mut first = Running::start_elsewhere(&world, &["bake"]);
    first.until("here").await;
    world.refused(&["lock", "release", "--yes"], 0).await;
    let calls = world.mutations().await;
    let ended = first.end().await.code(LOCKED);
    let later = world.mutations().await;
    assert!(later <= calls + 1, "it went on: {calls} calls, then {later}\n{}", ended.text());
}

#[tokio::test]
async fn a_killed_holder_is_replaced_at_once() {
    let world = world("sleep 600").await;
    stop_at(&world, &["bake"], "here", Signal::SIGKILL).await;
    world.refused(&["lock", "status"], 0).await;
    world.remint(&["gc", "--yes"]).await.success();
    assert!(world.standing().await.is_empty());
}

#[tokio::test]
async fn a_lock_of_another_machine_counts_until_it_expires() {
    let world = World::with_service().await;
    world.remint(&["deploy"]).await.success();
    let (newest, mut lock) = lock(&world);
    lock["token"] = 99.into();
    lock["released"] = false.into();
    lock["holder"]["host"] = "elsewhere".into();
    lock["holder"]["place"] = "another kernel".into();
    let mut hold_until = |expires: &str| {
        lock["expires"] = expires.into();
        fs::write(newest.with_file_name("000000000099.json"), lock.to_string()).unwrap();
    };
    let args = ["deploy", "--var", "version=v2"];
    hold_until("2999-01-01T00:00:00Z");
    world.remint(&args).await.code(LOCKED).says("@elsewhere");
    hold_until("2026-01-01T00:00:00Z");
    world.remint(&args).await.success();
    assert_eq!(world.page(&world.static_ip().await).await, (200, "version v2".to_owned()));
}
