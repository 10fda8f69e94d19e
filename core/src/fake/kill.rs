//! A process that dies at its n-th step.

use std::{
    fmt,
    sync::atomic::{AtomicI64, Ordering},
};

use tokio::sync::watch;

/// Counts steps, and at the chosen one never lets the caller go on: as for a killed process, nothing after it happens.
pub struct Kill {
    left: AtomicI64,
    died: watch::Sender<bool>,
    /// Asked at each step instead: whether something has befallen the process just now.
    hook: Option<Box<dyn Fn() -> bool + Send + Sync>>,
}

impl Default for Kill {
    fn default() -> Self {
        Self { left: AtomicI64::new(i64::MAX), died: watch::Sender::new(false), hook: None }
    }
}

impl fmt::Debug for Kill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kill").field("left", &self.left).finish_non_exhaustive()
    }
}

impl Kill {
    /// Steps that are somebody else's to count; who says `true` has stopped the process, which then runs no further for now.
    pub fn hooked(hook: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { hook: Some(Box::new(hook)), ..Self::default() }
    }

    /// Dies at the `n`-th step from now, counted from zero.
    pub fn at(&self, n: i64) {
        self.left.store(n, Ordering::SeqCst);
        self.died.send_replace(false);
    }

    /// Lives for ever, from now.
    pub fn never(&self) {
        self.at(i64::MAX);
    }

    /// One step: a moment at which the process can be killed.
    pub async fn step(&self) {
        if self.hook.as_ref().is_some_and(|hook| hook()) {
            tokio::task::yield_now().await;
        }
        if self.left.fetch_sub(1, Ordering::SeqCst) <= 0 {
            self.died.send_replace(true);
            std::future::pending::<()>().await;
        }
    }

    /// Runs until it ends or the process dies; `None` when it died.
    pub async fn run<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let mut died = self.died.subscribe();
        tokio::select! {
            biased;
            _ = died.wait_for(|died| *died) => None,
            value = future => Some(value),
        }
    }
}
