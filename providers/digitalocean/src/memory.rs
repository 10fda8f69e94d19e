//! What this process did lately, to bridge the time in which the API's answers lag behind.
//!
//! Nothing here is needed to be correct after a crash: names, tags and the droplet's own actions are looked at again
//! then. It saves calls, and keeps what was just made from looking gone.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use remint_core::provider::{
    Image,
    support::{Launches, Recent},
};
use tokio::time::Instant;

use crate::wire;

#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<State>);

#[derive(Debug, Default)]
pub(crate) struct State {
    /// Names of images that this process removed: no capture of theirs is waited for.
    pub(crate) removed: HashSet<String>,
    /// Droplets that this process launched or destroyed; with whether it has asked for a snapshot of one. A droplet counts as shown
    /// once it was seen doing something else than being created.
    pub(crate) instances: Launches<u64, bool>,
    /// Captures under way, by the image's name.
    pub(crate) captures: HashMap<String, Capture>,
    /// Snapshot actions that were seen completed, and whose images were looked for: that one of them does not show any
    /// more means that it was deleted, and not that it is late.
    pub(crate) settled: HashSet<u64>,
    /// Images that were reported as captured.
    pub(crate) captured: Recent<u64, Image>,
    /// The transfer actions of images to regions.
    pub(crate) copies: HashMap<(u64, String), u64>,
    /// The last assignment of each reserved IP: the droplet and the action.
    pub(crate) assigned: HashMap<String, Assignment>,
    /// The own addresses of droplets, which they keep for life.
    pub(crate) addresses: HashMap<u64, String>,
    /// Reserved IPs of the account, wherever they point.
    pub(crate) reserved: HashSet<String>,
    /// Reserved IPs made for a droplet.
    pub(crate) ensured: Recent<u64, String>,
    /// Load balancers that this process created and no answer has shown, by their ids.
    pub(crate) balancers: Recent<String, wire::Balancer>,
    /// The tags of load balancers that this process has seen, by their ids: what is left of one that is gone.
    pub(crate) balancer_tags: HashMap<String, String>,
    /// When this process made a droplet a member of a load balancer: its id and the droplet, and seconds since 1970. What was
    /// measured before says nothing of it.
    pub(crate) attached: HashMap<(String, u64), i64>,
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
}
