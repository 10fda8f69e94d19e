//! The suite from the command line: on sandboxes, and on a sandbox that stands in as somebody's account.
#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[expect(dead_code, reason = "other test files use the rest")]
mod common;

use std::{fs, os::unix::fs::PermissionsExt as _, process::Stdio, time::Duration};

use common::{Ended, Standing, World};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use reqwest::Method;
use serde_json::json;

const DIGITALOCEAN: [&str; 3] = ["conformance", "--provider", "digitalocean"];

/// A world whose sandbox stands in as somebody's account at DigitalOcean.
struct Account {
    world: World,
    variables: Vec<(String, String)>,
}

impl Account {
    async fn new() -> Self {
        let world = World::empty().await;
        world.make_zone("example.test").await;
        let variables = world.variables("digitalocean").await;
        Self { world, variables }
    }

    fn command(&self, args: &[&str]) -> tokio::process::Command {
        let args: Vec<_> = DIGITALOCEAN.iter().chain(args).copied().collect();
        let mut command = self.world.command(&args);
        // Ledgers are the test's own.
        command.envs(self.variables.iter().cloned()).env("XDG_STATE_HOME", self.world.sandbox_dir().join("state"));
        command
    }

    async fn remint(&self, args: &[&str]) -> Ended {
        Ended::of(args, self.command(args).output().await.unwrap())
    }

    /// The ledgers that are there.
    fn ledgers(&self) -> usize {
        let folder = self.world.sandbox_dir().join("state/remint/conformance");
        fs::read_dir(folder).map_or(0, Iterator::count)
    }

    /// What stands that is none of the suite's business: an instance, an image and an address, with labels of others.
    async fn plant(&self) -> Standing {
        let tags = json!(["team-payments", "conformance", "remint:service:shop"]);
        let body =
            json!({"name": "theirs", "region": "nyc3", "size": "s-1vcpu-1gb", "image": "debian-12-x64", "tags": tags});
        let id = self.world.make("/v2/droplets", body).await["droplet"]["id"].as_u64().unwrap();
        self.until(|standing| standing.droplets.values().any(|droplet| droplet.ends_with("\"active\""))).await;
        self.world.make(&format!("/v2/droplets/{id}/actions"), json!({"type": "power_off"})).await;
        self.until(|standing| standing.droplets.values().any(|droplet| droplet.ends_with("\"off\""))).await;
        let snapshot = json!({"type": "snapshot", "name": "theirs"});
        self.world.make(&format!("/v2/droplets/{id}/actions"), snapshot).await;
        self.until(|standing| !standing.images.is_empty()).await;
        self.world.make("/v2/reserved_ips", json!({"droplet_id": id})).await;
        self.until(|standing| standing.reserved_ips.values().any(Option::is_some)).await;
        let record = json!({"type": "A", "name": "theirs", "data": "192.0.2.7", "ttl": 60});
        self.world.make("/v2/domains/example.test/records", record).await;
        self.world.standing().await
    }

