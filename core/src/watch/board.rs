//! The board that one waiter's look is pinned to, for all others to read.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use tokio::{
    sync::{Mutex, watch},
    time::{Instant, sleep_until},
};

use super::schedule::{Schedule, jitter};
use crate::provider::{Error, Result};

/// What one look showed.
#[derive(Debug)]
pub(super) struct Look<T> {
    /// Which one it is, counted when it began: it shows no state older than that moment.
    number: u64,
    /// When it began.
    at: Instant,
    /// Drawn once for all who read it.
    jitter: f64,
    /// What it showed.
    pub(super) seen: Result<Vec<T>, Arc<Error>>,
}

/// The latest look, and the turn to make the next one.
#[derive(Debug)]
pub(super) struct Board<T> {
    latest: watch::Sender<Option<Arc<Look<T>>>>,
    turn: Mutex<()>,
    begun: AtomicU64,
    waiting: AtomicUsize,
}

/// Counts somebody who waits, for as long as it lives.
pub(super) struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl<T> Board<T> {
    pub(super) fn new() -> Self {
        Self {
            latest: watch::Sender::new(None),
            turn: Mutex::new(()),
            begun: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
        }
    }

    /// One more who waits.
    pub(super) fn wait(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        Waiting(&self.waiting)
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    /// How many looks have begun so far.
    pub(super) fn begun(&self) -> u64 {
        self.begun.load(Ordering::SeqCst)
    }

    /// A look that began after the look number `since`: somebody's, or when `due` has come, one's own.
    pub(super) async fn next<F, Fut>(&self, since: u64, due: Instant, fetch: F) -> Arc<Look<T>>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<Vec<T>>>,
    {
        let mut reader = self.latest.subscribe();
        tokio::select! {
            biased;
            look = async {
                match reader.wait_for(|look| is_newer(look.as_ref(), since)).await {
                    Ok(look) => look.clone(),
                    Err(_) => None,
                }
            } => match look {
                Some(look) => look,
                None => std::future::pending().await,
            },
            look = async {
                sleep_until(due).await;
                let _turn = self.turn.lock().await;
                // Somebody else may have looked while this one waited for its turn.
                if let Some(look) = self.latest.borrow().as_ref().filter(|look| look.number > since) {
                    return Arc::clone(look);
                }
                let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
                let at = Instant::now();
                let seen = fetch().await.map_err(Arc::new);
                let look = Arc::new(Look { number, at, jitter: jitter(), seen });
                self.latest.send_replace(Some(Arc::clone(&look)));
                look
            } => look,
        }
    }
}

fn is_newer<T>(look: Option<&Arc<Look<T>>>, since: u64) -> bool {
    look.is_some_and(|look| look.number > since)
}

/// What a waiter makes of a look.
pub(super) enum Verdict<R> {
    Done(R),
    /// Not yet; the status in words.
    NotYet(String),
}

/// The moments of one wait: when the next look is due, and which looks are new.
pub(super) struct Turns {
    pub(super) schedule: Schedule,
    pub(super) since: u64,
    pub(super) due: Instant,
}

impl Turns {
    pub(super) fn new<T>(schedule: Schedule, board: &Board<T>) -> Self {
        Self { schedule, since: board.begun(), due: schedule.first() }
    }

    /// Moves on behind a look that was read.
    pub(super) fn advance<T>(&mut self, look: &Look<T>) {
        self.since = look.number;
        self.due = self.schedule.after(look.at.max(self.schedule.started), look.jitter);
    }
}
