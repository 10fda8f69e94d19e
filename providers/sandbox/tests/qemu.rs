//! Real virtual machines, end to end. Needs QEMU and the base image `debian-12-x64` in the folder that `REMINT_TEST_IMAGES`
//! names, by default that of the user's sandboxes; says so where one is missing.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test tells what it could not run, and may panic")]

#[path = "common/files.rs"]
mod files;
#[path = "common/observations.rs"]
mod observations;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};

use remint_core::{
    provider::{Address, Guest, PortMap},
    remote::{Boot, Command, ConnectOptions, Connection, HostKey, LoginKey, WaitOptions, wait_for_ssh},
};
use remint_sandbox::{
    base_image::{self, DEBIAN_12},
    machine::{
        DiskImage, Hypervisor, MachineSpec, Power,
        qemu::{AccelChoice, Qemu, QemuOptions},
    },
};
use secrecy::ExposeSecret;
use tokio::time::Instant;

/// How long a machine may take to do what it is asked; emulated ones are slow when many run.
const PATIENCE: Duration = Duration::from_secs(600);

/// The store with the base image, if these tests can run.
fn images() -> Option<PathBuf> {
    let dir = std::env::var_os("REMINT_TEST_IMAGES").map(PathBuf::from).or_else(base_image::default_dir)?;
    let installed = |program| std::process::Command::new(program).arg("--version").output().is_ok();
    let missing = if !installed("qemu-system-x86_64") || !installed("qemu-img") {
        "QEMU is not installed".to_owned()
    } else {
        match base_image::open(&dir, DEBIAN_12) {
            Ok(_) => return Some(dir),
            Err(error) => error.to_string(),
        }
    };
    not_run(&missing);
    None
}

/// Says that a test did not run, which is a failure where `REMINT_REQUIRE_QEMU=1` is set.
fn not_run(missing: &str) {
    assert!(std::env::var_os("REMINT_REQUIRE_QEMU").is_none_or(|value| value != "1"), "{missing}");
    eprintln!("NOT RUN: {missing}");
}

struct Bench {
    dir: tempfile::TempDir,
    qemu: Qemu,
    login: LoginKey,
    host: HostKey,
    /// Tells the tests of this process apart.
    number: u8,
}

impl Bench {
    fn new(images: &Path, warm: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = QemuOptions { images: images.to_owned(), accel: AccelChoice::Auto, warm };
        let qemu = Qemu::new(dir.path().to_owned(), options).unwrap();
        static BENCHES: AtomicU8 = AtomicU8::new(0);
        let number = BENCHES.fetch_add(1, Ordering::Relaxed);
        Self { dir, qemu, login: LoginKey::generate(), host: HostKey::generate(), number }
    }

    /// A machine whose address differs between tests and runs that go on at the same time.
    fn spec(&self, id: u64, image: &str) -> MachineSpec {
        let indent: String =
            self.host.private_pem().expose_secret().lines().map(|line| format!("    {line}\n")).collect();
        let public = self.host.public().line();
        let [a, b] = (std::process::id() as u16).to_be_bytes();
        MachineSpec {
            id,
            name: format!("machine-{id}"),
            address: [127, 200 + self.number * 10 + (id % 10) as u8, a, b].into(),
            ports: PortMap { through: 1023, offset: 20000 },
            open: vec![8080],
            image: DiskImage(image.into()),
            region: "fra1".into(),
            vcpus: 1,
            memory_mib: 1024,
            disk_gib: 25,
            user_data: Some(format!(
                "#cloud-config\nssh_keys:\n  ed25519_private: |\n{indent}  ed25519_public: {public}\n\
                 write_files: [{{path: /etc/who, content: 'machine {id}'}}]\n"
            )),
            ssh_keys: vec![self.login.public().line()],
            boot_delay: Duration::ZERO,
        }
    }

    async fn log_in(&self, spec: &MachineSpec) -> Connection {
        let endpoint = Address { ip: spec.address.into(), ports: spec.ports }.endpoint(22);
        let options = ConnectOptions::new(endpoint, self.login.clone(), self.host.public());
        let wait = WaitOptions {
            deadline: Instant::now() + PATIENCE,
            boot: Boot::First(&Guest::CLOUD_INIT),
            cancel: tokio_util::sync::CancellationToken::new(),
        };
        match wait_for_ssh(&options, &wait, &mut |_| ()).await {
            Ok(connection) => connection,
            Err(error) => panic!("{error}\n{}", self.qemu.console(spec.id).await.unwrap()),
        }
    }

