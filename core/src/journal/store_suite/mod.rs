//! One set of checks for every kind of store: a folder, S3 by moto, and Google's XML API by a fake of our own.
//!
//! No real cloud is asked. What is checked is that Remint's stores behave as its lock and its journals need it, with servers that
//! nobody here wrote where there are some.

mod checks;
mod faults;
mod google;
mod moto;
mod replies;
mod servers;
mod target;
mod writer;

use std::sync::{Arc, atomic::Ordering};

use futures::future::join_all;
use object_store::memory::InMemory;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use google::Google;
use replies::Replies;
use servers::{Moto, S3rver};
use target::Target;

use crate::{
    events::Events,
    journal::{Entry, Holder, Journal, JournalError, Phase, Resources},
};

/// Of twenty runs that want the lock one gets it, and what it writes is read by the others.
async fn journals(target: &Target) {
    let journal = || {
        let mut journal = Journal::over(Arc::new(InMemory::new()), "production");
        journal.store = target.open();
        journal
    };
    let runs: Vec<Journal> = (0..20).map(|_| journal()).collect();
    for round in 1..=3 {
        let locks = join_all(runs.iter().map(|run| run.lock(Holder::current(Uuid::now_v7(), "deploy")))).await;
        let held = |lock: &_| matches!(lock, Err(JournalError::Held { .. }));
        assert_eq!(locks.iter().filter(|lock| held(lock)).count(), 19, "{locks:?}");
        let (winner, lock) = locks.into_iter().enumerate().find_map(|(run, lock)| Some((run, lock.ok()?))).unwrap();
        let mut release = runs[winner].create(&lock, super::tests::record(round)).await.unwrap();
        for phase in [Phase::Launching, Phase::Gating, Phase::Done] {
            runs[winner].append(&lock, &mut release, Entry::Phase { phase }).await.unwrap();
        }
        runs[winner].set_resources(&lock, &Resources::default()).await.unwrap();
        lock.release().await.unwrap();
        let history = journal().history().await.unwrap();
        assert_eq!(history.len() as u64, round);
        assert_eq!(history.last(), Some(&release));
        assert_eq!(journal().environments().await.unwrap(), ["production"]);
        assert_eq!(journal().check().await.unwrap(), []);
    }
}

/// The journal of one moves to another: then the old one refuses it, and the new one has it.
async fn moves(old: &Target, new: &Target) {
    let open = |target: &Target| {
        let mut journal = Journal::over(Arc::new(InMemory::new()), "production");
        journal.store = target.open();
        journal
    };
    let run = || Holder::current(Uuid::now_v7(), "journal move");
    let lock = open(old).lock(run()).await.unwrap();
    open(old).identify(&lock, "app").await.unwrap();
    for id in 1..=20 {
        open(old).create(&lock, super::tests::record(id)).await.unwrap();
    }
    lock.release().await.unwrap();
    let history = open(old).history().await.unwrap();
    let (to, events, cancel) = (super::tests::at("s3://team/new"), Events::silent(), CancellationToken::new());
    for _ in 0..2 {
        open(old).move_into(new.open(), to.clone(), run(), None, &events, &cancel).await.unwrap();
    }
    let refused = open(old).lock(run()).await.unwrap_err();
    assert!(matches!(refused, JournalError::Moved { .. }), "{refused}");
    assert_eq!(open(new).history().await.unwrap(), history);
    assert_eq!(open(new).check().await.unwrap(), []);
    open(new).lock(run()).await.unwrap().release().await.unwrap();
}

async fn all(target: &Target) {
    journals(target).await;
    checks::conditions(target).await;
    checks::create_race(target).await;
    checks::update_race(target).await;
    checks::what_became_what_it_was(target).await;
    checks::lists(target).await;
    checks::what_is_absent(target).await;
    checks::kills(target).await;
}

/// Replies to writes are lost that were carried out: of every second one, of two in three.
async fn with_lost_replies(target: &Target, replies: &Replies) {
    for (some, of) in [(1, 2), (2, 3)] {
        replies.lose(some, of);
        checks::own_writes(target, &format!("lost/{some}-of-{of}")).await;
        let lost = replies.lost.swap(0, Ordering::Relaxed);
        assert!(lost > 10, "only {lost} replies were lost");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_passes() {
    let folder = tempfile::tempdir().unwrap();
    let target = Target::new(&format!("file:{}", folder.path().join("journal").display()));
    all(&target).await;
    checks::own_writes(&target, "own").await;
    let at = |name: &str| Target::new(&format!("file:{}", folder.path().join(name).display()));
    moves(&at("old"), &at("new")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn motos_s3_passes() {
    let moto = Moto::start();
    moto.bucket("team").await;
    all(&moto.target("s3://team/journals/web")).await;
    moves(&moto.target("s3://team/old"), &moto.target("s3://team/new")).await;
    for reset in [false, true] {
        let replies = Replies::before(&moto.url, reset).await;
        with_lost_replies(&Target::s3(&format!("s3://team/lost-{reset}"), &replies.url), &replies).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_fake_of_googles_xml_api_passes() {
    let google = Google::start("team").await;
    all(&google.target("gs://team/journals/web")).await;
    moves(&google.target("gs://team/old"), &google.target("gs://team/new")).await;
    for reset in [false, true] {
        let replies = Replies::before(&google.url, reset).await;
        with_lost_replies(&Target::gcs(&format!("gs://team/lost-{reset}"), &replies.url), &replies).await;
    }
    checks::conflicts(&google.target("gs://team/conflicts"), &google.conflicts).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s3rver_which_ignores_conditions_is_refused() {
    let server = S3rver::start("team");
    let target = server.target("s3://team/web");
    let store = target.open();
    assert_eq!(store.list("").await.unwrap(), [""; 0], "it may be read");
    let refused = store.create("production/lock/000000000001.json", &1).await.unwrap_err();
    assert!(matches!(refused, JournalError::Unusable { .. }), "{refused}");
    let text = refused.to_string();
    assert!(text.contains("ignores conditional writes: of two creates of one object, both succeeded"), "{text}");
    assert!(refused.hint().unwrap().contains("If-None-Match"));
    assert_eq!(target.open().list("").await.unwrap(), [""; 0], "nothing is left");
}
