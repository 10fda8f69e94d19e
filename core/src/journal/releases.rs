//! Reading and writing releases.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    Entry, EntryRecord, Holder, JournalError, LockGuard, LockRecord, Phase, ReleaseRecord, Resources, lock,
    store::Store,
};
use crate::{
    manifest::Loaded,
    provider::{CaptureSpec, InstanceId, ProviderId, ReleaseId},
};

type Result<T> = std::result::Result<T, JournalError>;

/// A release with its journal.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Release {
    /// What was decided.
    pub record: ReleaseRecord,
    /// What was intended and done, in order.
    pub entries: Vec<EntryRecord>,
}

impl Release {
    /// Its number.
    pub fn id(&self) -> ReleaseId {
        self.record.id
    }

    /// Where it stands.
    pub fn phase(&self) -> Phase {
        let phase = self.entries.iter().rev().find_map(|record| match &record.entry {
            Entry::Phase { phase } => Some(*phase),
            _ => None,
        });
        phase.unwrap_or(Phase::Planned)
    }

    /// Whether it ever entered a phase.
    pub fn entered(&self, phase: Phase) -> bool {
        self.entries.iter().any(|record| record.entry == Entry::Phase { phase })
    }

    /// The instances that have passed its gate.
    pub fn gated(&self) -> Vec<InstanceId> {
        let gated = self.entries.iter().filter_map(|record| match &record.entry {
            Entry::GatePassed { instance } => Some(instance.clone()),
            _ => None,
        });
        gated.collect()
    }

    /// Whether the command before the switch has succeeded.
    pub fn before_switch_done(&self) -> bool {
        self.entries.iter().any(|record| record.entry == Entry::BeforeSwitchDone)
    }

    /// Why it failed, where it did.
    pub fn failure(&self) -> Option<&str> {
        self.entries.iter().rev().find_map(|record| match &record.entry {
            Entry::Failure { reason } => Some(reason.as_str()),
            _ => None,
        })
    }

    /// When its last entry was written.
    pub fn changed_at(&self) -> Timestamp {
        self.entries.last().map_or(self.record.created_at, |record| record.at)
    }
}

/// The journal of one environment.
#[derive(Debug, Clone)]
pub struct Journal {
    store: Store,
    environment: Arc<str>,
    provider: ProviderId,
}

impl Journal {
    /// Opens the journal that a manifest names.
    ///
    /// # Errors
    ///
    /// [`JournalError::Url`] for a URL that names no store.
    pub fn open(loaded: &Loaded) -> Result<Self> {
        let store = Store::open(&loaded.manifest.journal.url, &loaded.base_dir)?;
        Ok(Self { store, environment: loaded.environment.as_str().into(), provider: loaded.provider.clone() })
    }

    /// A journal over given objects.
    #[cfg(test)]
    pub(crate) fn over(objects: Arc<dyn object_store::ObjectStore>, environment: &str) -> Self {
        Self { store: Store::over(objects), environment: environment.into(), provider: "fake".into() }
    }

    /// Takes the lock.
    ///
    /// # Errors
    ///
    /// [`JournalError::Held`] when somebody else has it.
    pub async fn lock(&self, holder: Holder) -> Result<LockGuard> {
        LockGuard::acquire(&self.store, &self.environment, holder).await
    }

    /// The lock that somebody holds.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn held(&self) -> Result<Option<LockRecord>> {
        Ok(lock::latest(&self.store, &self.environment).await?.filter(LockRecord::is_held))
    }

    /// All releases, oldest first.
    ///
    /// # Errors
    ///
    /// The store's; [`JournalError::Damaged`], [`JournalError::TooNew`].
    pub async fn history(&self) -> Result<Vec<Release>> {
        let folder = format!("{}/releases/", self.environment);
        let mut releases: Vec<Release> = Vec::new();
        // Names sort so that a release's journal comes before the release itself.
        let mut entries = Vec::new();
        for name in self.store.list(folder.trim_end_matches('/')).await? {
            let missing = || JournalError::Exists(name.clone());
            if name.contains("/journal/") {
                let record: EntryRecord = self.store.get(&name).await?.ok_or_else(missing)?;
                entries.push(record);
            } else if name.ends_with("/release.json") {
                let record: ReleaseRecord = self.store.get(&name).await?.ok_or_else(missing)?;
                releases.push(Release { record, entries: std::mem::take(&mut entries) });
            }
        }
        releases.sort_by_key(Release::id);
        Ok(releases)
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

    /// What outlives releases.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn resources(&self) -> Result<Resources> {
        Ok(self.store.get(&format!("{}/resources.json", self.environment)).await?.unwrap_or_default())
    }

    /// Writes down what outlives releases.
    ///
    /// # Errors
    ///
    /// [`JournalError::Lost`] without the lock.
    pub async fn set_resources(&self, lock: &LockGuard, resources: &Resources) -> Result<()> {
        lock.check().await?;
        self.store.replace(&format!("{}/resources.json", self.environment), resources).await
    }

    /// The capture of a builder at this provider that was begun, and is not known to have ended.
    ///
    /// # Errors
    ///
    /// The store's.
    pub(crate) async fn capture(&self) -> Result<Option<CaptureSpec>> {
        self.store.get(&self.capture_name()).await
    }

    /// Writes down that a builder is about to be captured, or that its capture is settled. The caller holds the lock.
    pub(crate) async fn set_capture(&self, capture: Option<&CaptureSpec>) -> Result<()> {
        let name = self.capture_name();
        match capture {
            Some(capture) => self.store.replace(&name, capture).await,
            None => self.store.delete(&name).await,
        }
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
        let name = format!("{}/releases/{:06}/release.json", self.environment, record.id.0);
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
        let record = EntryRecord { seq, at: crate::clock::wall(), run, token: lock.token(), entry };
        let name = format!("{}/releases/{:06}/journal/{seq:06}.json", self.environment, release.id().0);
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
