//! What this process did lately, to bridge the time in which EC2's answers lag behind, and where it has seen what.
//!
//! Nothing here is needed to be correct after a crash: names, tags and tokens are looked at again then. It saves calls, and
//! keeps what was just made from looking gone.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use remint_core::provider::{
    Image, InstanceState, Region, Shape, SizeName,
    support::{Launches, Recent},
};
use tokio::time::Instant;

#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<State>);

#[derive(Debug, Default)]
pub(crate) struct State {
    /// Regions that were named by a call, and exist.
    pub(crate) regions: Vec<Region>,
    /// Where a resource is, by its id.
    pub(crate) places: HashMap<String, Region>,
    /// Instances that a call of this process launched or destroyed, or that a list showed; with the spot request that would launch
    /// it again.
    pub(crate) instances: Launches<String, Option<String>>,
    /// Captures under way, by the image's name: the image, where, since when.
    pub(crate) captures: HashMap<String, (String, Region, Instant)>,
    /// Instances that this process has asked to be captured.
    pub(crate) asked: HashSet<String>,
    /// Images that were reported as captured.
    pub(crate) captured: Recent<String, Image>,
    /// Copies of images that were seen to be available.
    pub(crate) copied: HashSet<(String, Region)>,
    /// Copies that were asked for.
    pub(crate) copying: Recent<(String, Region)>,
    /// What is known of a size in a region.
    pub(crate) offers: HashMap<(String, Region), Offer>,
    /// Availability zones that had no room for a size, and when: by size, region and zone.
    full: Recent<(SizeName, Region, String)>,
    /// Load balancers that were created and that no answer has shown yet, by their ARNs.
    pub(crate) balancers: Recent<String, aws_sdk_elasticloadbalancingv2::types::LoadBalancer>,
    /// Target groups that were created, by their ARNs; each with the load balancer whose listener leads to it.
    pub(crate) target_groups: Recent<String, aws_sdk_elasticloadbalancingv2::types::TargetGroup>,
    /// Targets that were registered, by the ARN of their load balancer and their id.
    pub(crate) registered: Recent<(String, String)>,
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

impl Memory {
    /// Never held over an `await`.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Remembers that a zone has just refused a size.
    pub(crate) fn note_full(&mut self, size: &SizeName, region: &Region, zone: &str) {
        self.full.note((size.clone(), region.clone(), zone.to_owned()), ());
    }

    pub(crate) fn is_full(&self, size: &SizeName, region: &Region, zone: &str, within: Duration) -> bool {
        self.full.get(&(size.clone(), region.clone(), zone.to_owned()), within).is_some()
    }

    /// Whether this process launched an instance, has seen it running, and has neither stopped nor destroyed it.
    pub(crate) fn runs(&self, id: &str) -> bool {
        self.instances.get(id).is_some_and(|seen| {
            let known = seen.at.is_some() && seen.shown && seen.instance.state == InstanceState::Running;
            known && !self.instances.destroyed.contains(id)
        })
    }

    /// Whether an instance was seen to be stopped; only this process would start it again.
    pub(crate) fn is_stopped(&self, id: &str) -> bool {
        self.instances.get(id).is_some_and(|seen| {
            let known = seen.at.is_some() && seen.instance.state == InstanceState::Stopped;
            known && !self.instances.destroyed.contains(id)
        })
    }
}
