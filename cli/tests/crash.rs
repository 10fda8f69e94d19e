//! A `remint` that is killed or interrupted in each phase, and what the next one makes of it: on simulated machines.
#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[path = "common/client.rs"]
mod client;
#[expect(dead_code, reason = "other test files use the rest")]
mod common;
#[expect(dead_code, reason = "other test files use the rest")]
#[path = "common/stopped.rs"]
mod stopped;

use client::Client;
use common::{Standing, World};
use nix::sys::signal::Signal;
use stopped::{Running, stop_at};

/// The moments of a deploy: the phases of its bake, the image that is ready, the phases of the release.
const MOMENTS: [&str; 13] = [
    "builder",
    "cloud-init",
    "provision",
    "verify",
    "seal",
    "stop",
    "capture",
    "image_ready",
    "launching",
    "gating",
    "switching",
    "verifying",
    "retiring",
];

/// A service that stays in each phase long enough to be met there.
async fn world() -> World {
    let world = World::with_service().await;
    world.edit("drain = \"0s\"", "drain = \"300ms\"");
    world
}

/// One version serves, from one instance, behind the address; beside it stand so many images, and nothing else.
async fn settled(world: &World, version: &str, images: usize, when: &str) {
    let standing = world.standing().await;
    let Standing { droplets, images: found, reserved_ips, keys, .. } = &standing;
    assert_eq!((droplets.len(), reserved_ips.len()), (1, 1), "{when}: {standing:#?}");
    assert_eq!((found.len(), keys.len()), (images, 0), "{when}: {standing:#?}");
    assert_eq!(reserved_ips.values().next().unwrap().as_ref(), droplets.keys().next(), "{when}: {standing:#?}");
    let ip = reserved_ips.keys().next().unwrap();
    assert_eq!(world.page(ip).await, (200, format!("version {version}")), "{when}");
    let status = world.json(&["status"]).await;
    assert!(status["unfinished"].is_null() && status["lock"].is_null(), "{when}: {status:#}");
}

async fn destroy(world: &World, when: &str) {
    world.remint(&["destroy", "--images", "--yes"]).await.success();
    let standing = world.standing().await;
    assert!(standing.is_empty(), "{when}, after destroy: {standing:#?}");
}

#[tokio::test]
async fn a_first_deploy_that_is_killed_in_any_phase_is_finished_by_the_next() {
    let world = world().await;
    for moment in MOMENTS {
        let killed = stop_at(&world, &["deploy"], moment, Signal::SIGKILL).await;
        assert_eq!(killed.code, None, "{}", killed.text());
        world.remint(&["deploy"]).await.success();
        settled(&world, "v1", 1, moment).await;
        destroy(&world, moment).await;
    }
}

#[tokio::test]
async fn a_replacement_that_is_killed_in_any_phase_is_finished_by_the_next_while_the_page_answers() {
    let world = world().await;
    world.remint(&["deploy"]).await.success();
    let client = Client::start(&world.endpoint(&world.static_ip().await, 80));
    for (index, moment) in MOMENTS.iter().enumerate() {
        let version = format!("v{}", index + 2);
        let args = ["deploy", "--var", &format!("version={version}")];
        stop_at(&world, &args, moment, Signal::SIGKILL).await;
        world.remint(&args).await.success();
        settled(&world, &version, index + 2, moment).await;
    }
    let (asked, failures) = client.stop().await;
    assert!(asked > 100, "asked only {asked} times");
    assert!(failures.is_empty(), "of {asked} requests, {} failed: {failures:#?}", failures.len());
}

#[tokio::test]
async fn a_release_that_was_killed_is_finished_by_resume_or_undone_by_abort() {
    let world = world().await;
    world.remint(&["deploy"]).await.success();
    let mut served = "v1".to_owned();
    for (index, moment) in ["launching", "gating", "switching", "verifying", "retiring"].iter().enumerate() {
        for (verb, undoes) in [("abort", *moment != "retiring"), ("resume", false)] {
            let when = format!("{verb} after {moment}");
            let version = format!("{verb}-{index}");
            let args = ["deploy", "--var", &format!("version={version}")];
            stop_at(&world, &args, moment, Signal::SIGKILL).await;
            let unfinished = world.json(&["status"]).await["unfinished"].clone();
            world.remint(&[verb, "--var", &format!("version={version}")]).await.success();
            // A process that is killed a moment too late is in the next phase, or done.
            let past_return = unfinished.is_null() || unfinished[1] == "retiring";
            if !undoes || past_return {
                served = version;
            }
            let images = world.standing().await.images.len();
            settled(&world, &served, images, &when).await;
        }
    }
}

