//! One round tells the story once, in a checkout and with a journal of its own, with a cell at each command or none. A cell
//! ends where an undisturbed run ends, so that the next command of the round finds what it would find without it.

use std::{
    collections::BTreeMap,
    process::Stdio,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use super::{
    call::{Call, SCENES, STORY, Scene},
    cell::{Cell, Way},
};
use crate::{
    client::Client,
    common::{Ended, World},
};

/// No command takes longer.
const HANGS: Duration = Duration::from_secs(240);
/// For so long lists are out of date.
const STALE: Duration = Duration::from_millis(1500);
/// No list lacks what is older.
const LAG_MS: u64 = 5000;
/// How many instances a load balancer has.
const INSTANCES: usize = 2;
/// A provider lets what is so old be removed as a stray.
const SETTLED: Duration = Duration::from_secs(60);

/// What Remint leaves to `gc` where it is cut off at a bad moment: none of it serves, and none of it is a secret.
const STRAYS: [&str; 5] =
    ["ec2 groups", "ec2 snapshots", "gce firewalls", "gce target_instances", "gce forwarding_rules"];

/// What an undisturbed command leaves, and the calls that it makes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Undisturbed {
    pub(crate) calls: Vec<Call>,
    /// How many of each kind there are in the account, beyond those from before the round.
    kinds: BTreeMap<String, usize>,
}

/// A sandbox in which rounds run one after the other.
pub(crate) struct Stage {
    world: World,
    scene: Scene,
    rounds: usize,
}

/// A cell that did not end as it should, or the part of the story before it.
#[derive(Debug)]
pub(crate) struct Failed {
    /// The place of the command in [`STORY`].
    pub(crate) command: usize,
    pub(crate) why: String,
}

impl Stage {
    pub(crate) async fn new(scene: usize) -> Self {
        let scene = SCENES[scene];
        let world = World::on_every_cloud().await;
        let zone = format!("{}.test", scene.provider);
        world.append(&format!("[dns]\nzone = \"{zone}\"\nname = \"www\"\nttl = \"30s\"\n"));
        if let Some(listener) = scene.listener {
            let check = "{ path = \"/health/check\", interval = \"5s\", timeout = \"3s\" }";
            let balancer = format!("[load_balancer]\nlisteners = [{listener}]\ncheck = {check}\n");
            let rolling = "[deploy]\nstrategy = \"rolling\"\n";
            world.edit("[deploy]\n", &format!("[instance]\ncount = {INSTANCES}\n\n{balancer}\n{rolling}"));
        }
        world.remint(&["sandbox", "zone", &zone, "--api", scene.provider]).await.success();
        Self { world, scene, rounds: 0 }
    }

    /// Tells the story without a fault.
    pub(crate) async fn record(&mut self) -> Result<Vec<Undisturbed>, Failed> {
        let mut round = self.round();
        let mut story = Vec::new();
        for command in 0..STORY.len() {
            let before = round.world.last_change().await;
            let ended = round.run(command, None).await.map_err(|why| Failed { command, why })?;
            if ended.code != Some(0) {
                return Err(Failed { command, why: ended.text() });
            }
            let calls = Call::read(&round.world.changes_since(before).await);
            // What destroying leaves to `gc` is to go as well.
            let kinds = if STORY[command].0 == "destroy" { BTreeMap::new() } else { round.kinds() };
            story.push(Undisturbed { calls, kinds });
            round.check(command, &story[command]).await.map_err(|why| Failed { command, why })?;
        }
        Ok(story)
    }