    async fn off(&self, id: u64) {
        let wait = async {
            while self.qemu.power(id).await.unwrap() == Power::On {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, wait).await.is_err() {
            panic!("it does not switch off\n{}", self.qemu.console(id).await.unwrap());
        }
    }

    /// Processes that have to do with this bench.
    fn processes(&self) -> Vec<String> {
        let dir = self.dir.path().to_str().unwrap();
        let all = fs::read_dir("/proc").unwrap().flatten();
        all.filter(|entry| entry.file_name().to_str().is_some_and(|name| name.parse::<u32>().is_ok()))
            .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
            .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
            .filter(|line| line.contains(dir))
            .collect()
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.dir.path().join(folder)).unwrap().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // A failed test leaves no machine either.
        for entry in fs::read_dir(self.dir.path().join("machines")).into_iter().flatten().flatten() {
            if let Ok(pid) = fs::read_to_string(entry.path().join("pid")) {
                let _ = std::process::Command::new("kill").args(["-9", pid.trim()]).status();
            }
        }
    }
}

async fn output(connection: &Connection, command: &str) -> String {
    let (outcome, text) = connection.capture(&Command::shell(command).timeout(PATIENCE)).await.unwrap();
    assert!(outcome.exit.is_success(), "{command}: {outcome:?}\n{text}");
    text.trim().to_owned()
}

#[tokio::test]
async fn a_real_machine_boots_is_captured_and_found_again() {
    let Some(images) = images() else { return };
    let bench = Bench::new(&images, false);
    let spec = bench.spec(1, DEBIAN_12);
    let started = Instant::now();
    bench.qemu.create(&spec).await.unwrap();
    assert_eq!(bench.qemu.power(1).await.unwrap(), Power::Off);
    bench.qemu.create(&spec).await.unwrap_err();
    bench.qemu.start(1).await.unwrap();
    let connection = bench.log_in(&spec).await;
    eprintln!("cold boot to SSH: {:.1} s", started.elapsed().as_secs_f64());
    output(&connection, "cloud-init status --wait >/dev/null").await;
    eprintln!("cold boot to the end of cloud-init: {:.1} s", started.elapsed().as_secs_f64());
    assert_eq!(output(&connection, "cat /etc/who; echo; hostname").await, "machine 1\nmachine-1");
    let size: u64 = output(&connection, "df --output=size -BM / | tail -1 | tr -dc 0-9").await.parse().unwrap();
    assert!(size > 24_000, "the file system has grown to the disk: {size} MiB");

    // Another sandbox process finds it running.
    let again = Qemu::new(bench.dir.path().to_owned(), bench.qemu.options().clone()).unwrap();
    assert_eq!(again.machines().await.unwrap(), [1]);
    assert_eq!(again.power(1).await.unwrap(), Power::On);

    output(&connection, "echo one > /root/first; sync").await;
    let live = again.capture(1, &DiskImage("snapshot-1".into())).await.unwrap();
    assert_eq!(live.virtual_gib, 25);
    output(&connection, "echo two > /root/second; sync").await;
    again.shutdown(1).await.unwrap();
    bench.off(1).await;
    again.capture(1, &DiskImage("snapshot-2".into())).await.unwrap();
    again.capture(1, &DiskImage("snapshot-2".into())).await.unwrap_err();
    again.destroy(1).await.unwrap();
    assert_eq!(bench.processes(), [""; 0]);
    assert_eq!(bench.names("machines"), [""; 0]);

    // What was captured is independent of the machine, and of each other's deletion.
    let second = bench.spec(2, "snapshot-2");
    again.create(&second).await.unwrap();
    again.delete_image(&DiskImage("snapshot-1".into())).await.unwrap();
    again.image(&DiskImage("snapshot-1".into())).await.unwrap_err();
    again.start(2).await.unwrap();
    let connection = bench.log_in(&second).await;
    assert_eq!(output(&connection, "cat /root/first /root/second; hostname").await, "one\ntwo\nmachine-2");

    again.open_ports(&[9090]).await.unwrap();
    let serve = "import socket; s = socket.create_server((\"0.0.0.0\", 9090)); print(flush=True)\n\
                 c = s.accept()[0]; c.send(b\"hello\"); c.close()";
    output(&connection, &format!("python3 -c '{serve}' > /run/served 2>&1 & until test -s /run/served; do :; done"))
        .await;
    let mut text = String::new();
    let mut stream = tokio::net::TcpStream::connect((second.address, 9090)).await.unwrap();
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut text).await.unwrap();
    assert_eq!(text, "hello");

    again.delete_image(&DiskImage("snapshot-2".into())).await.unwrap();
    again.destroy(2).await.unwrap();
    again.destroy(2).await.unwrap();
    assert_eq!(bench.processes(), [""; 0]);
    assert_eq!((bench.names("machines"), bench.names("layers")), (vec![], vec![]));
}

