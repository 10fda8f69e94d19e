//! Who can log in: what the gate leaves, what it refuses, and what the bake finds before that.
#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[expect(dead_code, reason = "other test files use the rest")]
mod common;

use common::{Ended, World};

/// Ways in, each as a line of shell and what must be said of it.
fn plants(evil: &str) -> Vec<(String, &'static str)> {
    let conf = "/etc/ssh/sshd_config";
    vec![
        (
            format!("mkdir -p /root/.ssh; echo '{evil}' > /root/.ssh/authorized_keys2"),
            "/root/.ssh/authorized_keys2 lets user root in",
        ),
        (
            format!("useradd -m alice; mkdir -p /home/alice/.ssh; echo '{evil}' > /home/alice/.ssh/authorized_keys"),
            "/home/alice/.ssh/authorized_keys lets user alice in",
        ),
        (format!("echo 'AuthorizedKeysCommand /opt/keys' >> {conf}"), "authorizedkeyscommand /opt/keys"),
        (format!("echo 'TrustedUserCAKeys /etc/ssh/ca.pub' >> {conf}"), "trustedusercakeys /etc/ssh/ca.pub"),
        (format!("echo 'HostbasedAuthentication yes' >> {conf}"), "hostbasedauthentication yes"),
        ("echo '+ +' > /root/.shosts".to_owned(), "/root/.shosts trusts other hosts"),
        (
            format!(
                "mkdir -p /etc/ssh/more; echo 'Include more/*' >> {conf}; printf 'Match User root\\nPasswordAuthentication \
                 yes\\nPermitRootLogin yes\\n' > /etc/ssh/more/a; sed -i 's/^root:[^:]*:/root:hash:/' /etc/shadow"
            ),
            "user root has a password",
        ),
    ]
}

#[tokio::test]
async fn a_bake_names_every_way_in_before_it_captures() {
    let world = World::with_service().await;
    let (_, evil) = world.key_pair("evil");
    let plants = plants(&evil);
    let lines: Vec<_> = plants.iter().map(|(line, _)| line.as_str()).collect();
    world.append_shell_step(&lines);
    let mut refused = world.remint(&["bake"]).await.code(5);
    for (_, named) in &plants {
        refused = refused.says(named);
    }
    let images = world.json(&["images"]).await;
    assert_eq!(images.as_array().unwrap().len(), 0, "{images}");
}

#[tokio::test]
async fn a_bake_names_what_would_keep_remint_out() {
    let world = World::with_service().await;
    world.append_shell_step(&[
        "sed -i 's/^PermitRootLogin.*/PermitRootLogin no/' /etc/ssh/sshd_config",
        "echo 'Port 2222' >> /etc/ssh/sshd_config",
    ]);
    world.remint(&["bake"]).await.code(5).says("permitrootlogin no").says("port 2222").says("could not log in");
}

#[tokio::test]
async fn a_gate_refuses_every_way_in_that_its_instance_opens() {
    let world = World::with_service().await;
    let (_, evil) = world.key_pair("evil");
    let plants = plants(&evil);
    let script: String = plants.iter().map(|(line, _)| format!("{line}\n")).collect();
    world.write("plant.sh", &format!("#!/bin/sh\n{script}"));
    world.append("[[instance.user_data]]\npath = \"plant.sh\"\n");
    let mut refused = world.remint(&["deploy"]).await.code(6);
    for (_, named) in &plants {
        refused = refused.says(named);
    }
    assert!(world.standing().await.droplets.is_empty(), "{}", refused.text());
}

#[tokio::test]
async fn the_gate_leaves_the_keys_of_access_and_a_host_key_that_user_data_never_had() {
    let world = World::with_service().await;
    let (mine, access) = world.key_pair("mine");
    let (_, evil) = world.key_pair("evil");
    world.append(&format!("[access]\nssh_keys = [\"{access}\"]\n"));
    // A key between others' words: its line holds the data of the key of `[access]`.
    let (named, hidden) = (access.split(' ').nth(1).unwrap(), evil.split(' ').nth(1).unwrap());
    let line = format!("environment=\"X=1 {named} y\" ssh-ed25519 {hidden}");
    world.write("plant.sh", &format!("#!/bin/sh\necho '{line}' >> /root/.ssh/authorized_keys\n"));
    world.append("[[instance.user_data]]\npath = \"plant.sh\"\n");
    world.remint(&["deploy"]).await.success().says("/root/.ssh/authorized_keys that `[access]` does not name");

    let identity = mine.to_str().unwrap();
    let seen = world.remint(&["ssh", "--identity", identity, "--", "cat /root/.ssh/authorized_keys"]).await.success();
    assert_eq!(seen.stdout, format!("{access}\n"));

    // The journal has the new key before the gate has passed, and the machine shows that one.
    let show = world.json(&["show", "1"]).await;
    let entries = show["entries"].as_array().unwrap();
    let entry = |kind: &str| entries.iter().find(|entry| entry["entry"] == kind).unwrap();
    let next = entry("rotating_host_keys")["host_keys"].as_object().unwrap().values().next().unwrap();
    let first = &entry("launched")["host_key"];
    assert_ne!(first, next);
    assert!(entry("rotating_host_keys")["seq"].as_u64() < entry("gate_passed")["seq"].as_u64());
    let shown =
        world.remint(&["ssh", "--identity", identity, "--", "cat /etc/ssh/ssh_host_ed25519_key.pub"]).await.success();
    assert_eq!(shown.stdout.trim(), next.as_str().unwrap());
}

#[tokio::test]
async fn a_release_without_access_lets_nobody_in() {
    let world = World::with_service().await;
    world.remint(&["deploy"]).await.success();
    let ended: Ended = world.remint(&["ssh"]).await.code(1);
    ended.says("nobody can log in");
}
