//! Ways in, planted on real machines: a real OpenSSH refuses each after the gate, the bake names each before it captures, and
//! what belongs to the builder is not on the captured disk.
//!
//! Needs QEMU and the base image `debian-12-x64`, as `qemu.rs` does.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test tells what it could not run, and may panic")]

#[expect(dead_code, reason = "other test files use the rest")]
mod common;
#[path = "common/qemu.rs"]
mod qemu;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use common::World;
use remint_core::bake::seal;

const MANIFEST: &str = r#"service = "hello"
provider = "sandbox"

[providers.sandbox]
region = "nyc3"
base = "debian-12-x64"
size = "s-1vcpu-1gb"

[health]
check.tcp = { port = 22 }
interval = "200ms"
successes = 1
start_period = "60s"

[address]
static_ip = "none"

[deploy]
observe = "0s"
drain = "0s"
timeout = "15m"

[image]
boot_timeout = "10m"
"#;

/// Ways in, each as a line of shell and what must be said of it.
fn plants(evil: &str) -> Vec<(String, &'static str)> {
    let drop_in = "/etc/ssh/sshd_config.d";
    vec![
        (
            format!("mkdir -p /root/.ssh; echo '{evil}' > /root/.ssh/authorized_keys2"),
            "/root/.ssh/authorized_keys2 lets user root in",
        ),
        (
            format!("useradd -m alice; mkdir -p /home/alice/.ssh; echo '{evil}' > /home/alice/.ssh/authorized_keys"),
            "/home/alice/.ssh/authorized_keys lets user alice in",
        ),
        (
            format!(
                "printf 'AuthorizedKeysCommand /opt/keys\\nAuthorizedKeysCommandUser nobody\\n' > {drop_in}/10-a.conf; echo \
                 '#!/bin/sh' > /opt/keys; echo \"echo '{evil}'\" >> /opt/keys; chmod 755 /opt/keys"
            ),
            "authorizedkeyscommand /opt/keys",
        ),
        (
            format!(
                "echo '{evil}' > /etc/ssh/ca.pub; printf 'Match Address 0.0.0.0/0\\nTrustedUserCAKeys /etc/ssh/ca.pub\\n' > \
                 {drop_in}/20-b.conf"
            ),
            "`trustedusercakeys /etc/ssh/ca.pub` lets in certificates of an authority, in the block",
        ),
        (format!("echo 'HostbasedAuthentication yes' > {drop_in}/30-c.conf"), "hostbasedauthentication yes"),
        ("echo '+ +' > /root/.shosts".to_owned(), "/root/.shosts trusts other hosts"),
        (
            format!(
                "echo alice:secret | chpasswd; printf 'Match User alice\\nPasswordAuthentication yes\\n' > {drop_in}/40-d.conf"
            ),
            "user alice has a password",
        ),
    ]
}

/// What a builder may leave, as lines of shell.
fn leftovers() -> Vec<String> {
    let files = [
        "/tmp/.hidden",
        "/var/tmp/.hidden",
        "/var/log/app.log.1",
        "/var/log/app/app.log.2.gz",
        "/var/log/app/app.log",
        "/root/.ssh/id_ed25519",
        "/var/lib/app/.ssh/authorized_keys",
        "/etc/systemd/network/10-cloud-init-eth9.network",
        "/boot/loader/random-seed",
        "/var/lib/amazon/ssm/registration",
        "/var/lib/systemd/coredump/core.x",
        "/root/.python_history",
    ];
    let mut lines: Vec<_> = files.iter().map(|file| format!("mkdir -p $(dirname {file}); echo own > {file}")).collect();
    lines.push("echo root:secret | chpasswd".to_owned());
    lines.push("mkdir -p /etc/iscsi; echo InitiatorName=iqn.own > /etc/iscsi/initiatorname.iscsi".to_owned());
    lines
}

fn run(program: &str, args: &[&str]) -> String {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap());
    let output = Command::new(program).args(args).env("PATH", path).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A captured disk's tree, without what came from packages, in a folder. Nothing is mounted.
fn tree(world: &World) -> PathBuf {
    let sandboxes = world.sandbox_dir().join("sandboxes");
    let mut disks = Vec::new();
    for sandbox in fs::read_dir(sandboxes).unwrap() {
        let layers = sandbox.unwrap().path().join("machines/qemu/layers");
        for layer in fs::read_dir(layers).into_iter().flatten() {
            let path = layer.unwrap().path();
            if path.file_name().unwrap().to_string_lossy().starts_with("snapshot-") {
                disks.push(path.join("disk.qcow2"));
            }
        }
    }
    let [disk] = &disks[..] else { panic!("{disks:?}") };
    let (raw, tree) = (world.sandbox_dir().join("raw"), world.sandbox_dir().join("tree"));
    run("qemu-img", &["convert", "-O", "raw", disk.to_str().unwrap(), raw.to_str().unwrap()]);
    // What a machine that lost its power had only in the journal belongs to the disk too.
    run("e2fsck", &["-E", "journal_only", "-y", raw.to_str().unwrap()]);
    fs::create_dir(&tree).unwrap();
    for folder in ["/etc", "/root", "/home", "/var", "/boot", "/tmp", "/opt", "/srv"] {
        run("debugfs", &["-R", &format!("rdump {folder} {}", tree.display()), raw.to_str().unwrap()]);
    }
    assert!(tree.join("etc/ssh/sshd_config").exists() && tree.join("var/lib/dpkg/status").exists(), "not read");
    tree
}

