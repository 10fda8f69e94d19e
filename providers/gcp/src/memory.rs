//! What this process knows that the API does not show, or not yet.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use remint_core::provider::{
    Shape,
    support::{Launched, Launches},
};

use crate::{
    names::{AddressPath, InstancePath},
    pending::Pending,
};

/// The managed zones that were looked up, by the zone's name.
pub(crate) type KnownZones = HashMap<String, KnownZone>;

/// A managed zone: its name at Google, and who answers for it.
#[derive(Debug, Clone)]
pub(crate) struct KnownZone {
    pub(crate) id: String,
    pub(crate) servers: Vec<String>,
}

/// Shared by all calls of a provider. Never locked across a call.
#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<State>);

#[derive(Debug, Default)]
pub(crate) struct State {
    /// Instances whose launch or destruction was accepted here, each with its operation while that is under way.
    pub(crate) instances: Launches<InstancePath, Option<Pending>, Option<Pending>>,
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

impl Memory {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// An instance that was launched and has not shown yet.
    pub(crate) fn unseen(&self, path: &InstancePath, grace: Duration) -> Option<&Launched<Option<Pending>>> {
        let under_way = self.instances.get(path).is_some_and(|launched| launched.extra.is_some());
        self.instances.pending(path, if under_way { Duration::MAX } else { grace })
    }
}
