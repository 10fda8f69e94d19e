//! `remint gc`: it finds every kind of thing that Remint makes, deletes only what is proven dead, and only when told to.
#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[expect(dead_code, reason = "other test files use the rest")]
mod common;
#[expect(dead_code, reason = "other test files use the rest")]
#[path = "common/stopped.rs"]
mod stopped;

use std::{collections::BTreeSet, time::Duration};

use common::World;
use jiff::{SignedDuration, Timestamp};
use nix::sys::signal::Signal;
use serde_json::json;
use stopped::{Running, stop_at};

const ENVIRONMENTS: &str = "[environments.staging]\n[environments.production]\n";

#[tokio::test]
async fn gc_lists_and_deletes_nothing_unless_somebody_says_yes() {
    let world = World::with_service().await;
    stop_at(&world, &["bake"], "provision", Signal::SIGKILL).await;
    let left = world.standing().await;
    let (builder, key) = (left.droplets.values().next().unwrap(), left.keys.values().next().unwrap());
    let builder = builder.split(' ').next().unwrap();
    world.refused(&["gc"], 1).await.says("--yes").says(builder).says(key);
    world.refused(&["gc", "--dry-run"], 0).await.says(builder).says(key);
    let deleted = world.remint(&["gc", "--yes"]).await.success().says(builder).says(key);
    assert!(world.standing().await.is_empty(), "{}", deleted.text());
    // With nothing to delete there is nothing to ask.
    world.refused(&["gc"], 0).await;
}

#[tokio::test]
async fn after_destroy_and_gc_nothing_of_ours_is_left_in_any_account() {
    for provider in ["digitalocean", "aws", "gcp"] {
        let world = World::on_every_cloud().await;
        let run = async |args: &[&str]| world.remint(&[&["--provider", provider], args].concat()).await.success();
        let before = world.books();
        run(&["deploy"]).await;
        run(&["deploy", "--var", "version=v2"]).await;
        run(&["destroy", "--images", "--yes"]).await;
        gc_leaves(&world, provider, before.of(provider).len(), provider).await;
    }
}

