//! The fault matrix: bake and deploy, replacement, rollback and destruction on the three clouds' APIs, with each fault at each call
//! that changes something, and with a kill just before, during and just after it. This runs with one instance, and with two behind a
//! load balancer. With two, only calls have cells that a command does not make with one instance.
//!
//! The cells come from a record of an undisturbed story, so a new call enters by itself. A test run takes a sample, drawn from
//! the commit; `make matrix` runs all cells and writes the table of `docs/reliability.md`. A cell that fails prints what runs
//! it alone.
#![cfg(all(feature = "aws", feature = "digitalocean", feature = "gcp", feature = "sandbox"))]
#![expect(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[path = "matrix/call.rs"]
mod call;
#[path = "matrix/cell.rs"]
mod cell;
#[path = "common/client.rs"]
mod client;
#[expect(dead_code, reason = "other test files use the rest")]
mod common;
#[path = "matrix/page.rs"]
mod page;
#[path = "matrix/pool.rs"]
mod pool;
#[path = "matrix/round.rs"]
mod round;

use std::{collections::BTreeSet, path::Path, sync::Arc};

use call::{APIS, Call, SCENES, STORY};
use cell::{Cell, cells, draw, is_named};
use page::Row;
use pool::{Results, say};
use round::Undisturbed;

/// The story of one scene, and the cells of each of its commands.
struct Part {
    scene: usize,
    story: Arc<Vec<Undisturbed>>,
    cells: Vec<Vec<Cell>>,
}

impl Part {
    async fn record(scene: usize) -> Self {
        Self::beyond(scene, &vec![BTreeSet::new(); STORY.len()]).await
    }

    /// With cells at calls of other kinds than each command is known to make.
    async fn beyond(scene: usize, known: &[BTreeSet<String>]) -> Self {
        let story = pool::record(scene).await;
        let of = |(command, told): (usize, &Undisturbed)| cells(scene, command, &told.calls, &known[command]);
        let cells = story.iter().enumerate().map(of).collect();
        Self { scene, story, cells }
    }

    /// The same API with a load balancer: what one instance needs, too, has its cells here.
    async fn balanced(&self) -> Self {
        let kinds = |told: &Undisturbed| told.calls.iter().map(Call::kind).collect();
        Self::beyond(self.scene + APIS, &self.story.iter().map(kinds).collect::<Vec<_>>()).await
    }

    /// Runs these cells.
    async fn run(&self, cells: Vec<Vec<Cell>>, workers: usize) -> Results {
        pool::run(self.scene, Arc::clone(&self.story), cells, workers).await
    }

    /// One cell of each command, by the commit.
    fn sample(&self, commit: &str) -> Vec<Vec<Cell>> {
        let one = |cells: &Vec<Cell>| {
            let drawn = cells[0].command;
            vec![cells[draw(&format!("{commit}/{}/{drawn}", SCENES[self.scene].name), cells.len())].clone()]
        };
        self.cells.iter().map(one).collect()
    }

    fn named(&self, wanted: &str) -> Vec<Vec<Cell>> {
        let is = |cell: &&Cell| is_named(&cell.to_string(), wanted);
        self.cells.iter().map(|cells| cells.iter().filter(is).cloned().collect()).collect()
    }
}

fn commit() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let head = std::process::Command::new("git").args(["rev-parse", "HEAD"]).current_dir(folder).output();
    let head = head.ok().filter(|output| output.status.success());
    head.map_or_else(|| "none".to_owned(), |output| String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[track_caller]
fn all_passed(results: &[Results]) {
    let failed: Vec<_> = results.iter().flat_map(|results| &results.failed).collect();
    let again: String = failed.iter().map(|(cell, _)| format!("make matrix CELL='{cell}'\n")).collect();
    assert!(failed.is_empty(), "{} cells failed, see above. Each can be run again:\n{again}", failed.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sample_of_the_fault_matrix_ends_as_undisturbed_runs_do() {
    // `make matrix` runs more than a sample, by the test below.
    if variable("REMINT_MATRIX").is_some() {
        return;
    }
    let commit = commit();
    let run = async |api| {
        let part = Part::record(api).await;
        let alone = part.run(part.sample(&commit), 1);
        // The reference alone has a load balancer here; `make matrix` has them all.
        if SCENES[api].provider != "digitalocean" {
            return vec![alone.await];
        }
        let several = async {
            let part = part.balanced().await;
            part.run(part.sample(&commit), 1).await
        };
        let (alone, several) = tokio::join!(alone, several);
        vec![alone, several]
    };
    let (one, two, three) = tokio::join!(run(0), run(1), run(2));
    all_passed(&[one, two, three].into_iter().flatten().collect::<Vec<_>>());
}

/// `REMINT_MATRIX` says which cells: `all`, or the beginning of their names (`aws`, `aws/deploy`, `*/*/*/stale`, a whole one).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "an hour or more: make matrix"]
async fn the_fault_matrix() {
    let wanted = variable("REMINT_MATRIX").unwrap_or_else(|| "all".to_owned());
    let workers = variable("REMINT_MATRIX_WORKERS").map_or(6, |text| text.parse().unwrap());
    let mut results = Vec::new();
    let mut rows = Vec::new();
    for (scene, name) in SCENES.into_iter().map(|scene| scene.name).enumerate() {
        let whole = wanted == "all" || wanted == name;
        let (of, _) = wanted.split_once('/').unwrap_or((&wanted, ""));
        if !whole && of != "*" && of != name {
            continue;
        }
        let part = match scene.checked_sub(APIS) {
            None => Part::record(scene).await,
            Some(api) => Part::record(api).await.balanced().await,
        };
        let cells = if whole { part.cells.clone() } else { part.named(&wanted) };
        assert!(cells.iter().any(|cells| !cells.is_empty()), "there is no cell {wanted}");
        let result = part.run(cells.clone(), workers).await;
        let (passed, time) = (result.count(), result.time.as_secs_f64());
        say(&format!(
            "{name}: {passed} passed, {} failed, {:.1} s each",
            result.failed.len(),
            time / passed.max(1) as f64
        ));
        if whole {
            for (command, (step, cells)) in part.story.iter().zip(&cells).enumerate() {
                let passed = result.passed.get(&command).copied().unwrap_or_default();
                rows.push(Row { scene, command, calls: step.calls.len(), cells: cells.len(), passed });
            }
        }
        results.push(result);
    }
    assert!(!results.is_empty(), "there is no cell {wanted}");
    if !rows.is_empty() {
        page::write(&rows);
    }
    all_passed(&results);
}
