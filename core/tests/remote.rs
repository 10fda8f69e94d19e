//! The way into a machine, against a real sshd.
#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

mod common;

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    net::SocketAddr,
    os::unix::{
        ffi::OsStrExt,
        fs::{PermissionsExt, symlink},
    },
    path::Path,
    time::Duration,
};

use common::sshd::{Sshd, user};
use remint_core::{
    bake::files::copy_step,
    events::Stream,
    manifest::{FileProvisioner, Links},
    provider::Guest,
    remote::{
        Boot, Command, Connection, Exit, HostKey, LoginKey, RemoteError, UploadOptions, WaitOptions, wait_for_ssh,
    },
};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

async fn machine() -> (Sshd, Connection) {
    let key = HostKey::generate();
    let sshd = Sshd::start(&key).await;
    let connection = Connection::connect(&sshd.options(key.public())).await.unwrap();
    (sshd, connection)
}

async fn output(connection: &Connection, script: &str) -> String {
    let (outcome, text) = connection.capture(&Command::shell(script)).await.unwrap();
    assert!(outcome.exit.is_success(), "{script}: {} {:?}", outcome.exit, outcome.tail);
    text
}

const GUEST: Guest = Guest { host_keys: "the agent of this cloud replaces them", ..Guest::CLOUD_INIT };
const FIRST: Boot = Boot::First(&GUEST);

fn wait(seconds: u64, boot: Boot) -> WaitOptions {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    WaitOptions { deadline, boot, cancel: CancellationToken::new() }
}

#[tokio::test]
async fn a_man_in_the_middle_with_another_host_key_is_refused() {
    let installed = HostKey::generate();
    let other = HostKey::generate();
    let middle = Sshd::start(&other).await;
    let error = Connection::connect(&middle.options(installed.public())).await.unwrap_err();
    let RemoteError::HostKeyMismatch { endpoint, expected, got } = &error else { panic!("{error}") };
    assert_eq!(*endpoint, middle.endpoint);
    assert_eq!(*expected, installed.public().fingerprint());
    assert_eq!(*got, other.public().fingerprint());
    assert!(error.to_string().contains("somebody is in the middle"), "{error}");
    assert!(error.hint().is_some());
    // The login key would be accepted there, so only the host key kept us out; and the login was never tried.
    assert!(Connection::connect(&middle.options(other.public())).await.is_ok());
    let log = middle.log();
    assert_eq!(log.matches("Accepted publickey").count(), 1, "{log}");
    assert!(!log.contains("Failed publickey"), "{log}");
}

#[tokio::test]
async fn another_kind_of_host_key_is_refused_too() {
    // A server whose only key is of another kind cannot be the machine whose ed25519 key was installed.
    let key = HostKey::generate();
    let folder = tempfile::tempdir().unwrap();
    let ecdsa = folder.path().join("ecdsa");
    let made =
        std::process::Command::new("ssh-keygen").args(["-q", "-t", "ecdsa", "-N", "", "-f"]).arg(&ecdsa).status();
    assert!(made.unwrap().success());
    let sshd = Sshd::start_with_key(&fs::read_to_string(ecdsa).unwrap()).await;
    let error = Connection::connect(&sshd.options(key.public())).await.unwrap_err();
    assert!(matches!(&error, RemoteError::HostKeyMismatch { got, .. } if got.contains("no ed25519 key")), "{error}");
}

#[tokio::test]
async fn a_host_key_mismatch_is_final_unless_the_machine_boots_for_the_first_time() {
    let sshd = Sshd::start(&HostKey::generate()).await;
    let options = sshd.options(HostKey::generate().public());
    let mut attempts = 0;
    let error = wait_for_ssh(&options, &wait(600, Boot::Later), &mut |_| attempts += 1).await.unwrap_err();
    assert!(matches!(error, RemoteError::HostKeyMismatch { .. }), "{error}");
    assert_eq!(attempts, 1);
    let error = wait_for_ssh(&options, &wait(1, FIRST), &mut |_| attempts += 1).await.unwrap_err();
    let RemoteError::NotInTime { last, .. } = &error else { panic!("{error}") };
    assert!(matches!(**last, RemoteError::HostKeyMismatch { .. }), "{error}");
    assert!(attempts > 2, "a booting machine is asked again");
    assert_eq!(sshd.log().matches("publickey").count(), 0, "no login was ever tried");
}

/// A port that passes its first `turns` connections to one server, and all later ones to another.
async fn relay(turns: usize, first: SocketAddr, later: SocketAddr) -> (SocketAddr, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        for turn in 0.. {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut server = TcpStream::connect(if turn < turns { first } else { later }).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut server).await });
        }
    });
    (address, task)
}

