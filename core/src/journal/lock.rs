//! The lock: numbered objects, the highest of which counts.
//!
//! Whoever wants the lock creates the number above the highest, which succeeds for one only. What keeps it to one holder,
//! whatever the order in which runs list, create, renew and delete:
//!
//! - **The highest number that was ever created is never deleted.** A holder deletes only numbers below its own, and one that
//!   withdraws does so because there is a higher one. So no list is without the number that counts.
//! - An object that was listed and is gone when it is read means that others have been here: look again. It never means that
//!   there is no lock.
//! - Between looking and creating, others may have come and gone, so that the number that was created is an old one, which was
//!   deleted before. So whoever has created a number lists again, and withdraws if there is a higher one.
//! - A list is not made in one moment: it may lack what was deleted before it was answered, also what was the highest when it
//!   began. So a list counts only if the run's own number is in it: holders delete from the lowest on, so whoever has deleted what
//!   was the highest when the list began has deleted that number before.
//! - What was read may be old. So whether a lock has expired is asked of the time before it was read.
//! - A run that has just taken a number looks whether the journal has [moved](super::mark), before it writes or deletes anything else.
//! - A holder renews its own number only while its [lease](super::lease) lasts, and stops before others may take it over.
//!
//! A holder that can be seen to be alive on this host keeps its lock whatever the clock says, and one that can be seen to be dead
//! loses it at once. Of a holder on another host nothing can be seen: there `expires` decides.
//!
//! All this needs a store whose lists show what has been written. A network file system that answers lists from a cache is none:
//! a run that was overtaken may not see it for as long as the cache lasts. Remint warns there, and does not refuse, because
//! mounted without such a cache (NFS: `lookupcache=none,noac`) it works.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    Holder, JournalError, Liveness, ProcessState, Runs, layout,
    lease::{Lease, expiry},
    lock_record::{LockRecord, latest, numbers},
    store::Store,
};
use crate::{clock, provider::Fence, spawn::spawn};

/// How long giving back waits for a renewal that is under way, which would write over it.
const RENEWAL_ENDS: Duration = Duration::from_secs(10);

/// Whose lock may be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Take {
    /// One that nobody holds.
    Free,
    /// This one, although it has not expired, unless its holder is alive on this host.
    From(u64),
    /// The number above one that cannot be read.
    Above(u64),
}

/// The right to write, renewed in the background until it is released or dropped.
///
/// Dropped without [`LockGuard::release`], as by a crash, it is not given back: another process takes it over once it has
/// expired, or at once where it can see that this process is dead.
#[derive(Debug)]
pub struct LockGuard {
    lease: Arc<Lease>,
    took_over: bool,
    /// Whether this holder leaves something behind, too.
    leaves: AtomicBool,
    renewal: Option<JoinHandle<()>>,
    stop: Option<DropGuard>,
}

impl LockGuard {
    /// Takes the lock of an environment.
    pub(super) async fn acquire(
        store: &Store,
        environment: &str,
        holder: Holder,
        liveness: &dyn Liveness,
        take: Take,
    ) -> Result<Self, JournalError> {
        let mut own = None;
        loop {
            // It may have moved while this run waited.
            store.look_again().await?;
            let former = match take {
                Take::Above(token) => Former::damaged(store, environment, token).await?,
                _ => Former::look(store, environment, own, liveness, take).await?,
            };
            let token = former.token + 1;
            let started = clock::boottime();
            let record = LockRecord {
                token,
                holder: holder.clone(),
                since: clock::wall(),
                expires: expiry(),
                released: false,
                unsettled: former.unsettled,
                runs: former.runs,
            };
            let name = layout::lock(environment, token);
            if !store.create(&name, &record).await? {
                // Somebody else was first: look who.
                continue;
            }
            let numbers = numbers(store, environment).await?;
            match numbers.last() {
                Some(highest) if *highest == token => {}
                Some(highest) if *highest > token => {
                    store.delete(&name).await?;
                    continue;
                }
                // A holder of a higher one has deleted it.
                _ => continue,
            }
            let guard = Self::hold(Lease::new(store.clone(), environment, record, started));
            if let Err(error) = store.stay().await {
                // One that cannot be given back expires.
                drop(guard.release_unsettled().await);
                return Err(error);
            }
            for old in numbers.into_iter().filter(|number| *number < token) {
                if let Err(error) = store.delete(&layout::lock(environment, old)).await {
                    tracing::debug!(%error, "cannot delete a former lock");
                    // The next holder tries again, from the lowest.
                    break;
                }
            }
            if guard.lease.check_here().is_ok() {
                return Ok(guard);
            }
            // All this took so long, as after a suspend, that somebody may have taken it over, or be about to.
            own = Some(token);
        }
    }

    fn hold(lease: Lease) -> Self {
        let lease = Arc::new(lease);
        let stop = CancellationToken::new();
        let renewal = spawn(Arc::clone(&lease).keep(stop.clone()));
        let took_over = lease.record().unsettled;
        Self { lease, took_over, leaves: AtomicBool::new(false), renewal: Some(renewal), stop: Some(stop.drop_guard()) }
    }

