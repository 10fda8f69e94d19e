//! What this process did lately, to bridge the time in which the API's answers lag behind.
//!
//! Nothing here is needed to be correct after a crash: names, tags and the droplet's own actions are looked at again
//! then. It saves calls, and keeps what was just made from looking gone.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use remint_core::provider::{Image, Instance};
use tokio::time::Instant;

#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<State>);

#[derive(Debug, Default)]
pub(crate) struct State {
    /// Names of images that this process removed: no capture of theirs is waited for.
    pub(crate) removed: HashSet<String>,
    /// Droplets that a create call of this process returned.
    pub(crate) launched: HashMap<u64, Launched>,
    /// Droplets whose removal was accepted.
    pub(crate) destroyed: HashMap<u64, Instant>,
    /// Captures under way, by the image's name.
    pub(crate) captures: HashMap<String, Capture>,
    /// Snapshot actions that were seen completed, and whose images were looked for: that one of them does not show any
    /// more means that it was deleted, and not that it is late.
    pub(crate) settled: HashSet<u64>,
    /// Images that were reported as captured.
    pub(crate) captured: HashMap<u64, (Image, Instant)>,
    /// The transfer actions of images to regions.
    pub(crate) copies: HashMap<(u64, String), u64>,
    /// The last assignment of each reserved IP: the droplet and the action.
    pub(crate) assigned: HashMap<String, Assignment>,
    /// The own addresses of droplets, which they keep for life.
    pub(crate) addresses: HashMap<u64, String>,
    /// Reserved IPs of the account, wherever they point.
    pub(crate) reserved: HashSet<String>,
    /// Reserved IPs made for a droplet.
    pub(crate) ensured: HashMap<u64, (String, Instant)>,
}

#[derive(Debug, Clone)]
pub(crate) struct Launched {
    /// As it was last seen.
    pub(crate) instance: Instance,
    pub(crate) at: Instant,
    /// It has been seen doing something else than being made; from then on a 404 means that it is gone.
    pub(crate) made: bool,
    /// It was seen to be gone.
    pub(crate) gone: bool,
    /// This process has asked for a snapshot of it.
    pub(crate) captured: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Capture {
    /// The snapshot call's reply was lost.
    Lost(Instant),
    /// The snapshot action runs.
    Running(u64),
    /// The action is completed, and the image has not shown yet.
    Finished(Instant),
    /// The image is there since then, and is perhaps not labelled yet.
    Found(u64, Instant),
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Assignment {
    pub(crate) droplet: u64,
    pub(crate) action: u64,
}

impl Memory {
    /// Never held over an `await`.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Which of a droplet's public addresses is its own; `None` where it has none, or where nobody can tell yet.
    pub(crate) fn own_address<'a>(&self, droplet: u64, public: &[&'a str]) -> Option<&'a str> {
        let known = self.addresses.get(&droplet);
        if let Some(own) = public.iter().find(|address| known.is_some_and(|known| known == *address)) {
            return Some(own);
        }
        let mut left = public.iter().filter(|address| public.len() == 1 || !self.reserved.contains(**address));
        match (left.next(), left.next()) {
            (Some(own), None) => Some(own),
            _ => None,
        }
    }

    pub(crate) fn was_destroyed(&self, id: u64, within: Duration) -> bool {
        self.destroyed.get(&id).is_some_and(|at| at.elapsed() < within)
    }

    /// What was launched, is still being made, and may be missing from answers.
    pub(crate) fn pending(&self, id: u64, within: Duration) -> Option<&Launched> {
        let launched = self.launched.get(&id)?;
        let pending = !launched.made && launched.at.elapsed() < within && !self.destroyed.contains_key(&id);
        pending.then_some(launched)
    }

    /// What was launched lately and is not known to be gone; a list that lags may leave it out.
    pub(crate) fn unlisted(&self, id: u64, within: Duration) -> Option<&Launched> {
        let launched = self.launched.get(&id)?;
        let standing = !launched.gone && launched.at.elapsed() < within && !self.destroyed.contains_key(&id);
        standing.then_some(launched)
    }
}
