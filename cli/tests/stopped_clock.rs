//! A run that is suspended for longer than its lock lasts, while another one, which cannot see it, takes over: once it goes on, it
//! sends nothing that changes anything, but for the one request that may have passed its check before.
//!
//! This takes more than a minute of real time, all phases side by side. One phase is tested always; `make stopped` tests all.
#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[expect(dead_code, reason = "other test files use the rest")]
mod common;
#[expect(dead_code, reason = "other test files use the rest")]
#[path = "common/stopped.rs"]
mod stopped;

use std::time::{Duration, Instant};

use common::World;
use nix::sys::signal::Signal;
use stopped::Running;

/// How long a run stays suspended: longer than a lock lasts that is not renewed.
const SUSPENDED: Duration = Duration::from_secs(70);
/// The exit code of a command that has lost its lock, or does not get it.
const LOCKED: i32 = 7;

/// The phases of a bake, and those of a release.
const BAKE: [&str; 7] = ["builder", "cloud-init", "provision", "verify", "seal", "stop", "capture"];
const RELEASE: [&str; 5] = ["launching", "gating", "switching", "verifying", "retiring"];

/// Suspends a command in a phase, lets another one work, and looks at what the first one does afterwards.
async fn suspended(verb: &'static str, phase: &'static str) {
    let world = World::with_service().await;
    world.edit("drain = \"0s\"", "drain = \"300ms\"");
    world.remint(&["deploy"]).await.success();
    let ip = world.static_ip().await;
    let when = format!("{verb} in {phase}");

    let mut first = Running::start(&world, &[verb, "--var", "version=v2"]);
    first.until(phase).await;
    first.signal(Signal::SIGSTOP);
    let stopped = Instant::now();
    tokio::time::sleep(SUSPENDED).await;
    // Another host's clock may be a little behind.
    let second = loop {
        let second = Running::start_elsewhere(&world, &["deploy", "--var", "version=v3"]).end().await;
        if second.code != Some(LOCKED) || stopped.elapsed() > 2 * SUSPENDED {
            break second;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    assert_eq!(second.code, Some(0), "{when}: {}", second.text());
    assert_eq!(world.page(&ip).await, (200, "version v3".to_owned()), "{when}");

    let (books, calls) = (world.books(), world.mutations().await);
    first.signal(Signal::SIGCONT);
    let ended = first.end().await;
    let later = world.mutations().await;
    assert!(later <= calls + 1, "{when}: it sent {} further mutations\n{}", later - calls, ended.text());
    assert_eq!(ended.code, Some(LOCKED), "{when}: {}", ended.text());
    assert_eq!(world.page(&ip).await, (200, "version v3".to_owned()), "{when}: {}", ended.text());
    if later == calls {
        let now = world.books();
        assert!(books.beyond(&now).is_empty() && now.beyond(&books).is_empty(), "{when}: {books:#?}\n{now:#?}");
    }
    // And everything is in order for the next one, which finds nothing that it does not know.
    world.remint(&["gc", "--yes"]).await.success();
    let standing = world.standing().await;
    assert_eq!((standing.droplets.len(), standing.keys.len()), (1, 0), "{when}: {standing:#?}\n{}", ended.text());
    assert_eq!(standing.reserved_ips.values().next().unwrap().as_ref(), standing.droplets.keys().next(), "{when}");
}

#[tokio::test]
async fn a_bake_that_was_suspended_for_longer_than_its_lock_lasts_changes_nothing_more() {
    suspended("bake", "provision").await;
}

#[tokio::test]
#[ignore = "two minutes and a dozen sandboxes: make stopped"]
async fn whatever_the_phase_in_which_a_run_was_suspended_it_changes_nothing_more() {
    let bakes = BAKE.map(|phase| tokio::spawn(suspended("bake", phase)));
    let releases = RELEASE.map(|phase| tokio::spawn(suspended("deploy", phase)));
    let mut failed = Vec::new();
    for task in bakes.into_iter().chain(releases) {
        if let Err(error) = task.await {
            failed.push(error.to_string());
        }
    }
    assert!(failed.is_empty(), "{} phases failed, see above", failed.len());
}