#[tokio::test]
async fn a_first_boot_waits_out_another_host_key_and_sends_it_nothing() {
    let (key, others) = (HostKey::generate(), HostKey::generate());
    let (real, foreign) = (Sshd::start(&key).await, Sshd::start(&others).await);
    let (address, relay) = relay(2, foreign.endpoint, real.endpoint).await;
    let mut options = real.options(key.public());
    options.endpoint = address;
    let mut seen = Vec::new();
    let mut on_failure = |error: &RemoteError| match error {
        RemoteError::HostKeyMismatch { got, .. } => seen.push(got.clone()),
        other => panic!("{other}"),
    };
    let connected = wait_for_ssh(&options, &wait(60, FIRST), &mut on_failure).await;
    assert_eq!(output(&connected.unwrap(), "echo in").await, "in\n");
    assert_eq!(seen, vec![others.public().fingerprint(); 2]);
    // It saw two clients, and neither a login nor the name of a user.
    let log = foreign.log();
    assert_eq!(log.matches("Connection from ").count(), 3, "one of them is the test's own look at the port: {log}");
    assert!(!log.contains("publickey") && !log.contains(&user()), "{log}");
    relay.abort();
}

#[tokio::test]
async fn a_timeout_names_the_foreign_key_that_an_earlier_attempt_saw() {
    let others = HostKey::generate();
    let mut sshd = Sshd::start(&others).await;
    let expected = HostKey::generate().public();
    let options = sshd.options(expected.clone());
    let mut on_failure = |error: &RemoteError| {
        if matches!(error, RemoteError::HostKeyMismatch { .. }) {
            sshd.kill();
        }
    };
    let error = wait_for_ssh(&options, &wait(2, FIRST), &mut on_failure).await.unwrap_err();
    let RemoteError::NotInTime { last, .. } = &error else { panic!("{error}") };
    assert!(matches!(**last, RemoteError::Unreachable { .. }), "{error}");
    let text = error.to_string();
    let (got, expected) = (others.public().fingerprint(), expected.fingerprint());
    let told = format!("the last host key that it showed was {got}, and Remint's is {expected}: {}", GUEST.host_keys);
    assert!(text.contains("connection refused") && text.ends_with(&told), "{text}");
    assert!(error.hint().is_some_and(|hint| hint.contains("console")));

    // A machine that never showed a key is not said to have.
    let error = wait_for_ssh(&options, &wait(1, FIRST), &mut |_| ()).await.unwrap_err();
    assert!(error.to_string().ends_with("connection refused)"), "{error}");
}

#[tokio::test]
async fn a_machine_that_boots_is_reached_as_soon_as_it_lets_us_in() {
    let key = HostKey::generate();
    let sshd = Sshd::start(&key).await;
    let real = sshd.endpoint;
    // User-mode networking: accepts and closes until the guest is up, then passes everything through.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut options = sshd.options(key.public());
    options.endpoint = listener.local_addr().unwrap();
    let relay = tokio::spawn(async move {
        for turn in 0.. {
            let (mut client, _) = listener.accept().await.unwrap();
            match turn {
                0..3 => drop(client),
                3 => drop(client.write_all(b"nonsense\r\n").await),
                _ => {
                    let mut server = TcpStream::connect(real).await.unwrap();
                    tokio::spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut server).await });
                }
            }
        }
    });
    let mut reasons = Vec::new();
    let connected = wait_for_ssh(&options, &wait(60, FIRST), &mut |error| reasons.push(error.to_string())).await;
    assert_eq!(output(&connected.unwrap(), "echo in").await, "in\n");
    assert_eq!(reasons.len(), 4, "{reasons:?}");
    assert!(reasons[0].contains("closed before the banner") || reasons[0].contains("reset"), "{reasons:?}");
    relay.abort();
}

#[tokio::test]
async fn nothing_there_and_a_wrong_login_are_told_apart() {
    let key = HostKey::generate();
    let mut sshd = Sshd::start(&key).await;
    let mut options = sshd.options(key.public());
    options.login = LoginKey::generate();
    let error = Connection::connect(&options).await.unwrap_err();
    assert!(matches!(error, RemoteError::AuthRefused { .. }), "{error}");
    sshd.kill();
    let error = Connection::connect(&options).await.unwrap_err();
    assert!(error.to_string().ends_with("does not answer SSH: connection refused"), "{error}");
}

