use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::{FutureExt as _, TryStreamExt as _, future::BoxFuture};
use object_store::{ObjectStore, ObjectStoreExt as _, memory::InMemory, path::Path};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Entry, Finding, Holder, Journal, JournalError, Moved, Phase, Remedy, Resources,
    history_tests::written,
    hooked::{Hooked, no_answer, nothing},
    mark::{Mark, Pointer},
    store::Store,
    tests::{at, record},
};
use crate::{events::Events, manifest::JournalSection};

const NEW: &str = "s3://team/web";

type Result<T> = std::result::Result<T, JournalError>;

/// A run of another host, whose lock can be taken away.
fn far(command: &str) -> Holder {
    Holder { host: "elsewhere".to_owned(), place: None, ..Holder::current(Uuid::now_v7(), command) }
}

/// A run of this host that can be seen to be dead as soon as anybody looks.
fn dead(command: &str) -> Holder {
    Holder { started: Some(1), ..Holder::current(Uuid::now_v7(), command) }
}

/// A journal of two environments; of the second, the run of the label has left a builder behind.
async fn journal(objects: &Arc<InMemory>) -> (Journal, String) {
    let journal = written(Arc::clone(objects) as _).await;
    let lock = journal.lock(far("gc")).await.unwrap();
    journal.identify(&lock, "app").await.unwrap();
    lock.release().await.unwrap();
    let (staging, run) = (journal.sibling("staging"), far("bake"));
    let label = run.run.to_string();
    let lock = staging.lock(run).await.unwrap();
    staging.identify(&lock, "app").await.unwrap();
    staging.create(&lock, record(1)).await.unwrap();
    lock.leave_behind();
    lock.release().await.unwrap();
    (journal, label)
}

async fn to(old: &Journal, new: &Arc<dyn ObjectStore>, holder: Holder, wait: Option<Duration>) -> Result<Moved> {
    let (events, cancel) = (Events::silent(), CancellationToken::new());
    old.move_into(Store::over(Arc::clone(new)), at(NEW), holder, wait, &events, &cancel).await
}

fn over(objects: &Arc<InMemory>) -> Arc<dyn ObjectStore> {
    Arc::clone(objects) as _
}

fn opened(objects: &Arc<InMemory>) -> Journal {
    Journal::over(over(objects), "production")
}

async fn all(objects: &Arc<InMemory>) -> BTreeMap<String, String> {
    let listed: Vec<_> = objects.list(None).try_collect().await.unwrap();
    let mut found = BTreeMap::new();
    for meta in listed {
        let bytes = objects.get(&meta.location).await.unwrap().bytes().await.unwrap();
        found.insert(meta.location.to_string(), String::from_utf8(bytes.to_vec()).unwrap());
    }
    found
}

/// All that is not about locks or moves.
async fn content(objects: &Arc<InMemory>) -> BTreeMap<String, String> {
    let mut found = all(objects).await;
    found.retain(|name, _| !name.contains("/lock/") && name != "move.json");
    found
}

async fn mark(objects: &Arc<InMemory>) -> Option<Mark> {
    Store::over(over(objects)).mark().await.unwrap()
}

/// What every kind of use of the old place comes to.
async fn is_refused(objects: &Arc<InMemory>) {
    let before = all(objects).await;
    for environment in ["production", "staging", "new"] {
        let open = || Journal::over(over(objects), environment);
        let errors = [
            open().history().await.err(),
            open().resources().await.err(),
            open().identity().await.err(),
            open().environments().await.err(),
            open().has_releases().await.err(),
            open().held().await.err(),
            open().lock_status().await.err(),
            open().lock(far("deploy")).await.err(),
            open().release_lock(1, far("lock release")).await.err(),
            open().known_runs().await.err(),
        ];
        for error in errors {
            let error = error.unwrap();
            let text = format!("{error}; {}", error.hint().unwrap());
            assert!(text.starts_with("the journal has moved to `s3://team/web`, at 20"), "{text}");
            assert!(text.contains("write this in `[journal]` of the manifest: url = \"s3://team/web\""), "{text}");
        }
        let repaired = open().repair(far("journal repair"), None, &Events::silent(), &CancellationToken::new()).await;
        assert_eq!(repaired.unwrap(), []);
        let findings = open().check().await.unwrap();
        let [Finding { object, what, repair }] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!((&**object, *repair), ("move.json", Remedy::UseMoved));
        assert!(what.contains("s3://team/web") && !findings[0].is_harmless(), "{what}");
    }
    assert_eq!(all(objects).await, before);
}

