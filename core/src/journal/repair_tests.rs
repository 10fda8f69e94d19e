use std::{sync::Arc, time::Duration};

use object_store::{ObjectStoreExt as _, local::LocalFileSystem, memory::InMemory, path::Path};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    DnsChange, Entry, Finding, Holder, Journal, JournalError, Phase, Remedy, Repaired,
    history_tests::{entry, release, written},
    layout,
};
use crate::{events::Events, provider::ReleaseId};

fn holder(command: &str) -> Holder {
    Holder::current(Uuid::now_v7(), command)
}

fn lock(token: u64) -> Path {
    Path::from(layout::lock("production", token))
}

async fn repair(journal: &Journal) -> Result<Vec<Repaired>, JournalError> {
    journal.repair(holder("journal repair"), None, &Events::silent(), &CancellationToken::new()).await
}

/// A journal, and what is found when these objects say that, or are gone.
async fn damaged(changes: &[(Path, Option<&str>)]) -> (Arc<InMemory>, Journal, Vec<Finding>) {
    let objects = Arc::new(InMemory::new());
    let journal = written(Arc::clone(&objects) as _).await;
    assert_eq!(journal.check().await.unwrap(), []);
    for (path, body) in changes {
        match body {
            Some(body) => drop(objects.put(path, (*body).to_owned().into()).await.unwrap()),
            None => objects.delete(path).await.unwrap(),
        }
    }
    let findings = journal.check().await.unwrap();
    (objects, journal, findings)
}

async fn text(objects: &Arc<InMemory>, path: &str) -> Option<String> {
    let found = objects.get(&Path::from(path)).await.ok()?.bytes().await.unwrap();
    Some(String::from_utf8(found.to_vec()).unwrap())
}

fn finding(path: &Path, what: &str, repair: Remedy) -> Finding {
    Finding { object: path.to_string(), what: what.to_owned(), repair }
}

#[tokio::test(start_paused = true)]
async fn a_torn_last_entry_is_taken_away_and_a_copy_kept() {
    let (objects, journal, findings) = damaged(&[(entry(3, 4), Some("{\"seq\": 4"))]).await;
    assert_eq!(findings, [finding(&entry(3, 4), "it breaks off after 9 bytes", Remedy::TakeAway)]);
    let repaired = repair(&journal).await.unwrap();
    assert_eq!(repaired.len(), 1);
    assert_eq!(repaired[0].copy, "production/damaged/20261128T120000Z/releases/000003/journal/000004.json");
    assert_eq!(text(&objects, &repaired[0].copy).await.unwrap(), "{\"seq\": 4");
    let history = journal.history().await.unwrap();
    assert_eq!(history[2].phase(), Phase::Verifying, "as if the process had died before it wrote it");
    assert_eq!(journal.check().await.unwrap(), []);
    assert!(journal.held().await.unwrap().is_none());
    assert_eq!(repair(&journal).await.unwrap(), [], "nothing is left to mend");
}

