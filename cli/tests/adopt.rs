//! A journal that is lost is rebuilt from the cloud, on each of the three APIs; a service that was made by hand is taken over.
#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[path = "common/client.rs"]
mod client;
#[expect(dead_code, reason = "other test files use the rest")]
mod common;
#[expect(dead_code, reason = "other test files use the rest")]
#[path = "common/stopped.rs"]
mod stopped;

use client::Client;
use common::{Ended, World};
use nix::sys::signal::Signal;
use serde_json::json;
use stopped::stop_at;

/// The exit code of a command that finds something in its way.
const CONFLICT: i32 = 8;
/// That of one that finds instances of another journal.
const FOREIGN: i32 = 13;
const PROVIDERS: [&str; 3] = ["digitalocean", "aws", "gcp"];

async fn remint(world: &World, provider: &str, args: &[&str]) -> Ended {
    world.remint(&[&["--provider", provider], args].concat()).await
}

/// The `--static-ip` that must be named where the API does not label addresses.
fn named(world: &World, provider: &str) -> Vec<String> {
    if provider != "digitalocean" {
        return Vec::new();
    }
    let ips = world.account(provider).static_ips();
    ips.into_keys().flat_map(|ip| ["--static-ip".to_owned(), ip]).collect()
}

async fn adopt(world: &World, provider: &str) -> Ended {
    let named = named(world, provider);
    let args: Vec<&str> = ["adopt", "--yes"].into_iter().chain(named.iter().map(String::as_str)).collect();
    remint(world, provider, &args).await
}

async fn is_empty(world: &World, provider: &str, after: &Ended) {
    let account = world.account(provider);
    let left = (account.instances(), account.images(), account.static_ips(), account.keys());
    assert_eq!(left, Default::default(), "{provider}\n{}", after.text());
}

#[tokio::test]
async fn a_deployed_checkout_that_lost_its_journal_adopts_what_is_there() {
    let world = World::on_every_cloud().await;
    for provider in PROVIDERS {
        remint(&world, provider, &["deploy"]).await.success();
        remint(&world, provider, &["deploy", "--var", "version=v2"]).await.success();
        world.lose_journal();
        let before = world.account(provider).instances();
        remint(&world, provider, &["deploy", "--var", "version=v2"]).await.code(FOREIGN).says("remint adopt");
        // Nobody answers the question: nothing is written.
        remint(&world, provider, &["adopt"]).await.says(if provider == "digitalocean" {
            "--static-ip"
        } else {
            "--yes"
        });
        assert!(!world.journal().join("default/environment.json").exists());
        adopt(&world, provider).await.success().says("serves").says("What the cloud does not tell");
        remint(&world, provider, &["plan", "--var", "version=v2"]).await.success().says("nothing to do");
        assert_eq!(world.account(provider).instances(), before, "{provider}");
        remint(&world, provider, &["history"]).await.success().says("r2").says("adopted");
        remint(&world, provider, &["rollback", "r1"]).await.success().says("nothing was baked");
        remint(&world, provider, &["plan"]).await.success().says("nothing to do");
        let gone = remint(&world, provider, &["destroy", "--images", "--yes"]).await.success();
        is_empty(&world, provider, &gone).await;
        world.lose_journal();
    }
}

/// Kills a deploy in each phase, takes its journal away, and adopts what is left.
async fn killed_in_each_phase(provider: &str) {
    let world = World::on_every_cloud().await;
    world.edit("drain = \"0s\"", "drain = \"1s\"");
    for phase in ["launching", "gating", "switching", "verifying", "retiring"] {
        remint(&world, provider, &["deploy"]).await.success();
        let args = ["--provider", provider, "deploy", "--var", "version=v2"];
        let killed = stop_at(&world, &args, phase, Signal::SIGKILL).await;
        world.lose_journal();
        let adopted = adopt(&world, provider).await;
        assert_eq!(adopted.code, Some(0), "{provider}, {phase}: {}\nafter {}", adopted.text(), killed.text());
        remint(&world, provider, &["deploy", "--var", "version=v2"]).await.success();
        remint(&world, provider, &["plan", "--var", "version=v2"]).await.success().says("nothing to do");
        let account = world.account(provider);
        assert_eq!((account.instances().len(), account.static_ips().len()), (1, 1), "{provider}, {phase}");
        let gone = remint(&world, provider, &["destroy", "--images", "--yes"]).await.success();
        is_empty(&world, provider, &gone).await;
        world.lose_journal();
    }
}

