//! One release, as its record and its entries tell it.

use jiff::Timestamp;

use super::{Entry, EntryRecord, Phase, ReleaseRecord};
use crate::provider::{InstanceId, ReleaseId};

/// A release: what was decided, and what was done since.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Release {
    /// What was decided, from `release.json`.
    pub record: ReleaseRecord,
    /// What was intended and done, in order.
    pub entries: Vec<EntryRecord>,
}

impl Release {
    /// Its number.
    pub fn id(&self) -> ReleaseId {
        self.record.id
    }

    /// Where it stands.
    pub fn phase(&self) -> Phase {
        let phase = self.entries.iter().rev().find_map(|record| match &record.entry {
            Entry::Phase { phase } => Some(*phase),
            _ => None,
        });
        phase.unwrap_or(Phase::Planned)
    }

    /// Whether it ever entered a phase.
    pub fn entered(&self, phase: Phase) -> bool {
        self.entries.iter().any(|record| record.entry == Entry::Phase { phase })
    }

    /// The instances that have passed its gate, and those that it kept from the release before.
    pub fn gated(&self) -> Vec<InstanceId> {
        let gated = self.entries.iter().filter_map(|record| match &record.entry {
            Entry::GatePassed { instances } | Entry::Keeping { instances, .. } => Some(instances.clone()),
            _ => None,
        });
        gated.flatten().collect()
    }

    /// The instances that this release has: launched by it, or parked ones that it took over. Each was written down as soon as
    /// the cloud had named it.
    pub fn launched(&self) -> Vec<InstanceId> {
        let launched = self.entries.iter().filter_map(|record| match &record.entry {
            Entry::Launched { instances, .. } => Some(instances.clone()),
            _ => None,
        });
        launched.flatten().collect()
    }

    /// The names under which instances of this release were launched; each was written down before the call.
    pub fn names(&self) -> Vec<&str> {
        let names = self.entries.iter().filter_map(|record| match &record.entry {
            Entry::Launching { names } => Some(names.iter().map(String::as_str)),
            _ => None,
        });
        names.flatten().collect()
    }

    /// The instances that this release took over, parked ones and those that it kept, with the release that each goes back to when
    /// this one is undone.
    pub fn adopted(&self) -> Vec<(InstanceId, ReleaseId)> {
        let adopted = self.entries.iter().filter_map(|record| match &record.entry {
            Entry::Adopting { instance, from } => Some(vec![(instance.clone(), *from)]),
            Entry::Keeping { instances, from } => Some(instances.iter().map(|id| (id.clone(), *from)).collect()),
            _ => None,
        });
        adopted.flatten().collect()
    }

    /// Whether the command before the switch has succeeded.
    pub fn before_switch_done(&self) -> bool {
        self.entries.iter().any(|record| record.entry == Entry::BeforeSwitchDone)
    }

    /// Why it failed, where it did.
    pub fn failure(&self) -> Option<&str> {
        self.entries.iter().rev().find_map(|record| match &record.entry {
            Entry::Failure { reason } => Some(reason.as_str()),
            _ => None,
        })
    }

    /// When its last entry was written.
    pub fn changed_at(&self) -> Timestamp {
        self.entries.last().map_or(self.record.created_at, |record| record.at)
    }
}
