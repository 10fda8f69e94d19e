//! Mending a journal, without inventing anything.
//!
//! What is taken away is copied first, to `ENV/damaged/TIME/`. Of a release, only the last object is taken away, and only if it
//! cannot be read: it was being written when its process or its machine died. Everything that it could have announced comes
//! after it is durable, so none of that was done; and of what it could have recorded, the intent stands before it.

use std::time::Duration;

use serde::Serialize;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{Finding, Holder, Journal, JournalError, LockGuard, Remedy, lock::Take, lock_record};
use crate::{clock, events::Events};

/// For how long a lock must have been so that it cannot be read: a little longer than a holder takes to renew it.
const QUIET: Duration = Duration::from_secs(20);

type Result<T> = std::result::Result<T, JournalError>;

/// What was done about a [`Finding`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Repaired {
    /// The object that was mended, and what was wrong with it.
    #[serde(flatten)]
    pub finding: Finding,
    /// The object in the journal that holds a copy of the damaged one: `production/damaged/TIME/…`.
    pub copy: String,
}

impl Journal {
    /// Mends what can be mended, under the lock. Reports what it did.
    ///
    /// # Errors
    ///
    /// [`JournalError::Held`] when somebody holds the lock for longer than `wait`; [`JournalError::Interrupted`]; the store's.
    pub async fn repair(
        &self,
        holder: Holder,
        wait: Option<Duration>,
        events: &Events,
        cancel: &CancellationToken,
    ) -> Result<Vec<Repaired>> {
        if !self.check().await?.iter().any(|finding| finding.repair.mends()) {
            return Ok(Vec::new());
        }
        let folder = format!("{}/damaged/{}", self.environment, clock::wall().strftime("%Y%m%dT%H%M%SZ"));
        // Whoever takes the lock deletes those before it, so they are copied before.
        let mut repaired = Vec::new();
        for finding in self.check_locks().await?.into_iter().filter(|finding| finding.repair.mends()) {
            let copy = self.copy(&folder, &finding.object).await?;
            repaired.push(Repaired { finding, copy });
        }
        let lock = self.lock_anyway(holder, wait, events, cancel).await?;
        let mended = self.take_away(&lock, &folder).await;
        let released = lock.release_unsettled().await;
        repaired.extend(mended?);
        released?;
        Ok(repaired)
    }

    async fn take_away(&self, lock: &LockGuard, folder: &str) -> Result<Vec<Repaired>> {
        let mut repaired = Vec::new();
        // Again, now that nobody else writes.
        for finding in self.check().await?.into_iter().filter(|finding| finding.repair == Remedy::TakeAway) {
            let copy = self.copy(folder, &finding.object).await?;
            lock.check().await?;
            self.store.delete(&finding.object).await?;
            repaired.push(Repaired { finding, copy });
        }
        Ok(repaired)
    }

    async fn copy(&self, folder: &str, name: &str) -> Result<String> {
        let rest = name.strip_prefix(&format!("{}/", self.environment)).unwrap_or(name);
        let copy = format!("{folder}/{rest}");
        self.store.look_again().await?;
        if let Some(bytes) = self.store.read(name).await? {
            self.store.write(&copy, bytes).await?;
        }
        Ok(copy)
    }

    /// Takes the lock, also where the one that counts cannot be read. A holder who lives would have written it anew by then.
    async fn lock_anyway(
        &self,
        holder: Holder,
        wait: Option<Duration>,
        events: &Events,
        cancel: &CancellationToken,
    ) -> Result<LockGuard> {
        let mut seen: Option<(u64, Duration)> = None;
        loop {
            let error = match self.lock_within(holder.clone(), wait, events, cancel).await {
                Err(error @ JournalError::Damaged { .. }) => error,
                done => return done,
            };
            let Some(token) = lock_record::numbers(&self.store, &self.environment).await?.pop() else {
                return Err(error);
            };
            let name = super::layout::lock(&self.environment, token);
            let Some(age) = self.store.age(&name).await? else { continue };
            let now = clock::boottime();
            let since = match seen {
                Some((number, since)) if number == token => since,
                _ => now,
            };
            seen = Some((token, since));
            let left = QUIET.saturating_sub(age.max(now - since));
            if left.is_zero() {
                return self.take(holder, Take::Above(token)).await;
            }
            let seconds = left.as_secs() + 1;
            events.info(format!("{error}; waiting {seconds} s to see whether anybody renews it"));
            if cancel.run_until_cancelled(sleep(Duration::from_secs(seconds))).await.is_none() {
                return Err(JournalError::Interrupted(self.environment.to_string()));
            }
        }
    }
}
