//! Canaries: secrets of every kind that leak on purpose wherever a machine can make them leak, and a search for them in everything
//! that Remint writes and starts.
#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[expect(dead_code, reason = "other test files use the rest")]
mod common;
#[path = "canary/search.rs"]
mod search;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::{Command, Output, Stdio},
    time::Duration,
};

use common::World;
use search::{Canary, Search, encodings, processes};
use serde_json::Value;

/// The ways to run it: what is shown, and how much.
const VERBOSITIES: [&[&str]; 4] = [&["--quiet"], &[], &["-vv"], &["--json"]];

/// A service whose secrets come from everywhere, and whose machines say all that they know.
struct Leaky {
    world: World,
    provider: &'static str,
    canaries: Vec<Canary>,
    variables: Vec<(String, String)>,
}

impl Leaky {
    async fn new(provider: &'static str) -> Self {
        let world = World::on_every_cloud().await;
        let mut variables = Vec::new();
        let mut canaries = Vec::new();
        for name in ["environment", "file", "command"] {
            // With what each encoding changes.
            canaries.push(Canary { name, value: format!("k\"9/+{name}%&{}", uuid()) });
        }
        variables.push(("CANARY".to_owned(), canaries[0].value.clone()));
        world.write("secret-file", &canaries[1].value);
        world.write("secret-command", &canaries[2].value);
        world.write(
            "secret.sh",
            "env >> child-environment\ntr '\\0' ' ' < /proc/$PPID/cmdline >> parent-arguments\ncat secret-command\n",
        );
        for (variable, value) in world.variables(provider).await {
            match variable.as_str() {
                "DIGITALOCEAN_TOKEN" => canaries.push(Canary { name: "token", value }),
                "AWS_SECRET_ACCESS_KEY" => canaries.push(Canary { name: "AWS secret access key", value }),
                "GOOGLE_APPLICATION_CREDENTIALS" => {
                    let file: Value = serde_json::from_str(&fs::read_to_string(value).unwrap()).unwrap();
                    let key = file["private_key"].as_str().unwrap().to_owned();
                    let line = key.lines().nth(2).unwrap().to_owned();
                    canaries.push(Canary { name: "Google private key", value: line });
                }
                _ => {}
            }
        }
        assert_eq!(canaries.len(), 4, "{provider}");
        let leaks: String =
            canaries.iter().flat_map(|canary| encodings(&canary.value)).map(|(_, text)| format!("{text}\n")).collect();
        world.write("leaks", &leaks);
        world.append(
            "[secrets]\nfrom_environment = { env = \"CANARY\" }\nfrom_file = { file = \"secret-file\" }\n\
             from_command = { command = [\"sh\", \"secret.sh\"] }\n\
             [[image.provision]]\ntype = \"file\"\nsource = \"leaks\"\ndestination = \"/opt/leaks\"\n\
             [[image.provision]]\ntype = \"shell\"\ninline = [\"cat /opt/leaks\", \"exit 0\"]\n",
        );
        world.edit(
            "GREETING = ",
            "A = \"${secret.from_environment}\"\nB = \"x=${secret.from_file}\"\nC = \"${secret.from_command}\"\nGREETING = ",
        );
        world.edit(
            "drain = \"0s\"",
            "drain = \"0s\"\nbefore_switch = \"cat /etc/hello.env /opt/leaks /etc/ssh/ssh_host_ed25519_key; base64 /etc/hello.env; exit 0\"",
        );
        world.edit_file("simulation.toml", "body = \"ok\"", "body = \"{file:/etc/hello.env} {file:/opt/leaks}\"");
        world.edit("start_period = \"5s\"", "start_period = \"500ms\"");
        Self { world, provider, canaries, variables }
    }

    /// Runs it with this verbosity.
    async fn run(&self, verbosity: &[&str], args: &[&str]) -> Output {
        let args: Vec<&str> = [verbosity, &["--provider", self.provider], args].concat();
        let mut command = self.world.command(&args);
        if verbosity == ["-vv"] {
            command.env("REMINT_LOG", "trace");
        }
        command.envs(self.variables.iter().cloned()).output().await.unwrap()
    }

