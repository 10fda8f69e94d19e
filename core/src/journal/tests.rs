use std::sync::Arc;

use jiff::Timestamp;
use object_store::memory::InMemory;
use uuid::Uuid;

use super::{Entry, Holder, Journal, JournalError, Phase, ReleaseRecord, releases::current, store::Store};
use crate::{manifest::JournalSection, provider::ReleaseId};

fn holder(command: &str) -> Holder {
    Holder::current(Uuid::now_v7(), command)
}

/// A `[journal]` section with this URL.
pub(super) fn at(url: &str) -> JournalSection {
    JournalSection { url: url.to_owned(), ..JournalSection::default() }
}

/// The store in a folder `.remint` below another one.
pub(super) fn local(folder: &tempfile::TempDir) -> Store {
    Store::open(&at("file:.remint"), folder.path()).unwrap()
}

pub(crate) fn record(id: u64) -> ReleaseRecord {
    ReleaseRecord {
        id: ReleaseId(id),
        service: "app".to_owned(),
        environment: "production".into(),
        provider: "fake".into(),
        region: "here".into(),
        size: "small".into(),
        count: 1,
        balanced: false,
        image: "image-1".into(),
        fingerprint: "f".repeat(64).into(),
        inputs: Vec::new(),
        config_digest: "c".to_owned(),
        salt: "5a".to_owned(),
        rollback_of: None,
        replaces: None,
        commit: None,
        created_by: "me@here".to_owned(),
        ci: None,
        created_at: Timestamp::UNIX_EPOCH,
        adopted: false,
    }
}

#[tokio::test]
async fn a_release_and_its_journal_read_back_as_they_were_written() {
    let journal = Journal::over(Arc::new(InMemory::new()), "production");
    let lock = journal.lock(holder("deploy")).await.unwrap();
    let mut first = journal.create(&lock, record(1)).await.unwrap();
    assert_eq!(first.phase(), Phase::Planned);
    journal.append(&lock, &mut first, Entry::Phase { phase: Phase::Launching }).await.unwrap();
    journal.append(&lock, &mut first, Entry::GatePassed { instances: vec!["i-1".into()] }).await.unwrap();
    journal.append(&lock, &mut first, Entry::Phase { phase: Phase::Done }).await.unwrap();
    let second = journal.create(&lock, record(2)).await.unwrap();

    let history = journal.history().await.unwrap();
    assert_eq!(history, [first, second]);
    assert_eq!(history[0].gated(), ["i-1".into()]);
    assert_eq!(current(&history).unwrap().id(), ReleaseId(1));
    let other = ReleaseRecord { created_by: "you@there".to_owned(), ..record(2) };
    let taken = journal.create(&lock, other).await.unwrap_err();
    assert!(matches!(taken, JournalError::Exists(_)), "{taken}");
    let unknown = journal.release(ReleaseId(9)).await.unwrap_err();
    assert_eq!(unknown.to_string(), "there is no release r9 in production");
}

#[tokio::test]
async fn a_lock_that_is_held_names_its_holder_and_one_that_was_released_is_free() {
    let journal = Journal::over(Arc::new(InMemory::new()), "production");
    let lock = journal.lock(holder("deploy")).await.unwrap();
    let error = journal.lock(holder("rollback")).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("production is locked by") && text.contains("`remint deploy`"), "{text}");
    assert!(error.hint().unwrap().contains(&std::process::id().to_string()));
    let first = lock.token();
    lock.release().await.unwrap();
    assert!(journal.held().await.unwrap().is_none());
    assert_eq!(journal.lock(holder("rollback")).await.unwrap().token(), first + 1);
}

#[tokio::test]
async fn who_holds_the_lock_and_who_made_a_release_is_named_with_their_ci_job() {
    let journal = Journal::over(Arc::new(InMemory::new()), "production");
    let url = "https://ci.example/jobs/7".to_owned();
    let ci = Some(super::CiJob { url, user: Some("octo\ncat".to_owned()) });
    let runner = Holder { user: "runner".to_owned(), host: "vm-1".to_owned(), ci: ci.clone(), ..holder("deploy") };
    let lock = journal.lock(runner).await.unwrap();
    let text = journal.lock(holder("gc")).await.unwrap_err().to_string();
    assert!(text.contains("locked by runner@vm-1, CI job https://ci.example/jobs/7 of octo cat (process "), "{text}");
    journal.create(&lock, ReleaseRecord { ci, ..record(1) }).await.unwrap();
    journal.create(&lock, record(2)).await.unwrap();
    let authors: Vec<_> = journal.history().await.unwrap().iter().map(|release| release.record.author()).collect();
    assert_eq!(authors, ["me@here, CI job https://ci.example/jobs/7 of octo cat", "me@here"]);
}