    /// Tells the story with at most one cell at each command. `passed` hears of each cell, with the time that it took.
    pub(crate) async fn tell(
        &mut self,
        story: &[Undisturbed],
        cells: &[Option<Cell>],
        mut passed: impl FnMut(&Cell, Duration),
    ) -> Result<(), Failed> {
        let mut round = self.round();
        for (command, cell) in cells.iter().enumerate() {
            // After the last cell, only the end runs.
            if command < STORY.len() - 1 && cells[command..].iter().all(Option::is_none) {
                continue;
            }
            let started = Instant::now();
            round.tell(command, cell.as_ref(), &story[command]).await.map_err(|why| Failed { command, why })?;
            if let Some(cell) = cell {
                passed(cell, started.elapsed());
            }
        }
        Ok(())
    }

    fn round(&mut self) -> Round<'_> {
        self.rounds += 1;
        let folder = self.world.checkout(&format!("round-{}", self.rounds));
        let before = self.world.books().kinds(self.scene.provider);
        Round { world: &self.world, scene: self.scene, folder, before, client: None, late: false }
    }
}

struct Round<'a> {
    world: &'a World,
    scene: Scene,
    folder: String,
    /// What is in the account from before.
    before: BTreeMap<String, usize>,
    client: Option<Client>,
    /// Whether a login key or a builder may arrive after the last command.
    late: bool,
}

