//! What this process knows that the API does not show, or not yet.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use remint_core::provider::{Instance, Shape};
use tokio::time::Instant;

use crate::{
    names::{AddressPath, InstancePath},
    operation::Pending,
};

/// Shared by all calls of a provider. Never locked across a call.
#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<State>);

#[derive(Debug, Default)]
pub(crate) struct State {
    /// Instances whose launch was accepted here.
    pub(crate) launched: HashMap<InstancePath, Launched>,
    /// Instances whose destruction was accepted here, and when.
    pub(crate) destroyed: HashMap<InstancePath, (Option<Pending>, Instant)>,
    /// Captures that were started here, by the name of the image.
    pub(crate) captures: HashMap<String, Pending>,
    /// Where static IPs were sent, while that is under way.
    pub(crate) assigned: HashMap<AddressPath, (InstancePath, Pending)>,
    /// Which instance a target instance (`ZONE/NAME`) stands for; that never changes.
    pub(crate) targets: HashMap<String, InstancePath>,
    /// Zones that are known to exist.
    pub(crate) zones: HashSet<String>,
    /// Sizes (zone and name) that were looked up.
    pub(crate) shapes: HashMap<(String, String), Shape>,
}

/// An instance whose launch was accepted.
#[derive(Debug, Clone)]
pub(crate) struct Launched {
    /// As it was last seen, or as it was asked for.
    pub(crate) instance: Instance,
    pub(crate) at: Instant,
    /// The operation that makes it, while it is under way.
    pub(crate) pending: Option<Pending>,
    /// Whether the API has shown it.
    pub(crate) seen: bool,
}

impl Memory {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether an instance's destruction was accepted lately: one that was accepted long ago and did not happen is
    /// shown as it stands.
    pub(crate) fn was_destroyed(&self, path: &InstancePath, grace: Duration) -> bool {
        self.destroyed.get(path).is_some_and(|(_, at)| at.elapsed() < grace)
    }

    /// An instance that was launched and has not shown yet.
    pub(crate) fn unseen(&self, path: &InstancePath, grace: Duration) -> Option<&Launched> {
        let launched = self.launched.get(path)?;
        let young = launched.at.elapsed() < grace || launched.pending.is_some();
        (!launched.seen && young && !self.destroyed.contains_key(path)).then_some(launched)
    }
}
