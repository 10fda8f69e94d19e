//! Reading and writing releases.

use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;

use super::{
    Entry, EntryRecord, Holder, JournalError, Liveness, LockGuard, LockRecord, Phase, Release, ReleaseRecord, history,
    holder::ThisHost, layout, lock::Take, lock_record, store::Store,
};
use crate::{
    clock,
    manifest::Loaded,
    provider::{CaptureSpec, ProviderId, ReleaseId},
};

type Result<T> = std::result::Result<T, JournalError>;

/// How often a write is repeated because another process changed the object first. Each run that has lost its lock can do that once.
const UPDATES: u32 = 10;

/// The journal of one environment. Clones share everything.
#[derive(Debug, Clone)]
pub struct Journal {
    pub(super) store: Store,
    pub(super) environment: Arc<str>,
    provider: ProviderId,
    pub(super) liveness: Arc<dyn Liveness>,
}

impl Journal {
    /// Opens the journal that a manifest names.
    ///
    /// # Errors
    ///
    /// [`JournalError::Url`] for a URL that names no store.
    pub fn open(loaded: &Loaded) -> Result<Self> {
        let store = Store::open(&loaded.manifest.journal, &loaded.base_dir)?;
        let (environment, provider) = (loaded.environment.as_str().into(), loaded.provider.clone());
        Ok(Self { store, environment, provider, liveness: Arc::new(ThisHost) })
    }

    /// A journal over given objects.
    #[cfg(test)]
    pub(crate) fn over(objects: Arc<dyn object_store::ObjectStore>, environment: &str) -> Self {
        let store = Store::over(objects);
        Self { store, environment: environment.into(), provider: "fake".into(), liveness: Arc::new(ThisHost) }
    }

    /// Asks this about processes, instead of the system.
    #[cfg(test)]
    pub(crate) fn with_liveness(self, liveness: Arc<dyn Liveness>) -> Self {
        Self { liveness, ..self }
    }

    /// Makes sure that the journal is here: that it has not been moved to another place, nor is about to be moved to here.
    ///
    /// # Errors
    ///
    /// [`JournalError::Moved`]; [`JournalError::Arriving`]; the store's.
    pub async fn look(&self) -> Result<()> {
        self.store.look().await
    }

    /// What reading the journal has ignored since this was last asked: a sentence each, for the user.
    pub fn take_notes(&self) -> Vec<String> {
        self.store.take_notes()
    }

    pub(super) fn environment(&self) -> &str {
        &self.environment
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// The journal of another environment of the same service.
    pub(crate) fn sibling(&self, environment: &str) -> Self {
        Self { environment: environment.into(), ..self.clone() }
    }

    /// The environments that the journal knows, in the order of their names.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn environments(&self) -> Result<Vec<String>> {
        let ours = |name: &String| {
            let (environment, rest) = name.split_once('/')?;
            let known = rest.starts_with("releases/") || rest == "environment.json" || rest == "resources.json";
            known.then(|| environment.to_owned())
        };
        let mut found: Vec<String> = self.store.list("").await?.iter().filter_map(ours).collect();
        found.dedup();
        Ok(found)
    }

    /// Takes the lock.
    ///
    /// # Errors
    ///
    /// [`JournalError::Held`] when somebody else has it.
    pub async fn lock(&self, holder: Holder) -> Result<LockGuard> {
        self.take(holder, Take::Free).await
    }

    pub(super) async fn take(&self, holder: Holder, take: Take) -> Result<LockGuard> {
        LockGuard::acquire(&self.store, &self.environment, holder, &*self.liveness, take).await
    }

    /// The lock that somebody holds.
    ///
    /// # Errors
    ///
    /// The store's; [`JournalError::Damaged`].
    pub async fn held(&self) -> Result<Option<LockRecord>> {
        let at = clock::wall();
        let latest = lock_record::latest(&self.store, &self.environment).await?;
        Ok(latest.filter(|lock| lock.is_held(self.liveness.of(&lock.holder), at)))
    }