impl Round<'_> {
    /// One command: with its fault, and then again without.
    async fn tell(&mut self, command: usize, cell: Option<&Cell>, expected: &Undisturbed) -> Result<(), String> {
        let before = self.world.last_change().await;
        let ended = self.run(command, cell).await?;
        if let Some(cell) = cell {
            self.judge(cell, &ended)?;
        } else if ended.code != Some(0) {
            return Err(ended.text());
        }
        // A rollback that succeeded would go back further.
        let again = cell.is_some() && (ended.code != Some(0) || STORY[command].0 != "rollback");
        let mut text = ended.text();
        if again {
            let second = self.run(command, None).await?;
            text = format!("{text}\n=== and then\n{}", second.text());
            if second.code != Some(0) {
                return Err(format!("the second run fails\n{text}"));
            }
        }
        // What arrives later than the next run looks for it, `gc` finds.
        self.late = cell.is_some_and(|cell| cell.fault.way == Way::KillDuring);
        if self.late {
            self.carried_out(before).await;
        }
        self.check(command, expected).await.map_err(|why| format!("{why}\n{text}"))
    }

    /// Whether a command with a fault ended as the fault allows.
    fn judge(&self, cell: &Cell, ended: &Ended) -> Result<(), String> {
        let wrong = |why: &str| Err(format!("{why}\n{}", ended.text()));
        match (cell.fault.way, ended.code) {
            (Way::KillBefore | Way::KillDuring | Way::KillAfter, None) => Ok(()),
            (Way::KillBefore | Way::KillDuring | Way::KillAfter, Some(_)) => wrong("it was not killed"),
            (_, Some(0)) => Ok(()),
            (Way::Refuses(_), Some(1 | 5 | 6 | 8)) if !ended.events("failed").is_empty() => Ok(()),
            (Way::Refuses(_), _) => wrong("it does not say what was refused"),
            (Way::Passes(_) | Way::Stale, _) => wrong("it fails, although the fault passes"),
        }
    }

    fn args(&self, args: &[&str]) -> Vec<String> {
        let all = ["-C", &self.folder, "--provider", self.scene.provider, "--json"];
        all.iter().chain(args).map(|arg| (*arg).to_owned()).collect()
    }

    /// Runs a command of the story, with the fault of a cell. The sandbox is without a rule afterwards.
    async fn run(&mut self, command: usize, cell: Option<&Cell>) -> Result<Ended, String> {
        if STORY[command].0 == "destroy" {
            self.lost_nothing().await?;
        }
        let Some(cell) = cell else { return self.remint(STORY[command].1).await };
        if cell.fault.way == Way::Stale {
            // Else lists would show what the round before has destroyed.
            tokio::time::sleep(Duration::from_millis(LAG_MS)).await;
        }
        let before = self.world.last_change().await;
        self.world.add_fault(cell.call.rule(&cell.fault.rule())).await;
        let args = self.args(STORY[command].1);
        let child = start(self.world, &args);
        let pid = Pid::from_raw(child.id().unwrap().try_into().unwrap());
        let process = tokio::spawn(child.wait_with_output());
        if cell.fault.kills() || cell.fault.way == Way::Stale {
            let started = Instant::now();
            while !self.world.hit().await && !process.is_finished() && started.elapsed() < HANGS {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        if cell.fault.kills() && !process.is_finished() {
            kill(pid, Signal::SIGKILL).unwrap();
        } else if cell.fault.way == Way::Stale && !process.is_finished() {
            let stale = json!({ "path": "*", "count": 0, "fault": "stale_list", "within_ms": LAG_MS });
            let added = self.world.add_fault(stale).await;
            tokio::time::sleep(STALE).await;
            self.world.make_nothing(Method::DELETE, &format!("/sandbox/v1/faults/{added}")).await;
        }
        let Ok(output) = tokio::time::timeout(HANGS, process).await else {
            // The handle of the process is in the task; the command is stopped by its id.
            let _ = kill(pid, Signal::SIGKILL);
            return Err(format!("it hangs: {args:?}"));
        };
        let ended = Ended::of(&as_str(&args), output.unwrap().unwrap());
        let hit = self.world.hit().await;
        self.world.make_nothing(Method::DELETE, "/sandbox/v1/faults").await;
        if !hit {
            return Err(format!("the cell is empty: the call was not made\n{}", ended.text()));
        }
        if cell.fault.way == Way::KillAfter {
            self.carried_out(before).await;
        }
        Ok(ended)
    }

    /// Waits until every call after this one was carried out.
    async fn carried_out(&self, before: u64) {
        while self.world.changes_since(before).await.iter().any(|change| change["status"].is_null()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn remint(&self, args: &[&str]) -> Result<Ended, String> {
        let args = self.args(args);
        let child = start(self.world, &args);
        match tokio::time::timeout(HANGS, child.wait_with_output()).await {
            Ok(output) => Ok(Ended::of(&as_str(&args), output.unwrap())),
            Err(_) => Err(format!("it hangs: {args:?}")),
        }
    }

    async fn json(&self, args: &[&str]) -> Result<Value, String> {
        let ended = self.remint(args).await?;
        if ended.code == Some(0) { Ok(ended.result()) } else { Err(ended.text()) }
    }

    /// What is in the account, beyond what was there before.
    fn kinds(&self) -> BTreeMap<String, usize> {
        let mut kinds = self.world.books().kinds(self.scene.provider);
        for (kind, count) in &self.before {
            let left = kinds.entry(kind.clone()).or_default();
            *left = left.saturating_sub(*count);
        }
        kinds.retain(|_, count| *count > 0);
        kinds
    }

    /// Everything is as an undisturbed run leaves it.
    async fn check(&mut self, command: usize, expected: &Undisturbed) -> Result<(), String> {
        let status = self.json(&["status"]).await?;
        if !status["unfinished"].is_null() || !status["lock"].is_null() {
            return Err(format!("it is not finished: {status:#}"));
        }
        self.leaves(&expected.kinds).await?;
        let account = self.world.account(self.scene.provider);
        let (instances, ips, balancers) = (account.instances(), account.static_ips(), account.load_balancers());
        if STORY[command].0 == "destroy" {
            let empty = instances.is_empty() && ips.is_empty() && balancers.is_empty() && account.images().is_empty();
            return if empty { Ok(()) } else { Err(format!("not all is destroyed: {:#?}", self.world.books())) };
        }
        let served = match (self.scene.listener, instances.len(), ips.len(), ips.first_key_value()) {
            (None, 1, 1, Some((ip, target))) if target.as_ref() == instances.keys().next() => ip.clone(),
            // Google's load balancers have an address of their own.
            (Some(_), INSTANCES, _, _) if balancers.len() == 1 && ips.values().all(Option::is_none) => {
                let endpoint = status["endpoint"].as_str().unwrap_or_default();
                endpoint.split(':').next().unwrap_or_default().to_owned()
            }
            _ => return Err(format!("the address does not lead to the instances: {:#?}", self.world.books())),
        };
        let version = if STORY[command].0 == "replace" { "version v2" } else { "version v1" };
        let page = self.world.page(&served).await;
        if page != (200, version.to_owned()) {
            return Err(format!("not {version}, but {page:?}"));
        }
        if self.client.is_none() {
            self.client = Some(Client::start(&self.world.endpoint(&served, 80)));
        }
        Ok(())
    }

    /// What is there is as in an undisturbed run. What is there in addition, `gc` lists and removes, once it is old enough.
    async fn leaves(&self, expected: &BTreeMap<String, usize>) -> Result<(), String> {
        let started = Instant::now();
        loop {
            let collected = self.json(&["gc", "--dry-run"]).await?;
            let none = |list: &str| collected[list].as_array().is_some_and(Vec::is_empty);
            let kinds = self.kinds();
            if none("found") && none("foreign") && kinds == *expected {
                return Ok(());
            }
            let late = ["login key", "builder"];
            let is_late = |one: &Value| one["kind"].as_str().is_some_and(|kind| late.contains(&kind));
            let found = collected["found"].as_array().into_iter().flatten();
            let only_late = self.late && !none("found") && found.into_iter().all(is_late);
            let only_strays = kinds.keys().chain(expected.keys()).all(|kind| {
                let more = kinds.get(kind) > expected.get(kind);
                kinds.get(kind) == expected.get(kind) || more && (only_late || STRAYS.contains(&kind.as_str()))
            });
            if !only_strays || !none("foreign") || started.elapsed() > SETTLED {
                return Err(format!("left: {collected:#}\nthere is {kinds:#?}\nexpected {expected:#?}"));
            }
            if !none("found") {
                self.json(&["gc", "--yes"]).await?;
            }
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    }

    /// No client has lost a request while v1 or v2 served.
    async fn lost_nothing(&mut self) -> Result<(), String> {
        let Some(client) = self.client.take() else { return Ok(()) };
        let (asked, failures) = client.stop().await;
        match failures.is_empty() {
            true => Ok(()),
            false => Err(format!("of {asked} requests of a client, {} failed: {failures:#?}", failures.len())),
        }
    }
}

fn start(world: &World, args: &[String]) -> Child {
    let mut command: Command = world.command(&as_str(args));
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn as_str(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

impl World {
    /// The calls that changed something, as the sandbox wrote them down.
    async fn changes(&self) -> Vec<Value> {
        let (_, answer) = self.api(Method::GET, "/sandbox/v1/changes", None).await;
        answer["changes"].as_array().unwrap().clone()
    }

    /// The number of the last one.
    async fn last_change(&self) -> u64 {
        self.changes().await.last().map_or(0, |change| change["number"].as_u64().unwrap())
    }

    async fn changes_since(&self, number: u64) -> Vec<Value> {
        let later = |change: &Value| change["number"].as_u64().unwrap() > number;
        self.changes().await.into_iter().filter(later).collect()
    }

    /// Adds a fault rule; its number.
    async fn add_fault(&self, rule: Value) -> u64 {
        self.make("/sandbox/v1/faults", rule).await["id"].as_u64().unwrap()
    }

    /// Whether the oldest rule has hit.
    async fn hit(&self) -> bool {
        let (_, answer) = self.api(Method::GET, "/sandbox/v1/faults", None).await;
        answer["faults"][0]["hit"].as_u64().unwrap() > 0
    }

    async fn make_nothing(&self, method: Method, path: &str) {
        let (status, answer) = self.api(method, path, None).await;
        assert_eq!(status, 204, "{path}: {answer}");
    }
}
