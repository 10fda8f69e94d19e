//! What people do to the account by hand.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::time::sleep;

use super::{
    coverage::Trouble,
    driver::Sim,
    resource::{Resource, all},
    wishes::{ENVIRONMENTS, records},
};
use crate::{
    fake::State,
    provider::{ImageId, ImageState, InstanceId, Labels, RecordKind, StaticIpId, label},
};

impl Sim {
    /// Puts things there that are somebody else's, and look like ours, and a static IP that the user has.
    pub(super) fn furnish(&mut self) {
        let other = Labels::new()
            .with(label::SERVICE, "app2")
            .with(label::ENV, ENVIRONMENTS[0])
            .with(label::ROLE, "instance")
            .with(label::RELEASE, "1");
        let image = Labels::new().with(label::SERVICE, "app").with(label::FINGERPRINT, "900good");
        let (with_ip, with_record) = (self.dice.hits(0.5), self.dice.hits(0.4));
        // Look-alikes are few, so that in most worlds something else goes wrong first.
        let (with_image, with_keys) = (self.dice.hits(0.2), self.dice.hits(0.2));
        let foreign = self.world.by_hand("somebody else's things", |state| {
            let before = all(state);
            let instance = state.add_instance("app-production-2", other);
            if with_ip {
                state.add_static_ip(Some(instance.id));
            }
            if with_image {
                state.add_image(image);
            }
            if with_record {
                state.add_record(records(ENVIRONMENTS[0])[2], "192.0.2.1");
                state.add_record(records(ENVIRONMENTS[1])[2], "192.0.2.2");
            }
            if with_keys {
                state.add_key("remint-app-production-r1-f00d");
                state.add_key("remint-app-staging-bake-f00d");
            }
            all(state).into_iter().filter(|resource| !before.contains(resource)).collect::<Vec<_>>()
        });
        self.oracle.inner().foreign.extend(foreign);
        for environment in ENVIRONMENTS {
            let given = self.world.by_hand("the user's static IP", |state| state.add_static_ip(None));
            self.oracle.inner().given.insert(Resource::Ip(given.id.clone()));
            self.given.insert(environment, given.address.ip);
        }
    }

    /// Somebody changes something, or a machine fails.
    pub(super) fn by_hand(&mut self) {
        let environment = self.environment();
        self.meddle(environment);
    }

    pub(super) fn meddle(&mut self, environment: &'static str) {
        // What is over by now is no choice any more.
        self.world.state();
        let mut machines = if self.dice.hits(0.8) { self.standing(environment) } else { self.machines(environment) };
        let foreign = self.foreign_machine();
        let Some(ours) = self.choose(&machines) else { return };
        machines.push(foreign.clone());
        let target = self.choose(&machines).unwrap_or(foreign);
        let ip = self.own_ip(environment);
        if self.fleets.is_some() && self.meddle_with_balancer(environment) {
            return;
        }
        let what = self.dice.below(9);
        self.oracle.disturb(environment);
        let trouble = match (what, ip) {
            (0, _) => {
                self.world.by_hand(&format!("{ours} vanishes"), |state| state.vanish(&ours));
                Trouble::Vanished
            }
            (1 | 2, _) => {
                let unwell = what == 1;
                let line = format!("{ours} {}", if unwell { "falls ill" } else { "is well" });
                self.world.by_hand(&line, |state| set_unwell(state, &ours, unwell));
                Trouble::Health
            }
            (7, _) => return self.flap(environment, ours),
            (8, _) => {
                let Some(image) = self.an_image() else { return };
                self.world.by_hand(&format!("{image} is deleted"), |state| state.images.remove(&image));
                Trouble::ImageGone
            }
            (3, Some(ip)) => {
                self.world.by_hand(&format!("{ip} is taken away"), |state| point(state, &ip, None));
                Trouble::Taken
            }
            (_, Some(ip)) => {
                let what = format!("{ip} is moved to {target}");
                self.world.by_hand(&what, |state| point(state, &ip, Some(&target)));
                Trouble::Moved
            }
            _ => return,
        };
        self.oracle.meet_all(environment, trouble);
    }

