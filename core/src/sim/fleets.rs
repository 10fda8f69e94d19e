//! Several instances behind a load balancer: in the worlds of some seeds.
//!
//! Whether a world has fleets, and how its load balancers behave, is drawn from dice of its own, so that the other worlds stay as
//! they are.

use std::{fmt::Write as _, time::Duration};

use super::{
    coverage::Trouble,
    driver::Sim,
    oracle::Inner,
    resource::{Resource, all},
};
use crate::{
    fake::{Actor, Balancer, Balancing, Change, Dice, Pace, State},
    manifest::Strategy,
    provider::{InstanceId, LoadBalancerId},
};

/// In how many worlds of a hundred there are fleets.
const WORLDS: u64 = 25;

/// How many instances a manifest asks for at most.
const MOST: usize = 4;

/// The port on which clients connect.
const PORT: u16 = 80;

/// What the manifest says of several instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fleet {
    pub(super) count: u32,
    strategy: Strategy,
    batch: u32,
    surge: u32,
    unavailable: u32,
    /// Whether the load balancer listens on another port, too.
    second_port: bool,
}

impl Fleet {
    fn new(dice: &mut Dice) -> Self {
        let count = if dice.hits(0.1) { 1 } else { 2 + dice.below(3) as u32 };
        let fleet = Self { count, strategy: Strategy::All, batch: 1, surge: 1, unavailable: 0, second_port: false };
        fleet.with_strategy(dice)
    }

    fn with_strategy(self, dice: &mut Dice) -> Self {
        let strategy = match dice.below(3) {
            0 => Strategy::All,
            1 if self.count > 1 => Strategy::Canary,
            _ => Strategy::Rolling,
        };
        let unavailable = (dice.below(2) as u32).min(self.count - 1);
        let batch = 1 + dice.below(2) as u32;
        let least = if unavailable > 0 && strategy == Strategy::Rolling { 0 } else { 1 };
        Self { strategy, batch, surge: least + dice.below(2) as u32, unavailable, ..self }
    }

    /// Something changes that a deploy can follow. `None`: one instance with a static IP is wanted.
    pub(super) fn edit(now: Option<Self>, dice: &mut Dice) -> Option<Self> {
        let Some(fleet) = now else { return Some(Self::new(dice)) };
        match dice.below(8) {
            0 => None,
            1..=3 => {
                let count = 1 + dice.below(MOST as u64) as u32;
                Some(Self { count, ..fleet }.with_strategy(dice))
            }
            4 | 5 => Some(fleet.with_strategy(dice)),
            _ => Some(Self { second_port: !fleet.second_port, ..fleet }),
        }
    }

    /// The tables of the manifest but `[deploy]`.
    pub(super) fn tables(&self) -> String {
        let second = if self.second_port { ", { port = 443 }" } else { "" };
        format!(
            "[instance]\ncount = {}\n[load_balancer]\nlisteners = [{{ port = {PORT} }}{second}]\n\
             check = {{ port = {PORT}, interval = \"5s\", timeout = \"4s\" }}\n",
            self.count
        )
    }

    /// The lines of `[deploy]`.
    pub(super) fn deploy(&self) -> String {
        let Self { strategy, batch, surge, unavailable, .. } = self;
        let mut text = format!("strategy = \"{}\"\n", strategy.as_str());
        if *strategy != Strategy::All {
            let _ = write!(text, "batch = {batch}\nmax_surge = {surge}\nmax_unavailable = {unavailable}\n");
        }
        text
    }
}

/// The dice of what is drawn for fleets alone.
pub(super) fn dice(seed: u64) -> Option<Dice> {
    let mut dice = Dice::at(seed, [b"fleets".as_slice()]);
    (dice.below(100) < WORLDS).then_some(dice)
}

/// How load balancers behave.
pub(super) fn habits(dice: &mut Dice, pace: Pace) -> (Pace, Balancing) {
    let seconds = Duration::from_secs;
    let balance = dice.between(seconds(20), seconds(200));
    let balancing = Balancing {
        hidden_drain: dice.hits(0.3).then(|| seconds(10)),
        fails_open: dice.hits(0.3),
        unknown_for: if dice.hits(0.3) { seconds(20) } else { Duration::ZERO },
        // No die is thrown for it, so that each seed is the world that it was.
        named: balance.as_millis().is_multiple_of(4),
        ..Balancing::default()
    };
    (Pace { balance, ..pace }, balancing)
}

impl Sim {
    /// Wants fleets from the start, and puts somebody else's load balancer there.
    pub(super) fn furnish_fleets(&mut self) {
        let Some(dice) = &mut self.fleets else { return };
        for wishes in self.wishes.values_mut() {
            wishes.fleet = dice.hits(0.7).then(|| Fleet::new(dice));
        }
        // Of no environment that `adopt` could take for its own.
        self.foreign_balancer("remint-fedcba9876543210");
    }

    /// Somebody creates a load balancer whose name looks like one of ours.
    fn foreign_balancer(&self, name: &str) {
        let foreign = self.foreign_machine();
        let made = self.world.by_hand("somebody else's load balancer", |state| {
            let before = all(state);
            let balancer = state.add_balancer(name);
            if state.machines.contains_key(&foreign) {
                state.add_member(&balancer.id, &foreign);
            }
            all(state).into_iter().filter(|resource| !before.contains(resource)).collect::<Vec<_>>()
        });
        self.oracle.inner().foreign.extend(made);
    }