#[tokio::test]
async fn a_killed_bake_leaves_nothing_after_resume_abort_or_gc() {
    let world = world().await;
    for verb in [&["resume"][..], &["abort"], &["gc", "--yes"]] {
        stop_at(&world, &["deploy"], "provision", Signal::SIGKILL).await;
        let left = world.standing().await;
        assert_eq!((left.droplets.len(), left.keys.len()), (1, 1), "{left:#?}");
        world.remint(verb).await.success();
        let standing = world.standing().await;
        assert!(standing.is_empty(), "{verb:?}: {standing:#?}");
    }
}

#[tokio::test]
async fn an_interrupted_first_deploy_leaves_nothing() {
    let world = world().await;
    for (moment, signal) in [
        ("builder", Signal::SIGINT),
        ("provision", Signal::SIGTERM),
        ("capture", Signal::SIGINT),
        ("gating", Signal::SIGINT),
        ("verifying", Signal::SIGTERM),
    ] {
        let ended = stop_at(&world, &["deploy"], moment, signal).await.code(130);
        let Standing { droplets, reserved_ips, keys, images, .. } = world.standing().await;
        assert!(droplets.is_empty() && reserved_ips.is_empty() && keys.is_empty(), "{moment}\n{}", ended.text());
        assert!(images.len() <= 1, "an image that is whole may stay");
        let status = world.json(&["status"]).await;
        assert!(status["unfinished"].is_null() && status["lock"].is_null(), "{moment}: {status:#}");
    }
    world.remint(&["deploy"]).await.success();
    settled(&world, "v1", 1, "after the interruptions").await;
}

#[tokio::test]
async fn an_interrupted_replacement_leaves_the_old_version_serving() {
    let world = world().await;
    world.edit("observe = \"300ms\"", "observe = \"2s\"");
    world.remint(&["deploy"]).await.success();
    let before = world.standing().await;
    for moment in ["provision", "gating", "verifying"] {
        let args = ["deploy", "--var", "version=v2"];
        stop_at(&world, &args, moment, Signal::SIGINT).await.code(130);
        let after = world.standing().await;
        assert_eq!((&after.droplets, &after.reserved_ips), (&before.droplets, &before.reserved_ips), "{moment}");
        settled(&world, "v1", after.images.len(), moment).await;
    }
}

#[tokio::test]
async fn a_second_interruption_ends_at_once_and_says_how_to_go_on() {
    let world = world().await;
    // The first interruption destroys the builder, which this holds up.
    let rule = r#"{"method":"DELETE","path":"/v2/droplets/*","fault":"delay","delay_ms":600000}"#;
    world.remint(&["sandbox", "faults", "add", rule]).await.success();
    world.edit("\"mkdir -p /opt\"", "\"echo here\", \"sleep 600\", \"mkdir -p /opt\"");
    let mut running = Running::start(&world, &["deploy"]);
    running.until("here").await;
    running.signal(Signal::SIGINT);
    running.until("removing the builder").await;
    // Signals that come together are one.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    running.signal(Signal::SIGINT);
    running.end().await.code(130).says("remint resume");
    world.remint(&["sandbox", "faults", "clear"]).await.success();
    world.remint(&["resume"]).await.success();
    assert!(world.standing().await.is_empty());
}

#[tokio::test]
async fn of_two_deploys_the_second_names_the_first_and_a_dead_one_is_replaced_at_once() {
    let world = world().await;
    world.edit("\"mkdir -p /opt\"", "\"echo here\", \"sleep 600\", \"mkdir -p /opt\"");
    let mut first = Running::start(&world, &["deploy"]);
    first.until("here").await;
    let holder = format!("process {}, `remint deploy`", first.pid());
    world.remint(&["deploy"]).await.code(7).says(&holder);
    first.signal(Signal::SIGKILL);
    first.end().await;
    world.edit(", \"sleep 600\"", "");
    world.remint(&["deploy"]).await.success();
    settled(&world, "v1", 1, "after the holder died").await;
}

#[tokio::test]
async fn a_lock_of_another_machine_counts_until_it_expires() {
    let world = world().await;
    world.remint(&["deploy"]).await.success();
    let folder = world.folder().join(".remint/default/lock");
    let newest = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).max().unwrap();
    let mut lock: serde_json::Value = serde_json::from_slice(&std::fs::read(newest).unwrap()).unwrap();
    lock["token"] = 99.into();
    lock["released"] = false.into();
    lock["holder"]["host"] = "elsewhere".into();
    lock["holder"]["place"] = "another kernel".into();
    let mut hold_until = |expires: &str| {
        lock["expires"] = expires.into();
        std::fs::write(folder.join("000000000099.json"), lock.to_string()).unwrap();
    };
    let args = ["deploy", "--var", "version=v2"];
    hold_until("2999-01-01T00:00:00Z");
    world.remint(&args).await.code(7).says("@elsewhere");
    hold_until("2026-01-01T00:00:00Z");
    world.remint(&args).await.success();
    settled(&world, "v2", 2, "after the lock expired").await;
}
