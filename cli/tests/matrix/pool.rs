//! Workers that run cells, each in a sandbox of its own.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use super::{
    call::{Call, SCENES, STORY},
    cell::Cell,
    round::{Failed, Stage, Undisturbed},
};

/// After so many rounds a worker takes a new sandbox: what was destroyed stays in the books of some for a while.
const ROUNDS: usize = 25;

/// What became of the cells of one scene.
#[derive(Debug, Default)]
pub(crate) struct Results {
    /// By command: how many passed.
    pub(crate) passed: BTreeMap<usize, usize>,
    /// The cells that failed, and what happened.
    pub(crate) failed: Vec<(Cell, String)>,
    /// The time of all cells that passed, one after the other.
    pub(crate) time: Duration,
}

impl Results {
    pub(crate) fn count(&self) -> usize {
        self.passed.values().sum()
    }
}

/// The cells that are still to be run, by command.
struct Queue {
    cells: Vec<VecDeque<Cell>>,
    results: Results,
    all: usize,
}

impl Queue {
    /// The next round: one cell of each command that has any left.
    fn round(&mut self) -> Option<Vec<Option<Cell>>> {
        let round: Vec<_> = self.cells.iter_mut().map(VecDeque::pop_front).collect();
        round.iter().any(Option::is_some).then_some(round)
    }

    fn passed(&mut self, cell: &Cell, took: Duration) {
        *self.results.passed.entry(cell.command).or_default() += 1;
        self.results.time += took;
        let done = self.results.count() + self.results.failed.len();
        say(&format!("{done}/{}  {:.1} s  {cell}", self.all, took.as_secs_f64()));
    }

    /// Puts down what failed, and what came after it back into the queue.
    fn failed(&mut self, round: Vec<Option<Cell>>, failed: Failed) {
        let Failed { command, why } = failed;
        let mut blamed = false;
        for cell in round.into_iter().flatten() {
            if cell.command == command {
                blamed = true;
                say(&format!("FAILED  {cell}\n{why}\nagain: make matrix CELL='{cell}'"));
                self.results.failed.push((cell, why.clone()));
            } else if cell.command > command {
                self.cells[cell.command].push_front(cell);
            }
        }
        assert!(blamed, "{} fails without a fault\n{why}", STORY[command].0);
    }
}

/// Runs all cells of a scene.
pub(crate) async fn run(scene: usize, story: Arc<Vec<Undisturbed>>, cells: Vec<Vec<Cell>>, workers: usize) -> Results {
    let all = cells.iter().map(Vec::len).sum();
    let rounds = cells.iter().map(Vec::len).max().unwrap_or_default();
    let cells = cells.into_iter().map(VecDeque::from).collect();
    let queue = Arc::new(Mutex::new(Queue { cells, results: Results::default(), all }));
    let mut set = JoinSet::new();
    for _ in 0..workers.min(rounds) {
        set.spawn(work(scene, Arc::clone(&story), Arc::clone(&queue)));
    }
    while let Some(ended) = set.join_next().await {
        ended.unwrap();
    }
    let queue = Arc::into_inner(queue).unwrap().into_inner().unwrap();
    queue.results
}

async fn work(scene: usize, story: Arc<Vec<Undisturbed>>, queue: Arc<Mutex<Queue>>) {
    let mut stage: Option<(Stage, usize)> = None;
    loop {
        let next = queue.lock().unwrap().round();
        let Some(round) = next else { return };
        let (mut here, told) = match stage.take() {
            Some((here, told)) if told < ROUNDS => (here, told),
            _ => (Stage::new(scene).await, 0),
        };
        let passed = |cell: &Cell, took| queue.lock().unwrap().passed(cell, took);
        match here.tell(&story, &round, passed).await {
            Ok(()) => stage = Some((here, told + 1)),
            // What the failure left would be in the way of the next round.
            Err(failed) => queue.lock().unwrap().failed(round, failed),
        }
    }
}

/// Records the story of a scene.
pub(crate) async fn record(scene: usize) -> Arc<Vec<Undisturbed>> {
    let started = Instant::now();
    let told = Stage::new(scene).await.record().await;
    let story = told.unwrap_or_else(|Failed { command, why }| {
        panic!("{}: {} fails without a fault\n{why}", SCENES[scene].name, STORY[command].0)
    });
    for (told, (command, _)) in story.iter().zip(STORY) {
        let calls: Vec<_> = told.calls.iter().map(Call::name).collect();
        say(&format!("{}/{command}: {}", SCENES[scene].name, calls.join(" ")));
    }
    say(&format!("{}: recorded in {:.1} s", SCENES[scene].name, started.elapsed().as_secs_f64()));
    Arc::new(story)
}

/// Says how far it is, as a run of hours must.
#[expect(clippy::print_stderr, reason = "a long run tells how far it is")]
pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}
