//! The rules that a change of the world must keep.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::{
    oracle::{Inner, Maker, Run},
    resource::{Fate, Resource, differences},
    wishes::{Choice, step_of},
};
use crate::{
    fake::{Actor, Change, RecordKey, State},
    provider::{ImageId, InstanceId, StaticIpId, label},
};

/// A use that is as old as this when a call begins must have been seen by its caller.
const SEEN: Duration = Duration::from_secs(20);

/// Where addresses and records have pointed, and since when.
#[derive(Debug, Default)]
pub(super) struct Pointing {
    ips: BTreeMap<StaticIpId, (InstanceId, Instant)>,
    records: BTreeMap<RecordKey, (Vec<String>, Instant)>,
}

impl Pointing {
    fn note(&mut self, state: &State, at: Instant) {
        self.ips.retain(|id, (to, _)| state.ips.get(id).is_some_and(|ip| ip.ip.assigned_to.as_ref() == Some(to)));
        for ip in state.ips.values() {
            if let Some(to) = &ip.ip.assigned_to {
                self.ips.entry(ip.ip.id.clone()).or_insert_with(|| (to.clone(), at));
            }
        }
        self.records.retain(|key, (values, _)| state.records.get(key).is_some_and(|set| set.values == *values));
        for (key, set) in &state.records {
            self.records.entry(key.clone()).or_insert_with(|| (set.values.clone(), at));
        }
    }
}

/// The image of an instance that is to serve, where that does not say that it has passed its boot check.
fn unchecked_image(state: &State, id: &InstanceId) -> Option<ImageId> {
    let instance = &state.machines.get(id)?.instance;
    let serves = instance.labels.get(label::ROLE) == Some("instance");
    let image = instance.image.as_ref().filter(|_| serves)?;
    state.images.get(image)?.labels.get(label::CHECKED).is_none().then(|| image.clone())
}

impl Inner {
    pub(super) fn check(&mut self, change: &Change<'_>) {
        let differences = differences(change.before, change.after);
        if let Some(actor) = change.actor {
            let Some(run) = self.runs.get(actor).cloned() else { return };
            if let Some(why) = run.sealed {
                self.violation = Some(format!("{actor} must not change anything ({why})"));
                return;
            }
            self.note_work(actor, &run, change.began, true);
            self.check_captures(actor, change);
            for (resource, fate) in &differences {
                if self.violation.is_none() {
                    self.check_one(actor, &run, change, resource, *fate);
                }
            }
            for (resource, fate) in &differences {
                if let (Resource::Record(key), Fate::Removed) = (resource, fate) {
                    self.record_goes(&run, key);
                }
            }
            if run.verb.is_destroy() {
                self.serving.remove(run.environment());
            }
        }
        if change.operation == "by hand" {
            self.note_lost(change, &differences);
        } else {
            self.check_pointing(change);
            self.check_members(change);
        }
        self.pointing.note(change.after, change.at);
        if self.violation.is_none() {
            self.check_serving();
        }
    }

    /// Only a builder is captured on which the whole recipe ran, and that was sealed after that.
    fn check_captures(&mut self, actor: &Actor, change: &Change<'_>) {
        let new = |name: &&String| !change.before.captures.contains_key(*name);
        for name in change.after.captures.keys().filter(new) {
            let spec = &change.after.captures[name].spec;
            let wanted = spec.labels.get(label::FINGERPRINT).and_then(step_of);
            let ran = self.sealed.get(&spec.instance);
            if wanted.is_none() || ran.map(Vec::as_slice) != wanted.as_ref().map(std::slice::from_ref) {
                self.violation = Some(format!(
                    "{actor} captures {} as an image of {wanted:?}, and before its seal there ran {ran:?}",
                    spec.instance
                ));
            }
        }
    }

    /// Nobody can know a static IP without labels again that a person moves before the journal names it.
    fn note_lost(&mut self, change: &Change<'_>, differences: &[(Resource, Fate)]) {
        for (resource, fate) in differences {
            let Resource::Ip(id) = resource else { continue };
            let labelled = change.after.ips.get(id).is_some_and(|ip| !ip.ip.labels.0.is_empty());
            if *fate == Fate::Changed && !labelled && !self.named.contains(id.as_str()) {
                self.lost.insert(resource.clone());
            }
        }
    }

