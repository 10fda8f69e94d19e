//! Clients that nobody here wrote, against the sandbox: DigitalOcean's and Amazon's Python clients, and Packer's `digitalocean`
//! and `amazon-ebs` builders.
#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[expect(dead_code, reason = "other test files use the rest")]
mod common;

use std::{
    path::{Path, PathBuf},
    process::Output,
    time::Duration,
};

use common::World;
use serde_json::Value;

/// Real machines under emulation take minutes; whatever takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(1200);

#[tokio::test]
async fn the_official_python_client_works() {
    let world = World::empty().await;
    let mut client = world.client(python("pydo"));
    client.arg(data("pydo_client.py"));
    let output = tokio::time::timeout(PATIENCE, client.output()).await.unwrap().unwrap();
    let text = text(&output);
    assert!(output.status.success() && text.contains("pydo: done"), "{text}");
    assert!(world.standing().await.is_empty());
    assert!(world.recorded() > 60, "{} answers were recorded", world.recorded());
}

#[tokio::test]
async fn amazons_python_client_works() {
    let world = World::empty().await;
    let mut client = world.client(python("boto3"));
    client.envs(world.variables("aws").await).arg(data("boto3_client.py"));
    let output = tokio::time::timeout(PATIENCE, client.output()).await.unwrap().unwrap();
    let text = text(&output);
    assert!(output.status.success() && text.contains("boto3: done"), "{text}");
}

