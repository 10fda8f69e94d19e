//! The whole story of a service, from outside: the command, and what a client and the account see.
#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[expect(dead_code, reason = "other test files use the rest")]
mod common;

use std::net::IpAddr;

use common::{Ended, World};
use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig},
    net::runtime::TokioRuntimeProvider,
};

#[tokio::test]
async fn a_service_is_deployed_replaced_rolled_back_and_destroyed() {
    let world = World::with_service().await;
    world.make_zone("example.test").await;
    world.append("[dns]\nzone = \"example.test\"\nname = \"www\"\n");
    world.remint(&["validate"]).await.success();

    // The first deploy.
    let planned = world.json(&["plan"]).await;
    assert_eq!(steps(&planned), ["bake", "launch", "make_address", "set_record"], "{planned:#}");
    world.remint(&["bake"]).await.success();
    let deployed = world.remint(&["--json", "deploy"]).await.success();
    assert_eq!(deployed.result()["release"], 1, "{}", deployed.text());
    assert_eq!(deployed.result()["baked"], false, "the image was baked before");
    let first = world.standing().await;
    assert_eq!((first.droplets.len(), first.images.len(), first.keys.len()), (1, 1, 0), "{first:#?}");
    let ip = world.static_ip().await;
    assert_eq!(world.page(&ip).await, (200, "version v1".to_owned()));
    assert_eq!(first.records.get("www.example.test"), Some(&vec![ip.clone()]), "{first:#?}");

    // Unchanged: nothing is changed, and it costs little to see that.
    let before = (world.mutations().await, total(&world).await);
    let planned = world.json(&["plan"]).await;
    assert!(steps(&planned).is_empty(), "{planned:#}");
    let cost = total(&world).await - before.1;
    assert!(cost <= 6, "an unchanged plan took {cost} calls");
    world.remint(&["deploy"]).await.success().says("nothing to do");
    assert_eq!(world.mutations().await, before.0, "an unchanged deploy changes nothing");
    assert_eq!(world.standing().await, first);

    // A new version: the old one serves until the new one does.
    let replaced = world.remint(&["--json", "deploy", "--var", "version=v2"]).await.success();
    assert_eq!(replaced.result()["release"], 2);
    let baked: Vec<_> = replaced.events("image_ready");
    assert_eq!(baked.len(), 1, "an image is told of once: {}", replaced.text());
    let probed = &replaced.events("probed")[0];
    assert!(probed["sent"].as_u64().unwrap() > 0 && probed["failed"] == 0, "{probed}");
    let phases: Vec<_> = replaced.events("phase_finished").iter().map(|event| event["phase"].clone()).collect();
    let expected = ["launching", "gating", "switching", "verifying", "retiring"];
    assert_eq!(phases[phases.len() - expected.len()..], expected, "{phases:?}");
    let second = world.standing().await;
    assert_eq!(world.page(&ip).await, (200, "version v2".to_owned()));
    assert_eq!((second.droplets.len(), second.images.len(), second.keys.len()), (1, 2, 0), "{second:#?}");
    assert!(first.droplets.keys().all(|old| !second.droplets.contains_key(old)), "the old droplet is gone");
    assert_eq!((&second.reserved_ips.keys().next(), &second.records), (&Some(&ip), &first.records));
    assert_eq!(resolve(&world, "www.example.test.").await, [ip.parse::<IpAddr>().unwrap()]);

    // The change taken back: the image of that recipe is still there.
    let reverted = world.remint(&["--json", "deploy"]).await.success();
    assert_eq!((&reverted.result()["release"], &reverted.result()["baked"]), (&3.into(), &false.into()));
    assert_eq!(world.standing().await.images, second.images, "nothing was baked");
    assert_eq!(world.page(&ip).await.1, "version v1");

    // Rolled back, and looked at.
    let rolled = world.json(&["rollback", "r2"]).await;
    assert_eq!(rolled["release"], 4, "{rolled:#}");
    assert_eq!(world.page(&ip).await.1, "version v2");
    world.remint(&["--var", "version=v2", "status"]).await.success().says("r4").says(&ip);
    let history = world.json(&["history"]).await;
    let ids: Vec<_> = history.as_array().unwrap().iter().map(|release| release["record"]["id"].clone()).collect();
    assert_eq!(ids, [4, 3, 2, 1], "{history:#}");
    assert_eq!(history[0]["record"]["rollback_of"], 2, "{history:#}");
    world.remint(&["show", "r4"]).await.success().says("rollback");

    // What was printed as JSON, each call of the API, and what a shell is offered.
    let plan = world.remint(&["--json", "plan"]).await.success();
    for (kind, printed) in [("--events", &replaced), ("--events", &plan), ("--plan", &plan)] {
        let schema = world.remint(&["schema", kind]).await.success();
        let validator = jsonschema::validator_for(&serde_json::from_str(&schema.stdout).unwrap()).unwrap();
        for record in printed.records().iter().filter(|record| kind == "--events" || record["event"] == "result") {
            assert!(validator.is_valid(record), "{kind}: {record:#}");
        }
    }
    assert!(!steps(&plan.result()).is_empty(), "a plan with steps: {}", plan.text());
    let status = world.remint(&["-vv", "status"]).await.success();
    let calls: Vec<_> = status.stderr.lines().filter(|line| line.contains("API call: ")).collect();
    let told = |line: &&str| line.contains(", status ") && line.contains(" ms, request ");
    assert!(calls.len() > 1 && calls.iter().all(told), "{}", status.text());
    assert!(calls.iter().any(|line| line.contains(": ok, status 200, ")), "{}", status.text());
    let mut completion = world.command(&["--", "remint", "rollback", "r"]);
    completion.env("REMINT_COMPLETE", "fish");
    Ended::of(&[], completion.output().await.unwrap()).success().says("r4\t").says("r1\t").says_not("r5");

    // Cleaned up, and away.
    let before = world.standing().await;
    world.remint(&["images", "prune"]).await.success();
    world.remint(&["gc", "--yes"]).await.success();
    assert_eq!(world.standing().await, before, "everything that stands is accounted for");
    world.remint(&["destroy"]).await.code(1).says("--yes");
    assert_eq!(world.standing().await, before, "nobody said yes");
    world.remint(&["destroy", "--images", "--yes"]).await.success();
    let left = world.standing().await;
    assert!(left.is_empty(), "{left:#?}");
}

