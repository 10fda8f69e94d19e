//! OpenSSH's own programs on a simulated machine.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Output, time::Duration};

use remint_sandbox::cloud::Api;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, process::Command};

use super::world::{World, run, text};

/// A machine, and a folder with the key to it.
struct Machine {
    world: World,
    address: String,
    folder: tempfile::TempDir,
}

impl Machine {
    async fn start() -> Self {
        let (world, folder) = (World::start().await, tempfile::tempdir().unwrap());
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(folder.path().join("key"));
        assert!(run(keygen).await.status.success());
        let key = fs::read_to_string(folder.path().join("key.pub")).unwrap();
        let post = async |path: &str, body: Value| call(&world, reqwest::Method::POST, path, body).await;
        let key = post("/v2/account/keys", json!({ "name": "key", "public_key": key })).await["ssh_key"]["id"].clone();
        let droplet = json!({ "name": "web", "region": "fra1", "size": "s-1vcpu-1gb", "image": "debian-12-x64",
            "ssh_keys": [key] });
        let id = post("/v2/droplets", droplet).await["droplet"]["id"].to_string();
        loop {
            let shown = call(&world, reqwest::Method::GET, &format!("/v2/droplets/{id}"), Value::Null).await;
            if shown["droplet"]["status"] == "active" {
                let address = shown["droplet"]["networks"]["v4"][0]["ip_address"].as_str().unwrap().to_owned();
                let machine = Self { world, address, folder };
                while !machine.ssh(&[], "true", "").await.status.success() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                return machine;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn program(&self, name: &str, port: &str) -> Command {
        let mut command = self.world.client(Api::DigitalOcean, name);
        command.args(["-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]);
        command.args(["-o", "LogLevel=ERROR", "-o", "BatchMode=yes", "-i"]).arg(self.folder.path().join("key"));
        command.args([port, &self.world.sandbox.ports().resolve(22).to_string()]).current_dir(self.folder.path());
        command
    }

    /// Runs a command on the machine; without one, what is on standard input.
    async fn ssh(&self, flags: &[&str], script: &str, input: &str) -> Output {
        let mut command = self.program("ssh", "-p");
        command.args(flags).arg(format!("root@{}", self.address));
        if !script.is_empty() {
            command.arg(script);
        }
        with_input(command, input).await
    }

    /// `HOST:` in the words stands for the machine.
    async fn scp(&self, words: &str) -> Output {
        let mut command = self.program("scp", "-P");
        command.args(words.replace("HOST:", &format!("root@{}:", self.address)).split(' '));
        run(command).await
    }

    async fn out(&self, script: &str) -> String {
        let output = self.ssh(&[], script, "").await;
        assert!(output.status.success(), "{script}: {}", text(&output));
        String::from_utf8(output.stdout).unwrap()
    }
}

async fn call(world: &World, method: reqwest::Method, path: &str, body: Value) -> Value {
    let request = reqwest::Client::new().request(method, format!("{}{path}", world.sandbox.url()));
    let request = request.bearer_auth(world.sandbox.token().expose_secret()).json(&body);
    request.send().await.unwrap().error_for_status().unwrap().json().await.unwrap()
}

async fn with_input(mut command: Command, input: &str) -> Output {
    use std::process::Stdio;
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A command that does not read its input may have ended.
    stdin.write_all(input.as_bytes()).await.ok();
    drop(stdin);
    tokio::time::timeout(Duration::from_secs(60), child.wait_with_output()).await.expect("ssh hangs").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn ssh_ends_as_its_command_does() {
    let machine = Machine::start().await;
    for (flags, script, input, status, out) in [
        (&[][..], "true", "", 0, ""),
        (&[], "exit 7", "", 7, ""),
        (&[], "echo out; echo err >&2; false", "", 1, "out\n"),
        // By a signal.
        (&[], "kill -9 $$", "", 255, ""),
        (&["-t"], "true", "", 0, ""),
        (&["-tt"], "exit 5", "", 5, ""),
        (&[], "", "exit 3", 3, ""),
        (&["-tt"], "", "echo in a shell; exit 4\n", 4, "in a shell\n"),
        (&["-T"], "cat", "back", 0, "back"),
        (&["-n"], "cat; echo end", "never", 0, "end\n"),
        (&["-o", "SetEnv=GREETING=hello"], "echo $GREETING", "", 0, "hello\n"),
        // What a client may ask for and this server has not.
        (&["-A"], "echo on", "", 0, "on\n"),
        (&["-X"], "echo on", "", 0, "on\n"),
        (&["-R", "0:127.0.0.1:1"], "echo on", "", 0, "on\n"),
        (&["-s"], "nosuch", "", 255, ""),
        (&["-W", "127.0.0.1:1"], "", "", 255, ""),
    ] {
        let output = machine.ssh(flags, script, input).await;
        let ran = (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned());
        assert_eq!(ran, (Some(status), out.to_owned()), "{flags:?} {script:?} {input:?}: {}", text(&output));
    }
}

/// Makes files to copy: two, one with a space in its name, and a folder with an empty one in it.
fn plant(folder: &Path) {
    fs::create_dir_all(folder.join("tree/deep/empty")).unwrap();
    fs::write(folder.join("one"), "1\n").unwrap();
    fs::write(folder.join("two"), vec![7; 3_000_000]).unwrap();
    fs::write(folder.join("tree/deep/three"), "").unwrap();
    fs::set_permissions(folder.join("one"), fs::Permissions::from_mode(0o640)).unwrap();
    let then = std::time::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    fs::File::open(folder.join("one")).unwrap().set_modified(then).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn scp_copies_in_both_directions_and_by_both_protocols() {
    let machine = Machine::start().await;
    plant(machine.folder.path());
    for mode in ["-q", "-q -O"] {
        machine.out("rm -rf /srv/to; mkdir /srv/to").await;
        let copy = async |words: &str| machine.scp(&format!("{mode} {words}")).await;
        let good = async |words: &str| {
            let output = copy(words).await;
            assert!(output.status.success() && text(&output).is_empty(), "{mode} {words}: {output:?}");
        };
        let refused = async |words: &str, says: &str| {
            let output = copy(words).await;
            assert_eq!(output.status.code(), Some(1), "{mode} {words}: {}", text(&output));
            assert!(text(&output).contains(says), "{mode} {words}: {}", text(&output));
        };
        // There: one under another name, several, folders, times and modes.
        good("one HOST:/srv/to/other").await;
        good("one two HOST:/srv/to").await;
        good("-r tree HOST:/srv/to").await;
        good("-p one HOST:/srv/to/kept").await;
        let told =
            machine.out("cd /srv/to; ls; wc -c two; ls tree/deep; stat -c '%a %Y' kept; stat -c %a other; cat other");
        assert_eq!(
            told.await,
            "kept\none\nother\ntree\ntwo\n3000000 two\nempty\nthree\n640 1000000000\n640\n1\n",
            "{mode}"
        );
        // One that is there is replaced.
        good("two HOST:/srv/to/other").await;
        good("one HOST:/srv/to/other").await;
        assert_eq!(machine.out("cat /srv/to/other").await, "1\n");
        // And back.
        let back = machine.folder.path().join("back");
        fs::create_dir_all(&back).unwrap();
        good("HOST:/srv/to/one HOST:/srv/to/two back").await;
        good("-r HOST:/srv/to/tree back").await;
        good("-p HOST:/srv/to/kept back/kept").await;
        good("HOST:/srv/to/k* back/globbed").await;
        assert_eq!(fs::read(back.join("two")).unwrap(), vec![7; 3_000_000]);
        assert_eq!(fs::read_to_string(back.join("one")).unwrap(), "1\n");
        assert_eq!(fs::read_to_string(back.join("globbed")).unwrap(), "1\n");
        assert!(back.join("tree/deep/empty").is_dir() && back.join("tree/deep/three").exists());
        let kept = fs::metadata(back.join("kept")).unwrap();
        assert_eq!(kept.permissions().mode() & 0o777, 0o640);
        assert_eq!(kept.modified().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs(), 1_000_000_000);
        fs::remove_dir_all(&back).unwrap();
        // What cannot be copied is said by scp itself, and the rest is copied.
        refused("HOST:/none .", "No such file or directory").await;
        refused("HOST:/none HOST:/srv/to/other .", "/none: No such file or directory").await;
        assert_eq!(fs::read_to_string(machine.folder.path().join("other")).unwrap(), "1\n");
        refused("HOST:/srv/to/tree .", "not a regular file").await;
        refused("one HOST:/none/deeper/one", "No such file or directory").await;
        // By SFTP scp makes the folder itself.
        match mode {
            "-q" => good("one two HOST:/srv/to/new").await,
            _ => refused("one two HOST:/srv/to/new", "Not a directory").await,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sftp_runs_a_batch() {
    let machine = Machine::start().await;
    plant(machine.folder.path());
    let batch = async |lines: &str| {
        fs::write(machine.folder.path().join("batch"), lines).unwrap();
        let mut command = machine.program("sftp", "-P");
        command.args(["-q", "-b", "batch"]).arg(format!("root@{}", machine.address));
        run(command).await
    };
    let output = batch(
        "mkdir /srv/to\ncd /srv/to\nput -p one\nput -R tree\nsymlink one link\nrename one moved\nchmod 600 moved\nput two\n\
         rm two\nmkdir gone\nrmdir gone\nget -p moved fetched\nls -1\npwd\n",
    );
    let output = output.await;
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("link\n") && text(&output).contains("/srv/to"), "{}", text(&output));
    assert_eq!(fs::read_to_string(machine.folder.path().join("fetched")).unwrap(), "1\n");
    let told = machine.out("cd /srv/to; ls; readlink link; stat -c '%a %Y' moved; ls tree/deep").await;
    assert_eq!(told, "link\nmoved\ntree\none\n600 1000000000\nempty\nthree\n");
    let output = batch("get /none\n").await;
    assert!(output.status.code() == Some(1) && text(&output).contains("not found"), "{}", text(&output));
}