    /// Whether a holder before never gave it back and nobody has cleaned up since: it died, and may have left things behind.
    pub fn took_over(&self) -> bool {
        self.took_over
    }

    /// The runs that the journal knows, this one included.
    pub(crate) fn known_runs(&self) -> Runs {
        self.lease.known_runs()
    }

    /// Takes runs in of which the cloud shows what they have made.
    pub(crate) async fn learn(&self, runs: &Runs) -> Result<(), JournalError> {
        self.lease.learn(runs).await
    }

    /// The number of the lock, which grows with each holder; entries carry it.
    pub fn token(&self) -> u64 {
        self.lease.record().token
    }

    /// The run that holds it.
    pub fn holder(&self) -> &Holder {
        &self.lease.record().holder
    }

    /// Is cancelled when the lock goes to somebody else, or can no longer be renewed.
    pub fn lost(&self) -> &CancellationToken {
        self.lease.lost()
    }

    /// What a provider's calls ask before each mutation. It refuses once the lock is lost, given back or dropped.
    pub fn fence(&self) -> Arc<dyn Fence> {
        Arc::clone(&self.lease) as _
    }

    /// The lock as it was taken.
    pub(super) fn record(&self) -> &LockRecord {
        self.lease.record()
    }

    /// Fails when the lease has run out, as far as this process knows.
    pub(super) fn check_here(&self) -> Result<(), JournalError> {
        self.lease.check_here()
    }

    /// Fails unless this is still the highest lock, and its lease lasts. Asked before every write.
    pub(crate) async fn check(&self) -> Result<(), JournalError> {
        self.lease.check().await
    }

    /// Notes that this holder could not remove what it made for a moment: the next one looks for it, as after a holder who died.
    pub(crate) fn leave_behind(&self) {
        self.leaves.store(true, Ordering::Relaxed);
    }

    /// Gives the lock back, by a command that has cleaned up after a holder who died.
    ///
    /// # Errors
    ///
    /// The store's; the lock then expires by itself.
    pub async fn release(self) -> Result<(), JournalError> {
        let unsettled = self.leaves.load(Ordering::Relaxed);
        self.give_back(unsettled).await
    }

    /// Gives the lock back, by a command that did not look at what a holder who died has left behind: the next one does.
    ///
    /// # Errors
    ///
    /// The store's; the lock then expires by itself.
    pub async fn release_unsettled(self) -> Result<(), JournalError> {
        let unsettled = self.took_over || self.leaves.load(Ordering::Relaxed);
        self.give_back(unsettled).await
    }

    async fn give_back(mut self, unsettled: bool) -> Result<(), JournalError> {
        self.lease.close("it was given back");
        self.stop.take();
        if let Some(renewal) = self.renewal.take() {
            // One that takes longer writes over what is written here; then the lock expires by itself.
            let _ = tokio::time::timeout(RENEWAL_ENDS, renewal).await;
        }
        self.lease.give_back(unsettled).await
    }
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        self.lease.close("it was given back");
    }
}

/// What the next lock follows.
struct Former {
    token: u64,
    unsettled: bool,
    runs: Runs,
}

impl Former {
    /// Looks at the lock that counts, and whether it may be taken.
    async fn look(
        store: &Store,
        environment: &str,
        own: Option<u64>,
        liveness: &dyn Liveness,
        take: Take,
    ) -> Result<Self, JournalError> {
        let at = clock::wall();
        let Some(lock) = latest(store, environment).await? else {
            return Ok(Self { token: 0, unsettled: false, runs: Runs::default() });
        };
        let process = liveness.of(&lock.holder);
        let given = take == Take::From(lock.token) && process != ProcessState::Alive;
        let again = own == Some(lock.token);
        if !again && !given && lock.is_held(process, at) {
            return Err(JournalError::Held {
                environment: environment.to_owned(),
                holder: Box::new(lock.holder),
                process,
                since: lock.since,
                expires: lock.expires,
            });
        }
        let unsettled = lock.unsettled || !(lock.released || again);
        Ok(Self { token: lock.token, unsettled, runs: lock.known_runs() })
    }

    /// Stands on a lock that cannot be read; whoever held it, if anybody did, is fenced off by the next number.
    async fn damaged(store: &Store, environment: &str, token: u64) -> Result<Self, JournalError> {
        let mut below = numbers(store, environment).await?;
        if below.pop() == Some(token) {
            // Its holder may have died while it wrote this, and before it deleted the lock below, which names the runs until then.
            let mut runs = Runs::default();
            for number in below.into_iter().rev() {
                match store.get::<LockRecord>(&layout::lock(environment, number)).await {
                    Ok(Some(lock)) => {
                        runs = lock.known_runs();
                        break;
                    }
                    Ok(None) | Err(JournalError::Damaged { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            return Ok(Self { token, unsettled: true, runs });
        }
        Err(JournalError::Lost { environment: environment.to_owned(), reason: "another run has taken it over" })
    }
}