#[tokio::test]
async fn a_change_of_configuration_alone_is_a_release_without_a_bake() {
    let world = World::with_service().await;
    world.remint(&["deploy"]).await.success();
    let before = world.standing().await;
    let deployed = world.json(&["deploy", "--var", "greeting=good evening"]).await;
    assert_eq!((&deployed["release"], &deployed["baked"]), (&2.into(), &false.into()), "{deployed:#}");
    let after = world.standing().await;
    assert_eq!(after.images, before.images);
    assert_ne!(after.droplets, before.droplets, "a server that stands is never changed");
}

#[tokio::test]
async fn a_parked_release_is_back_at_once() {
    let world = World::with_service().await;
    world.edit("drain = \"0s\"", "drain = \"0s\"\nretire = \"park\"");
    world.remint(&["deploy"]).await.success();
    world.remint(&["deploy", "--var", "version=v2"]).await.success();
    let standing = world.standing().await;
    assert_eq!(standing.droplets.len(), 2, "the old one is parked: {standing:#?}");
    let rolled = world.remint(&["--json", "rollback"]).await.success();
    assert!(rolled.events("instance_launched").is_empty(), "nothing is launched: {}", rolled.text());
    assert_eq!(world.page(&world.static_ip().await).await.1, "version v1");
    world.remint(&["destroy", "--images", "--yes"]).await.success();
    assert!(world.standing().await.is_empty());
}

#[tokio::test]
async fn environments_stand_side_by_side() {
    let world = World::with_service().await;
    world.append("[environments.staging.vars]\ngreeting = \"staging\"\n[environments.production]\n");
    world.remint(&["-e", "staging", "deploy"]).await.success();
    let staging = world.standing().await;
    let deployed = world.json(&["-e", "production", "deploy"]).await;
    assert_eq!(deployed["baked"], false, "environments share images");
    let both = world.standing().await;
    assert_eq!((both.droplets.len(), both.reserved_ips.len(), both.images.len()), (2, 2, 1), "{both:#?}");
    world.remint(&["-e", "production", "destroy", "--yes"]).await.success();
    assert_eq!(world.standing().await, staging, "the other one is left alone");
}

#[tokio::test]
async fn what_init_writes_is_ready_to_deploy() {
    let world = World::empty().await;
    world.remint(&["init", "--name", "shop"]).await.success();
    world.remint(&["validate"]).await.success();
    world.remint(&["deploy"]).await.success();
    let (status, page) = world.page(&world.static_ip().await).await;
    assert_eq!((status, page.trim()), (200, "version v1"));
    world.remint(&["init"]).await.code(1).says("already exists");
}

#[tokio::test]
async fn a_failure_under_json_is_its_last_line() {
    let world = World::with_service().await;
    world.edit("[vars]", "[vras]");
    let failed = world.remint(&["--json", "deploy"]).await.code(3);
    let last = failed.records().pop().unwrap();
    assert_eq!((&last["event"], &last["exit_code"]), (&"failed".into(), &3.into()), "{last}");
}

/// Asks the sandbox's DNS server.
async fn resolve(world: &World, name: &str) -> Vec<IpAddr> {
    let mut connection = ConnectionConfig::udp();
    connection.port = world.dns.port();
    let server = NameServerConfig::new(world.dns.ip(), true, vec![connection]);
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
    let resolver = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).build().unwrap();
    resolver.lookup_ip(name).await.unwrap().iter().collect()
}

fn steps(plan: &serde_json::Value) -> Vec<&str> {
    plan["steps"].as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect()
}

async fn total(world: &World) -> u64 {
    world.calls().await["total"].as_u64().unwrap()
}

#[tokio::test]
async fn an_environment_in_another_region_gets_a_copy_of_the_image_that_there_is() {
    let world = World::with_service().await;
    world.append("[environments.production]\n[environments.staging]\n");
    world.remint(&["-e", "production", "deploy"]).await.success();
    world.edit("region = \"nyc3\"", "region = \"sfo3\"");
    let deployed = world.remint(&["--json", "-e", "staging", "deploy"]).await.success();
    assert_eq!(deployed.events("instance_launched").len(), 1, "no builder was: {}", deployed.text());
    let standing = world.standing().await;
    assert_eq!((standing.images.len(), standing.droplets.len()), (1, 2), "{standing:#?}");
    world.remint(&["-e", "staging", "plan"]).await.success().says("nothing to do");
    for environment in ["production", "staging"] {
        world.remint(&["-e", environment, "destroy", "--images", "--yes"]).await.success();
    }
    assert!(world.standing().await.is_empty(), "{:#?}", world.standing().await);
}