    async fn until(&self, reached: impl Fn(&Standing) -> bool) {
        let mut standing = self.world.standing().await;
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        while !reached(&standing) {
            assert!(tokio::time::Instant::now() < deadline, "not reached: {standing:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
            standing = self.world.standing().await;
        }
    }

    /// Starts a run that cannot take away what it makes, kills it once that is there, and says what it left.
    async fn killed(&self, cases: &str, reached: impl Fn(&Standing) -> bool) -> Standing {
        for path in
            ["/v2/droplets/*", "/v2/images/*", "/v2/reserved_ips/*", "/v2/account/keys/*", "/v2/domains/*/records/*"]
        {
            let rule = json!({"method": "DELETE", "path": path, "fault": "delay", "delay_ms": 600_000, "count": 0});
            self.world.remint(&["sandbox", "faults", "add", &rule.to_string()]).await.success();
        }
        let args = ["run", "--target", "account", "--yes", "--zone", "example.test", "--only", cases];
        let mut run = self.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        self.until(reached).await;
        kill(Pid::from_raw(run.id().unwrap().try_into().unwrap()), Signal::SIGKILL).unwrap();
        run.wait().await.unwrap();
        self.world.remint(&["sandbox", "faults", "clear"]).await.success();
        self.world.standing().await
    }
}

#[tokio::test]
async fn a_run_that_was_killed_is_swept_and_what_is_not_its_own_is_left_alone() {
    let account = Account::new().await;
    account.remint(&["prepare", "--yes"]).await.success();
    let planted = account.plant().await;
    let more = |standing: &Standing| {
        let counts = |of: &Standing| {
            [of.droplets.len(), of.images.len(), of.reserved_ips.len(), of.keys.len(), of.records.len()]
        };
        let (now, before) = (counts(standing), counts(&planted));
        [0, 1, 2, 3, 4].map(|kind| now[kind] > before[kind])
    };
    let moments: [(&str, usize); 5] = [
        ("instances.launch", 0),
        ("images.capture", 1),
        ("static_ips.ensure", 2),
        ("login_keys.ensure", 3),
        ("dns.upsert", 4),
    ];
    for (cases, kind) in moments {
        let left = account.killed(cases, |standing| more(standing)[kind]).await;
        assert!(more(&left)[kind], "{cases}: {left:#?}");
        assert_eq!(account.ledgers(), 1, "{cases}");

        // Dry, it tells and changes nothing; then nothing of the run is left, and all else is as it was.
        account.remint(&["sweep"]).await.success().says("would delete").says("--delete");
        assert_eq!(account.world.standing().await, left, "{cases}: a dry sweep changes nothing");
        account.remint(&["sweep", "--delete"]).await.success().says("deleted").says_not("theirs");
        assert_eq!(account.world.standing().await, planted, "{cases}");
        assert_eq!(account.ledgers(), 0, "{cases}: nothing of the run is left to be known");
        account.remint(&["sweep"]).await.success().says("have left nothing");
    }
}

/// Tags are attached to an image one after the other.
#[tokio::test]
async fn an_image_that_has_a_part_of_its_labels_is_swept() {
    let account = Account::new().await;
    account.remint(&["prepare", "--yes"]).await.success();
    for missing in ["conformance", "expires", "role", "run", "service"] {
        let path = format!("/v2/tags/remint:{missing}:*/resources");
        let rule = json!({"method": "POST", "path": path, "fault": "delay", "delay_ms": 600_000, "count": 0});
        account.world.remint(&["sandbox", "faults", "add", &rule.to_string()]).await.success();
        let args = ["run", "--target", "account", "--yes", "--only", "images.capture"];
        let mut run = account.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let is_hit = async || {
            let (_, answer) = account.world.api(Method::GET, "/sandbox/v1/faults", None).await;
            answer["faults"][0]["hit"].as_u64().unwrap() > 0
        };
        while !is_hit().await {
            assert!(run.try_wait().unwrap().is_none(), "the run ended without a tag `{missing}`");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        kill(Pid::from_raw(run.id().unwrap().try_into().unwrap()), Signal::SIGKILL).unwrap();
        run.wait().await.unwrap();
        account.world.remint(&["sandbox", "faults", "clear"]).await.success();
        account.remint(&["sweep", "--delete"]).await.success().says("deleted");
        let standing = account.world.standing().await;
        assert!(standing.is_empty(), "killed before `{missing}`: {standing:#?}");
    }
}

#[tokio::test]
async fn an_account_is_run_on_when_it_was_prepared_and_the_report_says_how_it_went() {
    let account = Account::new().await;
    let run = ["run", "--target", "account", "--only", "instances.launch,images.resolve"];
    let mutations = account.world.mutations().await;
    account.remint(&run).await.code(1).says("does not carry the marker").says("remint conformance prepare");
    account.remint(&["prepare"]).await.code(1).says("--yes");
    assert_eq!(account.world.mutations().await, mutations, "nothing was changed");
    account.remint(&["prepare", "--yes"]).await.success().says("may be run on");

    // Nobody says yes to what costs money: what is free is run. With a budget of nothing, neither.
    for declined in [&run[..], &[&run[..], &["--yes", "--budget", "0"]].concat()] {
        let ended = account.remint(declined).await.success();
        ended.says("1 passed").says("1 blocked");
    }
    let all = [&run[..], &["--yes", "--report", "reports"]].concat();
    account.remint(&all).await.success().says("2 passed");
    let text = fs::read_to_string(account.world.folder().join("reports/digitalocean/report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&report["target"], &report["verdict"], &report["counts"]["passed"]),
        (&"account".into(), &"passed".into(), &2.into())
    );
    assert!(account.world.standing().await.is_empty());

    // What cannot be run proves nothing.
    let nothing = ["run", "--target", "account", "--yes", "--only", "dns.upsert"];
    account.remint(&nothing).await.code(11).says("1 blocked");

    account.remint(&["prepare", "--undo"]).await.success();
    account.remint(&run).await.code(1).says("does not carry the marker");
    let (_, tags) = account.world.api(Method::GET, "/v2/tags", None).await;
    assert!(!tags.to_string().contains("marker"), "{tags:#}");
}

#[tokio::test]
async fn a_sandbox_of_its_own_is_gone_after_the_run() {
    let world = World::empty().await;
    let sandboxes = || fs::read_dir(world.sandbox_dir().join("sandboxes")).unwrap().count();
    let before = sandboxes();
    for provider in ["digitalocean", "sandbox"] {
        let args = [
            "conformance",
            "run",
            "--provider",
            provider,
            "--only",
            "descriptor,errors.stranger_images,instances.launch",
        ];
        let ended = world.remint(&args).await.success();
        assert!(ended.stdout.contains("on sandbox: passed"), "{}", ended.text());
    }
    let args = ["conformance", "run", "--provider", "digitalocean", "--only", "nothing.*"];
    world.remint(&args).await.code(2).says("selects no case");
    assert_eq!(sandboxes(), before);
    world.remint(&["conformance", "run"]).await.code(2).says("--provider");
    let listed = world.json(&["conformance", "list"]).await;
    assert!(listed.as_array().unwrap().len() >= 120, "{} cases", listed.as_array().unwrap().len());
}

/// The files of a report, by their names.
fn files(folder: &std::path::Path) -> std::collections::BTreeMap<String, String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
        (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap())
    });
    entries.collect()
}

