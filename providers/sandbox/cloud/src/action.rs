//! Beginning and ending actions.

use std::{net::Ipv4Addr, time::Duration};

use jiff::Timestamp;

use super::{
    Config,
    faults::will_fail,
    state::{Action, DelayKind, DrawnDelay, Pending, Resource, State, Work},
};

/// How many completed actions, and how many drawn delays, are remembered.
const REMEMBERED: usize = 1000;

/// An action that is to begin.
pub struct Begin {
    /// The API's `type`.
    pub kind: &'static str,
    /// What it works on.
    pub resource: Resource,
    /// The instance's, image's or load balancer's id, or the static IP as a number.
    pub resource_id: u64,
    /// The slug of the region that it is in.
    pub region: String,
    /// What is to be done.
    pub work: Work,
}

impl<F> State<F> {
    /// Begins an action and locks what it works on, which the caller has found unlocked. It runs once the change that this
    /// is part of is written.
    pub fn begin(&mut self, config: &Config, begin: Begin) -> Action {
        let id = self.next_id();
        let resource = match begin.resource {
            Resource::StaticIp => Ipv4Addr::from_bits(begin.resource_id as u32).to_string(),
            _ => begin.resource_id.to_string(),
        };
        let delay = self.draw(config, begin.work.delay(self.api), resource);
        // In milliseconds, so that the file and the clients see the same moment.
        let started_at = now();
        let due = started_at.checked_add(delay).unwrap_or(started_at);
        let on = begin.resource_id;
        let pending = match begin.resource {
            Resource::Instance => self.instances.get_mut(&on).map(|instance| &mut instance.pending),
            Resource::Image => self.images.get_mut(&on).map(|image| &mut image.pending),
            Resource::StaticIp => self.static_ips.get_mut(&Ipv4Addr::from_bits(on as u32)).map(|ip| &mut ip.pending),
            Resource::LoadBalancer => self.load_balancers.get_mut(&on).map(|balancer| &mut balancer.pending),
        };
        if let Some(pending) = pending {
            *pending = Some(id);
        }
        let action = Action {
            id,
            kind: begin.kind.to_owned(),
            started_at,
            completed_at: None,
            errored: false,
            resource: begin.resource,
            resource_id: begin.resource_id,
            region: begin.region,
            pending: Some(Pending { due, doomed: will_fail(), work: begin.work }),
        };
        self.actions.insert(id, action.clone());
        self.begun.push(id);
        action
    }

    /// The actions on one resource, newest first, as the API lists them.
    pub fn actions_of(&self, resource: Resource, id: u64) -> impl Iterator<Item = &Action> {
        self.actions.values().rev().filter(move |a| a.resource == resource && a.resource_id == id)
    }

    /// One action on a resource.
    pub fn action_of(&self, resource: Resource, id: u64, action: u64) -> Option<&Action> {
        self.actions.get(&action).filter(|a| a.resource == resource && a.resource_id == id)
    }

    /// Draws a delay and remembers it.
    pub fn draw(&mut self, config: &Config, kind: DelayKind, resource: String) -> Duration {
        let ordinal = self.ordinals.entry(kind).or_default();
        let delay = config.profile.draw(config.seed, kind, *ordinal, config.speed);
        *ordinal += 1;
        self.delays.push(DrawnDelay { kind, resource, seconds: delay.as_secs_f64() });
        if self.delays.len() > 2 * REMEMBERED {
            self.delays.drain(..REMEMBERED);
        }
        delay
    }

    /// Ends an action and unlocks what it worked on.
    pub fn end(&mut self, id: u64, errored: bool) {
        let Some(action) = self.actions.get_mut(&id) else { return };
        action.completed_at = Some(now());
        action.errored = errored;
        action.pending = None;
        let instances = self.instances.values_mut().map(|instance| &mut instance.pending);
        let ips = self.static_ips.values_mut().map(|ip| &mut ip.pending);
        let images = self.images.values_mut().map(|image| &mut image.pending);
        let balancers = self.load_balancers.values_mut().map(|balancer| &mut balancer.pending);
        for pending in instances.chain(ips).chain(images).chain(balancers).filter(|pending| **pending == Some(id)) {
            *pending = None;
        }
        let done = self.actions.values().filter(|action| action.pending.is_none()).count();
        if done > 2 * REMEMBERED {
            let old: Vec<u64> = self
                .actions
                .values()
                .filter(|action| action.pending.is_none())
                .map(|action| action.id)
                .take(done - REMEMBERED)
                .collect();
            for id in old {
                self.actions.remove(&id);
            }
        }
    }
}

/// Now, in whole milliseconds.
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}
