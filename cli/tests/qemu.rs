//! The journey of one service on real virtual machines, as a user makes it: bake, deploy, replace under a client, roll back.
//!
//! Needs QEMU and the base image `debian-12-x64` (`remint sandbox image build debian-12`). Where one is missing it says
//! that it did not run; with `REMINT_REQUIRE_QEMU=1` in the environment, as `make test` sets it where it has installed
//! QEMU, that is a failure.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test tells what it could not run, and may panic")]

#[path = "common/qemu.rs"]
mod machines;

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

/// How often the client asks.
const EVERY: Duration = Duration::from_millis(50);

/// A sandbox and a service of this test alone.
struct Journey {
    dir: tempfile::TempDir,
    name: String,
}

impl Journey {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_remint"));
        command.args(args).current_dir(self.dir.path()).stdin(Stdio::null());
        command.env("REMINT_SANDBOX", &self.name).env("REMINT_SANDBOX_DIR", self.dir.path().join("sandboxes"));
        for variable in ["CI", "DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN", "DIGITALOCEAN_API_URL", "REMINT_ENV"]
        {
            command.env_remove(variable);
        }
        command
    }

    /// Runs the command, whose standard error shows in the test's own, and gives the data of its result.
    fn run(&self, args: &[&str]) -> Value {
        let started = Instant::now();
        let output = self.command(args).arg("--json").stderr(Stdio::inherit()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "remint {}: {}\n{text}", args.join(" "), output.status);
        eprintln!("remint {}: {:.0} s", args.join(" "), started.elapsed().as_secs_f64());
        let last: Value = serde_json::from_str(text.lines().last().unwrap_or("null")).unwrap();
        last["data"].clone()
    }

    /// What stands in a folder of the sandbox's machines.
    fn machines(&self, what: &str) -> Vec<PathBuf> {
        let folder = self.dir.path().join("sandboxes").join(&self.name).join("machines/qemu").join(what);
        let mut found: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        found.sort();
        found
    }

    fn snapshots(&self) -> Vec<PathBuf> {
        let is_snapshot = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("snapshot-");
        self.machines("layers").into_iter().filter(is_snapshot).collect()
    }
}

