//! Load balancers: creating and changing them, and who their members are.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use super::{
    Config, Front,
    action::{Begin, now},
    balancer::{BalancerSettings, BalancerSnapshot, BalancerStatus, LoadBalancer, MemberCheck, Wanted},
    state::{DelayKind, Resource, State, Work},
};

impl<F: Front> State<F> {
    /// Begins to create a load balancer whose settings were found to be right.
    pub fn create_balancer(
        &mut self,
        config: &Config,
        name: &str,
        region: &str,
        settings: BalancerSettings,
    ) -> LoadBalancer {
        let id = self.next_id();
        let balancer = LoadBalancer {
            id,
            name: name.to_owned(),
            region: region.to_owned(),
            address: self.next_static_ip(config.slot),
            status: BalancerStatus::New,
            settings,
            members: BTreeSet::new(),
            created_at: now(),
            measured_from: None,
            pending: None,
        };
        self.load_balancers.insert(id, balancer);
        self.begin_on_balancer(config, id, "create", Work::CreateBalancer { balancer: id });
        self.load_balancers[&id].clone()
    }

    /// Begins an action on a load balancer, which the caller has found unlocked.
    pub fn begin_on_balancer(&mut self, config: &Config, id: u64, kind: &'static str, work: Work) {
        let Some(region) = self.load_balancers.get(&id).map(|balancer| balancer.region.clone()) else { return };
        self.begin(config, Begin { kind, resource: Resource::LoadBalancer, resource_id: id, region, work });
    }

    /// The instances that are to be behind a load balancer, with their addresses. One that has no address yet is not.
    pub fn wanted_members(&self, balancer: &LoadBalancer) -> BTreeMap<u64, Ipv4Addr> {
        let wanted = |id: u64, tags: &BTreeSet<String>| match &balancer.settings.wanted {
            Wanted::Instances(instances) => instances.contains(&id),
            Wanted::Tag(name) => tags.iter().any(|tag| tag.eq_ignore_ascii_case(name)),
        };
        self.instances
            .values()
            .filter(|instance| instance.networked && instance.region == balancer.region)
            .filter(|instance| wanted(instance.id, &instance.tags))
            .map(|instance| (instance.id, instance.address))
            .collect()
    }

    /// Begins to change each active load balancer whose members are other ones than are wanted: an instance was tagged, got
    /// its address, or is gone. One that is locked is looked at again when it is free.
    pub(super) fn settle_balancers(&mut self, config: &Config) {
        let drifted = |balancer: &&LoadBalancer| {
            balancer.status == BalancerStatus::Active
                && balancer.pending.is_none()
                && !self.wanted_members(balancer).keys().eq(&balancer.members)
        };
        let drifted: Vec<u64> = self.load_balancers.values().filter(drifted).map(|balancer| balancer.id).collect();
        for id in drifted {
            self.begin_on_balancer(config, id, "update", Work::ChangeBalancer { balancer: id });
        }
    }

    /// What a load balancer is to do with these members.
    pub(super) fn balancer_snapshot(
        &self,
        config: &Config,
        balancer: &LoadBalancer,
        members: BTreeMap<u64, Ipv4Addr>,
    ) -> BalancerSnapshot {
        let BalancerSettings { listeners, check, sources, .. } = balancer.settings.clone();
        let interval = config.profile.check_interval(check.interval, config.speed);
        let timeout = config.profile.check_timeout(check.timeout, config.speed);
        let check = MemberCheck { interval, timeout, ..check };
        BalancerSnapshot { id: balancer.id, address: balancer.address, listeners, check, sources, members }
    }

    /// A load balancer works from now on.
    pub(super) fn balancer_created(&mut self, config: &Config, id: u64) {
        let delay = self.draw(config, DelayKind::Measure, id.to_string());
        let at = now();
        if let Some(balancer) = self.load_balancers.get_mut(&id) {
            balancer.status = BalancerStatus::Active;
            balancer.measured_from = Some(at.checked_add(delay).unwrap_or(at));
        }
    }
}
