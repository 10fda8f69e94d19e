//! One set of checks for every kind of store: a folder, S3 by moto, and Google's XML API by a fake of our own.
//!
//! No real cloud is asked. What is checked is that Remint's stores behave as its lock and its journals need it, with servers that
//! nobody here wrote where there are some.

mod checks;
mod faults;
mod google;
mod replies;
mod servers;
mod target;
mod writer;

use std::sync::atomic::Ordering;

use google::Google;
use replies::Replies;
use servers::{Moto, S3rver};
use target::Target;

use crate::journal::JournalError;

async fn all(target: &Target) {
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
}

#[tokio::test(flavor = "multi_thread")]
async fn motos_s3_passes() {
    let moto = Moto::start();
    moto.bucket("team").await;
    all(&moto.target("s3://team/journals/web")).await;
    let replies = Replies::before(&moto.url).await;
    with_lost_replies(&Target::s3("s3://team/lost", &replies.url), &replies).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_fake_of_googles_xml_api_passes() {
    let google = Google::start("team").await;
    all(&google.target("gs://team/journals/web")).await;
    let replies = Replies::before(&google.url).await;
    with_lost_replies(&Target::gcs("gs://team/lost", &replies.url), &replies).await;
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
