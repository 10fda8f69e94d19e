//! The lock under interleavings that a seed draws.
//!
//! Each operation of the store takes effect after a delay, and is answered after another; most are short, some are longer than
//! a lease, as of a process that is suspended there. An operation whose caller is gone takes effect nevertheless. A list is taken
//! at one moment, and lacks what is deleted before it is answered, as of a folder. Time is paused, so a seed always gives the
//! same run. `LOCK_SEEDS=3000` draws more of them than usual.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt as _,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, memory::InMemory, path::Path,
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{Holder, Journal, JournalError, Liveness, LockGuard, ProcessState};

/// A store whose operations take as long as the seed says.
#[derive(Debug)]
struct Slow {
    inner: Arc<InMemory>,
    draws: Arc<Mutex<StdRng>>,
}

impl Slow {
    fn pause(&self) -> Duration {
        let mut draws = self.draws.lock().unwrap();
        match draws.random_range(0..100) {
            0..60 => Duration::ZERO,
            60..94 => Duration::from_millis(draws.random_range(1..200)),
            94..98 => Duration::from_millis(draws.random_range(200..20_000)),
            _ => Duration::from_secs(draws.random_range(20..120)),
        }
    }

    /// Takes effect after a while, also when the caller is gone by then, and is answered after another.
    async fn go<T: Send + 'static>(&self, effect: impl Future<Output = T> + Send + 'static) -> T {
        let (before, after) = (self.pause(), self.pause());
        let done = tokio::spawn(async move {
            sleep(before).await;
            let done = effect.await;
            sleep(after).await;
            done
        });
        done.await.unwrap()
    }
}

impl fmt::Display for Slow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Slow")
    }
}