/// Whether apt waits for its locks once a bake has set it up: each is held for some seconds.
async fn apt_locks(connection: &Connection) -> Vec<String> {
    let hold = |lock: &str| {
        format!(
            "python3 -c 'import fcntl, time; f = open(\"{lock}\", \"w\"); fcntl.lockf(f, fcntl.LOCK_EX); open(\"/run/held\", \"w\"); \
             time.sleep(5)' & until test -e /run/held; do sleep 0.1; done; rm /run/held"
        )
    };
    let mut found = Vec::new();
    let (set_up, _) = connection.capture(&remint_core::bake::apt::set_up()).await.unwrap();
    if !set_up.exit.is_success() {
        found.push(format!("{set_up:?}"));
    }
    for (lock, command) in [
        ("/var/lib/dpkg/lock-frontend", "apt-get install -y base-files"),
        ("/var/lib/dpkg/lock-frontend", "env -i apt-get install -y base-files"),
        // apt 2.6 waits for dpkg's locks alone: this is why Remint waits for apt's own timers before the first step.
        ("/var/lib/apt/lists/lock", "apt-get update 2>&1 | grep -q 'Could not get lock /var/lib/apt/lists/lock'"),
    ] {
        let lines = format!("{}\n{command}", hold(lock));
        let (outcome, _) = connection.capture(&Command::shell(lines).timeout(Duration::from_secs(120))).await.unwrap();
        if !outcome.exit.is_success() {
            found.push(format!("{command}: {outcome:?}"));
        }
    }
    found
}

#[tokio::test]
async fn a_real_machine_does_what_the_table_says() {
    let Some(images) = images() else { return };
    let bench = Bench::new(&images, false);
    let spec = bench.spec(1, DEBIAN_12);
    bench.qemu.create(&spec).await.unwrap();
    bench.qemu.start(1).await.unwrap();
    let connection = bench.log_in(&spec).await;
    output(&connection, "cloud-init status --wait >/dev/null").await;
    let mut found = observations::differences(&connection, true).await;
    found.extend(apt_locks(&connection).await);
    assert!(found.is_empty(), "{}", found.join("\n"));
    bench.qemu.destroy(1).await.unwrap();
}

#[tokio::test]
async fn a_saved_guest_becomes_each_real_machine_anew() {
    let Some(images) = images() else { return };
    let bench = Bench::new(&images, true);
    bench.qemu.warm(DEBIAN_12, 1, 1024, &|line: &str| eprintln!("{line}")).await.unwrap();
    let mut identities = Vec::new();
    for id in [11, 12] {
        let spec = bench.spec(id, DEBIAN_12);
        let started = Instant::now();
        bench.qemu.create(&spec).await.unwrap();
        bench.qemu.start(id).await.unwrap();
        let connection = bench.log_in(&spec).await;
        eprintln!("saved guest to SSH: {:.1} s", started.elapsed().as_secs_f64());
        output(&connection, "cloud-init status --wait >/dev/null").await;
        eprintln!("saved guest to the end of cloud-init: {:.1} s", started.elapsed().as_secs_f64());
        let who = output(&connection, "cat /etc/who; echo; hostname; cat /var/lib/cloud/data/instance-id").await;
        assert_eq!(who, format!("machine {id}\nmachine-{id}\n{id}"));
        let now: i64 = output(&connection, "date +%s").await.parse().unwrap();
        let here = jiff::Timestamp::now().as_second();
        assert!((now - here).abs() < 30, "the guest's clock is set: {now}, here {here}");
        let size: u64 = output(&connection, "df --output=size -BM / | tail -1 | tr -dc 0-9").await.parse().unwrap();
        assert!(size > 24_000, "the file system has grown to the disk: {size} MiB");
        identities.push(output(&connection, "cat /etc/machine-id /proc/sys/kernel/random/uuid").await);
        if id == 12 {
            // From now on it is a machine like any other: a reboot runs what every boot runs.
            let before = output(&connection, "cat /proc/sys/kernel/random/boot_id; date > /etc/kept; sync").await;
            bench.qemu.reboot(id).await.unwrap();
            connection.close().await;
            let after = loop {
                let connection = bench.log_in(&spec).await;
                let boot = connection.capture(&Command::shell("cat /proc/sys/kernel/random/boot_id /etc/kept")).await;
                match boot {
                    Ok((outcome, text)) if outcome.exit.is_success() && !text.starts_with(&before) => break text,
                    // It has not gone down yet.
                    _ => tokio::time::sleep(Duration::from_millis(500)).await,
                }
            };
            assert!(after.lines().count() == 2, "{after}");
        }
    }
    for (a, b) in identities[0].lines().zip(identities[1].lines()) {
        assert_ne!(a, b, "machines from one guest differ");
    }
    for id in [11, 12] {
        bench.qemu.destroy(id).await.unwrap();
    }
    assert_eq!(bench.processes(), [""; 0]);
    assert_eq!((bench.names("machines"), bench.names("layers")), (vec![], vec![]));
}