#[tokio::test(start_paused = true)]
async fn a_release_that_was_just_being_created_is_taken_away() {
    let changes: Vec<_> = (1..=4).map(|seq| (entry(3, seq), None)).chain([(release(3), Some(""))]).collect();
    let (_, journal, findings) = damaged(&changes).await;
    assert_eq!(findings, [finding(&release(3), "it is empty", Remedy::TakeAway)]);
    repair(&journal).await.unwrap();
    let ids: Vec<_> = journal.history().await.unwrap().iter().map(super::Release::id).collect();
    assert_eq!(ids, [ReleaseId(1), ReleaseId(2)]);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_the_last_of_its_release_is_left_as_it_is() {
    for (path, body, what) in [
        (release(3), Some(""), "it is empty"),
        (release(2), None, "it is missing, and 4 entries of the release are there"),
        (entry(3, 2), Some(""), "it is empty"),
        (entry(3, 2), None, "it is missing, and later entries are there"),
        // That it was done, is what it said, and another release follows: without it, r1 would not be.
        (entry(1, 4), Some(""), "it is empty"),
        (Path::from("production/resources.json"), Some("{"), "it breaks off after 1 bytes"),
        (Path::from("production/environment.json"), Some(""), "it is empty"),
        (Path::from("service.json"), Some("{}"), "it has no format number"),
    ] {
        let (objects, journal, findings) = damaged(&[(path.clone(), body)]).await;
        assert_eq!(findings, [finding(&path, what, Remedy::Restore)]);
        assert_eq!(repair(&journal).await.unwrap(), []);
        assert_eq!(text(&objects, path.as_ref()).await.as_deref(), body, "{path}");
        assert_eq!(journal.check().await.unwrap(), findings);
    }
}

#[tokio::test(start_paused = true)]
async fn that_an_earlier_release_was_destroyed_may_be_torn() {
    let (_, journal, findings) = damaged(&[(entry(2, 5), Some(""))]).await;
    assert_eq!(findings, [finding(&entry(2, 5), "it is empty", Remedy::TakeAway)]);
    repair(&journal).await.unwrap();
    assert_eq!(journal.history().await.unwrap()[1].phase(), Phase::Done);
}

/// A record that is added while a release serves is noted after the entry that says that it is done.
#[tokio::test(start_paused = true)]
async fn that_a_release_was_destroyed_whose_record_was_changed_may_be_torn() {
    let objects = Arc::new(InMemory::new());
    let journal = written(Arc::clone(&objects) as _).await;
    let lock = journal.lock(holder("deploy")).await.unwrap();
    let mut second = journal.release(ReleaseId(2)).await.unwrap();
    let change = DnsChange { fqdn: "www.example.org".to_owned(), before: None, after: vec!["192.0.2.1".to_owned()] };
    journal.append(&lock, &mut second, Entry::SettingRecord { change, former_ttl: 0 }).await.unwrap();
    lock.release().await.unwrap();
    objects.put(&entry(2, 6), "{".into()).await.unwrap();
    let torn = finding(&entry(2, 6), "it breaks off after 1 bytes", Remedy::TakeAway);
    assert_eq!(journal.check().await.unwrap(), [torn]);
    repair(&journal).await.unwrap();
    assert_eq!(journal.release(ReleaseId(2)).await.unwrap().entries, second.entries);
}

#[tokio::test(start_paused = true)]
async fn a_damaged_lock_is_followed_by_a_higher_one() {
    let (objects, journal, findings) = damaged(&[(lock(7), Some("")), (lock(4), Some("x"))]).await;
    assert_eq!(
        findings,
        [
            finding(&lock(4), "expected value at line 1 column 1", Remedy::TakeAway),
            finding(&lock(7), "it is empty", Remedy::NewLock)
        ]
    );
    let repaired = repair(&journal).await.unwrap();
    assert_eq!(repaired.len(), 2);
    assert_eq!(text(&objects, &repaired[0].copy).await.unwrap(), "x");
    let status = journal.lock_status().await.unwrap().unwrap();
    assert_eq!((status.lock.token, status.held), (8, false));
    assert_eq!(journal.check().await.unwrap(), []);
    let next = journal.lock(holder("deploy")).await.unwrap();
    assert!(next.took_over(), "whoever held it may have left something behind");
}

/// Their builders would count as somebody else's, and stay.
#[tokio::test(start_paused = true)]
async fn the_runs_before_a_lock_that_was_half_written_stay_known() {
    let objects = Arc::new(InMemory::new());
    let journal = Journal::over(Arc::clone(&objects) as _, "production");
    let former = holder("bake");
    let run = former.run.to_string();
    journal.lock(former).await.unwrap().release_unsettled().await.unwrap();
    objects.put(&lock(2), "{\"token\": 2".into()).await.unwrap();
    repair(&journal).await.unwrap();
    let next = journal.lock(holder("gc")).await.unwrap();
    assert!(next.took_over() && next.known_runs().has(Some(&run)));
}

#[tokio::test(start_paused = true)]
async fn a_damaged_lock_whose_holder_lives_is_renewed_by_it_and_held() {
    let objects = Arc::new(InMemory::new());
    let journal = Journal::over(Arc::clone(&objects) as _, "production");
    let guard = journal.lock(holder("deploy")).await.unwrap();
    objects.put(&lock(1), "".into()).await.unwrap();
    let error = repair(&journal).await.unwrap_err();
    assert!(matches!(error, JournalError::Held { .. }), "{error}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    guard.check().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_held_journal_is_not_repaired() {
    let (_, journal, _) = damaged(&[(entry(3, 4), Some(""))]).await;
    let guard = journal.lock(holder("deploy")).await.unwrap();
    let error = repair(&journal).await.unwrap_err();
    assert!(matches!(error, JournalError::Held { .. }), "{error}");
    guard.release().await.unwrap();
    assert_eq!(repair(&journal).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_others_put_there_is_listed_and_left() {
    let (objects, journal, findings) = damaged(&[
        (Path::from("production/.DS_Store"), Some("x")),
        (Path::from("production/lock/.000000000001.json.swp"), Some("x")),
    ])
    .await;
    assert!(findings.iter().all(Finding::is_harmless));
    let names: Vec<_> = findings.iter().map(|finding| finding.object.as_str()).collect();
    assert_eq!(names, ["production/.DS_Store", "production/lock/.000000000001.json.swp"]);
    assert_eq!(repair(&journal).await.unwrap(), []);
    assert_eq!(text(&objects, "production/.DS_Store").await.unwrap(), "x");
    journal.history().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_a_newer_remint_wrote_is_not_touched() {
    let (_, journal, findings) = damaged(&[(entry(3, 4), Some("{\"format\": 9}"))]).await;
    let what = "it has format 9, and this remint reads up to 2";
    assert_eq!(findings, [finding(&entry(3, 4), what, Remedy::UseNewer)]);
    assert_eq!(repair(&journal).await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_half_written_file_of_a_local_journal_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    let store = super::tests::local(&folder);
    let root = folder.path().join(".remint");
    std::fs::create_dir(&root).unwrap();
    written(Arc::new(LocalFileSystem::new_with_prefix(&root).unwrap())).await;
    std::fs::write(root.join("production/releases/000003/journal/000005.json#1"), "{").unwrap();
    let mut journal = Journal::over(Arc::new(InMemory::new()), "production");
    journal.store = store;
    let findings = journal.check().await.unwrap();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].is_harmless() && findings[0].object.ends_with("000005.json#1"), "{findings:?}");
    assert_eq!(journal.history().await.unwrap().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_missing_although_it_was_written_is_listed_and_refused() {
    for missing in ["service.json", "production/resources.json"] {
        let objects = Arc::new(InMemory::new());
        let journal = Journal::over(Arc::clone(&objects) as _, "production");
        let lock = journal.lock(holder("deploy")).await.unwrap();
        journal.identify(&lock, "app").await.unwrap();
        assert_eq!(journal.check().await.unwrap(), []);
        objects.delete(&missing.into()).await.unwrap();
        let findings = journal.check().await.unwrap();
        assert_eq!(findings.iter().map(|one| one.object.as_str()).collect::<Vec<_>>(), [missing]);
        let errors = [journal.identify(&lock, "app").await.err(), journal.resources().await.err()];
        let error = errors.into_iter().flatten().next().unwrap();
        assert!(error.to_string().contains(missing), "{error}");
    }
}
