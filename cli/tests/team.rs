//! A journal that many deploy with: fifty of them at once, and the CI job of the book.
#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[expect(dead_code, reason = "other test files use the rest")]
mod common;
#[path = "../../core/src/journal/store_suite/moto.rs"]
mod moto;
#[expect(dead_code, reason = "other test files use the rest")]
#[path = "common/stopped.rs"]
mod stopped;

use std::{fs, path::Path, time::Duration};

use common::{Ended, World};
use moto::Moto;
use nix::sys::signal::Signal;
use serde_json::Value;
use stopped::Running;

/// The exit code of a command that another one locks out.
const LOCKED: i32 = 7;
const DEPLOYERS: usize = 50;

/// What the clients of a bucket have in their environment.
fn credentials(moto: &Moto) -> Vec<(String, String)> {
    let pairs = [
        ("AWS_ACCESS_KEY_ID", "AKIDMOTO"),
        ("AWS_SECRET_ACCESS_KEY", "moto"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL_S3", &moto.url),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// What one of many deployers does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// It waits for its turn.
    Waits,
    /// It takes what it gets.
    Asks,
    /// It is killed while it works, where it gets to work.
    Dies,
}

/// Deploys in this way; what became of it, and whether it was killed.
async fn deploys(command: tokio::process::Command, way: Way) -> (Way, Ended, bool) {
    let mut running = Running::of(command, &["deploy"]);
    let mut killed = false;
    if way == Way::Dies && running.reaches("gating").await {
        running.signal(Signal::SIGKILL);
        killed = true;
    }
    (way, running.end().await, killed)
}

/// Fifty processes deploy one environment at once. One works at a time, each gets its turn or learns who is at work, and in the end
/// the journal is whole.
async fn fifty_deploy(world: &World, variables: &[(String, String)]) {
    world.remint_with(&["deploy"], variables).await.success();
    let tasks: Vec<_> = (0..DEPLOYERS)
        .map(|number| {
            let way = match number % 10 {
                0 => Way::Waits,
                1 => Way::Dies,
                _ => Way::Asks,
            };
            let args: &[&str] = match way {
                Way::Asks => &["--json", "deploy", "--force"],
                _ => &["--json", "--lock-wait", "10m", "deploy", "--force"],
            };
            let mut command = world.command(args);
            command.envs(variables.iter().cloned());
            tokio::spawn(deploys(command, way))
        })
        .collect();
    let (mut deployed, mut killed) = (0, 0);
    for task in tasks {
        let (way, ended, was_killed) = task.await.unwrap();
        killed += usize::from(was_killed);
        match (ended.code, way) {
            (Some(0), _) => deployed += 1,
            (None, Way::Dies) => assert!(was_killed, "{}", ended.text()),
            // It learns who is at work.
            (Some(LOCKED), Way::Asks) => drop(ended.says("remint deploy")),
            _ => panic!("{way:?}: {}", ended.text()),
        }
    }
    assert!(deployed >= 5 && killed > 0, "{deployed} deployed, {killed} were killed");
    world.remint_with(&["deploy"], variables).await.success();
    world.remint_with(&["journal", "check"], variables).await.success().says("the journal is whole");
    let history = world.remint_with(&["--json", "history", "-n", "1000"], variables).await.success().result();
    one_at_a_time(&history);
    let standing = world.standing().await;
    assert_eq!((standing.droplets.len(), standing.reserved_ips.len()), (1, 1), "{standing:#?}");
}

/// Each holder of the lock has written all of its entries before the next one wrote its first.
fn one_at_a_time(history: &Value) {
    let mut entries: Vec<(String, u64, String)> = Vec::new();
    for release in history.as_array().unwrap() {
        for entry in release["entries"].as_array().unwrap() {
            let text = |field: &str| entry[field].as_str().unwrap().to_owned();
            entries.push((text("at"), entry["token"].as_u64().unwrap(), text("run")));
        }
    }
    entries.sort();
    assert!(entries.len() > 50, "{} entries", entries.len());
    assert!(entries.is_sorted_by_key(|(_, token, _)| *token), "{entries:#?}");
    let mut holders: Vec<_> = entries.into_iter().map(|(_, token, run)| (token, run)).collect();
    holders.dedup();
    let runs: std::collections::BTreeSet<_> = holders.iter().map(|(_, run)| run.clone()).collect();
    assert_eq!(runs.len(), holders.len(), "a run has held the lock twice: {holders:#?}");
}

#[tokio::test]
async fn fifty_deployers_on_a_folder_take_turns() {
    let world = World::with_service().await;
    fifty_deploy(&world, &[]).await;
}

#[tokio::test]
async fn fifty_deployers_on_s3_take_turns() {
    let (world, moto) = (World::with_service().await, Moto::start());
    moto.bucket("example-deploys").await;
    world.append("\n[journal]\nurl = \"s3://example-deploys/web\"\n");
    fifty_deploy(&world, &credentials(&moto)).await;
    assert!(!world.journal().exists());
}

#[tokio::test]
async fn the_journal_s_keys_may_come_from_a_profile_that_must_be_asked() {
    let (world, moto) = (World::with_service().await, Moto::start());
    moto.bucket("example-deploys").await;
    world.append("\n[journal]\nurl = \"s3://example-deploys/web\"\nregion = \"us-east-1\"\n");
    let keys = r#"{"Version":1,"AccessKeyId":"AKIDMOTO","SecretAccessKey":"moto-secret"}"#;
    let config = world.beside("aws-config");
    fs::write(&config, format!("[profile team]\ncredential_process = echo '{keys}'\n")).unwrap();
    let variables = |profile: &str| {
        let file = config.display().to_string();
        let pairs = [("AWS_PROFILE", profile), ("AWS_CONFIG_FILE", &file), ("AWS_ENDPOINT_URL_S3", &moto.url)];
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    world.remint_with(&["deploy"], &variables("team")).await.success();
    let history = world.remint_with(&["history"], &variables("team")).await.success().says("r1");
    assert!(!history.text().contains("moto-secret"));
    let refused = world.remint_with(&["history"], &variables("absent")).await;
    assert!(refused.code != Some(0) && refused.text().contains("profile `absent`"), "{}", refused.text());
}

/// The commands of the job that `docs/journal.md` shows.
fn steps_of_the_book() -> Vec<String> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/journal.md")).unwrap();
    let (_, job) = page.split_once("```yaml\n").unwrap();
    let (job, _) = job.split_once("```").unwrap();
    job.lines()
        .filter_map(|line| line.trim_start().trim_start_matches("- ").strip_prefix("run: "))
        .map(str::to_owned)
        .collect()
}

/// Runs a step in a checkout as the job does.
async fn step(world: &World, checkout: &str, run: &str, variables: &[(String, String)]) -> Ended {
    let program = Path::new(env!("CARGO_BIN_EXE_remint"));
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut shell = world.client("sh");
    shell.args(["-ec", run]).current_dir(world.beside(checkout)).env("PATH", path).envs(variables.iter().cloned());
    shell.envs([("CI", "true"), ("GITHUB_ACTIONS", "true"), ("GITHUB_SERVER_URL", "https://github.example")]);
    shell.envs([("GITHUB_REPOSITORY", "team/web"), ("GITHUB_RUN_ID", "17"), ("GITHUB_ACTOR", "ada")]);
    Ended::of(&[run], shell.output().await.unwrap())
}

#[tokio::test]
async fn the_ci_job_of_the_book_deploys_from_one_fresh_checkout_after_another() {
    let (world, moto) = (World::with_service().await, Moto::start());
    moto.bucket("example-deploys").await;
    world.append("\n[journal]\nurl = \"s3://example-deploys/web\"\n");
    let (variables, steps) = (credentials(&moto), steps_of_the_book());
    assert!(steps.iter().any(|step| step.starts_with("remint deploy")), "{steps:?}");
    let mut before = None;
    for version in ["v1", "v2"] {
        world.edit_file(
            "remint.toml",
            &format!("version = \"{}\"", before.unwrap_or("v1")),
            &format!("version = \"{version}\""),
        );
        world.checkout(version);
        for run in &steps {
            step(&world, version, run, &variables).await.success();
        }
        let ip = world.static_ip().await;
        assert_eq!(world.page(&ip).await, (200, format!("version {version}")));
        before = Some(version);
    }
    let history = world.remint_with(&["history"], &variables).await.success().says("r2").says("ada");
    assert!(!world.journal().exists(), "{}", history.text());
    // A run that is cut off is finished by the next job.
    world.checkout("v3");
    let mut command = world.command(&["-C", "../v3", "--json", "deploy", "--force"]);
    command.envs(variables.iter().cloned());
    let mut running = Running::of(command, &["deploy"]);
    running.until("gating").await;
    running.signal(Signal::SIGKILL);
    running.end().await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    world.checkout("v4");
    for run in &steps {
        step(&world, "v4", run, &variables).await.success();
    }
    assert_eq!(world.standing().await.droplets.len(), 1);
}
