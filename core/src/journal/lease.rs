//! How long a lock is good for, as its holder sees it.
//!
//! Others take a lock over once it has expired, so its holder must have stopped by then. It measures that by a clock that counts
//! suspend and never jumps, from just before its last renewal was written, and stops [`MARGIN`] earlier than others may start:
//! that much may the clocks of two hosts differ. A lease that has run out is never renewed, not even where nobody has taken the
//! lock over: somebody may have looked at it and be about to.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{JournalError, LockRecord, Runs, layout, lock_record, store::Store};
use crate::{
    clock,
    provider::{self, ErrorKind, Fence},
};

/// How long a lock lasts when it is not renewed.
const LASTS: Duration = Duration::from_secs(60);
/// How often it is renewed.
const RENEWED: Duration = Duration::from_secs(15);
/// How much the clocks of two hosts may differ.
const MARGIN: Duration = Duration::from_secs(15);

/// When a lock expires that is written now.
pub(super) fn expiry() -> Timestamp {
    clock::wall().checked_add(LASTS).unwrap_or(Timestamp::MAX)
}

/// A lock that this process has taken, shared by its guard, its renewal and its fence.
#[derive(Debug)]
pub(super) struct Lease {
    store: Store,
    environment: String,
    record: LockRecord,
    /// Further runs that the journal has come to know.
    learned: Mutex<Runs>,
    lost: CancellationToken,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Good until then, on the clock that counts suspend.
    Until(Duration),
    /// Good no more, and why.
    Over(&'static str),
}

impl Lease {
    /// A lock that was written after `started`.
    pub(super) fn new(store: Store, environment: &str, record: LockRecord, started: Duration) -> Self {
        let state = Mutex::new(State::Until(started + LASTS - MARGIN));
        Self {
            store,
            environment: environment.to_owned(),
            record,
            learned: Mutex::default(),
            lost: CancellationToken::new(),
            state,
        }
    }

    pub(super) fn record(&self) -> &LockRecord {
        &self.record
    }

    /// The runs that the journal knows, those included that it has come to know since the lock was taken.
    pub(super) fn known_runs(&self) -> Runs {
        self.written().known_runs()
    }

    /// What is to be written of it now.
    fn written(&self) -> LockRecord {
        let learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        LockRecord { runs: self.record.runs.with(&learned), ..self.record.clone() }
    }

    /// Takes in further runs, and writes them down.
    pub(super) async fn learn(&self, runs: &Runs) -> Result<(), JournalError> {
        {
            let mut learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
            *learned = learned.with(runs);
        }
        self.renew().await
    }

    pub(super) fn lost(&self) -> &CancellationToken {
        &self.lost
    }

    /// Fails unless this is still the highest lock, and the lease has not run out.
    pub(super) async fn check(&self) -> Result<(), JournalError> {
        self.check_here()?;
        self.check_store().await?;
        // Last, and nothing is awaited after it: the process may have been suspended while it waited for the store.
        self.check_here()
    }

    async fn check_store(&self) -> Result<(), JournalError> {
        let highest = lock_record::numbers(&self.store, &self.environment).await?.pop();
        if highest == Some(self.record.token) { Ok(()) } else { Err(self.lose("another run has taken it over")) }
    }

    /// Fails when the lease has run out, as far as this process knows.
    pub(super) fn check_here(&self) -> Result<(), JournalError> {
        match self.state() {
            State::Until(until) if clock::boottime() < until => Ok(()),
            State::Until(_) => Err(self.lose("it was not renewed in time")),
            State::Over(reason) => Err(self.over(reason)),
        }
    }

    fn state(&self) -> State {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the lease for good, and tells those who wait for that.
    fn lose(&self, reason: &'static str) -> JournalError {
        self.close(reason);
        self.lost.cancel();
        self.over(reason)
    }

    /// Ends the lease for good; an earlier reason stays.
    pub(super) fn close(&self, reason: &'static str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, State::Until(_)) {
            *state = State::Over(reason);
        }
    }

    fn over(&self, reason: &'static str) -> JournalError {
        JournalError::Lost { environment: self.environment.clone(), reason }
    }

    /// Renews the lock until it is lost, or the token is cancelled between two renewals.
    pub(super) async fn keep(self: Arc<Self>, stop: CancellationToken) {
        while stop.run_until_cancelled(sleep(RENEWED)).await.is_some() {
            let State::Until(until) = self.state() else { return };
            let left = until.saturating_sub(clock::boottime());
            match timeout(left, self.renew()).await {
                Ok(Ok(())) => {}
                Ok(Err(JournalError::Lost { .. })) => return,
                Ok(Err(error)) => tracing::debug!(%error, "cannot renew the lock"),
                Err(_) => {
                    self.lose("it could not be renewed in time");
                    return;
                }
            }
        }
    }

    async fn renew(&self) -> Result<(), JournalError> {
        self.check().await?;
        let started = clock::boottime();
        let record = LockRecord { expires: expiry(), ..self.written() };
        self.store.replace(&layout::lock(&self.environment, self.record.token), &record).await?;
        // The former lease must have lasted until now, or somebody may have seen it expired before this was written.
        self.check_here()?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Until(until) = &mut *state {
            *until = started + LASTS - MARGIN;
        }
        Ok(())
    }

    /// Writes down that the lock is given back, unless somebody else has it.
    pub(super) async fn give_back(&self, unsettled: bool) -> Result<(), JournalError> {
        let highest = lock_record::numbers(&self.store, &self.environment).await?.pop();
        if highest != Some(self.record.token) {
            return Ok(());
        }
        let record = LockRecord { released: true, unsettled, ..self.written() };
        self.store.replace(&layout::lock(&self.environment, self.record.token), &record).await
    }
}

#[async_trait]
impl Fence for Lease {
    async fn check(&self) -> provider::Result<()> {
        Lease::check(self).await.map_err(|error| {
            let hint = error.hint();
            let refused = provider::Error::new(ErrorKind::LockLost, "change anything", "").with_source(error);
            if let Some(hint) = hint { refused.with_hint(hint) } else { refused }
        })
    }
}
