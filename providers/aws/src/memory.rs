//! What this process did lately, to bridge the time in which EC2's answers lag behind, and where it has seen what.
//!
//! Nothing here is needed to be correct after a crash: names, tags and tokens are looked at again then. It saves calls, and
//! keeps what was just made from looking gone.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use remint_core::provider::{Image, Instance, InstanceState, Region, Shape, SizeName};
use tokio::time::Instant;

#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<State>);

#[derive(Debug, Default)]
pub(crate) struct State {
    /// Regions that were named by a call, and exist.
    pub(crate) regions: Vec<Region>,
    /// Where a resource is, by its id.
    pub(crate) places: HashMap<String, Region>,
    /// Instances that a call of this process launched, or that a list showed.
    pub(crate) instances: HashMap<String, Seen>,
    /// Instances whose removal was accepted.
    pub(crate) destroyed: HashMap<String, Instant>,
    /// Captures under way, by the image's name: the image, where, since when.
    pub(crate) captures: HashMap<String, (String, Region, Instant)>,
    /// Instances that this process has asked to be captured.
    pub(crate) asked: HashSet<String>,
    /// Images that were reported as captured.
    pub(crate) captured: HashMap<String, (Image, Instant)>,
    /// Copies of images that were seen to be available.
    pub(crate) copied: HashSet<(String, Region)>,
    /// Copies that were asked for.
    pub(crate) copying: HashMap<(String, Region), Instant>,
    /// What is known of a size in a region.
    pub(crate) offers: HashMap<(String, Region), Offer>,
    /// Availability zones that had no room for a size, and when: by size, region and zone.
    full: HashMap<(SizeName, Region, String), Instant>,
    /// The ids of hosted zones, by their names.
    pub(crate) zones: HashMap<String, String>,
}

/// A size in a region.
#[derive(Debug, Clone)]
pub(crate) struct Offer {
    /// What it gives.
    pub(crate) shape: Shape,
    /// The availability zones that have it.
    pub(crate) zones: Vec<String>,
    /// The architectures of the images that it runs: `x86_64`, `arm64`.
    pub(crate) architectures: Vec<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// As it was last seen.
    pub(crate) instance: Instance,
    /// When this process launched it; `None` for what others did.
    pub(crate) launched: Option<Instant>,
    /// An answer has shown it; from then on "not found" means that it is gone.
    pub(crate) shown: bool,
    /// The spot request that would launch it again.
    pub(crate) spot_request: Option<String>,
}

impl Memory {
    /// Never held over an `await`.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Remembers that a zone has just refused a size.
    pub(crate) fn note_full(&mut self, size: &SizeName, region: &Region, zone: &str) {
        self.full.insert((size.clone(), region.clone(), zone.to_owned()), Instant::now());
    }

    pub(crate) fn is_full(&self, size: &SizeName, region: &Region, zone: &str, within: Duration) -> bool {
        let refused = self.full.get(&(size.clone(), region.clone(), zone.to_owned()));
        refused.is_some_and(|at| at.elapsed() < within)
    }

    pub(crate) fn was_destroyed(&self, id: &str, within: Duration) -> bool {
        self.destroyed.get(id).is_some_and(|at| at.elapsed() < within)
    }

    /// What was launched a moment ago, has not shown yet, and may be missing from answers.
    pub(crate) fn pending(&self, id: &str, within: Duration) -> Option<&Seen> {
        let seen = self.instances.get(id)?;
        let pending = !seen.shown && seen.launched?.elapsed() < within && !self.destroyed.contains_key(id);
        pending.then_some(seen)
    }

    /// What was launched lately and is not known to be gone; a list that lags may leave it out.
    pub(crate) fn unlisted(&self, id: &str, within: Duration) -> Option<&Seen> {
        let seen = self.instances.get(id)?;
        (seen.launched?.elapsed() < within && !self.destroyed.contains_key(id)).then_some(seen)
    }

    /// Whether this process launched an instance, has seen it running, and has neither stopped nor destroyed it.
    pub(crate) fn runs(&self, id: &str) -> bool {
        self.instances.get(id).is_some_and(|seen| {
            let known = seen.launched.is_some() && seen.shown && seen.instance.state == InstanceState::Running;
            known && !self.destroyed.contains_key(id)
        })
    }

    /// Whether an instance was seen to be stopped; only this process would start it again.
    pub(crate) fn is_stopped(&self, id: &str) -> bool {
        self.instances.get(id).is_some_and(|seen| {
            let known = seen.launched.is_some() && seen.instance.state == InstanceState::Stopped;
            known && !self.destroyed.contains_key(id)
        })
    }
}