/// A login by OpenSSH's own client; what it says.
fn login(world: &World, to: &str, port: &str, options: &[&str]) -> (bool, String) {
    let hosts = world.sandbox_dir().join("hosts");
    let output = Command::new("ssh")
        .args(["-F", "/dev/null", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o"])
        .arg(format!("UserKnownHostsFile={}", hosts.display()))
        .args(["-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-p", port])
        .args(options)
        .args([to, "true"])
        .output()
        .unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test]
async fn a_bake_on_a_real_machine_names_every_way_in_before_it_captures() {
    if !qemu::is_possible() {
        return;
    }
    let world = World::of_kind("qemu", &["--profile", "instant"]).await;
    world.write("remint.toml", MANIFEST);
    let (_, evil) = world.key_pair("evil");
    let plants = plants(&evil);
    let mut lines: Vec<_> = plants.iter().map(|(line, _)| line.clone()).collect();
    lines.push("echo 'PermitRootLogin no' > /etc/ssh/sshd_config.d/05-e.conf".to_owned());
    world.append_shell_step(&lines);
    let mut refused = world.remint(&["bake"]).await.code(5);
    eprintln!("{}", refused.stderr);
    for (_, named) in &plants {
        refused = refused.says(named);
    }
    let images = world.json(&["images"]).await;
    assert_eq!(images.as_array().unwrap().len(), 0, "{images}");
}

#[tokio::test]
async fn a_real_machine_refuses_every_way_in_after_the_gate_and_its_disk_is_nobodys() {
    if !qemu::is_possible() {
        return;
    }
    let world = World::of_kind("qemu", &["--profile", "instant"]).await;
    let (mine, access) = world.key_pair("mine");
    let (evil, evil_line) = world.key_pair("evil");
    let (hidden, hidden_line) = world.key_pair("hidden");
    world.write("remint.toml", &format!("{MANIFEST}\n[access]\nssh_keys = [\"{access}\"]\n"));
    world.append_shell_step(&leftovers());
    // Ways in that an instance opens by itself at its first boot.
    let data = |line: &str| line.split(' ').nth(1).unwrap().to_owned();
    let by_options = format!("environment=\"X=1 {} y\" ssh-ed25519 {}", data(&access), data(&hidden_line));
    let script = format!(
        "#!/bin/sh\necho '{evil_line}' >> /root/.ssh/authorized_keys\necho '{by_options}' >> /root/.ssh/authorized_keys\necho \
         root:secret | chpasswd\nuseradd -m -p '' bob\n"
    );
    world.write("plant.sh", &script);
    world.append("[[instance.user_data]]\npath = \"plant.sh\"\n");
    world.remint(&["deploy"]).await.success();

    let found = seal::examine(&tree(&world)).unwrap();
    assert_eq!(found, Vec::<String>::new());

    let status = world.json(&["status"]).await;
    let address = &status["instances"][0]["address"];
    let shown = world.remint(&["--json", "show", "1"]).await.success().result();
    let entries = shown["entries"].as_array().unwrap();
    let entry = |kind: &str| entries.iter().find(|one| one["entry"] == kind).unwrap();
    let launched = entry("launched")["host_key"].as_str().unwrap();
    let mut rotated = entry("rotating_host_keys")["host_keys"].as_object().unwrap().values();
    let rotated = rotated.next().and_then(serde_json::Value::as_str).unwrap();
    let identity = mine.to_str().unwrap();
    let ip = address["ip"].as_str().unwrap();
    let endpoint = world.endpoint(ip, 22);
    let (port, root) = (endpoint.rsplit(':').next().unwrap().to_owned(), format!("root@{ip}"));
    let with = |key: &Path| format!("IdentityFile={}", key.display());

    let (let_in, said) = login(&world, &root, &port, &["-o", &with(&mine)]);
    assert!(let_in, "{said}");
    let password = ["-o", "PubkeyAuthentication=no"];
    let ways: [(&str, String, Vec<String>); 6] = [
        ("a key that was appended", root.clone(), vec!["-o".into(), with(&evil)]),
        ("a key behind options", root.clone(), vec!["-o".into(), with(&hidden)]),
        ("root's password", root.clone(), password.map(str::to_owned).to_vec()),
        ("an empty password", format!("bob@{ip}"), password.map(str::to_owned).to_vec()),
        ("the key of `[access]` as somebody else", format!("bob@{ip}"), vec!["-o".into(), with(&mine)]),
        ("no key at all", root.clone(), vec!["-o".into(), "PreferredAuthentications=none,hostbased".into()]),
    ];
    for (way, to, options) in &ways {
        let options: Vec<_> = options.iter().map(String::as_str).collect();
        let (let_in, said) = login(&world, to, &port, &options);
        assert!(!let_in, "{way}");
        // Nothing but a key would have been accepted.
        assert!(said.contains("Permission denied (publickey)."), "{way}: {said}");
    }
    // The host key of the user data is worth nothing.
    let scanned = run("ssh-keyscan", &["-T", "20", "-t", "ed25519", "-p", &port, ip]);
    assert!(scanned.contains(&data(rotated)), "{scanned}");
    assert!(!scanned.contains(&data(launched)), "{scanned}");
    world.remint(&["ssh", "--identity", identity, "--", "true"]).await.success();

    // Ways in that the gate cannot take away: the new instance never serves.
    let plants = plants(&evil_line);
    let script: String = plants.iter().map(|(line, _)| format!("{line}\n")).collect();
    world.write("plant.sh", &format!("#!/bin/sh\n{script}"));
    let mut refused = world.remint(&["deploy"]).await.code(6);
    for (_, named) in &plants {
        refused = refused.says(named);
    }
    assert_eq!(world.standing().await.droplets.len(), 1, "the one that serves, and no other: {}", refused.text());
}
