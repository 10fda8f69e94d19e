use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::FutureExt as _;
use object_store::{ObjectStoreExt as _, memory::InMemory, path::Path};
use tokio::time::{advance, sleep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Holder, Journal, JournalError, LockRecord, ProcessState, Runs,
    hooked::{Hooked, no_answer, nothing},
    layout,
    store::Store,
};
use crate::{
    clock,
    events::Events,
    provider::{CallClass, Calls, Effect, ErrorKind, RatePolicy, RetryPolicy},
};

fn holder(command: &str) -> Holder {
    Holder::current(Uuid::now_v7(), command)
}

/// Of another host: nothing is known of its process.
fn far(command: &str) -> Holder {
    Holder { host: "elsewhere".to_owned(), place: None, ..holder(command) }
}

fn lock(token: u64, holder: Holder) -> LockRecord {
    let expires = clock::wall() + jiff::SignedDuration::from_secs(60);
    LockRecord {
        token,
        holder,
        since: clock::wall(),
        expires,
        released: false,
        unsettled: false,
        runs: Runs::default(),
    }
}

async fn put(objects: &Arc<InMemory>, record: &LockRecord) {
    let store = Store::over(Arc::clone(objects) as _);
    assert!(store.create(&layout::lock("production", record.token), record).await.unwrap());
}

async fn tokens(objects: &Arc<InMemory>) -> Vec<u64> {
    super::lock_record::numbers(&Store::over(Arc::clone(objects) as _), "production").await.unwrap()
}

fn calls() -> Calls {
    Calls::new(RatePolicy { burst: 100, per_second: 1.0, reserved_for_mutations: 0 }, RetryPolicy::default())
}