    /// An instance answers, and does not, and does.
    fn flap(&mut self, environment: &'static str, id: InstanceId) {
        let turns: Vec<_> = (0..2 + self.dice.below(5)).map(|_| self.dice.up_to(Duration::from_secs(15))).collect();
        let (world, oracle, over) = (Arc::clone(&self.world), Arc::clone(&self.oracle), Arc::clone(&self.at_rest));
        tokio::spawn(async move {
            let mut unwell = false;
            for turn in turns {
                unwell = !unwell && !over.load(Ordering::Relaxed);
                oracle.disturb(environment);
                oracle.meet_all(environment, Trouble::Flapping);
                world.by_hand(&format!("{id} flaps"), |state| set_unwell(state, &id, unwell));
                sleep(turn).await;
            }
            world.by_hand(&format!("{id} is steady"), |state| set_unwell(state, &id, false));
        });
    }

    /// An image that Remint has made.
    fn an_image(&mut self) -> Option<ImageId> {
        let images: Vec<ImageId> = {
            let inner = self.oracle.inner();
            let ours = |id: &&ImageId| inner.makers.contains_key(&Resource::Image((*id).clone()));
            let whole = inner.state.images.values().filter(|image| image.state == ImageState::Available);
            whole.map(|image| &image.id).filter(ours).cloned().collect()
        };
        (!images.is_empty()).then(|| self.dice.pick(&images).clone())
    }

    /// All instances of an environment, those of bakes included.
    fn machines(&self, environment: &str) -> Vec<InstanceId> {
        let inner = self.oracle.inner();
        let made = |id: &&InstanceId| inner.made_by(&Resource::Machine((*id).clone()), environment);
        inner.state.machines.keys().filter(made).cloned().collect()
    }

    fn choose(&mut self, machines: &[InstanceId]) -> Option<InstanceId> {
        (!machines.is_empty()).then(|| self.dice.pick(machines).clone())
    }

    pub(super) fn foreign_machine(&self) -> InstanceId {
        let inner = self.oracle.inner();
        let machine = inner.foreign.iter().find_map(|resource| match resource {
            Resource::Machine(id) => Some(id.clone()),
            _ => None,
        });
        machine.unwrap_or_else(|| InstanceId::new("none"))
    }

    fn own_ip(&self, environment: &str) -> Option<StaticIpId> {
        let inner = self.oracle.inner();
        let ours = |id: &&StaticIpId| inner.made_by(&Resource::Ip((*id).clone()), environment);
        inner.state.ips.keys().find(ours).cloned()
    }

    /// Takes back what nobody could expect a deploy to get over: addresses at somebody else's instances, sick machines.
    pub(super) fn mend(&mut self) {
        for environment in ENVIRONMENTS {
            self.oracle.disturb(environment);
            if let Some(wishes) = self.wishes.get_mut(environment) {
                wishes.heal();
                let taken = ("example.org".to_owned(), records(environment)[2].to_owned(), RecordKind::A);
                let inner = self.oracle.inner();
                if inner.foreign.contains(&Resource::Record(taken))
                    && wishes.record.as_deref() == Some(records(environment)[2])
                {
                    wishes.record = Some(records(environment)[0].to_owned());
                }
            }
        }
        let foreign = self.foreign_machine();
        let own: Vec<StaticIpId> = {
            let inner = self.oracle.inner();
            let theirs = |id: &&StaticIpId| inner.foreign.contains(&Resource::Ip((*id).clone()));
            inner.state.ips.keys().filter(|id| !theirs(id)).cloned().collect()
        };
        self.world.by_hand("all is mended", |state| {
            for id in own {
                if state.ips.get(&id).is_some_and(|ip| ip.ip.assigned_to.as_ref() == Some(&foreign)) {
                    point(state, &id, None);
                }
            }
            for machine in state.machines.values_mut() {
                machine.unwell = false;
            }
        });
    }

    /// As long as it takes until whatever was asked for has happened.
    pub(super) fn aftermath(&mut self) -> Duration {
        self.dice.up_to(Duration::from_secs(20))
    }
}

fn set_unwell(state: &mut State, id: &InstanceId, unwell: bool) {
    if let Some(machine) = state.machines.get_mut(id) {
        machine.unwell = unwell;
    }
}

/// Points a static IP somewhere, unless that has one already.
fn point(state: &mut State, id: &StaticIpId, to: Option<&InstanceId>) {
    let taken = |to: &InstanceId| {
        state.ips.values().any(|ip| {
            ip.ip.id != *id
                && (ip.ip.assigned_to.as_ref() == Some(to) || ip.moving.as_ref().is_some_and(|moving| moving.to == *to))
        })
    };
    if to.is_some_and(taken) {
        return;
    }
    if let Some(ip) = state.ips.get_mut(id) {
        ip.moving = None;
        ip.ip.busy = false;
        ip.ip.assigned_to = to.cloned();
    }
}
