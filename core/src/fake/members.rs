//! A load balancer of the fake cloud, and what it makes of its members: it asks each at its interval, and decides after so many
//! equal answers in a row. Until it has decided otherwise, an instance that serves no more still gets connections.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use crate::provider::{Address, Endpoint, InstanceId, Labels, LoadBalancer, LoadBalancerState, Member, MemberHealth};

/// A load balancer.
#[derive(Debug, Clone, PartialEq)]
pub struct Balancer {
    /// As the contract shows it.
    pub balancer: LoadBalancer,
    /// The labels that it was created with.
    pub labels: Labels,
    /// What was attached to it; a detached instance stays until its connections have ended.
    pub members: BTreeMap<InstanceId, Membership>,
    /// Its address, also before the contract shows it.
    pub(super) address: Address,
    /// How long connections to a detached member go on.
    pub(super) drain: Duration,
    /// What the cloud is doing to it, and when it is done.
    pub(super) work: Option<(Instant, Work)>,
    /// Until when nothing is known of its members' health.
    pub(super) unknown_until: Option<Instant>,
}

/// How what the cloud does to a load balancer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// It takes connections.
    Active,
    /// It never will.
    Fails,
    /// It is gone.
    Gone,
    /// It was to be destroyed, and stays.
    Stays,
}

/// What happens to a load balancer by itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Turn {
    /// The cloud has done what it was at.
    Done,
    /// The checks of a member have decided.
    Checked(InstanceId),
    /// The connections to a detached member have ended.
    Drained(InstanceId),
}

/// An instance behind a load balancer.
#[derive(Debug, Clone, PartialEq)]
pub struct Membership {
    /// What its checks have come to; the contract shows it otherwise while it is draining, and while nothing is known.
    pub health: MemberHealth,
    /// When it was attached.
    pub attached_at: Instant,
    /// When its last connections end, since it was detached.
    pub leaves_at: Option<Instant>,
    /// How the last check ended, once there was one.
    passes: Option<bool>,
    /// When there have been enough such checks in a row.
    decided_at: Option<Instant>,
}

impl Membership {
    /// One that nobody has checked yet.
    pub fn new(attached_at: Instant) -> Self {
        Self { health: MemberHealth::Initial, attached_at, leaves_at: None, passes: None, decided_at: None }
    }

    /// Whether it was detached, and its connections go on.
    pub fn is_draining(&self) -> bool {
        self.leaves_at.is_some()
    }
}

impl Balancer {
    /// Whether the cloud is destroying it.
    pub(super) fn is_going(&self) -> bool {
        matches!(self.work, Some((_, Work::Gone | Work::Stays)))
    }

    /// The instances that get new connections to a port now. `fails_open`: all members where none is in service.
    pub fn receivers(&self, port: u16, fails_open: bool) -> Vec<&InstanceId> {
        // While its settings change, it goes on.
        let is_open = self.balancer.endpoint.is_some() && !self.is_going();
        if !is_open || self.balancer.settings.listeners.iter().all(|listener| listener.port != port) {
            return Vec::new();
        }
        let members = || self.members.iter().filter(|(_, member)| !member.is_draining());
        let in_service = members().filter(|(_, member)| member.health == MemberHealth::InService);
        let in_service: Vec<_> = in_service.map(|(id, _)| id).collect();
        if in_service.is_empty() && fails_open { members().map(|(id, _)| id).collect() } else { in_service }
    }

    /// The members as the contract shows them at a moment.
    pub(super) fn shown(&self, now: Instant, shows_draining: bool) -> Vec<Member> {
        let members = self.members.iter().filter(|(_, member)| shows_draining || !member.is_draining());
        let health = |member: &Membership| match member.is_draining() {
            true => MemberHealth::Draining,
            false if self.unknown_until.is_some_and(|until| now < until) => MemberHealth::Unknown,
            false => member.health.clone(),
        };
        members.map(|(id, member)| Member { instance: id.clone(), health: health(member) }).collect()
    }

    /// Asks every member at a moment at which something may have changed.
    pub(super) fn check(&mut self, at: Instant, answers: impl Fn(&InstanceId) -> bool) {
        let check = &self.balancer.settings.check;
        for (id, member) in self.members.iter_mut().filter(|(_, member)| !member.is_draining()) {
            let passes = answers(id);
            if member.passes == Some(passes) {
                continue;
            }
            member.passes = Some(passes);
            let is_known = match &member.health {
                MemberHealth::InService => passes,
                MemberHealth::OutOfService(_) => !passes,
                _ => false,
            };
            let in_a_row = if passes { check.healthy } else { check.unhealthy };
            member.decided_at = (!is_known).then(|| at + check.interval * in_a_row);
        }
    }

    /// What happens to it first by itself of all that is due, and when.
    pub(super) fn due(&self, now: Instant) -> Option<(Instant, Turn)> {
        let due = |at: &Instant| *at <= now;
        let done = self.work.map(|(at, _)| at).filter(due).map(|at| (at, Turn::Done));
        let turns = self.members.iter().filter_map(|(id, member)| match member.leaves_at {
            Some(at) => Some((Some(at).filter(due)?, Turn::Drained(id.clone()))),
            None => Some((member.decided_at.filter(due)?, Turn::Checked(id.clone()))),
        });
        done.into_iter().chain(turns).min()
    }

    /// Lets it happen, and says in words what it was; nothing when that was the end of the load balancer. `named`: clients
    /// connect to a host name.
    pub(super) fn happen(&mut self, turn: &Turn, named: bool) -> Option<String> {
        let id = &self.balancer.id;
        match turn {
            Turn::Done => {
                let Some((_, work)) = self.work.take() else { return Some(String::new()) };
                let what = match work {
                    Work::Gone => return None,
                    Work::Stays => format!("{id} is not destroyed after all"),
                    Work::Fails => format!("{id} cannot be created"),
                    Work::Active => {
                        let address = self.address.clone();
                        let host = format!("{id}.balancers.fake.example");
                        let endpoint = match named {
                            true => Endpoint::Host { name: host, addresses: vec![address] },
                            false => Endpoint::Address(address),
                        };
                        self.balancer.endpoint.get_or_insert(endpoint);
                        format!("{id} is active")
                    }
                };
                self.balancer.state = match self.balancer.endpoint {
                    Some(_) => LoadBalancerState::Active,
                    None => LoadBalancerState::Failed("there is no room for it".to_owned()),
                };
                Some(what)
            }
            Turn::Checked(instance) => {
                let Some(member) = self.members.get_mut(instance) else { return Some(String::new()) };
                member.decided_at = None;
                member.health = match member.passes {
                    Some(true) => MemberHealth::InService,
                    _ => MemberHealth::OutOfService("its checks fail".to_owned()),
                };
                Some(format!("{instance} is {} at {id}", member.health.as_str()))
            }
            Turn::Drained(instance) => {
                self.members.remove(instance);
                Some(format!("{instance} has left {id}"))
            }
        }
    }
}
