//! Interrupting a command that has something to clean up: signals together are one, the clean-up has a deadline, the second
//! signal ends at once.
#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[expect(dead_code, reason = "other test files use the rest")]
mod common;
#[expect(dead_code, reason = "other test files use the rest")]
#[path = "common/stopped.rs"]
mod stopped;

use std::time::Duration;

use common::{Ended, World};
use nix::sys::signal::Signal;
use serde_json::json;
use stopped::Running;

/// A world whose bake takes its time.
async fn world() -> World {
    let world = World::with_service().await;
    world.edit("\"mkdir -p /opt\"", "\"mkdir -p /opt\", \"sleep 30\"");
    world
}

/// Begins a bake whose clean-up waits for each removal of a droplet this long, and interrupts it.
async fn interrupted(world: &World, removal: Duration, signals: &[Signal]) -> Running {
    let delay = u64::try_from(removal.as_millis()).unwrap();
    world.fault(json!({ "method": "DELETE", "path": "/v2/droplets/*", "fault": "delay", "delay_ms": delay })).await;
    let mut bake = Running::start(world, &["bake"]);
    bake.until("provision").await;
    for signal in signals {
        bake.signal(*signal);
    }
    bake
}

/// Ended by 130, and no machine is left.
async fn is_clean(world: &World, ended: Ended) {
    let ended = ended.code(130).says("interrupted: cleaning up").says_not("stopped at once");
    let droplets = world.standing().await.droplets;
    assert!(droplets.is_empty(), "{droplets:?}\n{}", ended.text());
}

#[tokio::test]
async fn signals_that_arrive_together_are_one() {
    let world = world().await;
    // As `timeout` sends them, to the process and to its group, and as a terminal that is closed does.
    let signals = [Signal::SIGTERM, Signal::SIGTERM, Signal::SIGCONT, Signal::SIGHUP, Signal::SIGINT];
    let bake = interrupted(&world, Duration::from_secs(2), &signals).await;
    is_clean(&world, bake.end().await).await;
}

#[tokio::test]
async fn a_hangup_is_like_a_termination() {
    let world = world().await;
    let bake = interrupted(&world, Duration::ZERO, &[Signal::SIGHUP]).await;
    is_clean(&world, bake.end().await).await;
}

#[tokio::test]
async fn a_second_signal_ends_at_once_and_says_what_is_left() {
    let world = world().await;
    let bake = interrupted(&world, Duration::from_secs(600), &[Signal::SIGINT]).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    bake.signal(Signal::SIGTERM);
    let ended = bake.end().await.code(130).says("stopped at once").says("remint gc");
    world.no_faults().await;
    drop(ended);
}

#[tokio::test]
async fn a_clean_up_that_does_not_end_is_given_up() {
    let world = world().await;
    world.fault(json!({ "method": "DELETE", "path": "/v2/droplets/*", "fault": "delay", "delay_ms": 600_000 })).await;
    let mut command = world.command(&["--json", "bake"]);
    command.env("REMINT_CLEANUP_TIMEOUT", "2s");
    let mut bake = Running::of(command, &["bake"]);
    bake.until("provision").await;
    bake.signal(Signal::SIGINT);
    bake.end().await.code(130).says("the clean-up did not end within 2s").says("remint gc");
    world.no_faults().await;
}
