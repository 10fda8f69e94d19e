//! A manifest, a checkout and a journal are data: a command that only looks runs nothing that they bring, reads no secret,
//! writes nothing, and sends credentials only to the cloud.
#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[expect(dead_code, reason = "other test files use the rest")]
mod common;

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _, fs::symlink},
    path::{Path, PathBuf},
    process::Command,
};

use common::{Ended, World};

/// The commands that only look.
const LOOKS: [&[&str]; 13] = [
    &["validate"],
    &["plan"],
    &["status"],
    &["history"],
    &["show", "r1"],
    &["images"],
    &["images", "prune", "--dry-run"],
    &["doctor"],
    &["console"],
    &["gc", "--dry-run"],
    &["lock", "status"],
    &["journal", "check"],
    &["providers"],
];

/// Every file below a folder, with its content, its permissions and when it was changed.
fn files(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, u32, std::time::SystemTime)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let metadata = path.symlink_metadata().unwrap();
        if metadata.is_dir() {
            found.extend(files(&path));
        }
        let content = if metadata.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        found.insert(path, (content, metadata.permissions().mode(), metadata.modified().unwrap()));
    }
    found
}

fn git(folder: &Path, args: &[&str]) {
    let settings = ["-c", "user.name=t", "-c", "user.email=t@example.com"];
    let output = Command::new("git").arg("-C").arg(folder).args(settings).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Puts a secret into the configuration that a command prints; the command leaves a canary.
fn with_secret_command(world: &World) -> PathBuf {
    let canary = world.beside("canary");
    let line = format!("echo x >> {}; echo hunter2", canary.display());
    world.append(&format!("[secrets]\nword = {{ command = [\"sh\", \"-c\", \"{line}\"] }}\n"));
    world.edit("GREETING = ", "WORD = \"${secret.word}\"\nGREETING = ");
    canary
}

#[tokio::test]
async fn looking_runs_no_secret_command_and_writes_nothing() {
    let world = World::with_service().await;
    let canary = with_secret_command(&world);
    let before = files(&world.folder());
    for args in [&["validate"][..], &["plan"], &["status"], &["doctor"], &["gc", "--dry-run"]] {
        world.untouched(args).await.success();
        assert!(!canary.exists(), "{args:?} read a secret before the first deploy");
        assert_eq!(files(&world.folder()), before, "{args:?} wrote something");
    }
    world.remint(&["deploy"]).await.success();
    fs::remove_file(&canary).unwrap();
    let before = files(&world.folder());
    for args in LOOKS {
        world.untouched(args).await.success().says_not("hunter2");
        assert!(!canary.exists(), "{args:?} read a secret");
        assert_eq!(files(&world.folder()), before, "{args:?} wrote something");
    }
    // Nor does what a plan would change make it read them.
    for args in [&["plan", "--var", "version=v2"][..], &["plan", "--var", "greeting=bye"], &["gc"]] {
        world.untouched(args).await.success();
        assert!(!canary.exists(), "{args:?} read a secret");
    }
}

#[tokio::test]
async fn a_configuration_with_secrets_is_compared_on_request() {
    const NOT_COMPARED: &str = "configuration: not compared; --with-secrets compares it";
    let world = World::with_service().await;
    world.remint(&["deploy"]).await.success();
    world.untouched(&["plan"]).await.success().says("nothing to do").says_not("not compared");
    let canary = with_secret_command(&world);
    world.remint(&["deploy"]).await.success();

    let planned = world.untouched(&["plan"]).await.success();
    planned.says("nothing to do").says(NOT_COMPARED);
    world.untouched(&["status"]).await.success().says(NOT_COMPARED);
    assert_eq!(world.json(&["plan"]).await["config_compared"], false);
    world.untouched(&["plan", "--detailed-exit-code"]).await.success();

    fs::remove_file(&canary).unwrap();
    for args in [&["plan", "--with-secrets"][..], &["status", "--with-secrets"]] {
        world.untouched(args).await.success().says_not("not compared").says_not("configuration changed");
        assert!(canary.exists(), "{args:?} compared nothing");
        fs::remove_file(&canary).unwrap();
    }
    // The secret is another one by now.
    world.edit("echo hunter2", "echo hunter3");
    world.untouched(&["plan"]).await.success().says("nothing to do").says(NOT_COMPARED);
    let planned = world.untouched(&["plan", "--with-secrets"]).await.success();
    planned.says("the configuration changed").says_not("hunter3");
    // What else changes is seen without secrets, and the rest is still said.
    let planned = world.untouched(&["plan", "--var", "version=v2"]).await.success();
    planned.says("the image changed").says(NOT_COMPARED);
    // A deploy compares.
    world.remint(&["deploy"]).await.success().says_not("nothing to do");
}

/// A folder that looks like a bare repository, inside a checkout whose settings and attributes name a filter.
#[tokio::test]
async fn looking_runs_nothing_that_a_checkout_brings() {
    let world = World::with_service().await;
    world.edit("greeting = \"hello\"", "greeting = \"${git.branch} ${git.short} ${git.dirty}\"");
    let (folder, canary) = (world.folder(), world.beside("canary"));
    let script = world.beside("script");
    fs::write(&script, format!("#!/bin/sh\nenv > {}\ncat\n", canary.display())).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let script = script.to_str().unwrap();
    git(&folder, &["init", "--quiet"]);
    git(&folder, &["add", "."]);
    git(&folder, &["commit", "--quiet", "-m", "one"]);
    world.remint(&["deploy"]).await.success();

    fs::write(folder.join(".gitattributes"), "* filter=x\n").unwrap();
    let config = format!("[core]\n\tfsmonitor = {script}\n[filter \"x\"]\n\tclean = {script}\n\tprocess = {script}\n");
    let own = fs::read_to_string(folder.join(".git/config")).unwrap();
    fs::write(folder.join(".git/config"), own + &config).unwrap();
    world.edit_file("simulation.toml", "body = \"ok\"", "body = \"OK\"");
    // And the folder itself, as a clone may bring it.
    for made in ["objects", "refs"] {
        fs::create_dir(folder.join(made)).unwrap();
    }
    fs::write(folder.join("HEAD"), "ref: refs/heads/main\n").unwrap();
    fs::write(folder.join("config"), format!("{config}\n[core]\n\tbare = false\n\tworktree = .\n")).unwrap();
    for args in LOOKS {
        world.untouched(args).await.success();
        assert!(!canary.exists(), "{args:?} ran a program of the checkout");
    }
    // Without the repository around it, the planted one is none.
    fs::remove_dir_all(folder.join(".git")).unwrap();
    for args in LOOKS.iter().filter(|args| !matches!(args[0], "providers" | "doctor")) {
        world.refused(args, 3).await.says("is not in a git repository");
        assert!(!canary.exists(), "{args:?} ran a program of the checkout");
    }
}

#[tokio::test]
async fn a_folder_of_path_that_is_in_the_checkout_gives_no_git() {
    let world = World::with_service().await;
    world.edit("greeting = \"hello\"", "greeting = \"${git.sha}\"");
    let canary = world.beside("canary");
    world.write("git", &format!("#!/bin/sh\ntouch {}\necho x\n", canary.display()));
    fs::set_permissions(world.folder().join("git"), fs::Permissions::from_mode(0o755)).unwrap();
    git(&world.folder(), &["init", "--quiet"]);
    git(&world.folder(), &["commit", "--quiet", "--allow-empty", "-m", "one"]);
    for path in [".:/usr/bin:/bin", ":/usr/bin:/bin"] {
        let mut command = world.command(&["validate"]);
        command.env("PATH", path);
        Ended::of(&["validate"], command.output().await.unwrap()).success();
        assert!(!canary.exists(), "PATH={path}");
    }
}

#[tokio::test]
async fn the_manifest_does_not_choose_where_credentials_go() {
    let world = World::with_service().await;
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let sections = "[providers.aws]\nregion = \"us-east-1\"\nbase = \"x\"\nsize = \"t3.micro\"\n\
        [providers.gcp]\nregion = \"us-central1-a\"\nbase = \"x\"\nsize = \"e2-micro\"\n";
    world.append(sections);
    // `doctor` asks the other clouds, too: they have no credentials here, and no answer, for which nobody is to wait.
    let token = [
        ("DIGITALOCEAN_TOKEN", "dop_v1_canary"),
        ("DIGITALOCEAN_API_URL", "http://127.0.0.1:9"),
        ("REMINT_API_TIMEOUT", "1s"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/google.json"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let cases = [
        ("digitalocean", format!("api_url = \"{url}\""), "DIGITALOCEAN_API_URL"),
        ("aws", format!("endpoint_url = \"{url}\""), "AWS_ENDPOINT_URL"),
        ("aws", "profile = \"production\"".to_owned(), "AWS_PROFILE"),
        ("gcp", format!("endpoint = \"{url}\""), "CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE"),
        ("gcp", "credentials = \"key.json\"".to_owned(), "GOOGLE_APPLICATION_CREDENTIALS"),
    ];
    for (provider, option, variable) in cases {
        let options = format!("[providers.{provider}.options]\n{option}\n");
        world.append(&options);
        for verb in ["plan", "status", "doctor", "images", "deploy"] {
            let ended = world.remint_with(&["--provider", provider, verb], &token).await;
            assert!(!matches!(ended.code, Some(0)), "{}", ended.text());
            ended.says("cannot stand in a manifest").says(variable).says_not("dop_v1_canary");
        }
        world.edit(&options, "");
    }
    assert!(listener.accept().is_err(), "something was sent there");
    // A region becomes a part of the host's name.
    for region in ["evil.example/", "x@evil.example", "127.0.0.1:1/", "us-east-1.evil.example"] {
        world.edit("region = \"us-east-1\"", &format!("region = \"{region}\""));
        let ended = world.remint(&["--provider", "aws", "plan"]).await;
        assert!(!matches!(ended.code, Some(0)), "{}", ended.text());
        ended.says("cannot be the name of a region");
        world.edit(&format!("region = \"{region}\""), "region = \"us-east-1\"");
    }
}

#[tokio::test]
async fn plan_and_doctor_show_account_endpoint_and_region() {
    let world = World::on_every_cloud().await;
    let url = world.api_url.clone();
    for (provider, region) in
        [("sandbox", "nyc3"), ("digitalocean", "nyc3"), ("aws", "us-east-1"), ("gcp", "us-central1-a")]
    {
        let shown = format!(", in {region}, at {url}");
        let planned = world.remint(&["--provider", provider, "plan"]).await.success();
        planned.says(&format!("{provider}: account ")).says(&shown).says_not("not known");
        let planned = world.json(&["--provider", provider, "plan"]).await;
        let target = &planned["targets"][0];
        assert_eq!((&target["provider"], &target["region"]), (&provider.into(), &region.into()), "{planned:#}");
        assert_eq!(target["endpoints"][0], url.as_str(), "{planned:#}");
        assert!(target["account"].is_string(), "{planned:#}");
        world.remint(&["--provider", provider, "doctor"]).await.success().says(&shown);
    }
    // Another cloud may have the zone.
    world.make_zone("example.test").await;
    world.append("[dns]\nprovider = \"digitalocean\"\nzone = \"example.test\"\nname = \"www\"\n");
    let targets = world.json(&["plan"]).await["targets"].as_array().unwrap().clone();
    let providers: Vec<_> = targets.iter().map(|target| target["provider"].as_str().unwrap()).collect();
    assert_eq!(providers, ["sandbox", "digitalocean"]);
}

#[tokio::test]
async fn files_outside_of_the_folder_are_read_on_request_only() {
    let world = World::with_service().await;
    let outside = world.beside("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("part"), "#!/bin/sh\n# hunter2 ${var.absent}\n").unwrap();
    symlink("../outside/part", world.folder().join("link")).unwrap();
    let allow = outside.to_str().unwrap();
    for path in ["../outside/part", "link", outside.join("part").to_str().unwrap()] {
        let part = format!("[[instance.user_data]]\npath = \"{path}\"\ninterpolate = true\n");
        world.append(&part);
        for verb in ["validate", "plan", "status", "history", "deploy"] {
            let refused = world.refused(&[verb], 3).await;
            refused
                .says("outside of the manifest's folder")
                .says("--allow-path")
                .says_not("hunter2")
                .says_not("absent");
        }
        let allowed = world.refused(&["--allow-path", allow, "validate"], 3).await;
        allowed.says(":2:").says("${var.absent}").says_not("hunter2");
        world.edit(&part, "");
    }
    fs::write(outside.join("part"), "#!/bin/sh\n").unwrap();
    world.append("[[instance.user_data]]\npath = \"link\"\n");
    world.remint(&["--allow-path", allow, "plan"]).await.success();
    let variable = [("REMINT_ALLOW_PATH".to_owned(), format!("/nonexistent:{allow}"))];
    world.remint_with(&["deploy"], &variable).await.success();
    world.remint(&["plan"]).await.code(3);
}

#[tokio::test]
async fn looking_starts_no_sandbox() {
    let world = World::with_service().await;
    world.remint(&["deploy"]).await.success();
    let running = async || world.json(&["sandbox", "status"]).await["state"] == "running";
    world.remint(&["sandbox", "stop"]).await.success();
    for verb in ["plan", "status", "images", "gc", "console"] {
        let ended = world.remint(&[verb]).await;
        assert!(!matches!(ended.code, Some(0)), "{}", ended.text());
        ended.says("remint sandbox start");
        assert!(!running().await, "{verb} started it");
    }
    world.remint(&["doctor"]).await.success().says("remint sandbox start");
    assert!(!running().await, "doctor started it");
    world.remint(&["deploy"]).await.success();
    assert!(running().await);
}

#[tokio::test]
async fn no_variable_argument_or_path_that_is_not_utf_8_makes_a_panic() {
    let world = World::on_every_cloud().await;
    world.remint(&["deploy"]).await.success();
    let odd = OsStr::from_bytes(b"odd-\xff\xfe");
    let others = [&["completions", "bash"][..], &["schema"], &["sandbox", "status"], &["sandbox", "env"]];
    for args in LOOKS.iter().copied().chain(others) {
        // Beside variables that nobody reads: those that programs and libraries look at.
        let mut command = world.command(args);
        command.env("ODD", odd).env(OsStr::from_bytes(b"ODD_\xff"), "1").env("USER", odd).env("LANG", odd);
        command.env("AWS_PROFILE", odd).env("AWS_ACCESS_KEY_ID", odd).env("GOOGLE_CLOUD_PROJECT", odd).env("TERM", odd);
        command.env("HOSTNAME", odd).env("COLUMNS", odd).env("RUST_LOG", odd).env("REMINT_LOG", odd).env("EDITOR", odd);
        let ended = Ended::of(args, command.output().await.unwrap());
        ended.success().says_not("panicked");
        // As an argument, and as the value of a variable that stands for one.
        for flag in ["--var", "--env", "--provider", "--allow-path"] {
            let mut command = world.command(&[]);
            command.arg(flag).arg(odd).args(args);
            let ended = lossy(command).await;
            assert!(matches!(ended.code, Some(0..=13)) && !ended.stderr.contains("panicked"), "{}", ended.text());
        }
        for name in ["REMINT_ENV", "REMINT_PROVIDER", "REMINT_LOCK_WAIT", "REMINT_ALLOW_PATH", "REMINT_SANDBOX"] {
            let mut command = world.command(args);
            command.env(name, odd);
            let ended = lossy(command).await;
            assert!(
                matches!(ended.code, Some(0..=13)) && !ended.stderr.contains("panicked"),
                "{name} {}",
                ended.text()
            );
        }
    }
    // What each cloud's own client looks at.
    for provider in ["digitalocean", "aws", "gcp"] {
        let mut command = world.command(&["--provider", provider, "plan"]);
        let names = ["AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN", "AWS_CONFIG_FILE", "AWS_CA_BUNDLE"];
        for name in names.into_iter().chain(["CLOUDSDK_CONFIG", "CLOUDSDK_CORE_PROJECT", "DIGITALOCEAN_CONTEXT"]) {
            command.env(name, odd);
        }
        command.env("HTTPS_PROXY", odd).env("NO_PROXY", odd).env("SSL_CERT_FILE", odd);
        let ended = lossy(command).await;
        assert!(matches!(ended.code, Some(0..=13)) && !ended.stderr.contains("panicked"), "{}", ended.text());
    }
    // A folder with such a name works.
    let folder = world.beside("").join(odd);
    fs::create_dir(&folder).unwrap();
    for name in ["remint.toml", "simulation.toml"] {
        fs::copy(world.folder().join(name), folder.join(name)).unwrap();
    }
    for verb in ["validate", "plan", "history"] {
        let mut command = world.command(&[]);
        command.arg("-C").arg(&folder).arg(verb);
        let ended = lossy(command).await;
        assert!(!ended.stderr.contains("panicked"), "{}", ended.text());
        assert!(matches!(ended.code, Some(0 | 13)) || verb == "plan", "{}", ended.text());
    }
}

/// Runs a command whose output may hold what is not UTF-8.
async fn lossy(mut command: tokio::process::Command) -> Ended {
    let mut output = command.output().await.unwrap();
    for stream in [&mut output.stdout, &mut output.stderr] {
        *stream = String::from_utf8_lossy(stream).into_owned().into_bytes();
    }
    Ended::of(&[], output)
}