#[tokio::test]
async fn amazons_account_is_as_it_was_after_a_restart() {
    let world = World::empty().await;
    let look = async |how: &str| {
        let mut client = world.client(python("boto3"));
        let variables = world.variables("aws").await;
        client.envs(variables).arg(data("boto3_standing.py")).arg(how);
        let output = tokio::time::timeout(PATIENCE, client.output()).await.unwrap().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let before = look("make").await;
    for part in ["i-0", "eipassoc-0", "ami-0", "snap-0", "ssh-ed25519", "www.example.test.", "/remint/marker"] {
        assert!(before.contains(part), "no {part} in {before}");
    }
    world.remint(&["sandbox", "stop"]).await.success();
    world.remint(&["sandbox", "start"]).await.success();
    assert_eq!(look("look").await, before);
}

#[tokio::test]
async fn packers_builder_for_ec2_bakes_an_image() {
    let world = World::empty().await;
    world.remint(&["init", "--name", "hello"]).await.success();
    let mut packer = world.client("packer");
    packer
        .envs(world.variables("aws").await)
        .args(["build", "-color=false", "-var", "image=hello-by-packer"])
        .args(["-var", &format!("ssh_port={}", world.endpoint("", 22).trim_start_matches(':'))])
        .arg(data("packer_ec2.json"))
        // Else it looks every fifteen seconds.
        .env("AWS_POLL_DELAY_SECONDS", "1")
        .env("CHECKPOINT_DISABLE", "1")
        .env("PACKER_CACHE_DIR", world.sandbox_dir().join("packer"));
    let output = packer.output();
    let output =
        tokio::time::timeout(PATIENCE, output).await.unwrap().expect("packer runs: .ci/setup test installs it");
    let text = text(&output);
    assert!(output.status.success() && text.contains("installed hello v1"), "{text}");
    // What it made is an AMI and its snapshot; its instance, key pair and security group are gone.
    let calls = world.calls().await;
    let count = |action: &str| calls["calls"][format!("POST / Action={action}")].as_u64().unwrap_or(0);
    for (made, unmade) in [
        ("RunInstances", "TerminateInstances"),
        ("CreateKeyPair", "DeleteKeyPair"),
        ("CreateSecurityGroup", "DeleteSecurityGroup"),
    ] {
        assert!(count(made) == 1 && count(unmade) >= 1, "{calls:#}");
    }
    assert_eq!(count("CreateImage"), 1, "{calls:#}");
}

#[tokio::test]
async fn packer_bakes_an_image_on_simulated_machines_and_remint_deploys_it() {
    packer_bakes_and_remint_deploys(World::empty().await).await;
}

#[tokio::test]
async fn packer_bakes_an_image_on_real_machines_and_remint_deploys_it() {
    if let Some(missing) = no_real_machines() {
        assert!(std::env::var_os("REMINT_REQUIRE_QEMU").is_none_or(|value| value != "1"), "{missing}");
        println!("not run: {missing}; `make test` brings both");
        return;
    }
    packer_bakes_and_remint_deploys(World::of_kind("qemu", &["--profile", "instant"]).await).await;
}

async fn packer_bakes_and_remint_deploys(world: World) {
    world.remint(&["init", "--name", "hello"]).await.success();
    // Emulated machines boot slowly.
    world.edit("observe = \"5s\"", "observe = \"1s\"\ntimeout = \"15m\"");
    let before = world.standing().await;

    let snapshot = "hello-by-packer";
    let mut packer = world.client("packer");
    packer
        .args(["build", "-color=false", "-var", &format!("snapshot={snapshot}")])
        .args(["-var", &format!("ssh_port={}", world.endpoint("", 22).trim_start_matches(':'))])
        .arg(data("packer.json"))
        .env("CHECKPOINT_DISABLE", "1")
        .env("PACKER_CACHE_DIR", world.sandbox_dir().join("packer"));
    let output = packer.output();
    let output =
        tokio::time::timeout(PATIENCE, output).await.unwrap().expect("packer runs: .ci/setup test installs it");
    let text = text(&output);
    assert!(output.status.success() && text.contains("installed hello v1"), "{text}");

    // The snapshot is all that it leaves, once its order to destroy the droplet is carried out.
    let mut after = world.standing().await;
    for _ in 0..300 {
        if after.droplets == before.droplets {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        after = world.standing().await;
    }
    assert_eq!((&after.droplets, &after.keys), (&before.droplets, &before.keys));
    let images: Vec<_> = after.images.iter().collect();
    let [(image, name)] = images[..] else { panic!("{images:?}") };
    assert_eq!(name, snapshot);

    // Remint deploys it, and plans nothing more for it.
    let image = image.to_string();
    let planned = world.json(&["plan", "--image", &image]).await;
    assert_eq!(step(&planned, "reuse")["image"], image.as_str(), "{planned:#}");
    let deployed = world.remint(&["--json", "deploy", "--image", &image]).await.success();
    assert_eq!(deployed.result()["baked"], false);
    // Packer leaves the public part of its temporary key in the image; nobody can log in with it.
    deployed.says("a login key in /root/.ssh/authorized_keys that `[access]` does not name");
    let page = world.page(&world.static_ip().await).await;
    assert!(page.0 == 200 && page.1.contains("version v1"), "{page:?}");
    let planned = world.json(&["plan", "--image", &image]).await;
    assert_eq!(planned["steps"].as_array().unwrap().len(), 0, "{planned:#}");
    // The manifest's own recipe is something else.
    let planned = world.json(&["plan"]).await;
    assert!(!step(&planned, "bake").is_null(), "{planned:#}");
    world.remint(&["--yes", "destroy"]).await.success();
}

fn step<'a>(plan: &'a Value, kind: &str) -> &'a Value {
    let steps = plan["steps"].as_array().unwrap();
    steps.iter().find(|step| step["step"] == kind).unwrap_or(&Value::Null)
}

/// A file beside this one.
fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The Python that has a package: the one of `REMINT_TEST_PYTHON`, else the one that `.ci/setup test` makes.
fn python(package: &str) -> PathBuf {
    let python = match std::env::var_os("REMINT_TEST_PYTHON") {
        Some(path) => path.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/python/bin/python"),
    };
    let works = std::process::Command::new(&python).args(["-c", &format!("import {package}")]).output();
    let works = works.is_ok_and(|output| output.status.success());
    assert!(works, "{} has no {package}: run `.ci/setup test`, or set REMINT_TEST_PYTHON", python.display());
    python
}

/// What real machines lack here.
fn no_real_machines() -> Option<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = |program: &str| std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    if let Some(program) = ["qemu-system-x86_64", "qemu-img"].into_iter().find(|program| !found(program)) {
        return Some(format!("{program} is not installed"));
    }
    let base = common::state_home().join("remint/sandbox/images/debian-12-x64/manifest.json");
    (!base.is_file()).then(|| format!("there is no base image ({})", base.display()))
}
