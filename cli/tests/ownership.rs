//! What is not proven ours is neither changed nor destroyed: a service that another journal deployed, records, addresses and
//! instances of somebody else.
#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[expect(dead_code, reason = "other test files use the rest")]
mod common;
#[expect(dead_code, reason = "other test files use the rest")]
#[path = "common/stopped.rs"]
mod stopped;

use common::World;
use nix::sys::signal::Signal;
use serde_json::json;
use stopped::stop_if_at;

/// The exit code of a command that finds what another journal deployed.
const FOREIGN: i32 = 13;
/// That of one that finds something of somebody else in its way.
const CONFLICT: i32 = 8;

const WWW: &str = "[dns]\nzone = \"example.test\"\nname = \"www\"\nttl = \"30s\"\n";

/// A deployed service whose journal is lost.
async fn without_journal(world: &World) -> String {
    world.remint(&["deploy"]).await.success();
    world.lose_journal();
    world.static_ip().await
}

#[tokio::test]
async fn a_deploy_without_the_journal_is_refused_and_the_service_goes_on_serving() {
    let world = World::with_service().await;
    let ip = without_journal(&world).await;
    world.refused(&["deploy"], FOREIGN).await.says("deployed by another journal");
    assert_eq!(world.page(&ip).await, (200, "version v1".to_owned()));
}

#[tokio::test]
async fn interrupting_a_deploy_without_the_journal_leaves_the_running_instance() {
    let world = World::with_service().await;
    let ip = without_journal(&world).await;
    world.edit("successes = 2", "successes = 100");
    let before = world.books();
    let ended = stop_if_at(&world, &["deploy"], "gating", Signal::SIGINT).await;
    assert_eq!(world.books().beyond(&before), before.beyond(&world.books()), "{}", ended.text());
    assert_eq!(world.page(&ip).await, (200, "version v1".to_owned()), "{}", ended.text());
    ended.code(FOREIGN);
}

#[tokio::test]
async fn interrupting_a_deploy_without_the_journal_gives_back_no_address_that_was_there_before() {
    let world = World::on_every_cloud().await;
    world.edit("observe = \"300ms\"", "observe = \"5s\"");
    world.remint(&["--provider", "aws", "deploy"]).await.success();
    let before = world.account("aws").static_ips();
    world.lose_journal();
    let ended = stop_if_at(&world, &["--provider", "aws", "deploy"], "verifying", Signal::SIGINT).await;
    assert_eq!(world.account("aws").static_ips(), before, "{}", ended.text());
    let ip = before.keys().next().unwrap();
    assert_eq!(world.page(ip).await, (200, "version v1".to_owned()), "{}", ended.text());
    ended.code(FOREIGN);
}

#[tokio::test]
async fn gc_without_the_journal_destroys_nothing() {
    let world = World::with_service().await;
    let ip = without_journal(&world).await;
    world.refused(&["gc", "--yes"], FOREIGN).await.says("deployed by another journal");
    assert_eq!(world.page(&ip).await, (200, "version v1".to_owned()));
}

#[tokio::test]
async fn a_rollback_leaves_a_record_of_somebody_else_alone() {
    let world = World::with_service().await;
    world.make_zone("example.test").await;
    world.append(WWW);
    world.remint(&["deploy"]).await.success();
    world.remint(&["deploy", "--force"]).await.success();
    let record = json!({ "type": "A", "name": "mail", "data": "192.0.2.1", "ttl": 300 });
    world.make("/v2/domains/example.test/records", record).await;
    world.edit("name = \"www\"", "name = \"mail\"");
    world.refused(&["deploy"], CONFLICT).await.says("mail.example.test");
    world.refused(&["rollback"], CONFLICT).await.says("mail.example.test");
}

#[tokio::test]
async fn destroy_removes_the_record_that_it_made_and_no_other() {
    let world = World::with_service().await;
    world.make_zone("example.test").await;
    world.append(WWW);
    world.remint(&["deploy"]).await.success();
    world.remint(&["deploy", "--force"]).await.success();
    let record = json!({ "type": "A", "name": "mail", "data": "192.0.2.1", "ttl": 300 });
    world.make("/v2/domains/example.test/records", record).await;
    world.edit("name = \"www\"", "name = \"mail\"");
    world.remint(&["rollback"]).await;
    world.remint(&["destroy", "--images", "--yes"]).await.success();
    let left = world.standing().await;
    assert_eq!(left.records.get("mail.example.test"), Some(&vec!["192.0.2.1".to_owned()]), "{left:#?}");
    assert_eq!(left.records.len(), 1, "{left:#?}");
    assert!(left.droplets.is_empty() && left.reserved_ips.is_empty(), "{left:#?}");
}

