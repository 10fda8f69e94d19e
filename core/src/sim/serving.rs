//! Whether clients find something healthy: once a release has served, always.

use tokio::time::Instant;

use super::{
    machines::instance_at,
    oracle::{Ended, Inner, Maker, Run, Verb},
    resource::Resource,
    wishes::{Choice, Wishes},
};
use crate::{
    fake::{Actor, Machine, RecordKey, State},
    provider::{InstanceId, RecordKind},
};

/// What serves an environment, and how clients find it.
#[derive(Debug, Clone)]
pub(super) struct Serving {
    record: Option<RecordKey>,
    choice: Choice,
    /// Whether clients connect to a load balancer.
    balanced: bool,
    /// Whether somebody has changed things by hand, or a machine has failed, since.
    pub(super) excused: bool,
    /// Since when clients find it so.
    since: Instant,
}

impl Serving {
    fn of(wishes: &Wishes) -> Self {
        let record = wishes.record.as_ref().map(|name| ("example.org".to_owned(), name.clone(), RecordKind::A));
        let balanced = wishes.fleet.is_some();
        Self { record, choice: wishes.choice, balanced, excused: false, since: Instant::now() }
    }

    /// The name of the record that clients use.
    pub(super) fn record_name(&self) -> Option<&str> {
        self.record.as_ref().map(|(_, name, _)| name.as_str())
    }

    /// Whether clients look for it in the same way.
    fn is_way_of(&self, other: &Self) -> bool {
        self.record == other.record && self.balanced == other.balanced && (self.balanced || self.choice == other.choice)
    }
}

impl Inner {
    /// Whether a process made it for an environment.
    pub(super) fn made_by(&self, resource: &Resource, environment: &str) -> bool {
        self.makers.get(resource).is_some_and(|Maker { environment: maker, .. }| *maker == environment)
    }

    /// Whether an instance has passed its gate, and answers.
    pub(super) fn is_healthy(&self, state: &State, id: &InstanceId) -> bool {
        self.gated.contains(id) && state.machines.get(id).is_some_and(Machine::answers)
    }

    /// Why clients that look for the service like this find nothing healthy; `None` where they do.
    fn unreachable(&self, state: &State, environment: &str, serving: &Serving) -> Option<String> {
        let healthy = |id: &InstanceId| self.is_healthy(state, id);
        if let Some(key) = &serving.record {
            let Some(record) = state.records.get(key) else { return Some(format!("there is no record {}", key.1)) };
            let leads = |value: &String| {
                let balancer = state.balancer_behind(value);
                let instance = value.parse().ok().and_then(|address| instance_at(state, address));
                match balancer {
                    Some(balancer) => self.passes_on(state, balancer),
                    None => instance.is_some_and(|id| healthy(&id)),
                }
            };
            let ok = !record.values.is_empty() && record.values.iter().all(leads);
            return (!ok).then(|| format!("record {} leads to nothing healthy ({})", key.1, record.values.join(" ")));
        }
        if serving.balanced {
            let mut own =
                state.balancers.iter().filter(|(id, _)| self.made_by(&Resource::Balancer((*id).clone()), environment));
            let found = own.any(|(_, balancer)| self.passes_on(state, balancer));
            return (!found).then(|| "the load balancer leads to nothing healthy".to_owned());
        }
        let found = match serving.choice {
            Choice::None => {
                let ours = |id: &&InstanceId| self.made_by(&Resource::Machine((*id).clone()), environment);
                state.machines.keys().filter(ours).any(healthy)
            }
            Choice::Existing(address) => instance_at(state, address).is_some_and(|id| healthy(&id)),
            Choice::Managed => {
                let ours = state.ips.values().filter(|ip| self.made_by(&Resource::Ip(ip.ip.id.clone()), environment));
                ours.filter_map(|ip| ip.ip.assigned_to.as_ref()).any(healthy)
            }
        };
        (!found).then(|| format!("the address ({:?}) leads to nothing healthy", serving.choice))
    }