/// The new place has all of the old one, and can be used at once.
async fn is_whole(old: &Arc<InMemory>, new: &Arc<InMemory>) {
    assert_eq!(content(new).await, content(old).await);
    for environment in ["production", "staging"] {
        let journal = Journal::over(over(new), environment);
        assert_eq!(journal.check().await.unwrap(), []);
        journal.lock(far("deploy")).await.unwrap().release_unsettled().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn the_new_place_has_everything_and_the_old_one_accepts_nothing() {
    let (old, new) = (Arc::new(InMemory::new()), Arc::new(InMemory::new()));
    let (journal, label) = journal(&old).await;
    let other = Path::from("notes.txt");
    old.put(&other, "mine".into()).await.unwrap();
    new.put(&other, "theirs".into()).await.unwrap();
    let before =
        (journal.history().await.unwrap(), journal.resources().await.unwrap(), journal.identity().await.unwrap());
    let content_before = content(&old).await;
    let moved = to(&journal, &over(&new), far("journal move"), None).await.unwrap();
    assert_eq!(moved, Moved { journal: at(NEW), environments: vec!["production".to_owned(), "staging".to_owned()] });
    assert_eq!(content(&old).await, content_before, "nothing is deleted or changed at the old place");
    assert_eq!(new.get(&other).await.unwrap().bytes().await.unwrap(), "theirs", "what is not ours is left alone");
    is_refused(&old).await;
    new.delete(&other).await.unwrap();
    old.delete(&other).await.unwrap();
    let there = opened(&new);
    let after = (there.history().await.unwrap(), there.resources().await.unwrap(), there.identity().await.unwrap());
    assert_eq!(after, before);
    assert_eq!(there.environments().await.unwrap(), ["production", "staging"]);
    assert!(!there.lock_status().await.unwrap().unwrap().held);
    let lock = there.lock(far("deploy")).await.unwrap();
    assert!(!lock.took_over(), "nothing was left behind in production");
    assert!(there.sibling("staging").known_runs().await.unwrap().has(Some(&label)));
    let staging = there.sibling("staging").lock(far("gc")).await.unwrap();
    assert!(staging.took_over() && staging.known_runs().has(Some(&label)), "the builder is still looked for");
    lock.release().await.unwrap();
    staging.release_unsettled().await.unwrap();
    is_whole(&old, &new).await;
    // Repeating it changes nothing; a third place is refused.
    let state = (all(&old).await, all(&new).await);
    assert_eq!(to(&opened(&old), &over(&new), far("journal move"), None).await.unwrap(), moved);
    assert_eq!((all(&old).await, all(&new).await), state);
    let error = opened(&old)
        .move_into(
            Store::over(over(&old)),
            at("s3://team/third"),
            far("x"),
            None,
            &Events::silent(),
            &Default::default(),
        )
        .await;
    assert!(matches!(error, Err(JournalError::Moved { .. })), "{error:?}");
    // It can move on from there.
    let third = Arc::new(InMemory::new());
    to(&opened(&new), &over(&third), far("journal move"), None).await.unwrap();
    is_refused(&new).await;
    is_whole(&new, &third).await;
}

/// Both places, as a process sees them that dies at its so-manyeth request.
fn mortal(places: [&Arc<InMemory>; 2], life: usize) -> [Arc<dyn ObjectStore>; 2] {
    let left = Arc::new(AtomicUsize::new(life));
    places.map(|objects| -> Arc<dyn ObjectStore> {
        let left = Arc::clone(&left);
        Hooked::new(objects, move |_, _| {
            let spent = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_err();
            if spent { no_answer() } else { nothing() }
        })
    })
}

#[tokio::test(start_paused = true)]
async fn a_move_that_is_killed_at_any_request_leaves_one_whole_journal_and_is_continued() {
    let mut phases = [0; 3];
    for life in 0.. {
        let (old, new) = (Arc::new(InMemory::new()), Arc::new(InMemory::new()));
        let (journal, label) = journal(&old).await;
        let history = journal.history().await.unwrap();
        let [mortal_old, mortal_new] = mortal([&old, &new], life);
        let killed = to(&Journal::over(mortal_old, "production"), &mortal_new, dead("journal move"), None).await;
        match (mark(&old).await, mark(&new).await) {
            (Some(Mark::Moved(_)), _) if killed.is_ok() => assert!(phases.iter().all(|count| *count > 0), "{phases:?}"),
            (Some(Mark::Moved(_)), there) => {
                assert_eq!(content(&new).await, content(&old).await, "after {life} requests");
                is_refused(&old).await;
                phases[if matches!(there, Some(Mark::Arriving { .. })) { 1 } else { 2 }] += 1;
            }
            (_, there) => {
                assert_eq!(opened(&old).history().await.unwrap(), history, "after {life} requests");
                opened(&old).lock(dead("deploy")).await.unwrap().release_unsettled().await.unwrap();
                if there.is_some() {
                    let refused = opened(&new).lock(far("deploy")).await.unwrap_err();
                    assert!(matches!(refused, JournalError::Arriving { .. }), "after {life} requests: {refused}");
                    assert_eq!(opened(&new).check().await.unwrap()[0].repair, Remedy::FinishMove);
                }
                phases[0] += 1;
            }
        }
        to(&opened(&old), &over(&new), dead("journal move"), None).await.unwrap();
        is_refused(&old).await;
        assert!(opened(&new).sibling("staging").known_runs().await.unwrap().has(Some(&label)));
        assert!(opened(&new).sibling("staging").lock_status().await.unwrap().unwrap().lock.unsettled);
        is_whole(&old, &new).await;
        if killed.is_ok() {
            return;
        }
    }
}

type Work = fn(Journal) -> BoxFuture<'static, ()>;

/// A move, in the middle of which something is done at the old place: right before this request to it.
async fn meanwhile(request: &'static str, work: Work) -> (Arc<InMemory>, Arc<InMemory>, Result<Moved>) {
    let (old, new) = (Arc::new(InMemory::new()), Arc::new(InMemory::new()));
    journal(&old).await;
    let (done, others) = (AtomicBool::new(false), Arc::clone(&old));
    let hooked = Hooked::new(&old, move |operation, location| {
        if format!("{operation} {location}") != request || done.swap(true, Ordering::SeqCst) {
            return nothing();
        }
        let journal = opened(&others);
        async move {
            work(journal).await;
            None
        }
        .boxed()
    });
    let mover = Journal::over(Arc::clone(&hooked) as _, "production");
    let moved = to(&mover, &over(&new), far("journal move"), None).await;
    assert!(hooked.asked(request), "{:?}", hooked.log.lock().unwrap());
    (old, new, moved)
}

/// A run that takes a lock away from the mover, and begins a release.
fn take_over(journal: Journal) -> BoxFuture<'static, ()> {
    async move {
        let token = journal.lock_status().await.unwrap().unwrap().lock.token;
        journal.release_lock(token, far("lock release")).await.unwrap();
        let lock = journal.lock(far("deploy")).await.unwrap();
        let mut release = journal.create(&lock, record(4)).await.unwrap();
        journal.append(&lock, &mut release, Entry::Phase { phase: Phase::Launching }).await.unwrap();
        lock.release().await.unwrap();
    }
    .boxed()
}

/// A run that begins another environment.
fn begin_another(journal: Journal) -> BoxFuture<'static, ()> {
    async move {
        let journal = journal.sibling("third");
        let lock = journal.lock(far("deploy")).await.unwrap();
        journal.identify(&lock, "app").await.unwrap();
        lock.release().await.unwrap();
    }
    .boxed()
}

