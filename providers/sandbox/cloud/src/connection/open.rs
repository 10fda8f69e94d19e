//! The connections that are open, of which there are only so many.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::Notify;

use super::ConnectionHandle;
use crate::lock::lock;

/// How many connections there may be, and for how long without a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// How many at once.
    pub most: usize,
    /// How long the first request's headers may take to come.
    pub first: Duration,
    /// How long the next request's may. Longer than clients keep connections that they do not use: most keep them for 90
    /// seconds, and one that is closed at that moment costs a request.
    pub idle: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self { most: 256, first: Duration::from_secs(30), idle: Duration::from_secs(120) }
    }
}

/// The open connections of one listener.
#[derive(Debug, Clone)]
pub(super) struct Open {
    limits: ConnectionLimits,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    all: Mutex<All>,
    room: Notify,
}

#[derive(Debug, Default)]
struct All {
    last: u64,
    handles: BTreeMap<u64, ConnectionHandle>,
}

impl Open {
    pub(super) fn new(limits: ConnectionLimits) -> Self {
        Self { limits, shared: Arc::default() }
    }

    pub(super) fn limits(&self) -> ConnectionLimits {
        self.limits
    }

    /// Adds a connection, once there is room: the one that has been idle longest makes it.
    pub(super) async fn add(&self) -> (u64, ConnectionHandle) {
        loop {
            {
                let mut all = lock(&self.shared.all);
                if all.handles.len() < self.limits.most || all.evict() {
                    all.last += 1;
                    let (number, handle) = (all.last, ConnectionHandle::default());
                    all.handles.insert(number, handle.clone());
                    return (number, handle);
                }
            }
            // All of them have a request under way. One may end without a word, or become idle, which nobody tells.
            tokio::time::timeout(Duration::from_millis(50), self.shared.room.notified()).await.ok();
        }
    }

    /// Forgets a connection that has ended.
    pub(super) fn remove(&self, number: u64) {
        lock(&self.shared.all).handles.remove(&number);
        self.shared.room.notify_one();
    }

    /// Ends the connection that has been idle longest, if one is idle.
    pub(super) fn evict(&self) {
        lock(&self.shared.all).evict();
    }
}

impl All {
    fn evict(&mut self) -> bool {
        let idle = self.handles.iter().filter_map(|(number, handle)| Some((handle.idle_since()?, *number)));
        let Some((_, number)) = idle.min() else { return false };
        if let Some(handle) = self.handles.remove(&number) {
            handle.close();
        }
        true
    }
}