#[tokio::test]
async fn a_report_tells_of_the_failed_case_and_of_no_secret() {
    let account = Account::new().await;
    account.remint(&["prepare", "--yes"]).await.success();
    // As somebody has it who pastes into the wrong place: the token is in an option, and comes back in the failure.
    let token = account.world.token.clone();
    let args = [
        "run",
        "--target",
        "account",
        "--only",
        "dns.zone,instances.shape",
        "--zone",
        token.as_str(),
        "--report",
        "sent",
    ];
    account.remint(&args).await.code(10).says("the report is in").says_not(&token);
    let folder = account.world.folder().join("sent/digitalocean");
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    let files = files(&folder);
    let names: Vec<_> = files.keys().map(String::as_str).collect();
    let all = ["README.md", "calls.jsonl", "failures.md", "junit.xml", "report.json", "report.md", "run.json"];
    assert_eq!(names, all);
    for (name, text) in &files {
        assert!(!text.contains(&token), "{name}: {text}");
    }
    let failures = &files["failures.md"];
    assert!(failures.contains("## `dns.zone` failed") && failures.contains("find zone ***: "), "{failures}");
    let run: serde_json::Value = serde_json::from_str(&files["run.json"]).unwrap();
    assert_eq!((&run["options"]["zone"], &run["options"]["target"]), (&"***".into(), &"account".into()));
    assert!(run["requests"]["reads"].as_u64().unwrap() > 0 && run["billable"] == json!({}), "{run:#}");
    let lines = files["calls.jsonl"].lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let shape = lines.filter(|line| line["case"] == "instances.shape" && line["call"] == "read size").count();
    assert!(shape > 0, "{}", files["calls.jsonl"]);

    // A report of two runs would be one of none: that is said before the second one begins.
    let mutations = account.world.mutations().await;
    account.remint(&args).await.code(2).says("not empty");
    assert_eq!(account.world.mutations().await, mutations);
}

#[tokio::test]
async fn a_report_has_the_clouds_own_words_and_what_was_created() {
    let account = Account::new().await;
    account.remint(&["prepare", "--yes"]).await.success();
    let rule = json!({"method": "POST", "path": "/v2/droplets/*/actions", "fault": "server_error", "count": 0});
    account.world.remint(&["sandbox", "faults", "add", &rule.to_string()]).await.success();
    let args = ["run", "--target", "account", "--yes", "--only", "power.stop", "--report", "sent"];
    let mut command = account.command(&args);
    let ended = command.env("REMINT_API_TIMEOUT", "3s").output().await.unwrap();
    let ended = Ended::of(&args, ended).code(10);
    let files = files(&account.world.folder().join("sent/digitalocean"));
    let failures = &files["failures.md"];
    assert!(failures.contains("switch instance") && failures.contains("500"), "{failures}\n{}", ended.text());
    let run: serde_json::Value = serde_json::from_str(&files["run.json"]).unwrap();
    assert_eq!(run["billable"]["launch instance"], 1, "{run:#}");
}
