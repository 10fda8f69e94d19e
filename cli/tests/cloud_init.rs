//! What a first boot with a failed module of cloud-init comes to, in a deploy and in a bake.
#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[expect(dead_code, reason = "other test files use the rest")]
mod common;

use common::World;

/// A script of the user's that fails, as a part of the user data.
const FAILING: &str = "#!/bin/sh\necho the disk of toys is missing\nexit 3\n";
const PART: &str = "\n[[instance.user_data]]\npath = \"toys.sh\"\n";
const LENIENT: &str = "\n[instance]\ncloud_init = \"lenient\"\n";

#[tokio::test]
async fn a_failed_script_of_the_user_fails_the_deploy_and_the_message_names_it() {
    let world = World::with_service().await;
    world.write("toys.sh", FAILING);
    world.append(PART);
    let failed = world.remint(&["deploy"]).await.code(6);
    let failed = failed.says("cloud-init failed on").says("module scripts-user failed").says("toys.sh");
    // Lines of both logs, and the way to accept it.
    failed.says("config-scripts-user: FAIL").says("the disk of toys is missing").says("cloud_init = \"lenient\"");
    assert_eq!(world.standing().await.droplets.len(), 0, "nothing of the release is left");
}

#[tokio::test]
async fn a_lenient_manifest_makes_a_warning_of_it_and_changes_nothing_else() {
    let world = World::with_service().await;
    world.write("toys.sh", FAILING);
    world.append(&format!("{LENIENT}{PART}"));
    let deployed = world.remint(&["deploy"]).await.success();
    deployed.says("cloud-init finished with warnings on").says("module scripts-user failed");
    // The rule is the gate's alone: no other image, and no other instance.
    world.edit(LENIENT, "");
    world.remint(&["plan"]).await.success().says("nothing to do");
}

#[tokio::test]
async fn a_failed_restart_of_the_configuration_fails_a_lenient_deploy_too() {
    let world = World::with_service().await;
    // In the script of `runcmd`, after the restart that Remint asks for.
    world.write("last.cfg", "#cloud-config\nruncmd: [\"exit 4\"]\n");
    world.edit("path = \"/etc/hello.env\"", "path = \"/etc/hello.env\"\nrestart = [\"hello.service\"]");
    world.append(&format!("{LENIENT}\n[[instance.user_data]]\npath = \"last.cfg\"\n"));
    world.remint(&["deploy"]).await.code(6).says("module scripts-user failed").says("runcmd").says_not("lenient");
}

#[tokio::test]
async fn an_owner_that_is_not_there_is_named_and_one_that_a_part_makes_is_taken() {
    let world = World::with_service().await;
    world.edit("path = \"/etc/hello.env\"", "path = \"/etc/hello.env\"\nowner = \"ghost\"");
    world.remint(&["deploy"]).await.code(6).says("there is no user `ghost`, who is the owner in `[config]`");
    world.write("users.cfg", "#cloud-config\nusers: [{name: ghost}]\nssh_pwauth: true\n");
    world.append("\n[[instance.user_data]]\npath = \"users.cfg\"\n");
    let valid = world.remint(&["validate"]).await.success();
    valid.says("users.cfg sets `ssh_pwauth`").says("user data: ").says(" of 64.0 KiB on sandbox");
    world.remint(&["deploy"]).await.success();
}