    /// Asserts that a run ended like this, and that neither it nor the journal gives anything away.
    fn judge(&self, search: &Search, what: &str, output: &Output, code: Option<i32>) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let all = format!("{}\n{}", text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), code, "{} {what}:\n{all}", self.provider);
        let mut leaks = search.leaks("standard output", &output.stdout);
        leaks.extend(search.leaks("standard error", &output.stderr));
        leaks.extend(search.leaks_below(&self.world.folder().join(".remint")));
        assert!(leaks.is_empty(), "{} {what}: {leaks:#?}\n{all}", self.provider);
        assert!(
            !all.contains("OPENSSH PRIVATE KEY-----\nb3Bl") && !all.contains("b3BlbnNzaC1rZXktdjE"),
            "{what}:\n{all}"
        );
    }
}

fn uuid() -> String {
    fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap().trim().replace('-', "Z")
}

/// Every way in which a run ends, at every verbosity.
async fn nothing_leaks(provider: &'static str) {
    let leaky = Leaky::new(provider).await;
    let world = &leaky.world;
    let search = Search::new(&leaky.canaries);
    let watch = search.watch_arguments();

    world.edit("\"cat /opt/leaks\", \"exit 0\"", "\"cat /opt/leaks\", \"exit 3\"");
    for verbosity in VERBOSITIES {
        leaky.judge(&search, "fails in a step", &leaky.run(verbosity, &["deploy"]).await, Some(5));
    }
    world.edit("\"cat /opt/leaks\", \"exit 3\"", "\"cat /opt/leaks\", \"exit 0\"");

    world.edit("; exit 0\"", "; exit 3\"");
    for verbosity in VERBOSITIES {
        leaky.judge(&search, "fails in the gate", &leaky.run(verbosity, &["deploy"]).await, Some(6));
    }
    world.edit("; exit 3\"", "; exit 0\"");

    world.edit_file("simulation.toml", "status = 200", "status = 503");
    for verbosity in VERBOSITIES {
        leaky.judge(&search, "is not healthy", &leaky.run(verbosity, &["deploy"]).await, Some(6));
    }

    // Killed while it asks for the health.
    world.edit("start_period = \"500ms\"", "start_period = \"60s\"");
    let args = ["--provider", provider, "-vv", "deploy"];
    let mut killed = world.command(&args);
    killed.envs(leaky.variables.iter().cloned()).env("REMINT_LOG", "trace");
    let killed = killed.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = nix::unistd::Pid::from_raw(i32::try_from(killed.id().unwrap()).unwrap());
    // What it says is read at once: a full pipe would stop it.
    let killed = tokio::spawn(killed.wait_with_output());
    let gating = || {
        let journal = World::files(&world.folder().join(".remint"));
        let last = journal.iter().filter(|file| file.parent().is_some_and(|folder| folder.ends_with("journal"))).max();
        last.is_some_and(|file| fs::read_to_string(file).is_ok_and(|text| text.contains("\"gating\"")))
    };
    for round in 0.. {
        assert!(round < 6000, "it never came to the gate");
        if gating() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    leaky.judge(&search, "is killed", &killed.await.unwrap().unwrap(), None);

    world.edit_file("simulation.toml", "status = 503", "status = 200");
    for verbosity in VERBOSITIES {
        leaky.judge(&search, "succeeds", &leaky.run(verbosity, &["deploy", "--force"]).await, Some(0));
    }
    for args in [&["status"][..], &["plan"], &["history"], &["show", "r1"], &["doctor"]] {
        for verbosity in VERBOSITIES {
            let output = leaky.run(verbosity, args).await;
            leaky.judge(&search, &args.join(" "), &output, output.status.code());
        }
    }

    let mut leaks = watch.end();
    let children = fs::read(world.folder().join("child-environment")).unwrap();
    assert!(String::from_utf8_lossy(&children).contains("PATH="), "the secret's command has an environment");
    leaks.extend(search.leaks("the environment of a secret's command", &children));
    let named: Vec<_> = String::from_utf8_lossy(&children)
        .lines()
        .filter(|line| line.starts_with("GOOGLE_APPLICATION_CREDENTIALS=") || line.starts_with("AWS_ACCESS_KEY_ID="))
        .map(str::to_owned)
        .collect();
    assert!(named.is_empty(), "{named:?}");
    leaks.extend(search.leaks("Remint's own arguments", &fs::read(world.folder().join("parent-arguments")).unwrap()));
    assert!(leaks.is_empty(), "{leaks:#?}");
}

#[tokio::test]
async fn no_secret_leaves_a_deploy_to_digitalocean() {
    nothing_leaks("digitalocean").await;
}

#[tokio::test]
async fn no_secret_leaves_a_deploy_to_aws() {
    nothing_leaks("aws").await;
}

#[tokio::test]
async fn no_secret_leaves_a_deploy_to_gcp() {
    nothing_leaks("gcp").await;
}

#[tokio::test]
async fn a_sandbox_that_is_started_with_credentials_at_hand_has_none_of_them() {
    let world = World::with_service().await;
    let canaries = [Canary { name: "token", value: format!("dop_v1_{}", uuid()) }];
    let search = Search::new(&canaries);
    let names = ["DIGITALOCEAN_TOKEN", "AWS_SECRET_ACCESS_KEY", "VAULT_TOKEN", "GOOGLE_CREDENTIALS"];
    let variables: Vec<_> = names.iter().map(|name| ((*name).to_owned(), canaries[0].value.clone())).collect();
    world.remint(&["sandbox", "stop"]).await.success();
    world.remint_with(&["sandbox", "start"], &variables).await.success();
    let folder = world.sandbox_dir().display().to_string();
    let environments: Vec<_> = processes("environ")
        .into_iter()
        .filter(|(_, environment)| String::from_utf8_lossy(environment).contains(&folder))
        .collect();
    assert!(!environments.is_empty(), "the sandbox's process was not found");
    for (pid, environment) in environments {
        assert_eq!(search.leaks(&format!("the environment of process {pid}"), &environment), [""; 0]);
    }
}

#[tokio::test]
async fn a_leak_in_any_sink_and_encoding_is_found() {
    let value = format!("k\"9/+{}%&{}", "planted", uuid());
    let search = Search::new(&[Canary { name: "planted", value: value.clone() }]);
    assert_eq!(search.leaks("nothing", b"all is well; *** ***"), [""; 0]);
    for (encoding, text) in encodings(&value) {
        let line = format!("app-1 | it says {text} and goes on");
        assert!(!search.leaks("output", line.as_bytes()).is_empty(), "{encoding}");
        let json = serde_json::json!({ "event": "output", "line": line }).to_string();
        assert!(!search.leaks("JSON", json.as_bytes()).is_empty(), "{encoding}");
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("production/releases/000001/journal");
        fs::create_dir_all(&below).unwrap();
        fs::write(below.join("000004.json"), &json).unwrap();
        assert!(!search.leaks_below(folder.path()).is_empty(), "{encoding}");
        let mut child =
            Command::new("sh").args(["-c", "sleep 30; : \"$0\"", &line]).env("LEAK", &line).spawn().unwrap();
        // The kernel shows the arguments of a program a moment after it was started.
        let mut arguments = search.leaks_in_arguments();
        for _ in 0..500 {
            if !arguments.is_empty() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
            arguments = search.leaks_in_arguments();
        }
        let environment = fs::read(format!("/proc/{}/environ", child.id())).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!search.leaks("an environment", &environment).is_empty(), "{encoding}");
        assert!(!arguments.is_empty(), "{encoding} in arguments");
    }
}

