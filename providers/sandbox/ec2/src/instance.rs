//! Instances as they are now: their state and addresses are read from the engine's machine, never kept beside it.

use std::{net::Ipv4Addr, time::Duration};

use super::{
    kinds::INSTANCE,
    state::{Address, Data, Instance, Wish, account},
    vpc,
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

    /// The Elastic IP that is associated with it.
    pub(super) fn elastic<'a>(&self, state: &'a State) -> Option<&'a Address> {
        let holds =
            |address: &&Address| state.static_ips.get(&address.ip).is_some_and(|ip| ip.instance == Some(self.machine));
        state.own.addresses.values().find(holds)
    }

    /// The public address that it has now: its Elastic IP, else one of its own while it runs.
    pub(super) fn public_ip(&self, state: &State) -> Option<Ipv4Addr> {
        if let Some(address) = self.elastic(state) {
            return Some(address.ip);
        }
        let networked = state.instances.get(&self.machine).is_some_and(|machine| machine.networked);
        let on = matches!(self.phase(state), Phase::Pending | Phase::Running | Phase::Stopping);
        (self.public && networked && on).then_some(self.public_ip)
    }

    /// The ARN of the instance profile that it was launched with.
    pub(super) fn profile_arn(&self, state: &State) -> Option<String> {
        let profile = self.profile.as_deref()?;
        Some(match profile.starts_with("arn:") {
            true => profile.to_owned(),
            false => format!("arn:aws:iam::{}:instance-profile/{profile}", account(state)),
        })
    }

    /// The hardware address of its interface, which goes with the address in the VPC.
    pub(super) fn mac(&self) -> String {
        let [a, b, c, d] = self.private_ip.octets();
        format!("0a:ff:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
    }

    /// The name that it has in its VPC.
    pub(super) fn private_dns(&self) -> String {
        format!("ip-{}.{}", self.private_ip.to_string().replace('.', "-"), vpc::domain(&self.region))
    }
}

/// Whether an instance that is gone is still shown.
fn is_kept(config: &Config, instance: &Instance) -> bool {
    let kept = match config.profile {
        Profile::Instant => Duration::from_secs(60),
        Profile::Realistic => Duration::from_secs_f64(3600.0 / config.speed.max(0.1)),
    };
    let now = remint_sandbox_cloud::now();
    instance.ended_at.is_none_or(|end| now.duration_since(end).unsigned_abs() < kept || end > now)
}

impl Data {
    /// The instances of a region that can be seen, oldest first.
    pub(super) fn visible<'a>(&'a self, config: &Config, region: &str) -> Vec<&'a Instance> {
        let kept = |instance: &&Instance| instance.region == region && is_kept(config, instance);
        let found: Vec<&Instance> = self.instances.values().filter(kept).collect();
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
    pub(super) fn named(&self, config: &Config, region: &str, named: &[&str]) -> ApiResult<Vec<&Instance>> {
        let visible = self.visible(config, region);
        let find = |id: &&str| visible.iter().find(|instance| instance.id == **id).copied();
        let missing: Vec<&str> = named.iter().copied().filter(|id| find(id).is_none()).collect();
        if !missing.is_empty() {
            return Err(INSTANCE.absent(&missing));
        }
        Ok(named.iter().filter_map(find).collect())
    }

    /// The instance of an id.
    pub(super) fn one(&self, config: &Config, region: &str, id: &str) -> ApiResult<&Instance> {
        let found = self.named(config, region, &[id])?;
        found.into_iter().next().ok_or_else(|| INSTANCE.absent(&[id]))
    }

    /// Forgets the instances that are shown no longer, and their tags.
    pub(super) fn forget_old(&mut self, config: &Config) {
        for (_, gone) in self.instances.extract_if(.., |_, instance| !is_kept(config, instance)) {
            for resource in [gone.id, gone.volume.id, gone.interface] {
                self.tags.remove(&resource);
            }
        }
    }
}