    /// Somebody does something to the load balancer of an environment, if there is one. Says whether.
    pub(super) fn meddle_with_balancer(&mut self, environment: &'static str) -> bool {
        let own = {
            let inner = self.oracle.inner();
            let own =
                inner.state.balancers.keys().find(|id| inner.made_by(&Resource::Balancer((*id).clone()), environment));
            own.cloned()
        };
        let Some(id) = own.filter(|_| self.dice.hits(0.6)) else { return false };
        let members: Vec<InstanceId> = self.world.state().balancers[&id].members.keys().cloned().collect();
        let foreign = self.foreign_machine();
        self.oracle.disturb(environment);
        let trouble = match self.dice.below(6) {
            0 => {
                self.world.by_hand(&format!("{foreign} is attached to {id}"), |state| state.add_member(&id, &foreign));
                Trouble::Moved
            }
            1 | 2 if !members.is_empty() => {
                let member = self.dice.pick(&members).clone();
                self.world.by_hand(&format!("{member} is detached from {id}"), |state| state.take_member(&id, &member));
                Trouble::Taken
            }
            3 => {
                let unhealthy = 2 + self.dice.below(8) as u32;
                self.world.by_hand(&format!("{id} is set up otherwise"), |state| {
                    state.change_balancer(&id, |settings| settings.check.unhealthy = unhealthy);
                });
                Trouble::Moved
            }
            4 => {
                self.world.by_hand(&format!("{id} is deleted"), |state| state.delete_balancer(&id));
                Trouble::Taken
            }
            _ => {
                let digits = self.dice.next();
                self.foreign_balancer(&format!("remint-{digits:016x}"));
                Trouble::Moved
            }
        };
        self.oracle.meet_all(environment, trouble);
        true
    }
}

impl Inner {
    /// Whether clients of a load balancer find an instance that has passed its gate, and answers.
    pub(super) fn passes_on(&self, state: &State, balancer: &Balancer) -> bool {
        balancer.receivers(PORT, false).into_iter().any(|id| self.is_healthy(state, id))
    }

    /// The load balancer that sends clients to an instance, and has done so when the change was asked for.
    pub(super) fn sends_to(
        &self,
        change: &Change<'_>,
        id: &InstanceId,
        environment: &str,
        seen: Duration,
    ) -> Option<Resource> {
        let sends = |balancer: &Balancer| {
            let member = balancer.members.get(id).filter(|member| member.attached_at + seen <= change.called);
            member.is_some() && balancer.receivers(PORT, false).contains(&id)
        };
        let all = change.before.balancers.iter().filter(|(_, balancer)| sends(balancer));
        let resource = |id: &LoadBalancerId| Resource::Balancer(id.clone());
        let mut all = all.map(|(id, _)| resource(id));
        all.find(|resource| self.made_by(resource, environment))
    }

    /// Nothing becomes a member of a load balancer of ours that has not passed its gate, and somebody else's members stay.
    pub(super) fn check_members(&mut self, change: &Change<'_>) {
        for (id, balancer) in &change.after.balancers {
            if self.foreign.contains(&Resource::Balancer(id.clone())) {
                continue;
            }
            let members = |state: &State| -> Vec<InstanceId> {
                let Some(balancer) = state.balancers.get(id) else { return Vec::new() };
                let all = balancer.members.iter().filter(|(_, member)| !member.is_draining());
                all.map(|(id, _)| id.clone()).collect()
            };
            let (before, after) = (members(change.before), members(change.after));
            let who = change.actor.map_or("", |actor: &Actor| actor.0.as_str());
            if let Some(new) = after.iter().find(|id| !before.contains(id) && !self.gated.contains(*id)) {
                self.violation = Some(format!(
                    "{who} attaches {new} to load balancer {}, which has not passed its gate",
                    balancer.balancer.id
                ));
            }
            let theirs = |id: &&InstanceId| self.foreign.contains(&Resource::Machine((*id).clone()));
            if let Some(gone) = before.iter().filter(theirs).find(|gone| !after.contains(gone)) {
                self.violation =
                    Some(format!("{who} takes {gone}, somebody else's, from load balancer {}", balancer.balancer.id));
            }
        }
    }

    /// Why a load balancer of an environment is not as its manifest wants it, in the end.
    pub(super) fn unwanted_balancer(&self, id: &LoadBalancerId, wishes: &super::wishes::Wishes) -> Option<String> {
        let balancer = self.state.balancers.get(id)?;
        let Some(wanted) = wishes.load().manifest.load_balancer_settings() else {
            return Some("no load balancer is wanted".to_owned());
        };
        if !balancer.balancer.settings.is_as(&wanted) {
            return Some("it is set up otherwise".to_owned());
        }
        let own = |id: &&&InstanceId| self.made_by(&Resource::Machine((**id).clone()), wishes.environment);
        let serving = balancer.receivers(PORT, false).iter().filter(own).count();
        let wanted = wishes.fleet.map_or(0, |fleet| fleet.count as usize);
        (serving != wanted).then(|| format!("{serving} of {wanted} instances are in service"))
    }
}