#[tokio::test]
async fn a_wait_can_be_interrupted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let key = HostKey::generate();
    let options =
        remint_core::remote::ConnectOptions::new(listener.local_addr().unwrap(), LoginKey::generate(), key.public());
    let wait = wait(600, FIRST);
    let cancel = wait.cancel.clone();
    let mut silent = |_: &RemoteError| {};
    let (ended, ()) = tokio::join!(wait_for_ssh(&options, &wait, &mut silent), async { cancel.cancel() });
    assert!(matches!(ended.unwrap_err(), RemoteError::Cancelled));
}

#[tokio::test]
async fn lines_arrive_by_stream_and_the_last_thirty_are_kept() {
    let (_sshd, connection) = machine().await;
    let mut seen = Vec::new();
    let script = "i=1; while [ $i -le 40 ]; do echo $i; i=$((i+1)); done; echo oops >&2; printf 'no end'; exit 7";
    let mut on_line = |stream, line: &str| seen.push((stream, line.to_owned()));
    let outcome = connection.exec(&Command::shell(script), &mut on_line).await.unwrap();
    assert_eq!(outcome.exit, Exit::Status(7));
    assert_eq!(outcome.tail.len(), 30);
    assert!(outcome.tail.contains(&"no end".to_owned()) && outcome.tail.contains(&"oops".to_owned()));
    assert_eq!(seen.len(), 42);
    assert!(seen.contains(&(Stream::Stderr, "oops".to_owned())));
    assert!(seen.contains(&(Stream::Stdout, "1".to_owned())));
}

#[tokio::test]
async fn the_environment_shows_in_no_process_argument() {
    let (_sshd, connection) = machine().await;
    let secret = "hunter2-' $(echo no) `x`";
    // The shell prints the arguments of every process while it holds the secret itself.
    let script = "printf '%s\\n' \"$TOKEN\"; cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '";
    let command = Command::shell(script).env("TOKEN", secret);
    let (outcome, text) = connection.capture(&command).await.unwrap();
    assert!(outcome.exit.is_success(), "{outcome:?}");
    assert!(text.starts_with(secret), "{text}");
    assert!(text.contains("sh -eu -s"), "the process list was not read");
    assert_eq!(text.matches("hunter2").count(), 1);
}

#[tokio::test]
async fn a_command_that_is_killed_says_by_which_signal() {
    let (_sshd, connection) = machine().await;
    let outcome = connection.exec(&Command::shell("echo before; kill -KILL $$"), &mut |_, _| {}).await.unwrap();
    assert_eq!(outcome.exit, Exit::Signal("KILL".into()));
    assert_eq!(outcome.exit.to_string(), "killed by signal KILL");
    assert_eq!(outcome.tail, ["before"]);
}

#[tokio::test]
async fn a_command_that_hangs_is_killed() {
    let (sshd, connection) = machine().await;
    let mark = sshd.folder().join("pid");
    let script = format!("echo $$ >{}; echo started; while :; do sleep 1; done", mark.display());
    let command = Command::shell(script).timeout(Duration::from_millis(500));
    let error = connection.exec(&command, &mut |_, _| {}).await.unwrap_err();
    assert!(matches!(&error, RemoteError::CommandTimeout { tail, .. } if tail == &["started"]), "{error:?}");
    let pid = fs::read_to_string(mark).unwrap();
    assert!(!fs::exists(format!("/proc/{}", pid.trim())).unwrap(), "the command still runs");
    assert_eq!(output(&connection, "echo on").await, "on\n", "the connection still serves");
}

#[tokio::test]
async fn a_process_left_in_the_background_holds_nothing_up() {
    let (_sshd, connection) = machine().await;
    let started = Instant::now();
    assert_eq!(output(&connection, "sleep 60 & echo $! >&2; echo done").await, "done\n");
    assert!(started.elapsed() < Duration::from_secs(50), "waited for the process in the background");
}

#[tokio::test]
async fn a_process_in_the_background_that_keeps_writing_holds_nothing_up() {
    let (_sshd, connection) = machine().await;
    let command = Command::shell("while sleep 0.2; do echo still here; done &\necho done");
    let outcome = connection.exec(&command.timeout(Duration::from_secs(300)), &mut |_, _| {}).await.unwrap();
    assert!(outcome.exit.is_success());
    assert!(outcome.elapsed < Duration::from_secs(100), "waited for the process in the background");
    assert!(outcome.tail.contains(&"done".to_owned()), "{:?}", outcome.tail);
}