#[tokio::test]
async fn a_deploy_on_digitalocean_that_was_killed_in_any_phase_is_adopted_without_its_journal() {
    killed_in_each_phase("digitalocean").await;
}

#[tokio::test]
async fn a_deploy_on_aws_that_was_killed_in_any_phase_is_adopted_without_its_journal() {
    killed_in_each_phase("aws").await;
}

#[tokio::test]
async fn a_deploy_on_gcp_that_was_killed_in_any_phase_is_adopted_without_its_journal() {
    killed_in_each_phase("gcp").await;
}

/// What a machine by hand runs: the page of another version.
const USER_DATA: &str = "#cloud-config\nwrite_files:\n  - path: /opt/version\n    content: by hand\n  - path: /etc/simulation.toml\n    content: |\n";

#[tokio::test]
async fn a_service_that_was_made_by_hand_is_adopted_and_replaced_without_a_gap() {
    let world = World::with_service().await;
    let simulation: String = common::SIMULATION.lines().map(|line| format!("      {line}\n")).collect();
    let spec = json!({
        "name": "web-1", "region": "nyc3", "size": "s-1vcpu-1gb", "image": "debian-12-x64",
        "user_data": format!("{USER_DATA}{simulation}"),
    });
    let droplet = world.make("/v2/droplets", spec).await["droplet"]["id"].as_u64().unwrap();
    world.active(droplet).await;
    let made = world.make("/v2/reserved_ips", json!({ "region": "nyc3" })).await;
    let ip = made["reserved_ip"]["ip"].as_str().unwrap().to_owned();
    world.assign_by_hand(&ip, droplet).await;
    world.append(&format!("[address]\nstatic_ip = {{ existing = \"{ip}\" }}\n"));
    while world.page(&ip).await.0 != 200 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    // Without a word that they are to be taken over, they are somebody else's.
    world.remint(&["deploy"]).await.code(CONFLICT).says(&ip);
    world.remint(&["adopt", "--yes"]).await.code(CONFLICT).says("--instance");

    let client = Client::start(&world.endpoint(&ip, 80));
    let id = droplet.to_string();
    world.remint(&["adopt", "--yes", "--instance", &id, "--static-ip", &ip]).await.success().says("web-1");
    assert_eq!(world.standing().await.droplets.len(), 1);
    let deployed = world.remint(&["deploy"]).await.success();
    let (asked, failures) = client.stop().await;
    assert!(asked > 20 && failures.is_empty(), "{failures:?} of {asked}\n{}", deployed.text());
    assert_eq!(world.page(&ip).await, (200, "version v1".to_owned()));
    let standing = world.standing().await;
    assert!(standing.droplets.len() == 1 && !standing.droplets.contains_key(&droplet), "{standing:#?}");
    world.remint(&["plan"]).await.success().says("nothing to do");
    world.remint(&["destroy", "--images", "--yes"]).await.success();
    let standing = world.standing().await;
    assert_eq!((standing.droplets.len(), standing.reserved_ips.len()), (0, 1), "the address stays the user's");
}

#[tokio::test]
async fn what_cannot_be_adopted_is_said_before_anything_is_written() {
    let world = World::with_service().await;
    world.remint(&["adopt", "--yes"]).await.code(CONFLICT).says("nothing of default of hello is found");
    world.remint(&["adopt", "--yes", "--instance", "1"]).await.says("there is no instance 1").says("--instance");
    world.remint(&["adopt", "--yes", "--static-ip", "192.0.2.1"]).await.says("the account has no static IP 192.0.2.1");
    world.remint(&["deploy"]).await.success();
    world.remint(&["adopt", "--yes"]).await.code(CONFLICT).says("has releases of default of its own");
    world.lose_journal();
    world.remint(&["adopt", "--yes"]).await.code(CONFLICT).says("--static-ip");
    assert!(!world.journal().join("default/environment.json").exists());
}
