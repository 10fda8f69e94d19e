//! The watcher of one account.

use std::{collections::HashMap, fmt, future::Future, sync::Arc};

use tokio::{
    sync::Mutex,
    time::{Instant, sleep_until},
};

use super::{
    Wait, WatchError,
    board::{Board, Turns, Verdict},
    schedule::jitter,
};
use crate::provider::{Error, ErrorKind, Instance, InstanceId, Provider, Result, Selector, StaticIp};

/// Waits for the resources of one account. Clones share their looks.
#[derive(Clone)]
pub struct Watcher {
    pub(super) provider: Arc<dyn Provider>,
    pub(super) boards: Arc<Boards>,
}

#[derive(Default)]
pub(super) struct Boards {
    pub(super) instances: Mutex<HashMap<Selector, Arc<Board<Instance>>>>,
    pub(super) static_ips: StaticIpBoard,
    /// When a list first showed an instance to this process.
    pub(super) listed: std::sync::Mutex<HashMap<InstanceId, Instant>>,
}

pub(super) struct StaticIpBoard {
    pub(super) board: Board<StaticIp>,
    /// Who waits, by id: a single address is read alone, several by one list.
    pub(super) wanted: std::sync::Mutex<Vec<crate::provider::StaticIpId>>,
}

impl Default for StaticIpBoard {
    fn default() -> Self {
        Self { board: Board::new(), wanted: std::sync::Mutex::default() }
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").field("provider", &self.provider.descriptor().id).finish_non_exhaustive()
    }
}

/// What a look of [`Watcher::poll`] showed.
#[derive(Debug)]
pub enum Observed<T> {
    /// It is as it should be.
    Done(T),
    /// Not yet; the status in words, for the message of a timeout.
    NotYet(String),
}

impl Watcher {
    /// A watcher for the account behind a provider.
    pub fn new(provider: Arc<dyn Provider>) -> Self {
        Self { provider, boards: Arc::default() }
    }

    /// Looks at something that only its own call can show, such as a capture, on the common schedule.
    ///
    /// # Errors
    ///
    /// [`WatchError`]; transient errors of a look are tolerated until the time is up.
    pub async fn poll<T, F, Fut>(&self, what: &str, wait: Wait, mut look: F) -> Result<T, WatchError>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<Observed<T>>>,
    {
        let schedule = wait.start();
        let mut due = schedule.first();
        let mut last = Last::new(what, &wait);
        loop {
            sleep_until(due).await;
            let looked = Instant::now();
            match look().await {
                Ok(Observed::Done(value)) => return Ok(value),
                Ok(Observed::NotYet(status)) => last.status(status),
                Err(error) => last.error(Arc::new(error))?,
            }
            if schedule.is_over() {
                return Err(last.timed_out());
            }
            due = schedule.after(looked, jitter());
        }
    }
}

/// What a waiter saw last, for its error.
pub(super) struct Last {
    pub(super) what: String,
    wait: Wait,
    status: String,
    error: Option<Arc<Error>>,
}

impl Last {
    pub(super) fn new(what: &str, wait: &Wait) -> Self {
        Self { what: what.to_owned(), wait: wait.clone(), status: "not seen yet".to_owned(), error: None }
    }

    pub(super) fn status(&mut self, status: String) {
        self.status = status;
        self.error = None;
    }

    /// Takes note of a failed look, and gives up where another one cannot help.
    pub(super) fn error(&mut self, error: Arc<Error>) -> Result<(), WatchError> {
        if error.kind().is_transient() || error.kind() == ErrorKind::Unexpected {
            self.error = Some(error);
            return Ok(());
        }
        Err(WatchError::Refused { what: self.what.clone(), goal: self.wait.goal.clone(), source: error })
    }

    pub(super) fn timed_out(self) -> WatchError {
        WatchError::TimedOut {
            what: self.what,
            goal: self.wait.goal,
            timeout: self.wait.timeout,
            last: self.status,
            source: self.error,
        }
    }

    pub(super) fn gone(self, source: Arc<Error>) -> WatchError {
        WatchError::Gone { what: self.what, goal: self.wait.goal, last: self.status, source }
    }
}

/// Judges one look, and says whether the wait is over.
pub(super) fn settle<R>(verdict: Verdict<R>, last: &mut Last, turns: &Turns) -> std::ops::ControlFlow<Option<R>> {
    match verdict {
        Verdict::Done(value) => std::ops::ControlFlow::Break(Some(value)),
        Verdict::NotYet(status) => {
            last.status(status);
            if turns.schedule.is_over() {
                std::ops::ControlFlow::Break(None)
            } else {
                std::ops::ControlFlow::Continue(())
            }
        }
    }
}
