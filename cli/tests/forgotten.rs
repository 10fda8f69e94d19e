//! What the manifest no longer says is not forgotten: it is replaced by a plan, or the change is refused before anything is
//! made. Records, addresses, regions, providers, environments, images.
#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[expect(dead_code, reason = "other test files use the rest")]
mod common;

use std::time::{Duration, Instant};

use common::{Ended, World};
use reqwest::Method;
use serde_json::json;

const WWW: &str = "[dns]\nzone = \"example.test\"\nname = \"www\"\nttl = \"30s\"\n";
/// The least time to live that there is, and [`WWW`]'s.
const TTL: Duration = Duration::from_secs(30);

/// The command refuses, before it changes anything, and says all this. Which of the two codes depends on whether the manifest
/// or what stands is at fault.
async fn is_refused(world: &World, args: &[&str], says: &[&str]) {
    let mut ended = world.untouched(args).await;
    assert!(matches!(ended.code, Some(3 | 8)), "{}", ended.text());
    for text in says {
        ended = ended.says(text);
    }
}

/// A service with a record, deployed.
async fn with_record() -> World {
    let world = World::with_service().await;
    world.make_zone("example.test").await;
    world.make_zone("example.net").await;
    world.append(WWW);
    world.remint(&["deploy"]).await.success();
    world
}