#[async_trait]
impl ObjectStore for Slow {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let (inner, location) = (Arc::clone(&self.inner), location.clone());
        self.go(async move { inner.put_opts(&location, payload, opts).await }).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let (inner, location) = (Arc::clone(&self.inner), location.clone());
        self.go(async move { inner.get_opts(&location, options).await }).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let slow = Self { inner: Arc::clone(&self.inner), draws: Arc::clone(&self.draws) };
        let deleted = locations.then(move |location| {
            let slow = Self { inner: Arc::clone(&slow.inner), draws: Arc::clone(&slow.draws) };
            async move {
                let (inner, location) = (Arc::clone(&slow.inner), location?);
                slow.go(async move { inner.delete(&location).await.map(|()| location) }).await
            }
        });
        deleted.boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let slow = Self { inner: Arc::clone(&self.inner), draws: Arc::clone(&self.draws) };
        let prefix = prefix.cloned();
        let listed = async move {
            let (inner, pause) = (Arc::clone(&slow.inner), slow.pause());
            let found = slow.go(async move {
                let names = |inner: Arc<InMemory>| {
                    let listed = inner.list(prefix.as_ref()).try_collect::<Vec<ObjectMeta>>();
                    async move { listed.await.unwrap() }
                };
                let first = names(Arc::clone(&inner)).await;
                sleep(pause).await;
                let then = names(inner).await;
                let still = |meta: &ObjectMeta| then.iter().any(|other| other.location == meta.location);
                first.into_iter().filter(still).map(Ok).collect::<Vec<_>>()
            });
            futures::stream::iter(found.await)
        };
        futures::stream::once(listed).flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// The processes of all hosts, and what has been seen of the lock.
#[derive(Debug, Default)]
struct World {
    processes: Mutex<BTreeMap<Uuid, (u64, bool)>>,
    /// The highest number whose holder knows that it holds it.
    highest: AtomicU64,
    taken: AtomicU64,
    taken_over: AtomicU64,
    passed: AtomicU64,
    refused: AtomicU64,
    violations: Mutex<Vec<String>>,
}

impl World {
    fn takes(&self, guard: &LockGuard) {
        let before = self.highest.fetch_max(guard.token(), Ordering::SeqCst);
        if before >= guard.token() {
            self.violations.lock().unwrap().push(format!("{} was taken after {before}", guard.token()));
        }
        self.taken.fetch_add(1, Ordering::SeqCst);
        if guard.took_over() {
            self.taken_over.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn passes(&self, token: u64) {
        let highest = self.highest.load(Ordering::SeqCst);
        if highest > token {
            self.violations.lock().unwrap().push(format!("{token} passed its check, although {highest} is held"));
        }
        self.passed.fetch_add(1, Ordering::SeqCst);
    }
}

/// What a host sees: its own processes.
#[derive(Debug)]
struct Host {
    number: u64,
    world: Weak<World>,
}

impl Liveness for Host {
    fn of(&self, holder: &Holder) -> ProcessState {
        let world = self.world.upgrade().unwrap();
        let processes = world.processes.lock().unwrap();
        match processes[&holder.run] {
            (host, _) if host != self.number => ProcessState::Unknown,
            (_, true) => ProcessState::Alive,
            (_, false) => ProcessState::Dead,
        }
    }
}

/// Takes the lock again and again, until the end; each time as a new process, which may die at any moment.
async fn runs(world: Arc<World>, journal: Journal, host: u64, mut draws: StdRng, end: Instant) {
    let someone = Holder::current(Uuid::nil(), "deploy");
    while Instant::now() < end {
        let run = Uuid::from_u128(draws.random());
        world.processes.lock().unwrap().insert(run, (host, true));
        let holder = Holder { run, ..someone.clone() };
        let mut inner = StdRng::seed_from_u64(draws.random());
        let life = Duration::from_millis(match draws.random_range(0..10) {
            0..3 => draws.random_range(0..5_000),
            _ => 1_000_000,
        });
        let _ = tokio::time::timeout(life, process(&world, &journal, holder, &mut inner, end)).await;
        world.processes.lock().unwrap().insert(run, (host, false));
        sleep(Duration::from_millis(draws.random_range(0..3_000))).await;
    }
}

async fn process(world: &World, journal: &Journal, holder: Holder, draws: &mut StdRng, end: Instant) {
    let guard = loop {
        match journal.lock(holder.clone()).await {
            Ok(guard) => break guard,
            Err(JournalError::Held { .. }) if Instant::now() < end => {
                sleep(Duration::from_millis(draws.random_range(100..5_000))).await;
            }
            Err(JournalError::Held { .. }) => return,
            Err(error) => panic!("{error}"),
        }
    };
    world.takes(&guard);
    let fence = guard.fence();
    let steps = if draws.random_bool(0.7) { 1 } else { draws.random_range(1..6) };
    for _ in 0..steps {
        let pause = match draws.random_range(0..10) {
            0..8 => draws.random_range(0..500),
            _ => draws.random_range(500..30_000),
        };
        sleep(Duration::from_millis(pause)).await;
        match fence.check().await {
            Ok(()) => world.passes(guard.token()),
            Err(_) => {
                world.refused.fetch_add(1, Ordering::SeqCst);
                return;
            }
        }
    }
    // What fails does so because the lock is another's by now.
    let _ = guard.release().await;
    assert!(fence.check().await.is_err(), "what was given back is good for nothing");
}

/// Five processes on three hosts, for ten minutes.
fn play(seed: u64) -> Arc<World> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let world = Arc::new(World::default());
        let end = Instant::now() + Duration::from_secs(600);
        let mut draws = StdRng::seed_from_u64(seed);
        let inner = Arc::new(InMemory::new());
        let mut actors = Vec::new();
        for host in [0, 0, 1, 1, 2] {
            let store =
                Slow { inner: Arc::clone(&inner), draws: Arc::new(Mutex::new(StdRng::seed_from_u64(draws.random()))) };
            let liveness = Arc::new(Host { number: host, world: Arc::downgrade(&world) });
            let journal = Journal::over(Arc::new(store), "production").with_liveness(liveness);
            let own = StdRng::seed_from_u64(draws.random());
            actors.push(tokio::spawn(runs(Arc::clone(&world), journal, host, own, end)));
        }
        for actor in actors {
            actor.await.unwrap();
        }
        world
    })
}

#[test]
fn never_two_holders_pass_their_check_whatever_the_order() {
    let seeds = std::env::var("LOCK_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(120);
    let (mut taken, mut taken_over, mut passed, mut refused) = (0, 0, 0, 0);
    for seed in 0..seeds {
        let world = play(seed);
        let violations = world.violations.lock().unwrap();
        assert!(violations.is_empty(), "seed {seed}: {violations:?}");
        taken += world.taken.load(Ordering::SeqCst);
        taken_over += world.taken_over.load(Ordering::SeqCst);
        passed += world.passed.load(Ordering::SeqCst);
        refused += world.refused.load(Ordering::SeqCst);
    }
    println!("{seeds} seeds: {taken} times taken, {taken_over} times over; {passed} checks passed, {refused} refused");
    assert!(taken > 10 * seeds && taken_over > seeds && passed > 10 * seeds && refused > seeds / 4);
}