#[tokio::test]
async fn a_lost_connection_is_an_error_of_its_own() {
    let (mut sshd, connection) = machine().await;
    let command = Command::shell("echo under way; sleep 60");
    let (send, started) = tokio::sync::oneshot::channel();
    let mut send = Some(send);
    let mut on_line = |_: Stream, _: &str| {
        if let Some(send) = send.take() {
            send.send(()).unwrap();
        }
    };
    let (ended, ()) = tokio::join!(connection.exec(&command, &mut on_line), async {
        started.await.unwrap();
        sshd.kill();
    });
    let error = ended.unwrap_err();
    assert!(matches!(&error, RemoteError::ConnectionLost { tail, .. } if tail == &["under way"]), "{error:?}");
    while !connection.is_closed() {
        sleep(Duration::from_millis(5)).await;
    }
    assert!(matches!(connection.exec(&command, &mut |_, _| {}).await, Err(RemoteError::ConnectionLost { .. })));
}

#[tokio::test]
async fn uploads_have_their_mode_and_replace_what_was_there() {
    let (sshd, connection) = machine().await;
    let there = sshd.folder().join("deep/er/file");
    let path = there.to_str().unwrap();
    let source = sshd.folder().join("source");
    let content: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
    fs::write(&source, &content).unwrap();
    connection.upload_bytes(b"old", path, &UploadOptions::default()).await.unwrap();
    assert_eq!(mode(&there), 0o644);
    let options = UploadOptions { mode: Some(0o4750), owner: Some(user()) };
    connection.upload_file(&source, path, &options).await.unwrap();
    assert!(fs::read(&there).unwrap() == content);
    assert_eq!(mode(&there), 0o4750);
    assert!(connection.download(path).await.unwrap() == content);
    assert_eq!(names(there.parent().unwrap()), ["file"], "nothing half-written is left");
}

#[tokio::test]
async fn a_failed_upload_leaves_nothing() {
    let (sshd, connection) = machine().await;
    let folder = sshd.folder().join("folder");
    fs::create_dir_all(folder.join("target/inside")).unwrap();
    let error = connection.upload_bytes(b"x", folder.join("target").to_str().unwrap(), &UploadOptions::default()).await;
    assert!(matches!(error, Err(RemoteError::Transfer { .. })), "{error:?}");
    assert_eq!(names(&folder), ["target"]);
    let missing = connection.upload_file(&folder.join("no"), "/nowhere", &UploadOptions::default()).await.unwrap_err();
    assert!(missing.to_string().ends_with("/no"), "{missing}");
    let through = folder.join("file");
    fs::write(&through, "").unwrap();
    let below = through.join("below");
    let error = connection.upload_bytes(b"x", below.to_str().unwrap(), &UploadOptions::default()).await.unwrap_err();
    assert!(error.to_string().contains("is not a folder") || error.to_string().contains("look at"), "{error}");
}

/// A `file` step that copies the folder `tree` of this machine.
fn step(destination: &Path, links: Option<Links>, owner: Option<String>) -> FileProvisioner {
    let destination = destination.to_str().unwrap().to_owned();
    FileProvisioner { source: "tree".into(), destination, mode: None, owner, links, exclude: Vec::new() }
}

