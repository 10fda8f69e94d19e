//! Machines from end to end: SSH, SFTP, HTTP, cloud-init, capture, restart.

#[path = "../../../tests/common/files.rs"]
mod files;

use std::{net::Ipv4Addr, path::Path, pin::pin, sync::Arc, time::Duration};

use futures::poll;
use remint_core::{
    provider::PortMap,
    remote::{ConnectOptions, Connection, HostKey, LoginKey},
};
use russh::{
    ChannelMsg,
    client::{self, AuthResult},
    keys::{Algorithm, PrivateKey, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate, ssh_key::LineEnding},
};
use secrecy::ExposeSecret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    Simulated,
    disk::{self, Disk, lock},
    machine::{Machine, Start},
    power,
};
use crate::{DiskImage, Hypervisor, MachineSpec, Power};

const PORTS: PortMap = PortMap { through: 1023, offset: 20000 };

fn key() -> PrivateKey {
    PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).unwrap()
}

fn base() -> DiskImage {
    DiskImage("debian-12-x64".to_owned())
}

async fn open(dir: &Path) -> Arc<Simulated> {
    Simulated::new(dir.to_owned(), vec![base()]).await.unwrap()
}

/// A machine on an address that no other test uses, in this process or another.
fn spec(id: u64, login: &PrivateKey, user_data: Option<String>) -> MachineSpec {
    let random: [u8; 3] = rand::random();
    MachineSpec {
        id,
        name: format!("machine-{id}"),
        address: Ipv4Addr::new(127, 100 + random[0] % 100, random[1], random[2].clamp(1, 254)),
        ports: PORTS,
        open: vec![22, 80],
        image: base(),
        region: "fra1".to_owned(),
        vcpus: 1,
        memory_mib: 512,
        disk_gib: 10,
        user_data,
        ssh_keys: vec![login.public_key().to_openssh().unwrap()],
        boot_delay: Duration::ZERO,
    }
}

struct Client(Arc<std::sync::Mutex<Option<PublicKey>>>);

impl client::Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        if let PublicKeyOrCertificate::PublicKey { key, .. } = key {
            *self.0.lock().unwrap() = Some(key.clone());
        }
        Ok(true)
    }
}

struct Ssh {
    session: client::Handle<Client>,
    host_key: PublicKey,
    accepted: bool,
}

