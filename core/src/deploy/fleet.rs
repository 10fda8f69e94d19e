//! What there is behind the load balancer, for the planner.

use schemars::JsonSchema;
use serde::Serialize;

use super::waves::{Mixture, Rollout, Wave, plan};
use crate::{manifest::Strategy, provider::InstanceId};

/// What there is behind the load balancer, and how new instances would take over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FleetFacts {
    pub(super) balancer: BalancerFacts,
    /// Instances of the current release that are as they are to be. They stay, as far as there is need for them.
    pub(super) good: Vec<InstanceId>,
    /// Those of them that are no members.
    pub(super) detached: Vec<InstanceId>,
    /// In service, and to be replaced all the same.
    pub(super) old: u32,
    /// Why instances of the current release will not do, a line each.
    pub(super) bad: Vec<String>,
    /// How many the current release has, where it is behind a load balancer.
    pub(super) count_before: Option<u32>,
    pub(super) rollout: Rollout,
}

/// The load balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum BalancerFacts {
    /// It does not exist yet, or any more.
    Missing,
    /// It exists. `differs`: it is not set up as the manifest says.
    Stands { name: String, differs: bool },
}

/// In which waves instances behind a load balancer take over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Waves {
    /// What the manifest chose.
    pub strategy: Strategy,
    /// How many instances each wave launches.
    pub launches: Vec<u32>,
    /// How many instances there are at most meanwhile.
    pub most: u32,
}

impl FleetFacts {
    /// The waves in which the instances that are missing would be launched.
    pub(super) fn waves(&self, standing: u32, kept: u32) -> Waves {
        let old = (self.old + u32::try_from(self.good.len()).unwrap_or(u32::MAX)).saturating_sub(kept);
        let sick = standing.saturating_sub(kept + old);
        let from = Mixture { fresh: kept, old, sick, watched: true };
        let waves = plan(&self.rollout, from).unwrap_or_default();
        let launches = waves.into_iter().filter_map(|wave| match wave {
            Wave::Launch(many) => Some(many),
            _ => None,
        });
        Waves { strategy: self.rollout.strategy, launches: launches.collect(), most: self.rollout.most(standing, kept) }
    }
}