#[tokio::test]
async fn what_is_made_under_an_open_umask_is_closed_to_others() {
    let world = World::with_service().await;
    world.remint(&["sandbox", "stop", "--machines"]).await.success();
    let name = "umask-0";
    let run = |args: &'static [&'static str]| {
        let mut command = Command::new("sh");
        command.args(["-c", "umask 0 && exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_remint")]).args(args);
        let own = world.command(&[]).into_std();
        command.envs(own.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))));
        command.current_dir(world.folder()).env("REMINT_SANDBOX", name).env_remove("CI");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    run(&["sandbox", "start", "--kind", "simulated", "--profile", "instant"]);
    run(&["deploy"]);
    let mut open = Vec::new();
    for root in [world.folder().join(".remint"), world.sandbox_dir().join("sandboxes").join(name)] {
        let mut folders = vec![root];
        let mut seen = 0;
        while let Some(folder) = folders.pop() {
            check(&folder, 0o700, &mut open);
            for entry in fs::read_dir(&folder).unwrap().flatten() {
                seen += 1;
                match entry.file_type().unwrap() {
                    kind if kind.is_dir() => folders.push(entry.path()),
                    kind if kind.is_file() => check(&entry.path(), 0o600, &mut open),
                    _ => {}
                }
            }
        }
        assert!(seen > 3);
    }
    run(&["sandbox", "stop", "--machines"]);
    assert!(open.is_empty(), "{open:#?}");
}

fn check(path: &std::path::Path, allowed: u32, open: &mut Vec<String>) {
    // A file that is gone by now was of somebody's work that is over.
    let Ok(metadata) = path.symlink_metadata() else { return };
    let mode = metadata.permissions().mode() & 0o777;
    if mode & !allowed != 0 {
        open.push(format!("{mode:o} {}", path.display()));
    }
}