/// Asks until there is an answer.
async fn soon<T, E: std::fmt::Debug>(ask: impl AsyncFn() -> Result<T, E>) -> T {
    for _ in 0..400 {
        if let Ok(answer) = ask().await {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    ask().await.unwrap()
}

/// Connects as soon as SSH answers.
async fn connect(spec: &MachineSpec, login: &PrivateKey) -> Ssh {
    let seen = Arc::default();
    let at = (spec.address, PORTS.resolve(22));
    let mut session = soon(async || client::connect(Arc::default(), at, Client(Arc::clone(&seen))).await).await;
    let login = PrivateKeyWithHashAlg::new(Arc::new(login.clone()), None);
    let accepted = session.authenticate_publickey("root", login).await.unwrap() == AuthResult::Success;
    let host_key = seen.lock().unwrap().clone().unwrap();
    Ssh { session, host_key, accepted }
}

#[derive(Debug, Default, PartialEq)]
struct Ran {
    out: String,
    err: String,
    code: Option<u32>,
    signal: Option<String>,
}

impl Ssh {
    async fn exec(&self, command: &str, input: &[u8]) -> Ran {
        let mut channel = self.session.channel_open_session().await.unwrap();
        channel.exec(true, command).await.unwrap();
        channel.data(input).await.unwrap();
        channel.eof().await.unwrap();
        let mut ran = Ran::default();
        while let Some(message) = channel.wait().await {
            match message {
                ChannelMsg::Data { data } => ran.out += &String::from_utf8_lossy(&data),
                ChannelMsg::ExtendedData { data, .. } => ran.err += &String::from_utf8_lossy(&data),
                ChannelMsg::ExitStatus { exit_status } => ran.code = Some(exit_status),
                ChannelMsg::ExitSignal { signal_name, .. } => ran.signal = Some(format!("{signal_name:?}")),
                _ => {}
            }
        }
        ran
    }

    async fn out(&self, command: &str) -> String {
        let ran = self.exec(command, b"").await;
        assert_eq!(ran.code, Some(0), "{command}: {ran:?}");
        ran.out
    }
}

/// The page, as soon as one answers.
async fn page(spec: &MachineSpec, path: &str) -> (u16, String) {
    let url = format!("http://{}:{}{path}", spec.address, PORTS.resolve(80));
    let answer = soon(async || reqwest::get(&url).await).await;
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// A machine that is on, and a client that is logged in to it.
async fn booted(id: u64) -> (tempfile::TempDir, Arc<Simulated>, MachineSpec, PrivateKey, Ssh) {
    let dir = tempfile::tempdir().unwrap();
    let (machines, login) = (open(dir.path()).await, key());
    let spec = spec(id, &login, None);
    machines.create(&spec).await.unwrap();
    assert_eq!(machines.power(id).await.unwrap(), Power::Off);
    machines.start(id).await.unwrap();
    let ssh = connect(&spec, &login).await;
    assert!(ssh.accepted);
    (dir, machines, spec, login, ssh)
}

async fn until_off(machines: &Simulated, id: u64) {
    while machines.power(id).await.unwrap() == Power::On {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn commands_run_over_ssh() {
    let (dir, machines, spec, _, ssh) = booted(1).await;
    let ran = ssh.exec("echo out; echo err >&2; exit 3", b"").await;
    assert_eq!(ran, Ran { out: "out\n".into(), err: "err\n".into(), code: Some(3), signal: None });
    let ran = ssh.exec("kill -9 $$", b"").await;
    assert_eq!((ran.code, ran.signal), (None, Some("KILL".to_owned())));
    assert_eq!(ssh.exec("cat > /tmp/up; wc -c < /tmp/up", &[7; 100_000]).await.out, "100000\n");
    assert_eq!(ssh.out("hostname; cloud-init status --wait").await, "machine-1\nstatus: done\n");
    assert!(!connect(&spec, &key()).await.accepted, "a stranger's key");
    assert!(machines.console(1).await.unwrap().contains("cloud-init"));
    machines.destroy(1).await.unwrap();
    assert!(ssh.session.channel_open_session().await.is_err(), "the connection died with the machine");
    assert_eq!(machines.machines().await.unwrap(), Vec::<u64>::new());
    assert_eq!(std::fs::read_dir(dir.path().join("machines")).unwrap().count(), 0);
}

#[tokio::test]
async fn files_go_over_sftp() {
    let (_dir, machines, _, _, ssh) = booted(2).await;
    let channel = ssh.session.channel_open_session().await.unwrap();
    channel.request_subsystem(true, "sftp").await.unwrap();
    let sftp = russh_sftp::client::SftpSession::new(channel.into_stream()).await.unwrap();
    let data: Vec<u8> = (0..300_000_u32).map(|byte| byte as u8).collect();
    sftp.create_dir("/opt/app").await.unwrap();
    let mut file = sftp.create("/opt/app/data").await.unwrap();
    file.write_all(&data).await.unwrap();
    file.shutdown().await.unwrap();
    let mut back = Vec::new();
    sftp.open("/opt/app/data").await.unwrap().read_to_end(&mut back).await.unwrap();
    assert!(back == data);
    sftp.rename("/opt/app/data", "/opt/app/moved").await.unwrap();
    let names: Vec<String> = sftp.read_dir("/opt/app").await.unwrap().map(|entry| entry.file_name()).collect();
    assert_eq!(names, ["moved"]);
    assert!(sftp.open("/none").await.is_err());
    assert_eq!(ssh.out("wc -c < /opt/app/moved").await, "300000\n");
    machines.destroy(2).await.unwrap();
}

#[tokio::test]
async fn user_data_is_applied() {
    let dir = tempfile::tempdir().unwrap();
    let (machines, login, host, cloud) = (open(dir.path()).await, key(), key(), key());
    let config = serde_json::json!({
        "hostname": "baked",
        "ssh_keys": {
            "ed25519_private": host.to_openssh(LineEnding::LF).unwrap().as_str(),
            "ed25519_public": host.public_key().to_openssh().unwrap(),
        },
        "ssh_authorized_keys": [login.public_key().to_openssh().unwrap()],
        "manage_etc_hosts": "localhost",
        "groups": ["web"],
        "users": ["default", { "name": "app", "primary_group": "web" }],
        "bootcmd": ["mkdir -p /etc/app; echo x > /etc/app/kept; chown www-data:www-data /etc/app/kept"],
        "write_files": [
            { "path": "/etc/app/kept", "content": "y", "owner": "none:none" },
            { "path": "/etc/app/app.env", "content": "TU9ERT1mYXN0Cg==", "encoding": "b64", "permissions": "0600" },
            { "path": "/etc/app/app.env", "content": "X=1\n", "append": true, "permissions": "0640" },
        ],
        "runcmd": ["echo run > /tmp/run", ["sh", "-c", "echo $1 >> /tmp/run", "sh", "two words"]],
        "package_update": true,
    });
    let spec = spec(3, &cloud, Some(format!("#cloud-config\n{config}")));
    machines.create(&spec).await.unwrap();
    machines.start(3).await.unwrap();
    let ssh = connect(&spec, &login).await;
    assert!(ssh.accepted);
    assert_eq!(ssh.host_key.key_data(), host.public_key().key_data());
    assert!(connect(&spec, &cloud).await.accepted, "the cloud's keys count too");
    let script = "cloud-init status --wait; cat /tmp/run; cat /etc/app/app.env; stat -c '%a %U' /etc/app/app.env; hostname; grep -c package /var/log/cloud-init.log; stat -c '%U:%G' /etc/app/kept; grep app /etc/passwd; cat /etc/hosts";
    let told = ssh.out(script).await;
    let accounts =
        "www-data:www-data\napp:x:1001:1000::/home/app:/bin/sh\n127.0.0.1 localhost\n127.0.1.1 baked baked\n";
    assert_eq!(told, format!("status: done\nrun\ntwo words\nMODE=fast\nX=1\n640 root\nbaked\n1\n{accounts}"));
    machines.destroy(3).await.unwrap();
}

#[tokio::test]
async fn a_failing_script_is_an_error_of_cloud_init() {
    let dir = tempfile::tempdir().unwrap();
    let (machines, login) = (open(dir.path()).await, key());
    let unknown = "#cloud-config\nwrite_files: [{path: /x, owner: 'app:app'}]\nusers: [{name: app}]\n";
    for (id, user_data) in [(4, "#!/bin/sh\nexit 3\n"), (5, "#cloud-config\na: [1\n"), (6, unknown)] {
        let spec = spec(id, &login, Some(user_data.to_owned()));
        machines.create(&spec).await.unwrap();
        machines.start(id).await.unwrap();
        let ran = connect(&spec, &login).await.exec("cloud-init status --wait --format json", b"").await;
        let status: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!((ran.code, &status["status"]), (Some(1), &"error".into()));
        assert_eq!(status["errors"].as_array().unwrap().len(), 1, "{status}");
        if id == 4 {
            let said = "('scripts-user', RuntimeError('Runparts: 1 failures (part-001) in 1 attempted commands'))";
            assert_eq!(status["errors"][0], said);
            let log = connect(&spec, &login).await.out("cat /var/log/cloud-init.log").await;
            assert!(log.contains("finish: modules-final/config-scripts-user: FAIL: "), "{log}");
        }
        if id == 6 {
            let said = status["errors"][0].as_str().unwrap();
            assert!(
                said.starts_with("('write-files', OSError(") && said.contains("name not found: \\'app\\'"),
                "{said}"
            );
        }
        machines.destroy(id).await.unwrap();
    }
}

#[tokio::test]
async fn a_captured_image_carries_behaviour() {
    let dir = tempfile::tempdir().unwrap();
    let (machines, login) = (open(dir.path()).await, key());
    let builder = spec(6, &login, None);
    machines.create(&builder).await.unwrap();
    machines.start(6).await.unwrap();
    assert_eq!(page(&builder, "/").await, (200, "a simulated machine: machine-6\n".to_owned()));
    let ssh = connect(&builder, &login).await;
    let host_key = ssh.host_key.clone();
    let behaviour = "[[http]]\npath = \"/health/check\"\nbody = \"v={file:/opt/version} {env:MODE}\"\n";
    ssh.exec("cat > /etc/simulation.toml", behaviour.as_bytes()).await;
    ssh.out("echo 7 > /opt/version").await;
    machines.shutdown(6).await.unwrap();
    until_off(&machines, 6).await;
    let image = DiskImage("snapshot-1".to_owned());
    let info = machines.capture(6, &image).await.unwrap();
    assert_eq!(machines.image(&image).await.unwrap(), info);
    let config = "#cloud-config\nwrite_files: [{path: /etc/app/app.env, content: 'MODE=slow'}]\n";
    let instance = MachineSpec { image: image.clone(), ..spec(7, &login, Some(config.to_owned())) };
    machines.create(&instance).await.unwrap();
    machines.start(7).await.unwrap();
    assert_eq!(page(&instance, "/health/check").await, (200, "v=7 slow".to_owned()));
    assert_eq!(page(&instance, "/other").await.0, 404);
    let ssh = connect(&instance, &login).await;
    assert_ne!(ssh.host_key.key_data(), host_key.key_data(), "a new instance has its own host key");
    ssh.out("echo 8 > /opt/version").await;
    assert_eq!(page(&instance, "/health/check").await.1, "v=8 slow");
    machines.delete_image(&image).await.unwrap();
    assert!(machines.image(&image).await.is_err());
    machines.destroy(6).await.unwrap();
    machines.destroy(7).await.unwrap();
}

#[tokio::test]
async fn machines_outlive_the_sandbox() {
    let dir = tempfile::tempdir().unwrap();
    let login = key();
    let (on, off) = (spec(8, &login, None), spec(9, &login, None));
    let first = open(dir.path()).await;
    for spec in [&on, &off] {
        first.create(spec).await.unwrap();
    }
    first.start(8).await.unwrap();
    let ssh = connect(&on, &login).await;
    ssh.out("cloud-init status --wait; echo kept > /opt/kept").await;
    let boot = ssh.out("cat /proc/sys/kernel/random/boot_id").await;
    // A killed sandbox says nothing to its machines: what is on the disk now is all that the next one has.
    let copy = tempfile::tempdir().unwrap();
    let copied = std::process::Command::new("cp").arg("-r").arg(dir.path().join(".")).arg(copy.path()).status();
    assert!(copied.unwrap().success());
    first.destroy(8).await.unwrap();
    let second = open(copy.path()).await;
    assert_eq!(second.machines().await.unwrap(), [8, 9]);
    assert_eq!(second.power(8).await.unwrap(), Power::On);
    assert_eq!(second.power(9).await.unwrap(), Power::Off);
    let again = connect(&on, &login).await;
    assert_eq!(again.host_key, ssh.host_key);
    assert_eq!(again.out("cat /opt/kept").await, "kept\n");
    assert_eq!(again.out("cat /proc/sys/kernel/random/boot_id").await, boot, "it did not boot");
    second.destroy(8).await.unwrap();
}

#[tokio::test]
async fn a_reboot_drops_connections_and_comes_back() {
    let (_dir, machines, spec, login, ssh) = booted(10).await;
    let boot = "cat /proc/sys/kernel/random/boot_id";
    let before = ssh.out(boot).await;
    assert_eq!(ssh.exec("reboot; sleep 1000", b"").await.code, None, "the connection is lost");
    let again = connect(&spec, &login).await;
    assert_ne!(again.out(boot).await, before);
    assert_eq!(again.host_key, ssh.host_key);
    again.exec("poweroff", b"").await;
    until_off(&machines, 10).await;
    machines.destroy(10).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_is_keeping_its_disk_is_destroyed_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (machines, login) = (open(dir.path()).await, key());
    // More than once: it is a matter of moments. The boot ends by keeping the disk.
    for id in 100..300 {
        machines.create(&spec(id, &login, None)).await.unwrap();
        machines.start(id).await.unwrap();
        tokio::time::sleep(Duration::from_micros(id % 50 * 100)).await;
        machines.destroy(id).await.unwrap();
    }
    assert_eq!(machines.machines().await.unwrap(), [] as [u64; 0]);
    let left: Vec<_> = std::fs::read_dir(dir.path().join("machines")).unwrap().map(|e| e.unwrap().path()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_kept_for_a_dropped_call_does_not_outlive_a_newer_one() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("machine");
    let machine = Machine::create(folder.clone(), spec(11, &key(), None), Disk::default()).await.unwrap();
    for round in 0..50 {
        let write = |text: &str| lock(machine.disk()).write("/round", text.as_bytes()).unwrap();
        // The older one takes longer.
        lock(machine.disk()).write("/big", &[0; 1 << 20]).unwrap();
        write("older");
        // Dropped where it waits for the disk; nearly always, since the thread that writes it may be that fast.
        drop(poll!(pin!(machine.save())));
        lock(machine.disk()).remove_tree("/big").unwrap();
        write(&format!("newer {round}"));
        machine.save().await.unwrap();
        // Time for what may still be written.
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert_eq!(disk::load(&folder.join("disk")).unwrap().text("/round"), format!("newer {round}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_for_a_machine_that_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("machine");
    let entries = || std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    for _ in 0..20 {
        let machine = Machine::create(folder.clone(), spec(12, &key(), None), Disk::default()).await.unwrap();
        lock(machine.disk()).write("/big", &[0; 1 << 20]).unwrap();
        drop(poll!(pin!(machine.save())));
        machine.retire().await;
        std::fs::remove_dir_all(&folder).unwrap();
        // Another of that id may be made at once.
        std::fs::create_dir(&folder).unwrap();
        power::start(&machine, Start::Boot).unwrap_err();
        machine.power_off().await.unwrap();
        machine.change(|spec| spec.vcpus = 2).unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert!(entries().is_empty(), "{:?}", entries());
        std::fs::remove_dir(&folder).unwrap();
    }
}

/// A machine that Remint itself is logged in to. The folder holds its disk.
async fn logged_in() -> (tempfile::TempDir, Arc<Simulated>, Connection) {
    let dir = tempfile::tempdir().unwrap();
    let (machines, login, host) = (open(dir.path()).await, LoginKey::generate(), HostKey::generate());
    let indent: String = host.private_pem().expose_secret().lines().map(|line| format!("    {line}\n")).collect();
    let user_data = format!("#cloud-config\nssh_keys:\n  ed25519_private: |\n{indent}");
    let spec = MachineSpec { ssh_keys: vec![login.public().line()], ..spec(1, &key(), Some(user_data)) };
    machines.create(&spec).await.unwrap();
    machines.start(1).await.unwrap();
    let endpoint = (spec.address, PORTS.resolve(22)).into();
    let options = ConnectOptions::new(endpoint, login, host.public());
    let connection = soon(async || Connection::connect(&options).await).await;
    (dir, machines, connection)
}

#[tokio::test]
async fn files_go_where_the_table_says() {
    let (_dir, _machines, connection) = logged_in().await;
    files::follow_the_table(&connection).await;
}

#[tokio::test]
async fn a_copy_that_debian_refuses_is_refused() {
    use std::os::unix::ffi::OsStrExt;

    use remint_core::{bake::files::copy_step, manifest::FileProvisioner, remote::Command};

    let (_dir, _machines, connection) = logged_in().await;
    let here = tempfile::tempdir().unwrap();
    std::fs::create_dir(here.path().join("app")).unwrap();
    std::fs::write(here.path().join("app/good"), "").unwrap();
    let step = |owner: &str| FileProvisioner {
        source: "app".into(),
        destination: "/opt/app".into(),
        mode: None,
        owner: Some(owner.to_owned()),
        links: None,
        exclude: vec![],
    };
    let copy = async |owner: &str| match copy_step(&connection, here.path(), &step(owner), &mut |_| ()).await {
        Ok(_) => "copied".to_owned(),
        Err(error) => error.to_string(),
    };
    assert!(copy("app").await.ends_with("machine: invalid user: 'app'"), "{}", copy("app").await);
    assert!(copy("root:app").await.ends_with("invalid group: 'root:app'"));
    let ran = connection.capture(&Command::shell("useradd app; useradd web; id -u web")).await.unwrap();
    assert_eq!(ran.1, "1001\n");
    for owner in ["app", "app:web", "app:", "1000:1001", "4711"] {
        assert_eq!(copy(owner).await, "copied", "{owner}");
    }
    let (_, owner) = connection.capture(&Command::shell("stat -c '%U:%G %u:%g' /opt/app/good")).await.unwrap();
    assert_eq!(owner, "4711:root 4711:0\n");
    std::fs::write(here.path().join("app").join(std::ffi::OsStr::from_bytes(b"caf\xe9")), "").unwrap();
    assert!(copy("app").await.contains("names in UTF-8 only"), "{}", copy("app").await);
}
