use std::sync::Arc;

use object_store::{ObjectStore, ObjectStoreExt as _, local::LocalFileSystem, memory::InMemory, path::Path};
use uuid::Uuid;

use super::{Entry, Holder, Journal, JournalError, Phase, tests::record};

/// A journal with three releases of four entries each, of which the last is not done.
pub(super) async fn written(objects: Arc<dyn ObjectStore>) -> Journal {
    let journal = Journal::over(objects, "production");
    let lock = journal.lock(Holder::current(Uuid::now_v7(), "deploy")).await.unwrap();
    for id in 1..=3 {
        let mut release = journal.create(&lock, record(id)).await.unwrap();
        let last = if id == 3 { Phase::Switching } else { Phase::Done };
        for phase in [Phase::Launching, Phase::Gating, Phase::Verifying, last] {
            journal.append(&lock, &mut release, Entry::Phase { phase }).await.unwrap();
        }
    }
    lock.release().await.unwrap();
    journal
}

pub(super) fn release(id: u64) -> Path {
    Path::from(format!("production/releases/{id:06}/release.json"))
}

pub(super) fn entry(id: u64, seq: u64) -> Path {
    Path::from(format!("production/releases/{id:06}/journal/{seq:06}.json"))
}

async fn refusal(journal: &Journal) -> String {
    let error = journal.history().await.unwrap_err();
    assert!(matches!(error, JournalError::Damaged { .. }), "{error}");
    assert_eq!(error.hint().unwrap(), "`remint journal check` lists what is wrong, `remint journal repair` mends it");
    error.to_string()
}

#[tokio::test(start_paused = true)]
async fn names_of_others_are_ignored_with_a_note() {
    let folder = tempfile::tempdir().unwrap();
    let journal = written(Arc::new(LocalFileSystem::new_with_prefix(folder.path()).unwrap())).await;
    let releases = folder.path().join("production/releases");
    for name in [
        ".DS_Store",
        "000001/.release.json.swp",
        "000001/release.json~",
        "000001/journal/000002.json.orig",
        "000001/journal/000009.txt",
        "000001/journal/deeper/000005.json",
        "000003/000005.json",
        "7/release.json",
        "000004/notes",
        // Half-written when the process was killed.
        "000003/journal/000005.json#1",
    ] {
        let file = releases.join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, "").unwrap();
    }
    let history = journal.history().await.unwrap();
    assert_eq!(history.iter().map(|release| release.entries.len()).collect::<Vec<_>>(), [4, 4, 4]);
    let notes = journal.take_notes();
    assert!(notes.iter().any(|note| note.contains("`production/releases/000001/.release.json.swp`")), "{notes:?}");
    assert_eq!(notes.len(), 9, "all but the half-written one, which the store hides: {notes:?}");
}

#[tokio::test]
async fn a_missing_release_does_not_give_its_entries_to_the_next_one() {
    let objects = Arc::new(InMemory::new());
    let journal = written(Arc::clone(&objects) as _).await;
    objects.delete(&release(2)).await.unwrap();
    assert_eq!(
        refusal(&journal).await,
        "`production/releases/000002/release.json` in the journal is damaged: it is missing, and 4 entries of the release are \
         there; r1 and r3 can be read, r2 cannot"
    );
}

#[tokio::test]
async fn a_hole_in_the_releases_or_their_entries_is_an_error() {
    let objects = Arc::new(InMemory::new());
    let journal = written(Arc::clone(&objects) as _).await;
    objects.delete(&entry(1, 2)).await.unwrap();
    assert_eq!(
        refusal(&journal).await,
        "`production/releases/000001/journal/000002.json` in the journal is damaged: it is missing, and later entries are \
         there; r2 and r3 can be read, r1 cannot"
    );
    for seq in [1, 3, 4] {
        objects.delete(&entry(1, seq)).await.unwrap();
    }
    objects.delete(&release(1)).await.unwrap();
    assert!(
        refusal(&journal).await.contains("000001/release.json` in the journal is damaged: it is missing, and later")
    );
}

#[tokio::test]
async fn a_truncated_an_empty_and_a_foreign_object_are_errors_that_name_it() {
    for (path, body, what) in [
        (entry(3, 4), "", "it is empty"),
        (entry(3, 4), "{\"seq\": 4, ", "it breaks off after 11 bytes"),
        (entry(2, 2), "{\"format\": 1, \"seq\": 2}", "missing field `at` at line 1 column 23"),
        (release(3), "\0\0\0", "expected value at line 1 column 1"),
        (entry(1, 1), "[]", "it has no format number"),
    ] {
        let objects = Arc::new(InMemory::new());
        let journal = written(Arc::clone(&objects) as _).await;
        objects.put(&path, body.into()).await.unwrap();
        let text = refusal(&journal).await;
        assert!(text.starts_with(&format!("`{path}` in the journal is damaged: {what}; ")), "{text}");
    }
}

#[tokio::test]
async fn an_object_that_was_put_in_the_place_of_another_is_an_error() {
    let objects = Arc::new(InMemory::new());
    let journal = written(Arc::clone(&objects) as _).await;
    objects.copy(&release(1), &release(2)).await.unwrap();
    assert!(refusal(&journal).await.contains("000002/release.json` in the journal is damaged: it says that it is r1"));
    let objects = Arc::new(InMemory::new());
    let journal = written(Arc::clone(&objects) as _).await;
    objects.copy(&entry(2, 1), &entry(2, 3)).await.unwrap();
    assert!(refusal(&journal).await.contains("000003.json` in the journal is damaged: it says that it is entry 1"));
}

#[tokio::test]
async fn a_newer_format_comes_before_whatever_else_is_wrong() {
    let objects = Arc::new(InMemory::new());
    let journal = written(Arc::clone(&objects) as _).await;
    objects.put(&entry(1, 1), "".into()).await.unwrap();
    objects.put(&entry(3, 4), "{\"format\": 9}".into()).await.unwrap();
    let error = journal.history().await.unwrap_err();
    assert!(matches!(error, JournalError::TooNew { found: 9, .. }), "{error}");
}