#[tokio::test(start_paused = true)]
async fn of_a_mover_and_a_run_that_takes_its_lock_over_the_mover_gives_up() {
    // Before the old place is marked, while objects are copied, and after all that is checked, right before the pointer is written.
    for request in ["create move.json", "get production/resources.json", "replace move.json"] {
        let (old, new, moved) = meanwhile(request, take_over).await;
        let error = moved.unwrap_err();
        assert!(matches!(error, JournalError::NotMoved { .. } | JournalError::Lost { .. }), "{request}: {error}");
        assert_eq!(opened(&old).history().await.unwrap().len(), 4, "{request}: what the other run wrote counts");
        assert_eq!(opened(&old).check().await.unwrap(), []);
        let refused = opened(&new).lock(far("deploy")).await;
        assert!(matches!(refused, Err(JournalError::Arriving { .. })) || mark(&new).await.is_none(), "{refused:?}");
        to(&opened(&old), &over(&new), far("journal move"), None).await.unwrap();
        assert_eq!(opened(&new).history().await.unwrap().len(), 4);
        is_whole(&old, &new).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_environment_that_is_begun_meanwhile_is_moved_or_stops_the_move() {
    let (_, new, moved) = meanwhile("create move.json", begin_another).await;
    assert_eq!(moved.unwrap().environments, ["production", "staging", "third"]);
    let third = opened(&new).sibling("third");
    assert!(third.environment_record().await.unwrap().is_some());
    assert!(
        third.lock_status().await.unwrap().is_some(),
        "its lock was taken, too, and the runs that held it are known"
    );
    let (old, new, moved) = meanwhile("replace move.json", begin_another).await;
    let error = moved.unwrap_err().to_string();
    assert!(error.ends_with("another run has taken a lock while the journal was copied"), "{error}");
    assert!(matches!(mark(&old).await, Some(Mark::Cancelled { .. })));
    to(&opened(&old), &over(&new), far("journal move"), None).await.unwrap();
    assert_eq!(opened(&new).environments().await.unwrap(), ["production", "staging", "third"]);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_opened_the_old_place_before_or_waits_there_writes_nothing_after_the_pointer() {
    let (old, new) = (Arc::new(InMemory::new()), Arc::new(InMemory::new()));
    let (journal, _) = journal(&old).await;
    // It has a lock that it was slow to use, and it has read the journal.
    let lost = journal.lock(far("deploy")).await.unwrap();
    let mut release = journal.history().await.unwrap().pop().unwrap();
    journal.release_lock(lost.token(), far("lock release")).await.unwrap();
    let patient = opened(&old);
    assert_eq!(patient.history().await.unwrap().len(), 3);
    let begun = Arc::new(Mutex::new(None));
    let sink = Arc::clone(&begun);
    // It begins to wait while the journal is copied.
    let hooked = Hooked::new(&new, move |operation, location| {
        if operation == "create" && location.as_ref() == "service.json" {
            let patient = patient.clone();
            let waits = async move {
                let (wait, cancel) = (Some(Duration::from_secs(600)), CancellationToken::new());
                patient.lock_within(far("deploy"), wait, &Events::silent(), &cancel).await
            };
            *sink.lock().unwrap() = Some(tokio::spawn(waits));
        }
        async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            None
        }
        .boxed()
    });
    to(&journal, &(hooked as _), far("journal move"), None).await.unwrap();
    let before = all(&old).await;
    let waiting = begun.lock().unwrap().take().unwrap();
    assert!(!waiting.is_finished());
    let refused = waiting.await.unwrap().unwrap_err();
    assert!(matches!(refused, JournalError::Moved { .. }), "{refused}");
    let refused = journal.lock(far("deploy")).await.unwrap_err();
    assert!(matches!(refused, JournalError::Moved { .. }), "{refused}");
    let refused = journal.append(&lost, &mut release, Entry::BeforeSwitchStarted).await.unwrap_err();
    assert!(matches!(refused, JournalError::Lost { .. }), "{refused}");
    assert!(journal.set_resources(&lost, &Resources::default()).await.is_err());
    assert_eq!(all(&old).await, before);
}

/// A run has looked, and the pointer appears right before it creates its lock, or right after that.
#[tokio::test(start_paused = true)]
async fn a_run_that_took_the_lock_looks_again_before_it_writes() {
    for moment in ["create", "created"] {
        let old = Arc::new(InMemory::new());
        journal(&old).await;
        let (inner, done) = (Arc::clone(&old), AtomicBool::new(false));
        let slow = Hooked::new(&old, move |operation, location| {
            let taken = operation == moment && location.as_ref().contains("/lock/");
            if !taken || done.swap(true, Ordering::SeqCst) {
                return nothing();
            }
            let place = Store::over(over(&inner)).of_mover();
            async move {
                let pointer =
                    Pointer { id: Uuid::nil(), to: at(NEW), at: crate::clock::wall(), by: "me@here".to_owned() };
                assert!(place.create("move.json", &Mark::Moved(pointer)).await.unwrap());
                None
            }
            .boxed()
        });
        let late = Journal::over(slow, "production");
        assert_eq!(late.history().await.unwrap().len(), 3);
        let before = all(&old).await;
        let refused = late.lock(far("deploy")).await.unwrap_err();
        assert!(matches!(refused, JournalError::Moved { .. }), "{refused}");
        let mut after = all(&old).await;
        let own = after.remove("production/lock/000000000003.json").unwrap();
        assert!(own.contains("\"released\": true"), "{own}");
        after.remove("move.json").unwrap();
        assert_eq!(after, before, "no other lock is deleted either");
        is_refused(&old).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_mover_is_locked_out_and_then_finds_the_pointer() {
    let (old, new, third) = (Arc::new(InMemory::new()), Arc::new(InMemory::new()), Arc::new(InMemory::new()));
    let (journal, _) = journal(&old).await;
    let (second, other) = (opened(&old), over(&third));
    let ended = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&ended);
    let hooked = Hooked::new(&new, move |operation, location| {
        if operation != "create" || location.as_ref() != "service.json" {
            return nothing();
        }
        let (second, other, sink) = (second.clone(), Arc::clone(&other), Arc::clone(&sink));
        async move {
            let moved = to(&second, &other, far("journal move"), None).await;
            sink.lock().unwrap().push(moved);
            None
        }
        .boxed()
    });
    to(&journal, &(hooked as _), far("journal move"), None).await.unwrap();
    let ended = std::mem::take(&mut *ended.lock().unwrap());
    assert!(
        matches!(&ended[..], [Err(JournalError::Held { holder, .. })] if holder.command == "journal move"),
        "{ended:?}"
    );
    assert!(all(&third).await.is_empty());
    is_whole(&old, &new).await;
    let error = to(&opened(&old), &over(&third), far("journal move"), None).await.unwrap_err().to_string();
    assert!(error.ends_with("it is not as the move of this journal has left it"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_held_lock_is_waited_for_or_refuses_the_move() {
    let (old, new) = (Arc::new(InMemory::new()), Arc::new(InMemory::new()));
    let (journal, _) = journal(&old).await;
    let before = content(&old).await;
    let held = journal.sibling("staging").lock(far("bake")).await.unwrap();
    let error = to(&journal, &over(&new), far("journal move"), None).await.unwrap_err();
    assert!(error.to_string().starts_with("staging is locked by "), "{error}");
    assert!(!journal.lock_status().await.unwrap().unwrap().held, "those that it had taken are given back");
    let error = to(&journal, &over(&new), far("journal move"), Some(Duration::from_secs(5))).await.unwrap_err();
    assert!(matches!(error, JournalError::Held { .. }), "{error}");
    assert!(all(&new).await.is_empty() && content(&old).await == before);
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(70)).await;
        held.release().await.unwrap();
    });
    to(&journal, &over(&new), far("journal move"), Some(Duration::from_secs(300))).await.unwrap();
    is_whole(&old, &new).await;
}

/// The refusal of a move to a place with these objects, after which the old place is as good as before.
async fn refused_by(there: &[(&str, &str)]) -> String {
    let (old, new) = (Arc::new(InMemory::new()), Arc::new(InMemory::new()));
    let (journal, _) = journal(&old).await;
    for (name, body) in there {
        new.put(&Path::from(*name), (*body).to_owned().into()).await.unwrap();
    }
    let before = all(&new).await;
    let error = to(&journal, &over(&new), far("journal move"), None).await.unwrap_err();
    assert!(error.hint().is_some(), "{error}");
    assert_eq!(all(&new).await, before, "nothing is written there");
    opened(&old).lock(far("deploy")).await.unwrap().release().await.unwrap();
    error.to_string()
}

#[tokio::test(start_paused = true)]
async fn a_place_with_another_journal_is_refused() {
    const SERVICE: &str =
        r#"{"format": 2, "service": "b", "id": "0123456789abcdef", "created_at": "2026-01-01T00:00:00Z"}"#;
    let text = refused_by(&[("service.json", SERVICE)]).await;
    assert_eq!(text, "cannot move the journal to `s3://team/web`: a journal is there already");
    refused_by(&[("other/resources.json", "{}")]).await;
    refused_by(&[("other/lock/000000000001.json", "{}")]).await;
    let arriving = r#"{"format": 2, "state": "arriving", "id": "018f0000-0000-7000-8000-000000000000",
        "service": "0123456789abcdef", "from": "file:/srv/b"}"#;
    let text = refused_by(&[("move.json", arriving)]).await;
    assert!(text.ends_with("another journal is being moved there, from `file:/srv/b`"), "{text}");
    let moved = r#"{"format": 2, "state": "moved", "id": "018f0000-0000-7000-8000-000000000000",
        "to": {"url": "s3://team/c"}, "at": "2026-01-01T00:00:00Z", "by": "me@here"}"#;
    let text = refused_by(&[("move.json", moved)]).await;
    assert!(text.ends_with("a journal was there, which has moved away"), "{text}");
    assert!(refused_by(&[("move.json", "{}")]).await.contains("`move.json` in the journal is damaged"));
}

/// Whatever an interrupted move has left there must be this journal's.
#[tokio::test(start_paused = true)]
async fn what_is_not_as_in_this_journal_stops_the_continuation() {
    for (name, body, what) in [
        ("production/resources.json", "{\"format\": 2}", "is not as it is in this journal"),
        ("production/releases/000009/release.json", "{}", "is there, and not in this journal"),
        ("production/lock/000000000099.json", "", "another run has taken the lock of production there"),
    ] {
        let (old, new) = (Arc::new(InMemory::new()), Arc::new(InMemory::new()));
        let (journal, _) = journal(&old).await;
        let [mortal_old, mortal_new] = mortal([&old, &new], 60);
        to(&Journal::over(mortal_old, "production"), &mortal_new, dead("journal move"), None).await.unwrap_err();
        assert!(matches!(mark(&new).await, Some(Mark::Arriving { .. })));
        let lock = super::LockRecord {
            token: 99,
            holder: far("gc"),
            since: crate::clock::wall(),
            expires: crate::clock::wall(),
            released: true,
            unsettled: false,
            runs: super::Runs::default(),
        };
        match body {
            "" => Store::over(over(&new)).of_mover().replace(name, &lock).await.unwrap(),
            body => drop(new.put(&Path::from(name), body.into()).await.unwrap()),
        }
        let error = to(&journal, &over(&new), far("journal move"), None).await.unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
        assert_eq!(journal.history().await.unwrap().len(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_journal_is_not_moved_to_itself_nor_without_an_id_nor_damaged() {
    let old = Arc::new(InMemory::new());
    let (journal, _) = journal(&old).await;
    let error = to(&journal, &over(&old), far("journal move"), None).await.unwrap_err().to_string();
    assert!(error.ends_with("the journal is there already"), "{error}");
    let new = Arc::new(InMemory::new());
    old.put(&Path::from("production/resources.json"), "{\"format\": 9}".into()).await.unwrap();
    let error = to(&journal, &over(&new), far("journal move"), None).await.unwrap_err();
    assert!(matches!(error, JournalError::TooNew { found: 9, .. }), "{error}");
    opened(&old).lock(far("deploy")).await.unwrap();
    let without = written(over(&Arc::new(InMemory::new()))).await;
    let error = to(&without, &over(&Arc::new(InMemory::new())), far("journal move"), None).await.unwrap_err();
    assert!(error.hint().unwrap().contains("`remint gc`"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_move_can_be_interrupted_and_what_is_torn_there_is_noticed() {
    let (old, new) = (Arc::new(InMemory::new()), Arc::new(InMemory::new()));
    let (journal, _) = journal(&old).await;
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    let hooked = Hooked::new(&new, move |operation, location| {
        if operation == "create" && location.as_ref().contains("/releases/") {
            stop.cancel();
        }
        nothing()
    });
    let store = Store::over(hooked);
    let error =
        journal.move_into(store, at(NEW), far("journal move"), None, &Events::silent(), &cancel).await.unwrap_err();
    assert!(matches!(error, JournalError::MoveInterrupted), "{error}");
    opened(&old).lock(far("deploy")).await.unwrap().release().await.unwrap();
    // A store that keeps something else than what it was given.
    let inner = Arc::clone(&new);
    let hooked = Hooked::new(&new, move |operation, location| {
        if operation != "created" || location.as_ref() != "staging/environment.json" {
            return nothing();
        }
        let (inner, location) = (Arc::clone(&inner), location.clone());
        async move {
            inner.put(&location, "{}".into()).await.unwrap();
            None
        }
        .boxed()
    });
    new.delete(&Path::from("staging/environment.json")).await.ok();
    let error = to(&journal, &(hooked as _), far("journal move"), None).await.unwrap_err().to_string();
    assert!(error.ends_with("`staging/environment.json` there is not what was written"), "{error}");
    opened(&old).lock(far("deploy")).await.unwrap();
}

#[tokio::test]
async fn a_folder_moves_to_a_folder_and_the_pointer_has_its_absolute_path() {
    let folder = tempfile::tempdir().unwrap();
    let here = |url: &str| {
        let mut journal = Journal::over(Arc::new(InMemory::new()), "production");
        journal.store = Store::open(&at(url), folder.path()).unwrap();
        journal
    };
    let journal = here("file:.remint");
    let lock = journal.lock(far("deploy")).await.unwrap();
    journal.identify(&lock, "app").await.unwrap();
    lock.release().await.unwrap();
    let run = async |url: &str| {
        let (events, cancel) = (Events::silent(), CancellationToken::new());
        here("file:.remint").move_to(&at(url), folder.path(), far("journal move"), None, &events, &cancel).await
    };
    for url in ["file:.remint", "file:./.remint/", "file:.remint/inside"] {
        let error = run(url).await.unwrap_err();
        assert!(matches!(error, JournalError::NotMoved { .. }), "{url}: {error}");
    }
    let with_region = JournalSection { region: Some("x".to_owned()), ..at("file:moved") };
    let error = journal
        .move_to(&with_region, folder.path(), far("x"), None, &Events::silent(), &CancellationToken::new())
        .await;
    assert!(error.unwrap_err().to_string().contains("`region` is for a journal at `s3://`"));
    let absolute = format!("file:{}", folder.path().join("moved").display());
    assert_eq!(run("file:moved").await.unwrap().journal, at(&absolute));
    assert_eq!(run("file:moved").await.unwrap().environments, ["production"], "it can be repeated");
    let error = here("file:.remint").history().await.unwrap_err();
    assert!(error.hint().unwrap().contains(&format!("{absolute:?}")), "{error}");
    assert!(here("file:moved").identity().await.unwrap().is_some());
    here("file:moved").lock(far("deploy")).await.unwrap();
}
