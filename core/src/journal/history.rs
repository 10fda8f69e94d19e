//! Reading all releases, and what is wrong with them.

use std::collections::BTreeMap;

use super::{
    Entry, EntryRecord, JournalError, Release, ReleaseRecord,
    error::Known,
    layout::{self, Object},
    store::Store,
};
use crate::provider::ReleaseId;

type Result<T> = std::result::Result<T, JournalError>;

/// The releases of an environment, whole or not.
#[derive(Debug, Default)]
pub(super) struct History {
    /// By number: the release, or what is wrong with it.
    pub(super) releases: BTreeMap<ReleaseId, std::result::Result<Release, Vec<Fault>>>,
}

/// Something that is wrong with an object of a release.
#[derive(Debug)]
pub(super) struct Fault {
    /// [`JournalError::Damaged`] or [`JournalError::TooNew`].
    pub(super) error: JournalError,
    /// Whether it is the last object of its release and cannot be read: it was being written when the process or the machine
    /// died. What it was to announce was not done, because that comes after it.
    pub(super) torn: bool,
}

impl History {
    /// The releases, oldest first, unless anything is wrong with any of them.
    pub(super) fn whole(self) -> Result<Vec<Release>> {
        let mut whole = Vec::new();
        let mut faults = Vec::new();
        let mut ids = Known::default();
        for (id, release) in self.releases {
            match release {
                Ok(release) => {
                    ids.readable.push(id);
                    whole.push(release);
                }
                Err(found) => {
                    ids.damaged.push(id);
                    faults.extend(found.into_iter().map(|fault| fault.error));
                }
            }
        }
        // One that is too new comes first: with the newer Remint, nothing may be wrong.
        let newer = faults.iter().position(|error| matches!(error, JournalError::TooNew { .. }));
        match (newer, faults.into_iter().nth(newer.unwrap_or(0))) {
            (_, None) => Ok(whole),
            (_, Some(JournalError::Damaged { path, what, .. })) => {
                Err(JournalError::Damaged { path, what, known: Some(ids) })
            }
            (_, Some(error)) => Err(error),
        }
    }
}

/// What the names say of a release.
#[derive(Debug, Default)]
struct Listed {
    record: bool,
    /// In their order.
    entries: Vec<u64>,
}

/// Reads all releases. Fails only where the store does.
pub(super) async fn read(store: &Store, environment: &str) -> Result<History> {
    let mut listed: BTreeMap<ReleaseId, Listed> = BTreeMap::new();
    for name in store.list(&layout::releases(environment)).await? {
        match Object::parse(environment, &name) {
            Some(Object::Release(id)) => listed.entry(id).or_default().record = true,
            Some(Object::Entry(id, seq)) => listed.entry(id).or_default().entries.push(seq),
            _ => store.ignore(&name),
        }
    }
    let last = listed.keys().max().map_or(0, |id| id.0);
    let first = first(store, environment, &listed).await?;
    let mut history = History::default();
    for id in (first..=last).map(ReleaseId) {
        let listed = listed.remove(&id).unwrap_or_default();
        let mut reader = Reader { store, environment, id, last: id.0 == last, faults: Vec::new() };
        let release = reader.release(listed).await?;
        let faults = reader.faults;
        history.releases.insert(id, release.filter(|_| faults.is_empty()).ok_or(faults));
    }
    Ok(history)
}

/// The number of the first release. One that was read off the cloud may have a higher one than 1: those before it are not known any
/// more.
async fn first(store: &Store, environment: &str, listed: &BTreeMap<ReleaseId, Listed>) -> Result<u64> {
    let Some(first) = listed.keys().min().filter(|id| id.0 > 1) else { return Ok(1) };
    match store.get::<ReleaseRecord>(&layout::release(environment, *first)).await {
        Ok(Some(record)) if record.adopted => Ok(first.0),
        // What is wrong with it is found when it is read in its turn.
        Ok(_) | Err(JournalError::Damaged { .. } | JournalError::TooNew { .. }) => Ok(1),
        Err(error) => Err(error),
    }
}

/// Whether the release had ended by then.
fn has_ended(entries: &[EntryRecord]) -> bool {
    entries.iter().any(|record| matches!(record.entry, Entry::Phase { phase } if phase.is_final()))
}

struct Reader<'a> {
    store: &'a Store,
    environment: &'a str,
    id: ReleaseId,
    /// Whether no release follows.
    last: bool,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    async fn release(&mut self, mut listed: Listed) -> Result<Option<Release>> {
        // Names sort by their text, and a number may outgrow its zeros.
        listed.entries.sort_unstable();
        let record = self.record(&listed).await?;
        if let Some(gap) = (1..).zip(&listed.entries).find_map(|(seq, found)| (seq != *found).then_some(seq)) {
            let name = layout::entry(self.environment, self.id, gap);
            self.wrong(JournalError::damaged(&name, "it is missing, and later entries are there"), false);
        }
        let mut entries = Vec::new();
        for (index, seq) in listed.entries.iter().enumerate() {
            // A release that another one follows was settled, so the entry that ended it was whole once. What can be written after
            // that is a change of the record, while it serves, and that it was destroyed.
            let torn = index + 1 == listed.entries.len() && (self.last || has_ended(&entries));
            entries.extend(self.entry(*seq, torn).await?);
        }
        Ok(record.filter(|_| entries.len() == listed.entries.len()).map(|record| Release { record, entries }))
    }

    async fn record(&mut self, listed: &Listed) -> Result<Option<ReleaseRecord>> {
        let name = layout::release(self.environment, self.id);
        let torn = self.last && listed.entries.is_empty();
        let read: Option<ReleaseRecord> =
            if listed.record { self.get(&name, torn).await? } else { self.missing(&name, listed) };
        let Some(record) = read else { return Ok(None) };
        if record.id != self.id {
            self.wrong(JournalError::damaged(&name, format!("it says that it is {}", record.id)), false);
        }
        Ok(Some(record))
    }

    fn missing<T>(&mut self, name: &str, listed: &Listed) -> Option<T> {
        let what = match listed.entries.len() {
            0 => "it is missing, and later releases are there".to_owned(),
            1 => "it is missing, and an entry of the release is there".to_owned(),
            entries => format!("it is missing, and {entries} entries of the release are there"),
        };
        self.wrong(JournalError::damaged(name, what), false);
        None
    }

    async fn entry(&mut self, seq: u64, last: bool) -> Result<Option<EntryRecord>> {
        let name = layout::entry(self.environment, self.id, seq);
        let Some(entry) = self.get::<EntryRecord>(&name, last).await? else { return Ok(None) };
        if entry.seq != seq {
            self.wrong(JournalError::damaged(&name, format!("it says that it is entry {}", entry.seq)), false);
        }
        Ok(Some(entry))
    }

    async fn get<T: serde::de::DeserializeOwned>(&mut self, name: &str, last: bool) -> Result<Option<T>> {
        match self.store.get(name).await {
            Ok(Some(object)) => Ok(Some(object)),
            Ok(None) => {
                self.wrong(JournalError::damaged(name, "it is listed, and cannot be read"), false);
                Ok(None)
            }
            Err(error @ JournalError::Damaged { .. }) => {
                self.wrong(error, last);
                Ok(None)
            }
            Err(error @ JournalError::TooNew { .. }) => {
                self.wrong(error, false);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn wrong(&mut self, error: JournalError, torn: bool) {
        self.faults.push(Fault { error, torn });
    }
}