    fn check_one(&mut self, actor: &Actor, run: &Run, change: &Change<'_>, resource: &Resource, fate: Fate) {
        let mut fail = |why: String| self.violation = Some(why);
        let verb = match fate {
            Fate::Created => {
                let maker = Maker { environment: run.environment(), at: self.changes };
                self.makers.insert(resource.clone(), maker);
                if let Resource::Machine(id) = resource
                    && let Some(image) = unchecked_image(change.after, id).filter(|_| run.wishes.boot_check)
                {
                    return fail(format!("{actor} launches {id} from {image}, which has not passed its boot check"));
                }
                return;
            }
            Fate::Changed => "changes",
            Fate::Destroying | Fate::Removed => "destroys",
        };
        if self.foreign.contains(resource) {
            return fail(format!("{actor} {verb} {resource}, which is somebody else's"));
        }
        if self.given.contains(resource) && fate != Fate::Changed {
            return fail(format!("{actor} {verb} {resource}, which is the user's own"));
        }
        let maker = self.makers.get(resource).copied();
        match resource {
            Resource::Image(id) => {
                if fate == Fate::Removed
                    && let Some(user) = self.user_of(change.before, id, run)
                {
                    self.violation = Some(format!("{actor} destroys {resource}, from which {user} runs"));
                }
                return;
            }
            Resource::Ip(id) => {
                let used = change.before.ips.get(id).and_then(|ip| ip.ip.assigned_to.clone());
                let since = self.pointing.ips.get(id).map(|(_, since)| *since);
                let seen = since.is_some_and(|since| since + SEEN <= change.called);
                if let Some(used) = used.filter(|used| seen && self.foreign.contains(&Resource::Machine(used.clone())))
                {
                    return fail(format!("{actor} {verb} {resource}, which serves {used}, somebody else's"));
                }
            }
            Resource::Machine(id) if fate == Fate::Destroying => {
                if let Some(user) = self.points_at(change, id, run) {
                    self.violation = Some(format!("{actor} destroys {resource}, at which {user} points"));
                    return;
                }
            }
            _ => {}
        }
        if let Some(maker) = maker
            && maker.environment != run.environment()
        {
            self.violation = Some(format!("{actor} {verb} {resource}, which is of {}", maker.environment));
        }
    }

    /// An instance that must keep the image it runs from.
    fn user_of(&self, state: &State, image: &ImageId, run: &Run) -> Option<InstanceId> {
        let mut uses = state.machines.values().filter(|machine| machine.instance.image.as_ref() == Some(image));
        let counts = |id: &InstanceId| {
            let maker = self.makers.get(&Resource::Machine(id.clone()))?;
            let own = maker.environment == run.environment();
            let serving = self.serving.contains_key(maker.environment) && self.is_healthy(state, id);
            (serving && !(own && run.verb.is_destroy())).then(|| id.clone())
        };
        uses.find_map(|machine| counts(&machine.instance.id))
    }

    /// What leads clients to an instance that is healthy, and must not be destroyed for that.
    fn points_at(&self, change: &Change<'_>, id: &InstanceId, run: &Run) -> Option<String> {
        let environment = run.environment();
        let served = self.serving.contains_key(environment);
        if run.verb.is_destroy() || !served || !self.is_healthy(change.before, id) {
            return None;
        }
        let seen = |since: &Instant| *since + SEEN <= change.called;
        let ours = |resource: &Resource| self.makers.get(resource).is_some_and(|m| m.environment == environment);
        for (ip, (to, since)) in &self.pointing.ips {
            let resource = Resource::Ip(ip.clone());
            let existing = matches!(run.wishes.choice, Choice::Existing(_)) && run.wishes.fleet.is_none();
            let chosen = self.given.contains(&resource) && existing;
            let leaving = change.before.ips.get(ip).is_some_and(|ip| ip.moving.is_some());
            if to == id && seen(since) && !leaving && (ours(&resource) || chosen) {
                return Some(resource.to_string());
            }
        }
        if let Some(balancer) = self.sends_to(change, id, environment, SEEN) {
            return Some(balancer.to_string());
        }
        let own = change.before.machines.get(id)?.instance.address.as_ref()?.ip.to_string();
        for (key, (values, since)) in &self.pointing.records {
            let resource = Resource::Record(key.clone());
            if values.contains(&own) && seen(since) && ours(&resource) {
                return Some(resource.to_string());
            }
        }
        None
    }

    /// The address points at nothing that has not passed its gate.
    fn check_pointing(&mut self, change: &Change<'_>) {
        for (id, ip) in &change.after.ips {
            let before = change.before.ips.get(id).and_then(|ip| ip.ip.assigned_to.as_ref());
            let Some(to) = ip.ip.assigned_to.as_ref().filter(|to| before != Some(*to)) else { continue };
            if !self.foreign.contains(&Resource::Ip(id.clone())) && !self.gated.contains(to) {
                self.violation = Some(format!("static IP {id} points at {to}, which has not passed its gate"));
            }
        }
    }
}