/// Everything in a folder: name, kind, mode, content or text.
fn listing(folder: &Path) -> Vec<u8> {
    let script = "find . -printf '%P %y %m %l\\0' | LC_ALL=C sort -z | tr '\\0' '\\n'
        find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum";
    let output = std::process::Command::new("sh").args(["-c", script]).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[tokio::test]
async fn a_tree_arrives_as_cp_copies_it() {
    let (sshd, connection) = machine().await;
    let tree = sshd.folder().join("tree");
    fs::create_dir_all(tree.join("sub/empty")).unwrap();
    let odd: [&[u8]; 7] = [b"caf\xe9", b"caf\xe8", b"two\nlines\n", b" ", b"-rf", b"q'\"$x`\\", b"\xf0\x9f\x8d\x9e"];
    for name in odd {
        fs::write(tree.join("sub").join(OsStr::from_bytes(name)), name).unwrap();
    }
    let long = ["a very long name ".repeat(8), "b".repeat(200)];
    let deep = tree.join(&long[0]).join(&long[1]);
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("file"), "deep").unwrap();
    fs::write(tree.join("binary"), [0, 10, 255, 13, 10]).unwrap();
    fs::hard_link(tree.join("binary"), tree.join("again")).unwrap();
    for (name, target) in
        [("good", "sub/-rf"), ("untidy", "./sub//empty/"), ("nowhere", "no/where"), ("long", long[1].as_str())]
    {
        symlink(target, tree.join(name)).unwrap();
    }
    symlink(OsStr::from_bytes(b"caf\xe9"), tree.join("bytes")).unwrap();
    symlink("x".repeat(900), tree.join("very long")).unwrap();
    for (name, mode) in [("binary", 0o4751), ("sub", 0o2775), ("sub/empty", 0o1700), ("sub/-rf", 0o400)] {
        fs::set_permissions(tree.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    let (ours, cps) = (sshd.folder().join("x/ours"), sshd.folder().join("cp"));
    let mut told = Vec::new();
    let (plain, mut tell) = (step(&ours, None, None), |progress| told.push(progress));
    let copied = copy_step(&connection, sshd.folder(), &plain, &mut tell).await.unwrap();
    let cp = |flags: &str, to: &Path| {
        let done = std::process::Command::new("cp").arg(flags).arg(&tree).arg(to).status().unwrap();
        assert!(done.success());
    };
    cp("-a", &cps);
    assert_eq!(String::from_utf8_lossy(&listing(&ours)), String::from_utf8_lossy(&listing(&cps)));
    assert_eq!(copied.items, 2 + 20, "{copied:?}");
    assert!(told.iter().all(|progress| progress.all.bytes >= progress.done.bytes));
    // A second time, over what is there.
    copy_step(&connection, sshd.folder(), &step(&ours, Some(Links::Keep), Some(user())), &mut |_| ()).await.unwrap();
    assert_eq!(listing(&ours), listing(&cps));
}

#[tokio::test]
async fn links_that_are_followed_arrive_as_what_they_lead_to() {
    let (sshd, connection) = machine().await;
    let tree = sshd.folder().join("tree");
    fs::create_dir_all(&tree).unwrap();
    fs::create_dir(sshd.folder().join("shared")).unwrap();
    fs::write(sshd.folder().join("shared/key"), "value").unwrap();
    symlink("../shared", tree.join("config")).unwrap();
    let target = sshd.folder().join("target");
    copy_step(&connection, sshd.folder(), &step(&target, Some(Links::Follow), None), &mut |_| ()).await.unwrap();
    assert!(!target.join("config").is_symlink());
    assert_eq!(fs::read_to_string(target.join("config/key")).unwrap(), "value");
}

#[tokio::test]
async fn what_a_machine_refuses_is_named() {
    let (sshd, connection) = machine().await;
    let tree = sshd.folder().join("tree");
    fs::create_dir_all(&tree).unwrap();
    fs::write(tree.join("file"), vec![7; 100_000]).unwrap();
    let copy = async |step: FileProvisioner| match copy_step(&connection, sshd.folder(), &step, &mut |_| ()).await {
        Ok(copied) => panic!("{copied:?}"),
        Err(error) => error.to_string(),
    };
    for owner in ["no-such-user", "root:no-such-group", ""].map(str::to_owned) {
        let error = copy(step(&sshd.folder().join("target"), None, Some(owner.clone()))).await;
        assert!(error.starts_with(&format!("cannot give files to `{owner}` on the machine: ")), "{error}");
        assert!(error.contains(if owner.is_empty() { "nobody" } else { owner.as_str() }), "{error}");
    }
    assert!(!sshd.folder().join("target").exists(), "nothing is copied for somebody unknown");
    fs::write(sshd.folder().join("there"), "").unwrap();
    let error = copy(step(&sshd.folder().join("there"), None, None)).await;
    assert!(error.ends_with("/there on the machine is not a folder"), "{error}");
    // A file system that takes no files, in a way that is the same for root.
    let error = copy(step(Path::new("/proc/remint"), None, None)).await;
    assert!(error.starts_with("cannot unpack files on the machine: proc/remint"), "{error}");
}

#[tokio::test]
async fn a_connection_lost_in_the_middle_of_a_copy_is_told_as_such() {
    let (mut sshd, connection) = machine().await;
    let tree = sshd.folder().join("tree");
    fs::create_dir_all(&tree).unwrap();
    let noise: Vec<u8> = (0..4_000_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    for number in 0..4 {
        fs::write(tree.join(number.to_string()), &noise).unwrap();
    }
    let step = step(&sshd.folder().join("target"), None, None);
    let base = sshd.folder().to_owned();
    let copying = tokio::spawn(async move { copy_step(&connection, &base, &step, &mut |_| ()).await });
    while !sshd.folder().join("target/0").exists() {
        sleep(Duration::from_millis(2)).await;
    }
    sshd.kill();
    let error = copying.await.unwrap().unwrap_err().to_string();
    assert!(error.starts_with("lost the connection to") && error.ends_with("while copying files"), "{error}");
}

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn names(folder: &std::path::Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    entries.collect::<BTreeSet<_>>().into_iter().collect()
}
