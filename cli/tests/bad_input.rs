//! What a user can get wrong: each time one clear error that names the place and the remedy, the documented exit code,
//! everything that stood before as it was, and nothing left behind.
#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[expect(dead_code, reason = "other test files use the rest")]
mod common;

use common::{Ended, World};
use serde_json::json;

/// Runs a command that must fail with this exit code, say all this, and change nothing at all.
async fn refused(world: &World, args: &[&str], code: i32, says: &[&str]) -> Ended {
    let before = world.standing().await;
    let mut ended = world.remint(args).await.code(code);
    for text in says {
        ended = ended.says(text);
    }
    assert_eq!(world.standing().await, before, "{}", ended.text());
    ended
}

/// As [`refused`], and without one call that changes anything: not even something that is taken back.
async fn refused_untouched(world: &World, args: &[&str], code: i32, says: &[&str]) {
    let mutations = world.mutations().await;
    let ended = refused(world, args, code, says).await;
    assert_eq!(world.mutations().await, mutations, "it changed something:\n{}", ended.text());
}

#[tokio::test]
async fn a_manifest_that_is_wrong_is_refused_with_the_place() {
    let world = World::with_service().await;
    let cases = [
        ("greeting = \"hello\"", "greeting = 5", "remint.toml:16:12", "vars.greeting"),
        ("size = \"s-1vcpu-1gb\"", "siz = \"s-1vcpu-1gb\"", "remint.toml:7:1", "size"),
        ("source = \"simulation.toml\"", "source = \"absent.toml\"", "remint.toml:20", "absent.toml"),
        ("greeting = \"hello\"", "greeting = \"${var.version}${var.greeting}\"", "remint.toml:16", "${var.greeting}"),
    ];
    for (from, to, place, says) in cases {
        world.edit(from, to);
        for command in ["validate", "plan", "deploy"] {
            refused_untouched(&world, &[command], 3, &[place, says]).await;
        }
        world.edit(to, from);
    }
    world.remint(&["validate"]).await.success();
}

#[tokio::test]
async fn a_base_without_cloud_init_is_refused_before_any_call() {
    const UBUNTU: &str = "ubuntu-os-cloud/ubuntu-2404-lts-amd64";
    let world = World::with_service().await;
    world.append(
        "\n[providers.gcp]\nregion = \"us-central1-a\"\nsize = \"e2-micro\"\nbase = \"debian-cloud/debian-12\"\n",
    );
    let variables = world.variables("gcp").await;
    let calls = world.calls().await;
    for args in [&["validate"][..], &["plan"], &["deploy"], &["bake"], &["conformance", "run", "--target", "account"]] {
        let args = [&["--provider", "gcp"], args].concat();
        let ended = world.remint_with(&args, &variables).await.code(3);
        let ended = ended.says("remint.toml:").says("base = \"debian-cloud/debian-12\"").says("no cloud-init");
        ended.says(UBUNTU).says("base_has_cloud_init");
    }
    world.edit("debian-cloud/debian-12", UBUNTU);
    let base = ["--provider", "gcp", "conformance", "run", "--base", "debian-cloud/debian-13"];
    for target in ["account", "sandbox"] {
        let args = [&base[..], &["--target", target]].concat();
        world.remint_with(&args, &variables).await.code(2).says("debian-cloud/debian-13").says(UBUNTU);
    }
    assert_eq!(world.calls().await, calls, "no cloud was asked");

    world.remint_with(&["--provider", "gcp", "validate"], &variables).await.success();
    world.edit(UBUNTU, "debian-cloud/debian-12");
    world.append("[providers.gcp.options]\nbase_has_cloud_init = true\n");
    world.remint_with(&["--provider", "gcp", "plan"], &variables).await.success();
    // The sandbox's Debian is as bare as Google's, whatever the manifest says.
    world.remint_with(&["--provider", "gcp", "bake"], &variables).await.says("have no cloud-init");
    assert_eq!(world.standing().await.droplets.len(), 0);
}

#[tokio::test]
async fn what_the_account_does_not_have_is_refused_before_anything_is_made() {
    let world = World::with_service().await;
    let cases = [
        ("size = \"s-1vcpu-1gb\"", "size = \"s-1vpcu-1gb\"", ["s-1vpcu-1gb", "s-1vcpu-1gb"]),
        ("region = \"nyc3\"", "region = \"nyc9\"", ["nyc9", "nyc3"]),
        ("base = \"debian-12-x64\"", "base = \"debian-21-x64\"", ["debian-21-x64", "debian-12-x64"]),
        (
            "size = \"s-1vcpu-1gb\"",
            "size = \"s-1vcpu-1gb\"\nbuilder_size = \"s-4vcpu-8gb\"",
            ["needs a disk of 160 GiB", "choose a larger `size`"],
        ),
    ];
    for (from, to, says) in cases {
        world.edit(from, to);
        for command in ["plan", "deploy"] {
            refused_untouched(&world, &[command], 3, &says).await;
        }
        world.edit(to, from);
    }
}

