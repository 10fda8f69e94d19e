//! In which state an instance is: read from the engine's machine, never kept beside it.

use std::time::Duration;

use super::{
    ids,
    reply::refuse,
    state::{Data, Instance, Wish},
};
use crate::State;
use remint_sandbox_cloud::{
    ApiResult, Config, Profile,
    state::{Status, Work},
};

/// An instance's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Pending,
    Running,
    ShuttingDown,
    Terminated,
    Stopping,
    Stopped,
}

impl Phase {
    /// The code that EC2 gives beside the name.
    pub(super) fn code(self) -> u16 {
        match self {
            Self::Pending => 0,
            Self::Running => 16,
            Self::ShuttingDown => 32,
            Self::Terminated => 48,
            Self::Stopping => 64,
            Self::Stopped => 80,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::ShuttingDown => "shutting-down",
            Self::Terminated => "terminated",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
        }
    }

    /// Whether there is no way back.
    pub(super) fn is_ending(self) -> bool {
        matches!(self, Self::ShuttingDown | Self::Terminated)
    }
}

impl Instance {
    /// The state that the instance is in now.
    pub(super) fn phase(&self, state: &State) -> Phase {
        let Some(machine) = state.instances.get(&self.machine) else { return Phase::Terminated };
        let work = machine.pending.and_then(|id| state.actions.get(&id)?.pending.as_ref()).map(|pending| &pending.work);
        match (self.next, work, machine.status) {
            (Some(Wish::Terminate), ..) | (_, Some(Work::Destroy { .. }), _) => Phase::ShuttingDown,
            (Some(Wish::Stop { .. }), ..) | (_, Some(Work::Halt { .. }), _) => Phase::Stopping,
            (Some(Wish::Start), ..) | (_, Some(Work::PowerOn { .. }), _) | (.., Status::New) => Phase::Pending,
            (.., Status::Active) => Phase::Running,
            (.., Status::Off) => Phase::Stopped,
        }
    }
}

/// For how long an instance that is gone is still shown.
fn retention(config: &Config) -> Duration {
    match config.profile {
        Profile::Instant => Duration::from_secs(60),
        Profile::Realistic => Duration::from_secs_f64(3600.0 / config.speed.max(0.1)),
    }
}

impl Data {
    /// The instances of a region that can be seen, oldest first.
    pub(super) fn visible<'a>(&'a self, config: &Config, region: &'a str) -> Vec<&'a Instance> {
        let kept = retention(config);
        let now = remint_sandbox_cloud::now();
        let seen = |instance: &&Instance| {
            instance.region == region
                && instance.ended_at.is_none_or(|end| now.duration_since(end).unsigned_abs() < kept || end > now)
        };
        let found: Vec<&Instance> = self.instances.values().filter(seen).collect();
        let mut found = remint_sandbox_cloud::seen(found, |instance| instance.launched_at);
        found.sort_by_key(|instance| (instance.launched_at, instance.reservation.clone(), instance.index));
        found
    }

    /// The instances of a region that are not gone.
    pub(super) fn standing<'a>(&'a self, state: &'a State, region: &'a str) -> impl Iterator<Item = &'a Instance> {
        self.instances
            .values()
            .filter(move |instance| instance.region == region && state.instances.contains_key(&instance.machine))
    }

    /// The instances of these ids, in their order.
    pub(super) fn named<'a>(
        &'a self,
        config: &Config,
        region: &'a str,
        named: &[&str],
    ) -> ApiResult<Vec<&'a Instance>> {
        for id in named {
            if !ids::is_id("i", id) {
                return Err(refuse("InvalidInstanceID.Malformed", format!("Invalid id: \"{id}\"")));
            }
        }
        let visible = self.visible(config, region);
        let find = |id: &&str| visible.iter().find(|instance| instance.id == **id).copied();
        let missing: Vec<&str> = named.iter().copied().filter(|id| find(id).is_none()).collect();
        match missing[..] {
            [] => Ok(named.iter().filter_map(find).collect()),
            [id] => Err(refuse("InvalidInstanceID.NotFound", format!("The instance ID '{id}' does not exist"))),
            _ => {
                let message = format!("The instance IDs '{}' do not exist", missing.join(", "));
                Err(refuse("InvalidInstanceID.NotFound", message))
            }
        }
    }

    /// Forgets the instances that are shown no longer, and their tags.
    pub(super) fn forget_old(&mut self, config: &Config) {
        let kept = retention(config);
        let now = remint_sandbox_cloud::now();
        let old = |instance: &Instance| {
            instance.ended_at.is_some_and(|end| now.duration_since(end).unsigned_abs() >= kept && end < now)
        };
        let gone: Vec<String> = self.instances.values().filter(|i| old(i)).map(|i| i.id.clone()).collect();
        for id in gone {
            if let Some(instance) = self.instances.remove(&id) {
                for resource in [instance.id, instance.volume.id, instance.interface] {
                    self.tags.remove(&resource);
                }
            }
        }
    }
}
