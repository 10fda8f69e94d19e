//! Writing a new journal from what the cloud shows, where the old one is gone.

use super::{Identity, Journal, JournalError, LockGuard, Release, Resources, Runs};

/// What the cloud shows of an environment whose journal is gone, in the words of a journal.
#[derive(Debug, Clone)]
pub(crate) struct Rebuilt {
    /// The ids that its resources carry.
    pub(crate) identity: Identity,
    pub(crate) resources: Resources,
    /// The runs whose builders and login keys are left.
    pub(crate) runs: Runs,
    /// Without gaps; the first may have any number.
    pub(crate) releases: Vec<Release>,
}

impl Journal {
    /// Writes down what was read off the cloud. After a crash, doing it again completes it: what is there stays.
    ///
    /// Until all of it is written, instances are left that the journal does not know, so that every other command refuses to work.
    ///
    /// # Errors
    ///
    /// [`JournalError::Lost`] without the lock; the store's.
    pub(crate) async fn write_adopted(&self, lock: &LockGuard, rebuilt: &Rebuilt) -> Result<(), JournalError> {
        lock.learn(&rebuilt.runs).await?;
        self.write_identity(lock, &rebuilt.identity, &rebuilt.resources).await?;
        let there = self.history().await?;
        for release in &rebuilt.releases {
            let mut written = match there.iter().find(|known| known.id() == release.id()) {
                Some(written) => written.clone(),
                None => self.create(lock, release.record.clone()).await?,
            };
            for record in &release.entries[written.entries.len().min(release.entries.len())..] {
                self.append(lock, &mut written, record.entry.clone()).await?;
            }
        }
        Ok(())
    }
}