#[tokio::test]
async fn user_data_over_the_limit_is_refused_before_the_bake() {
    let world = World::with_service().await;
    // Random enough that no compression makes it small.
    let noise: String = (0..9000u64).map(|n| format!("{:x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    world.write("more.sh", &format!("#!/bin/sh\n# {noise}\n"));
    world.append("[[instance.user_data]]\npath = \"more.sh\"\n");
    for command in ["plan", "deploy"] {
        refused_untouched(&world, &[command], 3, &["user data", "65536", "more.sh"]).await;
    }
}

#[tokio::test]
async fn a_missing_or_refused_token_is_said_so() {
    let world = World::with_service().await;
    let run = async |variables: &[(&str, &str)]| {
        let mut command = world.command(&["--provider", "digitalocean", "deploy"]);
        command.envs(variables.iter().copied());
        Ended::of(&["deploy"], command.output().await.unwrap())
    };
    let before = world.standing().await;
    run(&[]).await.code(4).says("DIGITALOCEAN_TOKEN");
    let wrong = "dop_v1_0123456789012345678901234567890123456789012345678901234567890123";
    let ended = run(&[("DIGITALOCEAN_TOKEN", wrong), ("DIGITALOCEAN_API_URL", &world.api_url)]).await;
    ended.code(4).says("401").says("token").says_not(wrong);
    assert_eq!(world.standing().await, before);
}

#[tokio::test]
async fn a_step_that_fails_hangs_or_loses_its_connection_fails_the_bake() {
    let world = World::with_service().await;
    let good = "inline = [\"mkdir -p /opt\", \"echo ${var.version} > /opt/version\"]";
    let cases: [(&str, &[&str]); 3] = [
        ("inline = [\"echo about to fail\", \"exit 1\"]", &["step 2", "status 1", "about to fail"]),
        ("inline = [\"sleep 600\"]\ntimeout = \"300ms\"", &["step 2", "did not end within 0.3 s", "`timeout`"]),
        ("inline = [\"reboot\", \"sleep 30\"]", &["step 2", "expect_reboot = true"]),
    ];
    for (bad, says) in cases {
        world.edit(good, bad);
        refused(&world, &["deploy"], 5, says).await;
        world.edit(bad, good);
    }
    // Said so, a reboot is what it should be.
    world.append("[[image.provision]]\ntype = \"shell\"\ninline = [\"reboot\"]\nexpect_reboot = true\n");
    world.remint(&["bake"]).await.success();
}

#[tokio::test]
async fn a_service_that_is_never_healthy_is_undone() {
    let world = World::with_service().await;
    world.edit_file("simulation.toml", "status = 200", "status = 503");
    world.edit("start_period = \"5s\"", "start_period = \"500ms\"");
    let ended = world.remint(&["deploy"]).await.code(6).says("not healthy").says("503").says("[health]");
    let left = world.standing().await;
    assert_eq!(left.images.len(), 1, "the image is good for another try");
    assert!(left.droplets.is_empty() && left.keys.is_empty() && left.reserved_ips.is_empty(), "{}", ended.text());

    // With something that serves, that goes on serving.
    world.edit_file("simulation.toml", "status = 503", "status = 200");
    world.remint(&["deploy"]).await.success();
    let before = world.standing().await;
    let ip = world.static_ip().await;
    world.edit_file("simulation.toml", "status = 200", "status = 503");
    world.remint(&["deploy", "--var", "version=v2"]).await.code(6).says("503");
    let after = world.standing().await;
    assert_eq!(
        (&after.droplets, &after.reserved_ips, &after.keys),
        (&before.droplets, &before.reserved_ips, &before.keys)
    );
    assert_eq!(world.page(&ip).await, (200, "version v1".to_owned()));
}

#[tokio::test]
async fn the_account_s_limit_of_static_ips_is_seen_before_the_bake() {
    let world = World::with_service().await;
    for _ in 0..3 {
        world.make("/v2/reserved_ips", json!({ "region": "nyc3" })).await;
    }
    for command in ["plan", "deploy"] {
        refused_untouched(&world, &[command], 8, &["3 static IPs", "[address]"]).await;
    }
}

#[tokio::test]
async fn a_zone_that_does_not_exist_is_refused() {
    let world = World::with_service().await;
    world.append("[dns]\nzone = \"absent.test\"\nname = \"www\"\n");
    for command in ["plan", "deploy"] {
        refused_untouched(&world, &[command], 3, &["absent.test", "dns.zone", "make the zone"]).await;
    }
}

#[tokio::test]
async fn a_static_ip_of_something_else_is_left_alone() {
    let world = World::with_service().await;
    let other = world.droplet_by_hand("other").await;
    let reserved = world.make("/v2/reserved_ips", json!({ "droplet_id": other })).await;
    let ip = reserved["reserved_ip"]["ip"].as_str().unwrap().to_owned();
    world.append(&format!("[address]\nstatic_ip = {{ existing = \"{ip}\" }}\n"));
    for command in ["plan", "deploy"] {
        refused_untouched(&world, &[command], 8, &[&ip, "no instance of this environment", "[address]"]).await;
    }
    world.edit(&format!("\"{ip}\""), "\"198.51.100.7\"");
    refused_untouched(&world, &["deploy"], 3, &["198.51.100.7", "address.static_ip"]).await;
}

#[tokio::test]
async fn a_record_of_something_else_is_left_alone_unless_it_is_to_be_adopted() {
    let world = World::with_service().await;
    world.make_zone("example.test").await;
    let record = json!({ "type": "A", "name": "www", "data": "192.0.2.1", "ttl": 300 });
    world.make("/v2/domains/example.test/records", record).await;
    world.append("[dns]\nzone = \"example.test\"\nname = \"www\"\n");
    for command in ["plan", "deploy"] {
        refused_untouched(&world, &[command], 8, &["www.example.test", "192.0.2.1", "adopt = true"]).await;
    }
    world.append("adopt = true\n");
    world.remint(&["deploy"]).await.success();
    let ip = world.static_ip().await;
    assert_eq!(world.standing().await.records.get("www.example.test"), Some(&vec![ip]));
}