impl Drop for Journey {
    fn drop(&mut self) {
        // A failed test leaves no machine either.
        for args in [["sandbox", "reset", "--yes"], ["sandbox", "stop", "--machines"]] {
            let _ = self.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
    }
}

/// Asks for the page once, as a new client.
fn ask(address: SocketAddr) -> Result<String, String> {
    let failed = |error: std::io::Error| error.to_string();
    let patience = Duration::from_secs(20);
    let mut stream = TcpStream::connect_timeout(&address, patience).map_err(failed)?;
    stream.set_read_timeout(Some(patience)).map_err(failed)?;
    write!(stream, "GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").map_err(failed)?;
    let mut text = String::new();
    stream.read_to_string(&mut text).map_err(failed)?;
    let version = text.lines().find_map(|line| line.strip_prefix("<p>version ")?.strip_suffix("</p>"));
    match version {
        Some(version) if text.starts_with("HTTP/1.1 200 ") => Ok(version.to_owned()),
        _ => Err(format!("an answer that is no page: {text:?}")),
    }
}

/// What clients saw, and how often.
type Seen = BTreeMap<Result<String, String>, usize>;

/// Asks through the stable address, twenty times a second, until it is stopped.
struct Client {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<()>,
    seen: Arc<Mutex<Seen>>,
}

impl Client {
    fn start(address: SocketAddr) -> Self {
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Seen::new())));
        let (stopped, answers) = (stop.clone(), seen.clone());
        let thread = thread::spawn(move || {
            let mut requests = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let answers = answers.clone();
                requests.push(thread::spawn(move || {
                    let answer = ask(address);
                    *answers.lock().unwrap().entry(answer).or_insert(0) += 1;
                }));
                requests.retain(|request| !request.is_finished());
                thread::sleep(EVERY);
            }
            for request in requests {
                request.join().unwrap();
            }
        });
        Self { stop, thread, seen }
    }

    fn stop(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

/// Makes the example's deploys as short as they can be, and patient with a busy machine.
fn hurry(manifest: &Path) {
    let text = fs::read_to_string(manifest).unwrap();
    let quick = text.replace("observe = \"5s\"", "observe = \"1s\"").replace("drain = \"2s\"", "drain = \"1s\"");
    assert_ne!(quick, text, "the example's [deploy] has changed");
    fs::write(manifest, quick).unwrap();
}

/// What only real machines show, on the same boots: scripts run although `/tmp` is mounted `noexec`, a machine resolves its own name, and
/// the configuration belongs to a user whose group has another name.
fn look_closer(manifest: &Path) {
    let text = fs::read_to_string(manifest).unwrap();
    let resolves = "getent hosts \\\"$(hostname)\\\" | grep -q '^127.0.1.1 '";
    let owned = "test \\\"$(stat -c %U:%G:%a /etc/hello/hello.env)\\\" = nobody:nogroup:600";
    let first = "[[image.provision]]\ntype = \"shell\"\ninline = [\"mount -t tmpfs -o noexec tmpfs /tmp\"]\n\n";
    let changes = [
        ("[[image.provision]]\ntype = \"file\"", format!("{first}[[image.provision]]\ntype = \"file\"")),
        ("[[image.verify]]", format!("[[image.verify]]\ncommand = \"{resolves}\"\n\n[[image.verify]]")),
        ("[config]\n", "[config]\nowner = \"nobody\"\n".to_owned()),
        ("[deploy]\n", format!("[deploy]\nbefore_switch = \"{resolves} && {owned}\"\n")),
    ];
    let closer = changes.iter().fold(text, |text, (before, after)| {
        assert_eq!(text.matches(before).count(), 1, "the example's {before} has changed");
        text.replace(before, after)
    });
    fs::write(manifest, closer).unwrap();
}

#[test]
fn a_service_on_real_machines_is_baked_deployed_replaced_under_a_client_and_rolled_back() {
    if !machines::is_possible() {
        return;
    }
    let journey = Journey { dir: tempfile::tempdir().unwrap(), name: format!("journey-{}", std::process::id()) };
    journey.run(&["sandbox", "start", "--kind", "qemu"]);
    journey.run(&["-C", "hello", "init", "--name", "hello"]);
    hurry(&journey.dir.path().join("hello/remint.toml"));
    look_closer(&journey.dir.path().join("hello/remint.toml"));

    journey.run(&["-C", "hello", "deploy"]);
    let status = journey.run(&["-C", "hello", "status"]);
    let address: SocketAddr = status["endpoint"].as_str().unwrap().parse().unwrap();
    assert_eq!(ask(address).unwrap(), "v1");
    assert_eq!(journey.machines("machines").len(), 1, "the builder is gone");

    // The image, read from outside, is nobody's.
    let snapshots = journey.snapshots();
    assert_eq!(snapshots.len(), 1);
    let look = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples/sealed.sh");
    let looked = Command::new(look).arg(snapshots[0].join("disk.qcow2")).arg(journey.dir.path()).output().unwrap();
    assert!(looked.status.success(), "{}", String::from_utf8_lossy(&looked.stderr));

    let client = Client::start(address);
    journey.run(&["-C", "hello", "deploy", "--var", "version=v2"]);
    assert_eq!(ask(address).unwrap(), "v2");
    let seen = client.stop();
    let answers: Vec<_> = seen.keys().cloned().collect();
    assert_eq!(answers, [Ok("v1".to_owned()), Ok("v2".to_owned())], "what clients saw: {seen:?}");
    assert_eq!(journey.machines("machines").len(), 1, "the old instance is gone");

    journey.run(&["-C", "hello", "rollback"]);
    assert_eq!(ask(address).unwrap(), "v1");
    assert_eq!(journey.snapshots().len(), 2, "nothing was baked");

    journey.run(&["-C", "hello", "destroy", "--images", "--yes"]);
    assert_eq!((journey.machines("machines"), journey.snapshots()), (vec![], vec![]));
}

#[test]
#[ignore = "boots two emulated machines and reads their disks: make test-guests"]
fn a_builder_is_kept_and_a_secret_of_a_step_is_on_no_disk_on_a_real_machine() {
    if !machines::is_possible() {
        return;
    }
    let journey = Journey { dir: tempfile::tempdir().unwrap(), name: format!("secret-{}", std::process::id()) };
    journey.run(&["sandbox", "start", "--kind", "qemu"]);
    journey.run(&["-C", "hello", "init", "--name", "hello"]);
    let secret = format!("hush-{}", uuid::Uuid::new_v4().simple());
    fs::write(journey.dir.path().join("hello/hush"), &secret).unwrap();
    let manifest = journey.dir.path().join("hello/remint.toml");
    let steps = |told: &str| {
        format!(
            "[secrets]\nhush = {{ file = \"hush\" }}\n[[image.provision]]\ntype = \"shell\"\ninline = [\"{told}\"]\n\
             secret_env = {{ TOKEN = \"${{secret.hush}}\" }}\n"
        )
    };
    let text = fs::read_to_string(&manifest).unwrap();
    let bake = |told: &str, args: &[&str]| {
        fs::write(&manifest, format!("{text}\n{}", steps(told))).unwrap();
        journey.command(&[&["-C", "hello", "bake"], args].concat()).output().unwrap()
    };
    let said = |output: &std::process::Output| String::from_utf8_lossy(&output.stderr).into_owned();

    let failed = bake("echo $TOKEN > /run/seen; false", &["--on-error=keep"]);
    assert_eq!(failed.status.code(), Some(5), "{}", said(&failed));
    let looked = journey.command(&["-C", "hello", "ssh", "--builder", "--", "cat /run/seen"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&looked.stdout).trim(), secret, "{}", said(&looked));
    journey.run(&["-C", "hello", "gc", "--kept", "--yes"]);
    assert_eq!(journey.machines("machines"), Vec::<PathBuf>::new());

    let baked = bake("echo a-mark-on-the-disk-$(printf %s $TOKEN | wc -c) > /opt/mark", &[]);
    assert!(baked.status.success(), "{}", said(&baked));
    let disk = journey.snapshots().pop().unwrap().join("disk.qcow2");
    let raw = journey.dir.path().join("raw");
    let converted = Command::new("qemu-img").args(["convert", "-O", "raw"]).arg(disk).arg(&raw).status().unwrap();
    assert!(converted.success());
    // Every block, also those that no file has any more.
    let is_there = |text: &str| {
        let grep = Command::new("grep").args(["-a", "-q", "-F", "-e", text]).arg(&raw).status().unwrap();
        grep.code() == Some(0)
    };
    assert!(is_there(&format!("a-mark-on-the-disk-{}", secret.len())));
    assert!(!is_there(&secret));
}