/// Runs a command until a fault rule hits a call of it, and kills it.
async fn kill_at_fault(world: &World, args: &[&str], rule: serde_json::Value) {
    world.fault(rule).await;
    let running = Running::start(world, args);
    for _ in 0..3000 {
        let faults = world.json(&["sandbox", "faults"]).await;
        if faults["faults"][0]["hit"].as_u64().unwrap() > 0 {
            running.signal(Signal::SIGKILL);
            running.end().await;
            return world.no_faults().await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("no call was hit: {:#}", world.calls().await);
}

/// Runs `gc --yes` until so many lines speak of something: what is too young may still be under way.
async fn gc_leaves(world: &World, provider: &str, count: usize, text: &str) {
    let mut last = None;
    for _ in 0..40 {
        let cleaned = world.remint(&["--provider", provider, "gc", "--yes"]).await.success();
        if world.books().of(text).len() == count {
            return;
        }
        last = Some(cleaned);
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    panic!("{:#?}\n{}", world.books().of(text), last.unwrap().text());
}

#[tokio::test]
async fn gc_finds_the_snapshot_of_an_image_that_was_deregistered_alone() {
    let world = World::on_every_cloud().await;
    world.remint(&["--provider", "aws", "deploy"]).await.success();
    world.remint(&["--provider", "aws", "deploy", "--var", "version=v2"]).await.success();
    // As by hand, or by a deletion that was cut off.
    world.remint(&["sandbox", "stop"]).await.success();
    world.rewrite_books("aws", |books| {
        let images = books["ec2"]["images"].as_object_mut().unwrap();
        let created = |id: &&String| images[*id]["created_at"].as_str().unwrap().to_owned();
        let first = images.keys().min_by_key(created).unwrap().clone();
        images.remove(&first);
    });
    world.remint(&["sandbox", "start"]).await.success();
    assert_eq!((world.books().of("ec2 images").len(), world.books().of("ec2 snapshots").len()), (1, 2));
    gc_leaves(&world, "aws", 1, "ec2 snapshots").await;
    world.remint(&["--provider", "aws", "deploy", "--force"]).await.success();
}

#[tokio::test]
async fn gc_finds_the_target_instance_that_a_killed_move_of_the_address_left() {
    let world = World::on_every_cloud().await;
    world.remint(&["--provider", "gcp", "deploy"]).await.success();
    let one = world.books().of("gce target_instances").len();
    let lost = json!({ "method": "DELETE", "path": "*/targetInstances/*", "fault": "reset_before_commit", "count": 0 });
    kill_at_fault(&world, &["--provider", "gcp", "deploy", "--force"], lost).await;
    world.remint(&["--provider", "gcp", "deploy"]).await.success();
    gc_leaves(&world, "gcp", one, "gce target_instances").await;
    world.remint(&["--provider", "gcp", "destroy", "--images", "--yes"]).await.success();
    gc_leaves(&world, "gcp", 0, "gce ").await;
}

#[tokio::test]
async fn a_builder_of_another_environment_is_left_alone_however_old_it_is() {
    let world = World::with_service().await;
    world.append(ENVIRONMENTS);
    world.remint(&["-e", "production", "deploy"]).await.success();
    world.edit("\"mkdir -p /opt\"", "\"echo here\", \"sleep 600\", \"mkdir -p /opt\"");
    let mut bake = Running::start(&world, &["-e", "staging", "bake"]);
    bake.until("here").await;
    bake.signal(Signal::SIGSTOP);
    // It takes long: nobody says that a bake ends within three hours.
    world.remint(&["sandbox", "stop"]).await.success();
    world.age_builders(SignedDuration::from_hours(4));
    world.remint(&["sandbox", "start"]).await.success();
    let builders = || world.books().of("role:builder");
    assert_eq!(builders().len(), 1, "{:#?}", world.books());
    let cleaned = world.remint(&["-e", "production", "gc", "--yes"]).await.success();
    assert_eq!(builders().len(), 1, "{}", cleaned.text());
    bake.signal(Signal::SIGKILL);
    bake.end().await;
    world.remint(&["-e", "staging", "gc", "--yes"]).await.success();
    assert_eq!(builders(), Vec::<String>::new());
}

impl World {
    /// Makes the builders older than they are, in the books of a sandbox that is stopped.
    fn age_builders(&self, by: SignedDuration) {
        self.rewrite_books("digitalocean", |books| {
            for droplet in books["droplets"].as_object_mut().unwrap().values_mut() {
                if droplet["tags"].to_string().contains("role:builder") {
                    let at: Timestamp = droplet["created_at"].as_str().unwrap().parse().unwrap();
                    droplet["created_at"] = (at - by).to_string().into();
                }
            }
        });
    }
}

/// Two environments, of whose names one goes on where the other ends.
async fn keys_are_kept_apart(other: &str, args: &[&str], moment: &str) {
    let world = World::with_service().await;
    world.append(&format!("[environments.prod]\n[environments.{other}]\n"));
    world.edit("successes = 2", "successes = 60");
    world.remint(&["-e", "prod", "deploy"]).await.success();
    let keys = async || world.standing().await.keys.into_keys().collect::<BTreeSet<_>>();
    stop_at(&world, &["-e", "prod", "deploy", "--force"], "gating", Signal::SIGKILL).await;
    let dead = keys().await;
    let mut live = Running::start(&world, args);
    live.until(moment).await;
    let theirs: BTreeSet<_> = keys().await.difference(&dead).copied().collect();
    assert_eq!((dead.len(), theirs.len()), (1, 1), "one key each");
    live.signal(Signal::SIGSTOP);
    world.remint(&["-e", "prod", "abort"]).await.success();
    world.remint(&["-e", "prod", "gc", "--yes"]).await.success();
    assert_eq!(keys().await, theirs, "the key of {other} is in use");
    live.signal(Signal::SIGCONT);
    let ended = live.end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.text());
}

#[tokio::test]
async fn the_keys_of_an_environment_named_prod_r2_are_none_of_prod_s() {
    keys_are_kept_apart("prod-r2", &["-e", "prod-r2", "deploy"], "gating").await;
}

#[tokio::test]
async fn the_keys_of_an_environment_named_prod_bake_are_none_of_prod_s() {
    let args = ["-e", "prod-bake", "bake", "--var", "version=v2"];
    keys_are_kept_apart("prod-bake", &args, "provision").await;
}