#[tokio::test]
async fn a_dead_holder_is_replaced_at_once_and_cannot_write_any_more() {
    let journal = Journal::over(Arc::new(InMemory::new()), "production");
    let dead = Holder { started: Some(1), ..holder("deploy") };
    let stale = journal.lock(dead).await.unwrap();
    let mut release = journal.create(&stale, record(1)).await.unwrap();
    let fresh = journal.lock(holder("deploy")).await.unwrap();
    let entry = || Entry::Phase { phase: Phase::Launching };
    let error = journal.append(&stale, &mut release, entry()).await.unwrap_err();
    assert!(matches!(error, JournalError::Lost { .. }), "{error}");
    assert!(stale.lost().is_cancelled());
    journal.append(&fresh, &mut release, entry()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_lock_is_renewed_and_its_holder_learns_when_it_is_taken_over() {
    let objects = Arc::new(InMemory::new());
    let journal = Journal::over(Arc::clone(&objects) as _, "production");
    let lock = journal.lock(holder("deploy")).await.unwrap();
    let before = journal.held().await.unwrap().unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(46)).await;
    assert!(journal.held().await.unwrap().unwrap().expires > before.expires);
    assert!(!lock.lost().is_cancelled());

    let other = super::LockRecord { token: lock.token() + 1, ..before };
    Store::over(objects).create("production/lock/000000000002.json", &other).await.unwrap();
    lock.lost().cancelled().await;
}

#[tokio::test]
async fn an_expired_lock_is_free() {
    let objects = Arc::new(InMemory::new());
    let journal = Journal::over(Arc::clone(&objects) as _, "production");
    let record = super::LockRecord {
        token: 7,
        holder: Holder { host: "elsewhere".to_owned(), place: None, ..holder("deploy") },
        since: Timestamp::UNIX_EPOCH,
        expires: crate::clock::wall() - jiff::SignedDuration::from_secs(1),
        released: false,
        unsettled: false,
        runs: super::Runs::default(),
    };
    Store::over(objects).create("production/lock/000000000007.json", &record).await.unwrap();
    assert_eq!(journal.lock(holder("deploy")).await.unwrap().token(), 8);
}

/// As one that is suspended between the look at its lock and the request would.
#[tokio::test]
async fn what_another_process_has_written_is_not_overwritten_unseen() {
    let (objects, folder) = (Arc::new(InMemory::new()), tempfile::tempdir().unwrap());
    let local = || local(&folder);
    let given = || Store::over(Arc::clone(&objects) as Arc<dyn object_store::ObjectStore>);
    let name = "production/resources.json";
    for (one, other) in [(given(), given()), (local(), local())] {
        assert!(one.update(name, &record(1)).await.unwrap(), "nothing was there");
        assert!(!other.update(name, &record(2)).await.unwrap(), "it has not seen the first");
        assert_eq!(other.get::<ReleaseRecord>(name).await.unwrap(), Some(record(1)));
        assert!(other.update(name, &record(2)).await.unwrap());
        assert!(other.update(name, &record(3)).await.unwrap(), "its own is the last");
        assert!(!one.update(name, &record(4)).await.unwrap(), "it has not seen the second");
        assert_eq!(one.get::<ReleaseRecord>(name).await.unwrap(), Some(record(3)));
        // What is deleted can be made again: by who deleted it, and by who looks again.
        one.delete(name).await.unwrap();
        assert!(!other.update(name, &record(4)).await.unwrap(), "it has not seen that it is gone");
        assert!(one.update(name, &record(5)).await.unwrap());
        one.delete(name).await.unwrap();
        assert_eq!(other.get::<ReleaseRecord>(name).await.unwrap(), None);
        assert!(other.update(name, &record(6)).await.unwrap());
        other.delete(name).await.unwrap();
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_local_journal_is_closed_to_other_users() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let store = local(&folder);
    assert!(store.create("production/resources.json", &super::Resources::default()).await.unwrap());
    assert!(!store.create("production/resources.json", &record(1)).await.unwrap());
    let mode = |path: &str| folder.path().join(path).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(".remint"), 0o700);
    assert_eq!(mode(".remint/production/resources.json"), 0o600);
    assert_eq!(store.list("production").await.unwrap(), ["production/resources.json"]);
}

#[tokio::test]
async fn version_one_of_the_format_is_read() {
    let fixture = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/journal-v1");
    let store = object_store::local::LocalFileSystem::new_with_prefix(fixture).unwrap();
    let journal = Journal::over(Arc::new(store), "production");
    let history = journal.history().await.unwrap();
    assert_eq!(history.len(), 1);
    assert_eq!(history[0].phase(), Phase::Done);
    assert_eq!(history[0].gated(), ["4711".into()]);
    assert_eq!(history[0].record.size.as_str(), "s-1vcpu-1gb");
    let resources = journal.resources().await.unwrap();
    assert_eq!(resources.static_ip().unwrap().0.made_by, Some(ReleaseId(1)));
}

#[tokio::test]
async fn a_newer_format_is_refused() {
    use object_store::ObjectStoreExt;
    let objects = Arc::new(InMemory::new());
    let body = r#"{"format": 3, "anything": []}"#;
    objects.put(&"production/resources.json".into(), body.into()).await.unwrap();
    let error = Journal::over(objects, "production").resources().await.unwrap_err();
    assert_eq!(error.to_string(), "`production/resources.json` in the journal has format 3; this remint reads up to 2");
}

#[test]
fn a_url_that_keeps_nothing_or_names_no_store_of_this_build_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refusal = |url: &str| Store::open(&at(url), folder.path()).unwrap_err();
    let memory = refusal("memory:///");
    assert_eq!(
        memory.to_string(),
        "cannot keep the journal at `memory:///`: memory keeps nothing, and what Remint creates would be forgotten"
    );
    assert!(memory.hint().unwrap().contains("file:.remint"));
    for url in ["memory:", "az://container/path", "https://example.org/", ".remint", ""] {
        assert!(matches!(refusal(url), JournalError::Url { .. }), "{url}");
    }
}
