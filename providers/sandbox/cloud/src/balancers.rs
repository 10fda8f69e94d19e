//! Load balancers: creating and changing them, and who their members are.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    time::Duration,
};

use super::{
    Config, Front,
    action::{Begin, now},
    balancer::{
        BalancerSettings, BalancerSnapshot, BalancerStatus, LoadBalancer, MemberCheck, Pool, PoolSnapshot, Wanted,
    },
    state::{DelayKind, Instance, Resource, State, Work},
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
        self.create_balancer_at(config, name, region, settings, None)
    }

    /// The same at an address of the account's, which may be a static IP that points at no instance; at the next free one
    /// where none is given.
    pub fn create_balancer_at(
        &mut self,
        config: &Config,
        name: &str,
        region: &str,
        settings: BalancerSettings,
        address: Option<Ipv4Addr>,
    ) -> LoadBalancer {
        let id = self.next_id();
        let balancer = LoadBalancer {
            id,
            name: name.to_owned(),
            region: region.to_owned(),
            address: address.unwrap_or_else(|| self.next_static_ip(config.slot)),
            status: BalancerStatus::New,
            settings,
            members: BTreeSet::new(),
            pools: BTreeMap::new(),
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

    /// Whether a load balancer is being destroyed. What else runs on it does nothing any more.
    pub fn balancer_ends(&self, id: u64) -> bool {
        let mut works = self.actions.values().filter_map(|action| action.pending.as_ref()).map(|pending| &pending.work);
        works.any(|work| *work == Work::DestroyBalancer { balancer: id })
    }

    /// The instances that are to be behind a load balancer, with their addresses. One that has no address yet is not. That
    /// instances which are named by number are in the region was checked by the API.
    pub fn wanted_members(&self, balancer: &LoadBalancer) -> BTreeMap<u64, Ipv4Addr> {
        self.wanted(&balancer.settings.wanted, &balancer.region)
    }

    fn wanted(&self, wanted: &Wanted, region: &str) -> BTreeMap<u64, Ipv4Addr> {
        let wanted = |instance: &Instance| match wanted {
            Wanted::Instances(instances) => instances.contains(&instance.id),
            Wanted::Tag(name) => {
                instance.region == region && instance.tags.iter().any(|tag| tag.eq_ignore_ascii_case(name))
            }
        };
        self.instances
            .values()
            .filter(|instance| instance.networked && wanted(instance))
            .map(|instance| (instance.id, instance.address))
            .collect()
    }

    /// The same for each pool, by number.
    fn wanted_of_pools(&self, balancer: &LoadBalancer) -> BTreeMap<u64, BTreeMap<u64, Ipv4Addr>> {
        let wanted = |pool: &Pool| self.wanted(&pool.wanted, &balancer.region);
        balancer.settings.pools.iter().map(|(number, pool)| (*number, wanted(pool))).collect()
    }

    /// Whether a load balancer does not have the members yet that are wanted.
    fn drifted(&self, balancer: &LoadBalancer) -> bool {
        let same = |wanted: &BTreeMap<u64, Ipv4Addr>, known: &BTreeSet<u64>| wanted.keys().eq(known);
        let pools = self.wanted_of_pools(balancer);
        !same(&self.wanted_members(balancer), &balancer.members)
            || !pools.keys().eq(balancer.pools.keys())
            || pools.iter().any(|(number, wanted)| !same(wanted, &balancer.pools[number]))
    }

    /// Begins to change each active load balancer whose members are other ones than are wanted: an instance was tagged, got
    /// its address, or is gone. One that is locked is looked at again when it is free.
    pub(super) fn settle_balancers(&mut self, config: &Config) {
        let drifted = |balancer: &&LoadBalancer| {
            balancer.status == BalancerStatus::Active && balancer.pending.is_none() && self.drifted(balancer)
        };
        let drifted: Vec<u64> = self.load_balancers.values().filter(drifted).map(|balancer| balancer.id).collect();
        for id in drifted {
            self.begin_on_balancer(config, id, "update", Work::ChangeBalancer { balancer: id });
        }
    }

    /// What a load balancer is to do now.
    pub(super) fn balancer_snapshot(&self, config: &Config, balancer: &LoadBalancer) -> BalancerSnapshot {
        let settings = balancer.settings.clone();
        let checked = |check: MemberCheck| MemberCheck {
            interval: config.profile.check_interval(check.interval, config.speed),
            timeout: config.profile.check_timeout(check.timeout, config.speed),
            ..check
        };
        let drains = |drain: Option<Duration>| drain.map(|time| config.profile.drain(time, config.speed));
        let late = |kind| {
            let delay = || config.profile.draw(config.seed, kind, balancer.id, config.speed);
            if settings.late { delay() } else { Duration::ZERO }
        };
        let known = |members: Option<&BTreeSet<u64>>| members.filter(|_| settings.late).cloned().unwrap_or_default();
        let mut members = self.wanted_of_pools(balancer);
        let pools = settings.pools.iter().map(|(number, pool)| {
            let pool = PoolSnapshot {
                check: checked(pool.check.clone()),
                members: members.remove(number).unwrap_or_default(),
                drain: drains(pool.drain),
                cuts: pool.cuts,
                known: known(balancer.pools.get(number)),
            };
            (*number, pool)
        });
        BalancerSnapshot {
            id: balancer.id,
            address: balancer.address,
            pools: pools.collect(),
            check: checked(settings.check),
            members: self.wanted_members(balancer),
            none_healthy: settings.none_healthy,
            drain: drains(settings.drain),
            first_pass: settings.first_pass,
            join: late(DelayKind::Join),
            leave: late(DelayKind::Leave),
            known: known(Some(&balancer.members)),
            listeners: settings.listeners,
            sources: settings.sources,
        }
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
