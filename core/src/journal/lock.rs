//! The lock: numbered objects, the highest of which counts.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Holder, JournalError, store::Store};

/// How long a lock lasts when it is not renewed.
const LASTS: Duration = Duration::from_secs(60);
/// How often it is renewed.
const RENEWED: Duration = Duration::from_secs(15);

/// A lock, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockRecord {
    /// Its number: the fencing token.
    pub token: u64,
    /// Who holds it.
    pub holder: Holder,
    /// Since when.
    pub since: Timestamp,
    /// Until when, unless it is renewed.
    pub expires: Timestamp,
    /// Whether the holder gave it back.
    #[serde(default)]
    pub released: bool,
}

impl LockRecord {
    /// Whether somebody still holds it.
    pub fn is_held(&self) -> bool {
        !self.released && self.expires > crate::clock::wall() && !self.holder.is_dead()
    }
}

/// The right to write, renewed in the background until it is released or dropped.
///
/// Dropped without [`LockGuard::release`], as by a crash, it is not given back: another process takes it over once it has
/// expired, or at once where it can see that this process is dead.
#[derive(Debug)]
pub struct LockGuard {
    store: Store,
    environment: String,
    record: LockRecord,
    lost: CancellationToken,
    took_over: bool,
    _renewal: DropGuard,
}

impl LockGuard {
    /// Takes the lock of an environment.
    pub(super) async fn acquire(store: &Store, environment: &str, holder: Holder) -> Result<Self, JournalError> {
        loop {
            let latest = latest(store, environment).await?;
            if let Some(held) = latest.as_ref().filter(|lock| lock.is_held()) {
                return Err(JournalError::Held {
                    environment: environment.to_owned(),
                    holder: Box::new(held.holder.clone()),
                    since: held.since,
                    expires: held.expires,
                });
            }
            let token = latest.as_ref().map_or(1, |lock| lock.token + 1);
            let now = crate::clock::wall();
            let record =
                LockRecord { token, holder: holder.clone(), since: now, expires: expiry(now), released: false };
            if store.create(&name(environment, token), &record).await? {
                for old in store.list(&folder(environment)).await? {
                    if number(&old).is_some_and(|number| number < token) {
                        store.delete(&old).await?;
                    }
                }
                let took_over = latest.is_some_and(|former| !former.released);
                return Ok(Self::hold(store, environment, record, took_over));
            }
            // Somebody else was first: look who.
        }
    }

    fn hold(store: &Store, environment: &str, record: LockRecord, took_over: bool) -> Self {
        let lost = CancellationToken::new();
        let stop = CancellationToken::new();
        let renewal = Renewal {
            store: store.clone(),
            environment: environment.to_owned(),
            record: record.clone(),
            lost: lost.clone(),
        };
        let stopped = stop.clone();
        crate::spawn::spawn(async move {
            stopped.run_until_cancelled(renewal.run()).await;
        });
        let _renewal = stop.drop_guard();
        Self { store: store.clone(), environment: environment.to_owned(), record, lost, took_over, _renewal }
    }

    /// Whether the holder before never gave it back: it died, and may have left things behind.
    pub fn took_over(&self) -> bool {
        self.took_over
    }

    /// The fencing token.
    pub fn token(&self) -> u64 {
        self.record.token
    }

    /// The run that holds it.
    pub fn holder(&self) -> &Holder {
        &self.record.holder
    }

    /// Is cancelled when the lock goes to somebody else, or can no longer be renewed.
    pub fn lost(&self) -> &CancellationToken {
        &self.lost
    }

    /// Fails unless this is still the highest lock. Asked before every write.
    pub(super) async fn check(&self) -> Result<(), JournalError> {
        if self.lost.is_cancelled() {
            return Err(self.lost_because("it could not be renewed in time"));
        }
        let highest = self.store.list(&folder(&self.environment)).await?.iter().filter_map(|name| number(name)).max();
        if highest == Some(self.record.token) {
            Ok(())
        } else {
            self.lost.cancel();
            Err(self.lost_because("another run has taken it over"))
        }
    }

    fn lost_because(&self, reason: &str) -> JournalError {
        JournalError::Lost { environment: self.environment.clone(), reason: reason.to_owned() }
    }

    /// Gives the lock back.
    ///
    /// # Errors
    ///
    /// The store's; the lock then expires by itself.
    pub async fn release(self) -> Result<(), JournalError> {
        let name = name(&self.environment, self.record.token);
        let record = LockRecord { released: true, ..self.record.clone() };
        drop(self._renewal);
        self.store.replace(&name, &record).await
    }
}

struct Renewal {
    store: Store,
    environment: String,
    record: LockRecord,
    lost: CancellationToken,
}

impl Renewal {
    async fn run(mut self) {
        let mut renewed = tokio::time::Instant::now();
        loop {
            tokio::time::sleep(RENEWED).await;
            match latest(&self.store, &self.environment).await {
                Ok(Some(latest)) if latest.token == self.record.token && !latest.released => {}
                Ok(_) => return self.lost.cancel(),
                Err(error) => {
                    tracing::debug!(%error, "cannot look at the lock");
                    if renewed.elapsed() > LASTS - RENEWED {
                        return self.lost.cancel();
                    }
                    continue;
                }
            }
            self.record.expires = expiry(crate::clock::wall());
            match self.store.replace(&name(&self.environment, self.record.token), &self.record).await {
                Ok(()) => renewed = tokio::time::Instant::now(),
                Err(error) => {
                    tracing::debug!(%error, "cannot renew the lock");
                    if renewed.elapsed() > LASTS - RENEWED {
                        return self.lost.cancel();
                    }
                }
            }
        }
    }
}

/// The lock that counts, held or not.
pub(super) async fn latest(store: &Store, environment: &str) -> Result<Option<LockRecord>, JournalError> {
    let names = store.list(&folder(environment)).await?;
    match names.iter().max_by_key(|name| number(name)) {
        Some(name) => store.get(name).await,
        None => Ok(None),
    }
}

fn expiry(now: Timestamp) -> Timestamp {
    now.checked_add(LASTS).unwrap_or(Timestamp::MAX)
}

fn folder(environment: &str) -> String {
    format!("{environment}/lock")
}

fn name(environment: &str, token: u64) -> String {
    format!("{}/{token:012}.json", folder(environment))
}

fn number(name: &str) -> Option<u64> {
    name.rsplit('/').next()?.strip_suffix(".json")?.parse().ok()
}