async fn mutate(calls: &Calls) -> crate::provider::Result<()> {
    calls.run(CallClass::Mutation, || async { Ok(()) }).await
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_is_gone_when_it_is_read_is_looked_at_again() {
    let objects = Arc::new(InMemory::new());
    put(&objects, &LockRecord { released: true, ..lock(2, far("deploy")) }).await;
    let others = Arc::clone(&objects);
    // Another run takes 3 and deletes 2, between the list and the read.
    let between = Hooked::new(&objects, move |operation, location| {
        if operation != "get" || !location.as_ref().ends_with("/000000000002.json") {
            return nothing();
        }
        let (objects, location) = (Arc::clone(&others), location.clone());
        async move {
            put(&objects, &lock(3, far("bake"))).await;
            objects.delete(&location).await.unwrap();
            None
        }
        .boxed()
    });
    let journal = Journal::over(Arc::clone(&between) as _, "production");
    let error = journal.lock(holder("gc")).await.unwrap_err();
    assert!(error.to_string().contains("`remint bake`"), "{error}");
    assert!(!between.asked("create production/lock/000000000001.json"), "it is not as if there were none");
    assert_eq!(tokens(&objects).await, [3]);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_created_an_old_number_withdraws_it() {
    let objects = Arc::new(InMemory::new());
    put(&objects, &LockRecord { released: true, ..lock(2, far("deploy")) }).await;
    let others = Arc::clone(&objects);
    // Others take 3 and 4, and delete what is below, between this run's look and its create.
    let between = Hooked::new(&objects, move |operation, location| {
        if operation != "create" || !location.as_ref().ends_with("/000000000003.json") {
            return nothing();
        }
        let objects = Arc::clone(&others);
        async move {
            put(&objects, &lock(4, far("bake"))).await;
            objects.delete(&Path::from("production/lock/000000000002.json")).await.unwrap();
            None
        }
        .boxed()
    });
    let error = Journal::over(between, "production").lock(holder("gc")).await.unwrap_err();
    assert!(matches!(error, JournalError::Held { .. }), "{error}");
    assert_eq!(tokens(&objects).await, [4]);
}

#[tokio::test(start_paused = true)]
async fn a_create_whose_answer_was_lost_is_known_as_our_own() {
    let objects = Arc::new(InMemory::new());
    // The store repeats a request whose answer was lost, and finds the object there.
    let repeating = Hooked::new(&objects, |operation, location| {
        if operation != "created" || !location.as_ref().contains("/lock/") {
            return nothing();
        }
        let (path, source) = (location.to_string(), "exists".into());
        futures::future::ready(Some(object_store::Error::AlreadyExists { path, source })).boxed()
    });
    let journal = Journal::over(repeating, "production");
    let guard = journal.lock(holder("deploy")).await.unwrap();
    assert_eq!((guard.token(), tokens(&objects).await), (1, vec![1]));
}

#[tokio::test(start_paused = true)]
async fn a_process_that_is_alive_here_keeps_its_lock_whatever_the_clock_says() {
    let journal = Journal::over(Arc::new(InMemory::new()), "production");
    // Dropped, so that nobody renews it, while the process lives on.
    drop(journal.lock(holder("deploy")).await.unwrap());
    sleep(Duration::from_secs(3600)).await;
    let error = journal.lock(holder("bake")).await.unwrap_err();
    assert!(matches!(error, JournalError::Held { process: ProcessState::Alive, .. }), "{error}");
    assert!(error.to_string().ends_with("; its process is alive on this host"), "{error}");
    assert!(journal.held().await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn of_another_host_the_time_decides() {
    let objects = Arc::new(InMemory::new());
    put(&objects, &lock(1, far("deploy"))).await;
    let journal = Journal::over(Arc::clone(&objects) as _, "production");
    sleep(Duration::from_secs(59)).await;
    let error = journal.lock(holder("bake")).await.unwrap_err();
    assert!(matches!(error, JournalError::Held { process: ProcessState::Unknown, .. }), "{error}");
    sleep(Duration::from_secs(1)).await;
    let guard = journal.lock(holder("bake")).await.unwrap();
    assert!(guard.took_over());
    assert_eq!(tokens(&objects).await, [2]);
}

#[tokio::test(start_paused = true)]
async fn a_suspended_process_sends_nothing_when_it_wakes_up() {
    let journal = Journal::over(Arc::new(InMemory::new()), "production");
    let guard = journal.lock(holder("deploy")).await.unwrap();
    let calls = calls();
    calls.fence(guard.fence());
    mutate(&calls).await.unwrap();
    // Nothing of it runs meanwhile, the renewal neither.
    advance(Duration::from_secs(46)).await;
    let error = mutate(&calls).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::LockLost, Effect::NotApplied));
    assert_eq!(calls.count().mutations, 1);
    assert!(guard.lost().is_cancelled());
    sleep(Duration::from_secs(60)).await;
    assert!(mutate(&calls).await.is_err(), "a lease that has run out is never renewed");
    let error = guard.check().await.unwrap_err();
    assert!(matches!(error, JournalError::Lost { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_runs_out_while_the_store_is_asked_is_seen() {
    let objects = Arc::new(InMemory::new());
    let slow = Arc::new(Mutex::new(Duration::ZERO));
    let pause = Arc::clone(&slow);
    let store = Hooked::new(&objects, move |operation, _| {
        let pause = if operation == "list" { *pause.lock().unwrap() } else { Duration::ZERO };
        sleep(pause).map(|()| None).boxed()
    });
    let guard = Journal::over(store, "production").lock(holder("deploy")).await.unwrap();
    let calls = calls();
    calls.fence(guard.fence());
    *slow.lock().unwrap() = Duration::from_secs(50);
    assert_eq!(mutate(&calls).await.unwrap_err().kind(), ErrorKind::LockLost);
    assert_eq!(calls.count().mutations, 0);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_was_overtaken_sends_nothing() {
    let objects = Arc::new(InMemory::new());
    let journal = Journal::over(Arc::clone(&objects) as _, "production");
    let guard = journal.lock(holder("deploy")).await.unwrap();
    let calls = calls();
    calls.fence(guard.fence());
    put(&objects, &lock(2, far("bake"))).await;
    let error = mutate(&calls).await.unwrap_err();
    assert_eq!(error.to_string(), "change anything: lock lost");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "this run lost the lock on production: another run has taken it over");
    assert!(error.hint().unwrap().contains("remint status"));
    guard.release().await.unwrap();
    assert_eq!(journal.held().await.unwrap().unwrap().token, 2, "the other's lock stays as it is");
}

#[tokio::test(start_paused = true)]
async fn what_was_given_back_or_dropped_is_good_for_nothing() {
    let journal = Journal::over(Arc::new(InMemory::new()), "production");
    let released = journal.lock(holder("deploy")).await.unwrap();
    let calls = calls();
    calls.fence(released.fence());
    mutate(&calls).await.unwrap();
    released.release().await.unwrap();
    assert_eq!(mutate(&calls).await.unwrap_err().kind(), ErrorKind::LockLost);
    let dropped = journal.lock(holder("deploy")).await.unwrap();
    calls.fence(dropped.fence());
    mutate(&calls).await.unwrap();
    drop(dropped);
    assert_eq!(mutate(&calls).await.unwrap_err().kind(), ErrorKind::LockLost);
}

#[tokio::test(start_paused = true)]
async fn while_a_lock_is_given_back_it_is_good_for_nothing_already() {
    let objects = Arc::new(InMemory::new());
    let store =
        Hooked::new(
            &objects,
            |operation, _| {
                if operation == "replace" { futures::future::pending().boxed() } else { nothing() }
            },
        );
    let guard = Journal::over(store, "production").lock(holder("deploy")).await.unwrap();
    let fence = guard.fence();
    fence.check().await.unwrap();
    tokio::spawn(guard.release());
    sleep(Duration::from_secs(1)).await;
    assert!(fence.check().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_cannot_be_renewed_is_lost_before_others_may_take_it() {
    let objects = Arc::new(InMemory::new());
    let store = Hooked::new(&objects, |operation, _| if operation == "replace" { no_answer() } else { nothing() });
    let guard = Journal::over(store, "production").lock(holder("deploy")).await.unwrap();
    sleep(Duration::from_millis(44_900)).await;
    assert!(!guard.lost().is_cancelled());
    sleep(Duration::from_millis(200)).await;
    assert!(guard.lost().is_cancelled());
    assert!(guard.check().await.unwrap_err().to_string().contains("not renewed in time"));
}

#[tokio::test(start_paused = true)]
async fn a_renewal_without_an_answer_does_not_keep_the_loss_from_being_seen() {
    let objects = Arc::new(InMemory::new());
    let store =
        Hooked::new(
            &objects,
            |operation, _| {
                if operation == "replace" { futures::future::pending().boxed() } else { nothing() }
            },
        );
    let guard = Journal::over(store, "production").lock(holder("deploy")).await.unwrap();
    sleep(Duration::from_millis(45_100)).await;
    assert!(guard.lost().is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_holder_left_is_looked_at_until_somebody_has_cleaned_up() {
    let objects = Arc::new(InMemory::new());
    let journal = Journal::over(Arc::clone(&objects) as _, "production");
    drop(journal.lock(Holder { started: Some(1), ..holder("deploy") }).await.unwrap());
    let looker = journal.lock(holder("journal repair")).await.unwrap();
    assert!(looker.took_over());
    looker.release_unsettled().await.unwrap();
    let cleaner = journal.lock(holder("deploy")).await.unwrap();
    assert!(cleaner.took_over());
    cleaner.release().await.unwrap();
    let tidy = journal.lock(holder("deploy")).await.unwrap();
    assert!(!tidy.took_over());
    tidy.leave_behind();
    tidy.release().await.unwrap();
    assert!(journal.lock(holder("deploy")).await.unwrap().took_over(), "what could not be removed is looked for");
}

#[tokio::test(start_paused = true)]
async fn names_of_others_among_the_locks_are_ignored_with_a_note() {
    let objects = Arc::new(InMemory::new());
    for name in [".000000000042.json.swp", "000000000042.json~", "notes.txt", "99999999999999999999.json"] {
        objects.put(&Path::from(format!("production/lock/{name}")), "x".into()).await.unwrap();
    }
    let journal = Journal::over(Arc::clone(&objects) as _, "production");
    assert_eq!(journal.lock(holder("deploy")).await.unwrap().token(), 1);
    let notes = journal.take_notes();
    assert_eq!(notes.len(), 4, "{notes:?}");
    assert!(notes[0].starts_with("ignored `production/lock/.000000000042.json.swp` in the journal"), "{notes:?}");
    assert_eq!(journal.take_notes(), [""; 0], "each is told once");
}

#[tokio::test(start_paused = true)]
async fn a_damaged_lock_is_an_error_that_names_it() {
    let objects = Arc::new(InMemory::new());
    objects.put(&Path::from("production/lock/000000000007.json"), "{\"tok".into()).await.unwrap();
    let journal = Journal::over(Arc::clone(&objects) as _, "production");
    let error = journal.lock(holder("deploy")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "`production/lock/000000000007.json` in the journal is damaged: it breaks off after 5 bytes"
    );
    assert!(error.hint().unwrap().contains("remint journal repair"));
    assert_eq!(tokens(&objects).await, [7]);
}

/// A store that fails for a moment must not cost the journal the runs that it knows: their builders would stay for good.
#[tokio::test(start_paused = true)]
async fn the_runs_of_the_lock_below_a_damaged_one_are_not_given_up_because_the_store_fails() {
    let objects = Arc::new(InMemory::new());
    let former = holder("bake");
    let run = former.run.to_string();
    let journal = Journal::over(Arc::clone(&objects) as _, "production");
    journal.lock(former).await.unwrap().release_unsettled().await.unwrap();
    objects.put(&Path::from("production/lock/000000000002.json"), "{".into()).await.unwrap();
    let begun = tokio::time::Instant::now();
    let failing = Hooked::new(&objects, move |operation, location| {
        // Once it has seen for long enough that nobody renews the damaged one.
        let takes = begun.elapsed() > Duration::from_secs(15);
        if !takes || operation != "get" || !location.as_ref().ends_with("/000000000001.json") {
            return nothing();
        }
        let error = object_store::Error::Generic { store: "test", source: "503 Slow Down".into() };
        futures::future::ready(Some(error)).boxed()
    });
    let repair = async |journal: &Journal| {
        journal.repair(holder("journal repair"), None, &Events::silent(), &CancellationToken::new()).await
    };
    repair(&Journal::over(failing, "production")).await.unwrap_err();
    assert_eq!(tokens(&objects).await, [1, 2]);
    repair(&journal).await.unwrap();
    assert!(journal.lock(holder("gc")).await.unwrap().known_runs().has(Some(&run)));
}