    /// All releases, oldest first.
    ///
    /// What Remint did not write is ignored with a note. Nothing that Remint wrote may be missing.
    ///
    /// # Errors
    ///
    /// The store's; [`JournalError::Damaged`] when anything is missing or cannot be read, which says what can;
    /// [`JournalError::TooNew`].
    pub async fn history(&self) -> Result<Vec<Release>> {
        history::read(&self.store, &self.environment).await?.whole()
    }

    /// One release.
    ///
    /// # Errors
    ///
    /// [`JournalError::NoRelease`].
    pub async fn release(&self, id: ReleaseId) -> Result<Release> {
        let found = self.history().await?.into_iter().find(|release| release.id() == id);
        found.ok_or_else(|| JournalError::NoRelease { release: id, environment: self.environment.to_string() })
    }

    /// The capture of a builder at this provider that was begun, and is not known to have ended.
    ///
    /// # Errors
    ///
    /// The store's.
    pub(crate) async fn capture(&self) -> Result<Option<CaptureSpec>> {
        self.store.get(&self.capture_name()).await
    }

    /// Writes down that a builder is about to be captured, or that its capture is settled.
    pub(crate) async fn set_capture(&self, lock: &LockGuard, capture: Option<&CaptureSpec>) -> Result<()> {
        lock.check().await?;
        let name = self.capture_name();
        match capture {
            Some(capture) => self.update(lock, &name, capture).await,
            None => self.store.delete(&name).await,
        }
    }

    /// Writes an object that may be there already. A run that has lost its lock may write what it was about to write; then what
    /// the holder of the lock knows counts, and neither overwrites the other unseen.
    pub(super) async fn update<T: Serialize>(&self, lock: &LockGuard, name: &str, body: &T) -> Result<()> {
        for _ in 0..UPDATES {
            lock.check().await?;
            if self.store.update(name, body).await? {
                return Ok(());
            }
            self.store.read(name).await?;
        }
        Err(JournalError::Store {
            operation: "write",
            path: name.to_owned(),
            source: "another process keeps changing it; stop all other runs of remint on this journal".into(),
        })
    }

    /// One for each provider: a bake on several of them at once captures at all of them.
    fn capture_name(&self) -> String {
        format!("{}/captures/{}.json", self.environment, self.provider)
    }

    /// Writes down a new release.
    ///
    /// # Errors
    ///
    /// [`JournalError::Lost`] without the lock; [`JournalError::Exists`] when the number is taken.
    pub async fn create(&self, lock: &LockGuard, record: ReleaseRecord) -> Result<Release> {
        lock.check().await?;
        let name = layout::release(&self.environment, record.id);
        if !self.store.create(&name, &record).await? {
            return Err(JournalError::Exists(name));
        }
        Ok(Release { record, entries: Vec::new() })
    }

    /// Adds an entry to a release's journal. It is durable when this returns.
    ///
    /// # Errors
    ///
    /// [`JournalError::Lost`] without the lock; [`JournalError::Exists`] when another run wrote the entry first.
    pub async fn append(&self, lock: &LockGuard, release: &mut Release, entry: Entry) -> Result<()> {
        lock.check().await?;
        let seq = release.entries.last().map_or(0, |last| last.seq) + 1;
        let run: Uuid = lock.holder().run;
        let record = EntryRecord { seq, at: clock::wall(), run, token: lock.token(), entry };
        let name = layout::entry(&self.environment, release.id(), seq);
        if !self.store.create(&name, &record).await? {
            return Err(JournalError::Exists(name));
        }
        release.entries.push(record);
        Ok(())
    }
}

/// The release that serves: the latest that is done. None after `remint destroy`.
pub(crate) fn current(history: &[Release]) -> Option<&Release> {
    history
        .iter()
        .rev()
        .find(|release| matches!(release.phase(), Phase::Done | Phase::Destroyed))
        .filter(|release| release.phase() == Phase::Done)
}
