use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

use super::{
    driver::{Outcome, Sim},
    trace::Counts,
};

/// How many seeds a usual test run tries.
const USUAL: u64 = 300;
/// After so many failures, the others are not worth the time.
const ENOUGH: usize = 20;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().filter(|text| !text.is_empty()).map(|text| text.parse().unwrap())
}

/// A broken rule without the numbers and addresses of its run.
fn kind(why: &str) -> String {
    let digits =
        |word: &str| if word.contains(|c: char| c.is_ascii_digit()) { "…".to_owned() } else { word.to_owned() };
    why.split(' ').map(digits).collect::<Vec<_>>().join(" ")
}

fn simulate(seed: u64) -> Outcome {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(Sim::run(seed))
}

#[test]
fn the_promise_holds_for_every_seed() {
    let seeds = match variable("REMINT_SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..variable("REMINT_SIM_SEEDS").unwrap_or(USUAL),
    };
    let all = variable("REMINT_SIM_ALL").is_some();
    let (next, started) = (AtomicU64::new(seeds.start), Instant::now());
    let counts = Mutex::new(Counts::default());
    let failures = Mutex::new(BTreeMap::new());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::SeqCst);
            let enough = !all && failures.lock().unwrap().len() >= ENOUGH;
            if seed >= seeds.end || enough {
                return;
            }
            let Outcome { counts: found, failure } = simulate(seed);
            counts.lock().unwrap().merge(found);
            if let Some(failure) = failure {
                failures.lock().unwrap().insert(seed, failure);
            }
        }
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(work);
        }
    });
    let (done, took) = (next.into_inner().min(seeds.end) - seeds.start, started.elapsed());
    let rate = done as f64 / took.as_secs_f64() * 60.0;
    println!("{done} seeds in {:.1} s, {rate:.0} a minute\n{}", took.as_secs_f64(), counts.into_inner().unwrap());
    let failures = failures.into_inner().unwrap();
    let Some((seed, (why, trace))) = failures.first_key_value() else { return };
    let mut kinds: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (seed, (why, _)) in &failures {
        kinds.entry(kind(why)).or_default().push(*seed);
    }
    for (kind, seeds) in kinds {
        println!("{:>5} {kind}: seeds {:?}", seeds.len(), &seeds[..seeds.len().min(5)]);
    }
    panic!("{trace}\n{} of {done} seeds fail; seed {seed}: {why}\n\n    make sim SEED={seed}\n", failures.len());
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 1_000_000..1_000_010 {
        let (one, other) = (simulate(seed), simulate(seed));
        assert_eq!(one.counts, other.counts, "seed {seed}");
        assert_eq!(one.failure, other.failure, "seed {seed}");
    }
}

/// `make sim-saboteurs` is run by hand; that its patches still fit the engine is seen here.
#[test]
fn every_saboteur_fits_the_engine() {
    let core = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = core.parent().unwrap();
    let names = fs::read_dir(core.join("src/sim/saboteurs")).unwrap().map(|entry| entry.unwrap().path());
    let patches: Vec<_> = names.filter(|name| name.extension().is_some_and(|kind| kind == "patch")).collect();
    assert!(patches.len() >= 10, "{}", patches.len());
    let git = Command::new("git").args(["apply", "--check"]).args(&patches).current_dir(root).output().unwrap();
    assert!(git.status.success(), "{}", String::from_utf8_lossy(&git.stderr));
}