    /// A release has come to serve.
    pub(super) fn serves(&mut self, run: &Run) {
        let environment = run.environment();
        let state = std::sync::Arc::clone(&self.state);
        let mut now = Serving::of(&run.wishes);
        let reached = self.unreachable(&state, environment, &now).is_none();
        if !reached && let Some(former) = self.serving.get(environment) {
            // It was finished under another manifest than it was begun under.
            now = Serving { excused: former.excused, ..former.clone() };
        } else {
            now.excused = run.disturbed || !reached;
            // It may have been finished by a run whose manifest says again what the one before said.
            let same = self.serving.get(environment).filter(|former| former.is_way_of(&now));
            now.since = same.map_or(now.since, |former| former.since);
        }
        self.serving.insert(environment, now);
    }

    /// A run removes the record that clients used. Where they find the service as its manifest says, that is how from now on.
    pub(super) fn record_goes(&mut self, run: &Run, key: &RecordKey) {
        let environment = run.environment();
        let Some(former) = self.serving.get(environment).filter(|former| former.record.as_ref() == Some(key)) else {
            return;
        };
        let now = Serving { excused: former.excused, ..Serving::of(&run.wishes) };
        if self.unreachable(&std::sync::Arc::clone(&self.state), environment, &now).is_none() {
            self.serving.insert(environment, now);
        }
    }

    /// Checks that clients find something healthy: as before, or as the commands want it that run, or as one wanted it that was cut
    /// short after it had brought clients there.
    pub(super) fn check_serving(&mut self) {
        let state = std::sync::Arc::clone(&self.state);
        for (environment, serving) in self.serving.clone() {
            if serving.excused {
                continue;
            }
            let Some(reason) = self.unreachable(&state, environment, &serving) else { continue };
            let counts = |run: &&Run| {
                let moves = matches!(run.verb, Verb::Deploy { .. } | Verb::Rollback(_)) && run.began >= serving.since;
                run.environment() == environment && run.sealed.is_none() && (run.life.ended_at().is_none() || moves)
            };
            let reached = |run: &&Run| self.unreachable(&state, environment, &Serving::of(&run.wishes)).is_none();
            match self.runs.values().filter(counts).find(reached) {
                Some(run) if run.life.ended_at().is_none() => {}
                Some(run) => {
                    let now = Serving::of(&run.wishes);
                    self.serving.insert(environment, now);
                }
                None => {
                    self.violation = Some(format!("{environment} does not serve any more: {reason}"));
                    return;
                }
            }
        }
    }

    /// A process has ended: what it says must be so.
    pub(super) fn end(&mut self, actor: &Actor, ended: &Ended) {
        let Some(run) = self.runs.get(actor).cloned() else { return };
        self.counts.add(match ended {
            Ended::Failed { kind, .. } => format!("{}: {kind}", run.verb.name()),
            other => format!("{}: {other}", run.verb.name()),
        });
        if !matches!((run.verb, ended), (Verb::Deploy { .. } | Verb::Rollback(_), Ended::Done { .. })) {
            return self.check_serving();
        }
        let state = std::sync::Arc::clone(&self.state);
        let now = Serving::of(&run.wishes);
        match self.unreachable(&state, run.environment(), &now) {
            None => drop(self.serving.insert(run.environment(), now)),
            Some(_) if run.disturbed || self.was_replaced(actor, &run) => {}
            Some(reason) => self.violation = Some(format!("{actor} says that all is well, and {reason}")),
        }
        self.check_serving();
    }

    /// Whether another process has begun something in the environment meanwhile.
    fn was_replaced(&self, actor: &Actor, run: &Run) -> bool {
        let (environment, holders) = (run.environment(), &self.holders);
        if holders.is_succeeded(environment, actor) || holders.is_taken_over(environment, actor, &run.run) {
            return true;
        }
        let mut others = self.runs.iter().filter(|(other, _)| *other != actor);
        others.any(|(_, other)| other.environment() == run.environment() && other.life.is_alive())
    }
}