#[tokio::test]
async fn a_real_machine_has_files_where_the_table_says() {
    let Some(images) = images() else { return };
    let bench = Bench::new(&images, true);
    let spec = bench.spec(21, DEBIAN_12);
    bench.qemu.create(&spec).await.unwrap();
    bench.qemu.start(21).await.unwrap();
    let connection = bench.log_in(&spec).await;
    let started = Instant::now();
    files::follow_the_table(&connection).await;
    eprintln!("the table of files: {:.1} s", started.elapsed().as_secs_f64());
    bench.qemu.destroy(21).await.unwrap();
}

/// A disk that is no more than a boot sector, which writes a word to the serial port and stops.
fn boot_sector(word: &str) -> Vec<u8> {
    let mut code = vec![0xba, 0xf8, 0x03];
    for letter in word.bytes() {
        code.extend([0xb0, letter, 0xee]);
    }
    code.extend([0xf4, 0xeb, 0xfd]);
    code.resize(510, 0);
    code.extend([0x55, 0xaa]);
    code.resize(1 << 20, 0);
    code
}

#[tokio::test]
async fn an_imported_disk_boots_as_a_real_machine() {
    if ["qemu-system-x86_64", "qemu-img"]
        .iter()
        .any(|p| std::process::Command::new(p).arg("--version").output().is_err())
    {
        not_run("QEMU is not installed");
        return;
    }
    let images = tempfile::tempdir().unwrap();
    let file = images.path().join("sector.raw");
    fs::write(&file, boot_sector("it lives")).unwrap();
    let sha256 = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(fs::read(&file).unwrap()));
    let import = base_image::ImportOptions { name: "mine".into(), file, sha256 };
    base_image::import(images.path(), &import, &|_| ()).await.unwrap();

    let bench = Bench::new(images.path(), true);
    let spec = |id, image| MachineSpec { memory_mib: 64, disk_gib: 1, ..bench.spec(id, image) };
    let alive = async |id, times| {
        let wait = async {
            while bench.qemu.console(id).await.unwrap().matches("it lives").count() < times {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap();
    };
    assert_eq!(bench.qemu.base_images().await.unwrap(), [DiskImage("mine".into())]);
    bench.qemu.create(&spec(1, "none")).await.unwrap_err();
    bench.qemu.create(&spec(1, "mine")).await.unwrap();
    bench.qemu.start(1).await.unwrap();
    alive(1, 1).await;
    let process = bench.processes();
    assert_eq!(process.len(), 1);
    bench.qemu.start(1).await.unwrap();
    assert_eq!(bench.processes(), process, "a machine that is on is left alone");

    // A base image that is replaced or removed breaks no machine.
    base_image::remove(images.path(), "mine").unwrap();
    let one = DiskImage("one".into());
    bench.qemu.capture(1, &one).await.unwrap();
    bench.qemu.power_off(1).await.unwrap();
    bench.qemu.power_off(1).await.unwrap();
    assert_eq!(bench.qemu.power(1).await.unwrap(), Power::Off);
    bench.qemu.start(1).await.unwrap();
    alive(1, 2).await;

    bench.qemu.create(&spec(2, "one")).await.unwrap();
    bench.qemu.start(2).await.unwrap();
    alive(2, 1).await;
    bench.qemu.delete_image(&one).await.unwrap();
    bench.qemu.image(&one).await.unwrap_err();
    bench.qemu.create(&spec(3, "one")).await.unwrap_err();
    bench.qemu.capture(2, &DiskImage("two".into())).await.unwrap();
    bench.qemu.replace_disk(1, &DiskImage("two".into())).await.unwrap();
    assert_eq!(bench.qemu.power(1).await.unwrap(), Power::Off);
    bench.qemu.resize(1, 2, 128, 2).await.unwrap();
    bench.qemu.start(1).await.unwrap();
    alive(1, 3).await;
    assert!(bench.processes().iter().any(|line| line.contains("-smp 2 -m 128")));

    // A port that is taken is an error that says so, and the machine stays off.
    bench.qemu.power_off(2).await.unwrap();
    let taken = std::net::TcpListener::bind((spec(2, "").address, 8080)).unwrap();
    let error = bench.qemu.start(2).await.unwrap_err().to_string();
    assert!(error.contains("8080"), "{error}");
    assert_eq!(bench.qemu.power(2).await.unwrap(), Power::Off);
    drop(taken);

    for id in [1, 2] {
        bench.qemu.destroy(id).await.unwrap();
    }
    // The deleted image stays for as long as the other one rests on it.
    assert_eq!(bench.names("layers")[1..], ["one", "two"]);
    bench.qemu.delete_image(&DiskImage("two".into())).await.unwrap();
    assert_eq!((bench.names("machines"), bench.names("layers")), (vec![], vec![]));
    assert_eq!(bench.processes(), [""; 0]);
}
