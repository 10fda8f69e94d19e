use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

use super::{
    coverage::Coverage,
    driver::{Report, Scenario, Sim},
    minimize::{command, kind, minimize},
    trace::Counts,
};

/// How many seeds a usual test run tries.
const USUAL: u64 = 300;
/// From so many on, every command must have met every fault.
const FULL: u64 = 20_000;
/// After so many failures, the others are not worth the time.
const ENOUGH: usize = 20;

fn text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

fn variable(name: &str) -> Option<u64> {
    text(name).map(|text| text.parse().unwrap())
}

fn simulate(scenario: &Scenario) -> Report {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(Sim::run(scenario))
}

/// What many seeds came to.
#[derive(Default)]
struct Found {
    counts: Counts,
    coverage: Coverage,
    failures: BTreeMap<u64, String>,
}

/// Runs seeds on all cores, until there are enough failures. Returns how many it ran, too.
fn simulate_all(seeds: std::ops::Range<u64>, skip: &Arc<BTreeSet<String>>) -> (u64, Found) {
    let most = variable("REMINT_SIM_FAILURES").map_or(ENOUGH, |most| most as usize);
    let next = AtomicU64::new(seeds.start);
    let found = Mutex::new(Found::default());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::SeqCst);
            let enough = found.lock().unwrap().failures.len() >= most;
            if seed >= seeds.end || enough {
                return;
            }
            let Report { counts, coverage, failure, .. } =
                simulate(&Scenario { seed, skip: Arc::clone(skip), traced: false });
            let mut found = found.lock().unwrap();
            found.counts.merge(counts);
            found.coverage.merge(coverage);
            found.failures.extend(failure.map(|failure| (seed, failure)));
        }
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(work);
        }
    });
    (next.into_inner().min(seeds.end) - seeds.start, found.into_inner().unwrap())
}

#[test]
fn the_promise_holds_for_every_seed() {
    let one = variable("REMINT_SIM_SEED");
    let seeds = match one {
        Some(seed) => seed..seed + 1,
        None => 0..variable("REMINT_SIM_SEEDS").unwrap_or(USUAL),
    };
    let skip: BTreeSet<_> =
        text("REMINT_SIM_SKIP").iter().flat_map(|skip| skip.split(',')).map(str::to_owned).collect();
    let skip = Arc::new(skip);
    let started = Instant::now();
    let (done, Found { counts, coverage, failures }) = simulate_all(seeds, &skip);
    let took = started.elapsed().as_secs_f64();
    println!("{counts}{coverage}\n{done} seeds in {took:.1} s, {:.0} a minute", done as f64 / took * 60.0);
    let Some((seed, why)) = failures.first_key_value() else {
        let holes = if done >= FULL { coverage.holes() } else { coverage.refuted() };
        assert!(holes.is_empty(), "{}", holes.join("\n"));
        return;
    };
    let mut kinds: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (seed, why) in &failures {
        kinds.entry(kind(why)).or_default().push(*seed);
    }
    for (kind, seeds) in kinds {
        println!("{:>5} {kind}: seeds {:?}", seeds.len(), &seeds[..seeds.len().min(5)]);
    }
    let scenario = Scenario { seed: *seed, skip, traced: true };
    // One seed by itself is shown whole once it was minimized.
    let (scenario, Report { trace, failure, .. }) = match text("REMINT_SIM_WHOLE") {
        None => minimize(&scenario, simulate),
        Some(_) => (scenario.clone(), simulate(&scenario)),
    };
    let smallest = failure.unwrap_or_else(|| "nothing, with a trace".to_owned());
    panic!(
        "{trace}\n{} of {done} seeds fail; seed {seed}: {why}\n\nAt its smallest: {smallest}\n\n    {}\n",
        failures.len(),
        command(&scenario)
    );
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 1_000_000..1_000_010 {
        let scenario = Scenario { seed, ..Scenario::default() };
        let (one, other) = (simulate(&scenario), simulate(&scenario));
        assert_eq!(one, other, "seed {seed}");
        // And so it does when somebody watches.
        let traced = simulate(&Scenario { traced: true, ..scenario });
        assert!(!traced.sites.is_empty() && !traced.trace.is_empty());
        assert_eq!((one.counts, one.coverage), (traced.counts, traced.coverage), "seed {seed}");
    }
}

#[test]
fn a_step_that_is_left_out_does_not_happen_and_the_others_do() {
    let scenario = Scenario { seed: 1_000_000, traced: true, ..Scenario::default() };
    let whole = simulate(&scenario);
    assert!(["1", "3", "4"].iter().all(|step| whole.sites.iter().any(|site| site == step)), "{:?}", whole.sites);
    let skip = Arc::new(["3".to_owned()].into());
    let without = simulate(&Scenario { skip, ..scenario });
    let of_step = |report: &Report, step: &str| report.sites.iter().any(|site| site == step);
    assert!(of_step(&without, "1") && !of_step(&without, "3") && of_step(&without, "4"), "{:?}", without.sites);
}

/// `make sim-saboteurs` is run by hand; that its patches still fit the engine is seen here.
#[test]
fn every_saboteur_fits_the_engine() {
    let core = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = core.parent().unwrap();
    let names = fs::read_dir(core.join("src/sim/saboteurs")).unwrap().map(|entry| entry.unwrap().path());
    let patches: Vec<_> = names.filter(|name| name.extension().is_some_and(|kind| kind == "patch")).collect();
    assert!(patches.len() >= 20, "{}", patches.len());
    let git = Command::new("git").args(["apply", "--check"]).args(&patches).current_dir(root).output().unwrap();
    assert!(git.status.success(), "{}", String::from_utf8_lossy(&git.stderr));
}
