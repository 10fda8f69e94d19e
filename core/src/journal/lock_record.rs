//! A lock as it is stored, and which of several counts.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::{
    Holder, JournalError, ProcessState, Runs,
    layout::{self, Object},
    store::Store,
};

/// How often a lock that is listed and cannot be read is looked at again.
const LOOKS: u32 = 50;

/// A lock, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockRecord {
    /// Its number: the fencing token.
    pub token: u64,
    /// The run that took it.
    pub holder: Holder,
    /// When the holder took it. A renewal does not change it.
    pub since: Timestamp,
    /// Until when, unless it is renewed.
    pub expires: Timestamp,
    /// Whether the holder gave it back.
    #[serde(default)]
    pub released: bool,
    /// Whether a holder before never gave it back, and nobody has cleaned up after that one yet.
    #[serde(default)]
    pub unsettled: bool,
    /// The runs that held it before.
    #[serde(default, skip_serializing_if = "Runs::is_empty")]
    pub runs: Runs,
}

impl LockRecord {
    /// The runs that the journal knows: the holder's, and those before it.
    pub(crate) fn known_runs(&self) -> Runs {
        self.runs.and(self.holder.run)
    }

    /// Whether somebody held it at this time, given what is known of the holder's process.
    ///
    /// The time must be from before the lock was read: what was read may be old, and renewed since.
    pub(super) fn is_held(&self, process: ProcessState, at: Timestamp) -> bool {
        !self.released
            && match process {
                ProcessState::Alive => true,
                ProcessState::Dead => false,
                ProcessState::Unknown => self.expires > at,
            }
    }
}

/// The lock that counts, held or not.
pub(super) async fn latest(store: &Store, environment: &str) -> Result<Option<LockRecord>, JournalError> {
    let mut looks = 0;
    loop {
        let Some(token) = numbers(store, environment).await?.pop() else { return Ok(None) };
        let name = layout::lock(environment, token);
        match store.get::<LockRecord>(&name).await? {
            Some(lock) if lock.token == token => return Ok(Some(lock)),
            Some(lock) => {
                return Err(JournalError::damaged(&name, format!("it says that its number is {}", lock.token)));
            }
            None => {}
        }
        // It is gone: there is a higher one by now.
        looks += 1;
        if looks == LOOKS {
            return Err(JournalError::damaged(&name, "it is listed, and cannot be read"));
        }
        sleep(Duration::from_millis(10) * (looks - 1)).await;
    }
}

/// The numbers of the locks, in their order.
pub(super) async fn numbers(store: &Store, environment: &str) -> Result<Vec<u64>, JournalError> {
    let mut numbers = Vec::new();
    for name in store.list(&layout::locks(environment)).await? {
        match Object::parse(environment, &name) {
            Some(Object::Lock(token)) => numbers.push(token),
            _ => store.ignore(&name),
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}
