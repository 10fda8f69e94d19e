//! A process that dies at its n-th step.

use std::sync::atomic::{AtomicI64, Ordering};

use tokio::sync::watch;

/// Counts steps, and at the chosen one never lets the caller go on: as for a killed process, nothing after it happens.
#[derive(Debug)]
pub(crate) struct Kill {
    left: AtomicI64,
    died: watch::Sender<bool>,
}

impl Default for Kill {
    fn default() -> Self {
        Self { left: AtomicI64::new(i64::MAX), died: watch::Sender::new(false) }
    }
}

impl Kill {
    /// Dies at the `n`-th step from now, counted from zero.
    pub(crate) fn at(&self, n: i64) {
        self.left.store(n, Ordering::SeqCst);
        self.died.send_replace(false);
    }

    /// Lives for ever, from now.
    pub(crate) fn never(&self) {
        self.at(i64::MAX);
    }

    /// One step: a moment at which the process can be killed.
    pub(crate) async fn step(&self) {
        if self.left.fetch_sub(1, Ordering::SeqCst) <= 0 {
            self.died.send_replace(true);
            std::future::pending::<()>().await;
        }
    }

    /// Runs until it ends or the process dies; `None` when it died.
    pub(crate) async fn run<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let mut died = self.died.subscribe();
        tokio::select! {
            biased;
            _ = died.wait_for(|died| *died) => None,
            value = future => Some(value),
        }
    }
}
