//! Runs that are killed or interrupted at bad moments: what serves goes on serving, and nothing is left that nobody knows.
#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[expect(dead_code, reason = "other test files use the rest")]
mod common;
#[expect(dead_code, reason = "other test files use the rest")]
#[path = "common/stopped.rs"]
mod stopped;

use std::time::Duration;

use common::{Ended, Standing, World};
use nix::sys::signal::Signal;
use serde_json::json;
use stopped::{Running, stop_at, stop_if_at};

/// The exit code of a command that finds something in its way.
const CONFLICT: i32 = 8;
/// That of one that was interrupted.
const INTERRUPTED: i32 = 130;

/// Longer than any fault rule here holds a call back.
const LATE: Duration = Duration::from_secs(8);

async fn sleep_ms(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

/// The address points at a machine that runs, and the page answers with this version.
async fn serves(world: &World, version: &str, ended: &Ended) {
    let standing = world.standing().await;
    let (ip, target) = standing.reserved_ips.iter().next().unwrap_or_else(|| panic!("no address\n{}", ended.text()));
    let target = target.unwrap_or_else(|| panic!("{ip} points nowhere: {standing:#?}\n{}", ended.text()));
    assert!(standing.droplets.contains_key(&target), "{standing:#?}\n{}", ended.text());
    assert_eq!(world.page(ip).await, (200, format!("version {version}")), "{}", ended.text());
}

async fn is_settled(world: &World) {
    let status = world.json(&["status"]).await;
    assert!(status["unfinished"].is_null() && status["lock"].is_null(), "{status:#}");
}

#[tokio::test]
async fn a_rollback_to_the_current_release_is_refused() {
    let world = World::with_service().await;
    world.edit("observe = \"300ms\"", "observe = \"10s\"");
    world.remint(&["deploy"]).await.success();
    let before = world.books();
    let ended = stop_if_at(&world, &["rollback", "r1"], "verifying", Signal::SIGINT).await;
    serves(&world, "v1", &ended).await;
    assert_eq!(world.books().beyond(&before), Vec::<String>::new());
    ended.code(CONFLICT).says("r1 is the current release");
}

#[tokio::test]
async fn a_killed_rollback_to_the_current_release_takes_nothing_away() {
    let world = World::with_service().await;
    world.remint(&["deploy"]).await.success();
    let rule = json!({ "method": "DELETE", "path": "/v2/tags/*", "fault": "delay", "delay_ms": 3000 });
    world.fault(rule).await;
    let before = world.standing().await.droplets;
    let rollback = Running::start(&world, &["rollback", "r1"]);
    sleep_ms(1500).await;
    rollback.signal(Signal::SIGKILL);
    rollback.end().await;
    let ended = world.remint(&["deploy"]).await.success();
    serves(&world, "v1", &ended).await;
    assert_eq!(world.standing().await.droplets, before, "{}", ended.text());
    is_settled(&world).await;
}

/// Two releases, the first of which is parked.
async fn with_a_parked_release() -> World {
    let world = World::with_service().await;
    world.edit("drain = \"0s\"", "drain = \"0s\"\nretire = \"park\"");
    world.remint(&["deploy"]).await.success();
    world.remint(&["deploy", "--var", "version=v2"]).await.success();
    world
}

/// The parked instance goes on being one: a rollback takes it without a launch.
async fn is_parked(world: &World, ended: &Ended) {
    let rolled = world.remint(&["--json", "rollback"]).await;
    assert_eq!(rolled.code, Some(0), "{}\nafter {}", rolled.text(), ended.text());
    assert!(rolled.events("instance_launched").is_empty(), "{}\nafter {}", rolled.text(), ended.text());
    serves(world, "v1", &rolled).await;
}

#[tokio::test]
async fn an_interrupted_rollback_leaves_the_parked_instance_parked() {
    let world = with_a_parked_release().await;
    world.edit("observe = \"300ms\"", "observe = \"5s\"");
    let before = world.books();
    let ended = stop_at(&world, &["rollback"], "verifying", Signal::SIGINT).await.code(INTERRUPTED);
    serves(&world, "v2", &ended).await;
    assert_eq!(before.beyond(&world.books()), Vec::<String>::new(), "{}", ended.text());
    world.edit("observe = \"5s\"", "observe = \"300ms\"");
    is_parked(&world, &ended).await;
}

#[tokio::test]
async fn a_killed_rollback_that_is_aborted_leaves_the_parked_instance_parked() {
    let world = with_a_parked_release().await;
    world.edit("observe = \"300ms\"", "observe = \"5s\"");
    stop_at(&world, &["rollback"], "verifying", Signal::SIGKILL).await;
    world.edit("observe = \"5s\"", "observe = \"300ms\"");
    let ended = world.remint(&["abort"]).await.success();
    serves(&world, "v2", &ended).await;
    is_parked(&world, &ended).await;
}

#[tokio::test]
async fn a_rollback_to_a_parked_release_does_not_need_its_image() {
    let world = with_a_parked_release().await;
    let images = world.standing().await.images;
    let (first, _) = images.iter().next().unwrap();
    let (status, _) = world.api(reqwest::Method::DELETE, &format!("/v2/images/{first}"), None).await;
    assert_eq!(status, 204);
    is_parked(&world, &Ended::nothing()).await;
}

#[tokio::test]
async fn an_address_that_is_moved_back_by_hand_never_ends_up_nowhere() {
    let world = World::with_service().await;
    world.remint(&["deploy"]).await.success();
    let ip = world.static_ip().await;
    let old = *world.standing().await.droplets.keys().next().unwrap();
    world.edit("observe = \"300ms\"", "observe = \"5s\"");
    let mut deploy = Running::start(&world, &["deploy", "--force"]);
    deploy.until("verifying").await;
    world.assign_by_hand(&ip, old).await;
    let ended = deploy.end().await;
    serves(&world, "v1", &ended).await;
    if ended.code == Some(0) {
        let standing = world.standing().await;
        let serving = standing.reserved_ips[&ip].unwrap();
        assert_ne!(serving, old, "it says that the new release serves\n{}", ended.text());
        assert_eq!(standing.droplets.len(), 1, "{standing:#?}");
    }
    is_settled(&world).await;
}

#[tokio::test]
async fn a_late_order_to_move_the_address_is_waited_out_before_anything_is_destroyed() {
    let world = World::with_service().await;
    world.remint(&["deploy"]).await.success();
    let late =
        |method: &str, path: &str, ms: u64| json!({ "method": method, "path": path, "fault": "delay", "delay_ms": ms });
    world.fault(late("POST", "/v2/reserved_ips/*/actions", 6000)).await;
    world.fault(late("DELETE", "/v2/droplets/*", 10_000)).await;
    let mut deploy = Running::start(&world, &["deploy", "--force"]);
    deploy.until("switching").await;
    sleep_ms(700).await;
    deploy.signal(Signal::SIGKILL);
    deploy.end().await;
    let ended = world.remint(&["abort"]).await.success();
    tokio::time::sleep(LATE).await;
    serves(&world, "v1", &ended).await;
    is_settled(&world).await;
}

/// What holds back the next launch of an instance on AWS, and the command that launches one.
async fn slow_launch(world: &World) {
    world.fault(json!({ "path": "/", "action": "RunInstances", "fault": "delay", "delay_ms": 5000 })).await;
}

const AWS: [&str; 2] = ["--provider", "aws"];

#[tokio::test]
async fn an_instance_whose_launch_was_under_way_at_a_kill_is_found_again() {
    let world = World::on_every_cloud().await;
    world.remint(&[&AWS[..], &["deploy"]].concat()).await.success();
    slow_launch(&world).await;
    let mut deploy = Running::start(&world, &[&AWS[..], &["deploy", "--force"]].concat());
    deploy.until("launching").await;
    sleep_ms(700).await;
    deploy.signal(Signal::SIGKILL);
    deploy.end().await;
    let ended = world.remint(&[&AWS[..], &["deploy"]].concat()).await.success();
    tokio::time::sleep(LATE).await;
    let cleaned = world.remint(&[&AWS[..], &["gc", "--yes"]].concat()).await.success();
    let account = world.account("aws");
    assert_eq!(account.instances().len(), 1, "{:#?}\n{}\n{}", account.instances(), ended.text(), cleaned.text());
    let (ip, target) = account.static_ips().into_iter().next().unwrap();
    assert_eq!(target.as_ref(), account.instances().keys().next());
    assert_eq!(world.page(&ip).await.0, 200);
}

/// Interrupts a command on AWS whose launch is under way: it may leave nothing, or what the next run finds.
async fn interrupted_launch(world: &World, args: &[&str], moment: &str) {
    let before = world.account("aws").instances();
    slow_launch(world).await;
    let args = [&AWS[..], args].concat();
    let mut command = Running::start(world, &args);
    command.until(moment).await;
    sleep_ms(700).await;
    command.signal(Signal::SIGINT);
    let ended = command.end().await.code(INTERRUPTED);
    tokio::time::sleep(LATE).await;
    if ended.stdout.contains("nothing of it is left") {
        assert_eq!(world.account("aws").instances(), before, "it said that nothing is left\n{}", ended.text());
    }
    let cleaned = world.remint(&[&AWS[..], &["gc", "--yes"]].concat()).await.success();
    assert_eq!(world.account("aws").instances(), before, "{}\n{}", ended.text(), cleaned.text());
    assert_eq!(world.account("aws").keys(), Vec::<String>::new(), "{}\n{}", ended.text(), cleaned.text());
}

#[tokio::test]
async fn an_interrupted_launch_is_waited_for_or_found_by_gc() {
    let world = World::on_every_cloud().await;
    world.remint(&[&AWS[..], &["deploy"]].concat()).await.success();
    interrupted_launch(&world, &["deploy", "--force"], "launching").await;
}

#[tokio::test]
async fn an_interrupted_launch_of_a_builder_is_waited_for_or_found_by_gc() {
    let world = World::on_every_cloud().await;
    interrupted_launch(&world, &["bake"], "builder").await;
}

#[tokio::test]
async fn an_abort_destroys_what_the_journal_names_although_the_list_is_stale() {
    let world = World::on_every_cloud().await;
    world.remint(&[&AWS[..], &["deploy"]].concat()).await.success();
    let before = world.account("aws").instances();
    stop_at(&world, &[&AWS[..], &["deploy", "--force"]].concat(), "gating", Signal::SIGKILL).await;
    assert_eq!(world.account("aws").instances().len(), 2);
    world.fault(json!({ "path": "/", "action": "DescribeInstances", "fault": "stale_list", "count": 4 })).await;
    let ended = world.remint(&[&AWS[..], &["abort"]].concat()).await;
    world.no_faults().await;
    assert_eq!(world.account("aws").instances(), before, "{}", ended.text());
    ended.success();
}

#[tokio::test]
async fn an_undo_keeps_the_new_instance_when_the_old_one_is_gone() {
    let world = World::with_service().await;
    world.remint(&["deploy"]).await.success();
    let old = *world.standing().await.droplets.keys().next().unwrap();
    world.destroy_by_hand(old).await;
    world.edit("observe = \"300ms\"", "observe = \"5s\"");
    let ended = stop_at(&world, &["deploy"], "verifying", Signal::SIGINT).await;
    serves(&world, "v1", &ended).await;
    world.edit("observe = \"5s\"", "observe = \"300ms\"");
    let ended = world.remint(&["deploy"]).await.success();
    serves(&world, "v1", &ended).await;
    is_settled(&world).await;
}

#[tokio::test]
async fn an_undo_keeps_the_new_instance_when_the_old_one_no_longer_answers() {
    let world = World::with_service().await;
    let lasting = common::SIMULATION;
    world.write("simulation.toml", &format!("crash_after = \"10s\"\n{lasting}"));
    world.remint(&["deploy"]).await.success();
    let old = *world.standing().await.droplets.keys().next().unwrap();
    world.write("simulation.toml", lasting);
    world.edit("observe = \"300ms\"", "observe = \"60s\"");
    let args = ["deploy", "--var", "version=v2"];
    let mut deploy = Running::start(&world, &args);
    deploy.until("verifying").await;
    world.fails(old, "/").await;
    deploy.signal(Signal::SIGINT);
    let ended = deploy.end().await;
    serves(&world, "v2", &ended).await;
}

#[tokio::test]
async fn an_image_whose_boot_check_was_killed_is_checked_before_it_is_used() {
    let world = World::with_service().await;
    world.edit("[[image.provision]]", "[image]\nboot_check = true\n\n[[image.provision]]");
    stop_at(&world, &["bake"], "boot check", Signal::SIGKILL).await;
    let baked = world.remint(&["--json", "bake"]).await.success();
    let phases = baked.events("phase_started");
    assert!(phases.iter().any(|event| event["phase"] == "boot check"), "{}", baked.text());
    let standing = world.standing().await;
    assert_eq!((standing.droplets.len(), standing.images.len(), standing.keys.len()), (0, 1, 0), "{standing:#?}");
}

#[tokio::test]
async fn a_resumed_release_is_asked_for_its_health_before_the_address_moves() {
    let world = World::with_service().await;
    world.remint(&["deploy"]).await.success();
    let old = *world.standing().await.droplets.keys().next().unwrap();
    // Of the new version, the health lasts longer than the gate, and not for ever.
    world.write("simulation.toml", &format!("fail_health_after = \"10s\"\n{}", common::SIMULATION));
    let slow = json!({ "method": "GET", "path": "/v2/reserved_ips/*", "fault": "delay", "delay_ms": 2000, "count": 0 });
    world.fault(slow).await;
    stop_at(&world, &["deploy", "--var", "version=v2"], "switching", Signal::SIGKILL).await;
    world.no_faults().await;
    let sick = *world.standing().await.droplets.keys().find(|id| **id != old).unwrap();
    world.fails(sick, "/health/check").await;
    let ended = world.remint(&["--json", "resume", "--var", "version=v2"]).await;
    let sick = sick.to_string();
    let moved = |event: &serde_json::Value| event["instance"] == *sick;
    assert!(!ended.events("address_moved").iter().any(moved), "{}", ended.text());
    serves(&world, if ended.code == Some(0) { "v2" } else { "v1" }, &ended).await;
    is_settled(&world).await;
}

/// A service that stays in each phase long enough to be met there.
async fn slow_world() -> World {
    let world = World::with_service().await;
    world.edit("drain = \"0s\"", "drain = \"300ms\"");
    world
}

/// One version serves, from one instance, behind the address; there are so many images, and nothing else.
async fn settled(world: &World, version: &str, images: usize, when: &str) {
    let standing = world.standing().await;
    let Standing { droplets, images: found, reserved_ips, keys, .. } = &standing;
    assert_eq!((droplets.len(), reserved_ips.len()), (1, 1), "{when}: {standing:#?}");
    assert_eq!((found.len(), keys.len()), (images, 0), "{when}: {standing:#?}");
    assert_eq!(reserved_ips.values().next().unwrap().as_ref(), droplets.keys().next(), "{when}: {standing:#?}");
    let ip = reserved_ips.keys().next().unwrap();
    assert_eq!(world.page(ip).await, (200, format!("version {version}")), "{when}");
    is_settled(world).await;
}

#[tokio::test]
async fn a_release_that_was_killed_is_finished_by_resume_or_undone_by_abort() {
    let world = slow_world().await;
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
    let world = slow_world().await;
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
    let world = slow_world().await;
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
    let world = slow_world().await;
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
    let world = slow_world().await;
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