#[tokio::test]
async fn a_record_of_the_same_name_at_another_dns_provider_belongs_to_somebody_else() {
    let world = World::on_every_cloud().await;
    world.make_zone("example.test").await;
    world.remint(&["sandbox", "zone", "example.test", "--api", "aws"]).await.success();
    // Another service, which has the name at the other provider.
    let other = world.checkout("other");
    world.edit_file("../other/remint.toml", "service = \"hello\"", "service = \"other\"");
    world.edit_file("../other/remint.toml", "[vars]", &format!("{WWW}provider = \"aws\"\n[vars]"));
    world.remint(&["-C", &other, "deploy"]).await.success();
    let theirs = world.books().of("aws record \"www.example.test");
    assert_eq!(theirs.len(), 1, "{:#?}", world.books());

    world.append(WWW);
    world.remint(&["deploy"]).await.success();
    world.append("provider = \"aws\"\n");
    world.refused(&["deploy", "--force"], CONFLICT).await.says("www.example.test");
    world.remint(&["destroy", "--yes"]).await;
    assert_eq!(world.books().of("aws record \"www.example.test"), theirs);
}

#[tokio::test]
async fn two_environments_cannot_own_one_record() {
    let world = World::with_service().await;
    world.make_zone("example.test").await;
    world.append(&format!("{WWW}adopt = true\n[environments.staging]\n[environments.production]\n"));
    world.remint(&["-e", "production", "deploy"]).await.success();
    world.refused(&["-e", "staging", "deploy"], CONFLICT).await.says("www.example.test").says("production");
}

#[tokio::test]
async fn destroy_is_refused_while_an_instance_of_somebody_else_uses_the_address() {
    let world = World::with_service().await;
    world.remint(&["deploy"]).await.success();
    let ip = world.static_ip().await;
    let other = world.droplet_by_hand("other").await;
    world.assign_by_hand(&ip, other).await;
    world.refused(&["destroy", "--yes"], CONFLICT).await.says(&ip).says(&other.to_string());
    // Once it is ours again, so is the address.
    world.destroy_by_hand(other).await;
    world.remint(&["destroy", "--images", "--yes"]).await.success();
    assert!(world.standing().await.is_empty());
}

#[tokio::test]
async fn nothing_is_destroyed_by_the_journal_of_another_service() {
    let world = World::with_service().await;
    world.remint(&["deploy"]).await.success();
    world.edit("service = \"hello\"", "service = \"renamed\"");
    for args in [&["destroy", "--yes"][..], &["deploy"], &["gc", "--yes"], &["bake"], &["rollback"]] {
        world.refused(args, FOREIGN).await.says("the journal is of service").says("hello");
    }
    world.edit("service = \"renamed\"", "service = \"hello\"");
    let history = world.json(&["history"]).await;
    assert!(history.to_string().contains("\"done\""), "its releases are as they were: {history:#}");
    world.remint(&["destroy", "--images", "--yes"]).await.success();
    assert!(world.standing().await.is_empty());
}

#[tokio::test]
async fn a_leftover_that_only_has_our_names_is_listed_and_left_alone() {
    let world = World::with_service().await;
    world.remint(&["deploy"]).await.success();
    // Names and labels that anybody could have written, and keys with our names in theirs.
    let droplet = json!({
        "name": "hello-default-r1-0-aaaa", "region": "nyc3", "size": "s-1vcpu-1gb", "image": "debian-12-x64",
        "tags": ["hello", "production"],
    });
    let other = world.make("/v2/droplets", droplet).await["droplet"]["id"].as_u64().unwrap();
    world.active(other).await;
    let key = json!({ "name": "remint-hello-default-r9-mine", "public_key": PUBLIC_KEY });
    world.make("/v2/account/keys", key).await;
    let before = world.books();
    world.remint(&["gc", "--yes"]).await.success();
    world.remint(&["deploy", "--force"]).await.success();
    let gone = before.beyond(&world.books());
    let theirs = |line: &&String| line.contains("-aaaa") || line.contains("-mine");
    assert_eq!(gone.iter().find(theirs), None, "{gone:#?}");
}

const PUBLIC_KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHVzZWQgbm93aGVyZSwgZm9yIHRlc3RzIG9mIGtleXMu hello@example.test";