/// Deploys while the record `www.example.test` is looked at: it must stay until the new one, if there is to be one, has been
/// there for the old one's time to live; then it must go, by the deploy itself or the next `gc`.
async fn record_goes_in_its_time(world: &World, new: Option<&str>) {
    let ip = world.static_ip().await;
    let look = async || {
        let (mut replaced, mut before) = (None, Instant::now());
        let started = before;
        loop {
            let asked = Instant::now();
            let records = world.standing().await.records;
            let there = new.is_none_or(|new| records.get(new) == Some(&vec![ip.clone()]));
            if there && replaced.is_none() {
                // At some time since it was last seen not to be there.
                replaced = Some(before);
            }
            before = asked;
            if !records.contains_key("www.example.test") {
                let replaced = replaced.unwrap_or_else(|| panic!("the old record went before the new one came"));
                assert!(new.is_none() || replaced.elapsed() >= TTL, "it went after {:?}", replaced.elapsed());
                return;
            }
            assert!(started.elapsed() < 3 * TTL, "the old record stays: {records:#?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let work = async || {
        world.remint(&["deploy"]).await.success();
        tokio::time::sleep(TTL).await;
        world.remint(&["gc", "--yes"]).await.success();
    };
    tokio::join!(look(), work());
    let records = world.standing().await.records;
    assert_eq!(records.keys().map(String::as_str).collect::<Vec<_>>(), new.into_iter().collect::<Vec<_>>());
    world.remint(&["destroy", "--images", "--yes"]).await.success();
    assert!(world.standing().await.is_empty(), "{:#?}", world.standing().await);
}

#[tokio::test]
async fn a_renamed_record_moves_and_the_old_one_goes_after_its_ttl() {
    let world = with_record().await;
    world.edit("name = \"www\"", "name = \"web\"");
    let planned = world.remint(&["plan"]).await.success();
    record_goes_in_its_time(&world, Some("web.example.test")).await;
    planned.says("web.example.test").says("www.example.test");
}

#[tokio::test]
async fn a_record_in_another_zone_takes_over_and_the_old_one_goes_after_its_ttl() {
    let world = with_record().await;
    world.edit("zone = \"example.test\"", "zone = \"example.net\"");
    let planned = world.remint(&["plan"]).await.success();
    record_goes_in_its_time(&world, Some("www.example.net")).await;
    planned.says("www.example.net").says("www.example.test");
}

#[tokio::test]
async fn a_record_that_the_manifest_drops_is_removed() {
    let world = with_record().await;
    world.edit(WWW, "");
    let planned = world.remint(&["plan"]).await.success();
    record_goes_in_its_time(&world, None).await;
    planned.says("www.example.test");
}

#[tokio::test]
async fn destroy_after_a_record_was_renamed_removes_the_one_that_was_made() {
    let world = with_record().await;
    world.edit("name = \"www\"", "name = \"web\"");
    world.remint(&["destroy", "--images", "--yes"]).await.success();
    assert!(world.standing().await.is_empty(), "{:#?}", world.standing().await);
}

#[tokio::test]
async fn a_change_of_the_ttl_alone_is_planned_and_made() {
    let world = with_record().await;
    world.edit("ttl = \"30s\"", "ttl = \"5m\"");
    world.remint(&["plan"]).await.success().says("www.example.test").says_not("nothing to do");
    let before = world.standing().await;
    world.remint(&["deploy"]).await.success();
    let records = world.books().of("example.test");
    assert!(records.iter().any(|record| record.contains("\"ttl\":300")), "{records:#?}");
    assert_eq!(world.standing().await, before, "and nothing else is changed");
    world.remint(&["plan"]).await.success().says("nothing to do");
}

#[tokio::test]
async fn a_ttl_below_the_provider_s_least_is_raised_with_a_word() {
    let world = World::with_service().await;
    world.make_zone("example.test").await;
    world.append(WWW);
    world.edit("ttl = \"30s\"", "ttl = \"5s\"");
    let planned = world.remint(&["plan"]).await.success().says("TTL");
    assert!(["30 s", "30s"].iter().any(|least| planned.text().contains(least)), "{}", planned.text());
    world.remint(&["deploy"]).await.success();
    // It is what it is to be: the next plan does not find it wrong.
    world.remint(&["plan"]).await.success().says("nothing to do");
}

#[tokio::test]
async fn a_managed_address_gives_way_to_an_existing_one_and_is_given_back() {
    let world = World::with_service().await;
    world.remint(&["deploy"]).await.success();
    let managed = world.static_ip().await;
    let existing = world.make("/v2/reserved_ips", json!({ "region": "nyc3" })).await;
    let existing = existing["reserved_ip"]["ip"].as_str().unwrap().to_owned();
    world.append(&format!("[address]\nstatic_ip = {{ existing = \"{existing}\" }}\n"));
    let planned = world.remint(&["plan"]).await.success();
    let moved = world.remint(&["deploy"]).await.success();
    world.remint(&["gc", "--yes"]).await.success();
    let standing = world.standing().await;
    assert_eq!(standing.droplets.len(), 1, "{standing:#?}");
    let serving = standing.droplets.keys().next().copied();
    assert_eq!(standing.reserved_ips.get(&existing), Some(&serving), "{standing:#?}\n{}", moved.text());
    assert_eq!(standing.reserved_ips.len(), 1, "the managed one is given back: {standing:#?}");
    assert_eq!(world.page(&existing).await, (200, "version v1".to_owned()));
    planned.says(&existing).says(&managed);
    world.remint(&["plan"]).await.success().says("nothing to do");

    // And back: what was not made by us stays.
    world.edit(&format!("static_ip = {{ existing = \"{existing}\" }}"), "static_ip = \"managed\"");
    world.remint(&["deploy"]).await.success();
    world.remint(&["gc", "--yes"]).await.success();
    let standing = world.standing().await;
    assert_eq!(standing.reserved_ips.get(&existing), Some(&None), "{standing:#?}");
    assert_eq!((standing.reserved_ips.len(), standing.droplets.len()), (2, 1), "{standing:#?}");
    world.remint(&["destroy", "--images", "--yes"]).await.success();
    let left = world.standing().await;
    assert_eq!(left.reserved_ips.keys().collect::<Vec<_>>(), [&existing], "{left:#?}");
}

#[tokio::test]
async fn an_address_that_the_manifest_drops_is_given_back_on_every_cloud() {
    for provider in ["digitalocean", "aws", "gcp"] {
        let world = World::on_every_cloud().await;
        let run = async |args: &[&str]| world.remint(&[&["--provider", provider], args].concat()).await.success();
        run(&["deploy"]).await;
        world.append("[address]\nstatic_ip = \"none\"\n");
        let planned = run(&["plan"]).await;
        run(&["deploy"]).await;
        run(&["gc", "--yes"]).await;
        let account = world.account(provider);
        assert_eq!(account.static_ips().len(), 0, "{provider}: {:#?}", world.books());
        assert_eq!(account.instances().len(), 1, "{provider}: {:#?}", world.books());
        planned.says_not("nothing to do");
        world.edit("static_ip = \"none\"", "static_ip = \"managed\"");
        run(&["deploy"]).await;
        let account = world.account(provider);
        let ips = account.static_ips();
        assert_eq!(ips.values().flatten().collect::<Vec<_>>(), account.instances().keys().collect::<Vec<_>>());
        assert_eq!(world.page(ips.keys().next().unwrap()).await.0, 200, "{provider}");
        // Dropped again, and never deployed.
        world.edit("static_ip = \"managed\"", "static_ip = \"none\"");
        run(&["destroy", "--images", "--yes"]).await;
        assert_eq!(world.account(provider).static_ips().len(), 0, "{provider}: {:#?}", world.books());
    }
}

#[tokio::test]
async fn a_change_of_region_is_refused_before_anything_is_made_on_every_cloud() {
    let moves = [
        ("digitalocean", "[providers.digitalocean]\nregion = \"nyc3\"", "sfo3"),
        ("aws", "[providers.aws]\nregion = \"us-east-1\"", "us-west-2"),
        ("gcp", "[providers.gcp]\nregion = \"us-central1-a\"", "europe-west3-a"),
    ];
    for (provider, from, region) in moves {
        let world = World::on_every_cloud().await;
        world.remint(&["--provider", provider, "deploy"]).await.success();
        let old = from.rsplit('"').nth(1).unwrap();
        let to = from.replace(old, region);
        world.edit(from, &to);
        for command in ["deploy", "plan"] {
            is_refused(&world, &["--provider", provider, command], &[old, region]).await;
        }
        // Nothing of the old region is forgotten either.
        world.remint(&["--provider", provider, "destroy", "--images", "--yes"]).await.success();
        let account = world.account(provider);
        assert!(account.instances().is_empty() && account.static_ips().is_empty(), "{:#?}", world.books());
    }
}

#[tokio::test]
async fn a_change_of_provider_is_refused_while_something_stands_at_the_old_one() {
    let world = World::on_every_cloud().await;
    world.remint(&["--provider", "digitalocean", "deploy"]).await.success();
    for command in ["deploy", "plan"] {
        is_refused(&world, &["--provider", "aws", command], &["digitalocean", "aws"]).await;
    }
    // From wherever it is asked for, destroying the environment destroys all of it, or nothing.
    let before = world.books();
    let ended = world.remint(&["--provider", "aws", "destroy", "--yes"]).await;
    let account = world.account("digitalocean");
    match ended.code {
        Some(0) => assert!(account.instances().is_empty() && account.static_ips().is_empty(), "{}", ended.text()),
        _ => assert_eq!(before, world.books(), "{}", ended.text()),
    }
    world.remint(&["--provider", "digitalocean", "destroy", "--images", "--yes"]).await.success();
    let account = world.account("digitalocean");
    assert!(account.instances().is_empty() && account.static_ips().is_empty(), "{}", ended.text());
    // Once nothing stands there, the environment may move.
    world.remint(&["--provider", "aws", "deploy"]).await.success();
}

#[tokio::test]
async fn an_environment_whose_section_is_gone_is_still_reached_by_its_name() {
    let world = World::with_service().await;
    world.remint(&["deploy"]).await.success();
    // The first section takes the place of the nameless environment.
    world.append("[environments.production]\n");
    let (planned, status) = (world.remint(&["plan"]).await.success(), world.remint(&["status"]).await.success());
    world.remint(&["-e", "default", "status"]).await.success().says("r1").says("healthy");
    world.remint(&["-e", "production", "deploy"]).await.success();
    world.edit("[environments.production]", "[environments.live]");
    world.remint(&["status"]).await.success().says("default").says("production");
    world.remint(&["-e", "production", "deploy", "--var", "version=v2"]).await.success();
    for old in ["default", "production"] {
        world.remint(&["-e", old, "destroy", "--images", "--yes"]).await.success();
    }
    assert!(world.standing().await.is_empty(), "{:#?}", world.standing().await);
    planned.says("default");
    status.says("default");
    // A name that never was one is still a mistake.
    world.refused(&["-e", "prodction", "status"], 3).await.says("prodction");
}

/// Three deploys, after which production's image is none of staging's last.
async fn two_environments() -> World {
    let world = World::with_service().await;
    world.append("[environments.staging]\n[environments.production]\n");
    world.edit("drain = \"0s\"", "drain = \"0s\"\nkeep_images = 1");
    world.remint(&["-e", "staging", "deploy"]).await.success();
    world.remint(&["-e", "production", "deploy"]).await.success();
    world.remint(&["-e", "staging", "deploy", "--var", "version=v2"]).await.success();
    assert_eq!(world.standing().await.images.len(), 2);
    world
}

async fn production_can_be_launched_again(world: &World, after: &Ended) {
    let deployed = world.json(&["-e", "production", "deploy", "--force"]).await;
    assert_eq!(deployed["baked"], false, "its image is gone\n{}", after.text());
}

#[tokio::test]
async fn pruning_images_in_one_environment_keeps_what_another_one_runs() {
    let world = two_environments().await;
    let pruned = world.remint(&["-e", "staging", "images", "prune", "--yes"]).await.success();
    production_can_be_launched_again(&world, &pruned).await;
}

#[tokio::test]
async fn destroying_one_environment_with_its_images_keeps_what_another_one_runs() {
    let world = two_environments().await;
    let destroyed = world.remint(&["-e", "staging", "destroy", "--images", "--yes"]).await.success();
    production_can_be_launched_again(&world, &destroyed).await;
}

#[tokio::test]
async fn a_capture_that_took_too_long_is_taken_up_by_the_next_bake_and_known_to_gc() {
    // A twentieth of the real times: a capture takes 3 to 9 s.
    let world = World::started_with(&["--profile", "realistic", "--speed", "20"]).await;
    world.write("remint.toml", common::TINY);
    world.write("simulation.toml", common::SIMULATION);
    world.edit("[[image.provision]]", "[image]\ncapture_timeout = \"1s\"\n\n[[image.provision]]");
    world.remint(&["bake"]).await.code(5);
    // The image appears in its own time.
    for _ in 0..600 {
        let (_, answer) = world.api(Method::GET, "/v2/snapshots?resource_type=droplet", None).await;
        if answer["snapshots"].as_array().is_some_and(|snapshots| !snapshots.is_empty()) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let images = world.standing().await.images;
    assert_eq!(images.len(), 1, "{images:?}");
    let name = images.values().next().unwrap();
    world.remint(&["gc", "--dry-run"]).await.success().says(name);
    world.edit("capture_timeout = \"1s\"", "capture_timeout = \"5m\"");
    let baked = world.remint(&["bake"]).await.success();
    assert_eq!(world.standing().await.images, images, "{}", baked.text());
    let standing = world.standing().await;
    assert!(standing.droplets.is_empty() && standing.keys.is_empty(), "{standing:#?}");
    world.remint(&["images"]).await.success().says(name);
    world.remint(&["destroy", "--images", "--yes"]).await.success();
    assert!(world.standing().await.is_empty(), "{:#?}", world.standing().await);
}

#[tokio::test]
async fn a_static_ip_whose_creation_was_under_way_at_a_kill_is_not_made_twice() {
    let world = World::with_service().await;
    let late = json!({ "method": "POST", "path": "/v2/reserved_ips", "fault": "delay", "delay_ms": 5000 });
    world.fault(late).await;
    let mut command = world.command(&["--json", "deploy"]);
    let mut deploy = command.stdout(std::process::Stdio::null()).spawn().unwrap();
    // Until the call is under way.
    for _ in 0..600 {
        let calls = world.calls().await;
        if calls["calls"]["POST /v2/reserved_ips"] == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    deploy.kill().await.unwrap();
    let ended = world.remint(&["deploy"]).await.success();
    tokio::time::sleep(Duration::from_secs(6)).await;
    let cleaned = world.remint(&["gc", "--yes"]).await.success();
    let standing = world.standing().await;
    assert_eq!(standing.reserved_ips.len(), 1, "{standing:#?}\n{}\n{}", ended.text(), cleaned.text());
    assert_eq!(standing.reserved_ips.values().next().unwrap().as_ref(), standing.droplets.keys().next());
    assert_eq!(world.page(&world.static_ip().await).await, (200, "version v1".to_owned()));
}
