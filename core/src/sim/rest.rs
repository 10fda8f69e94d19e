//! At rest: a healthy process with the true journal brings everything in order, and then there is nothing left to do.

use std::{collections::BTreeSet, sync::atomic::Ordering, time::Duration};

use super::{
    driver::{Broken, Sim},
    oracle::{Ended, Verb},
    resource::{Resource, all},
    wishes::{Choice, ENVIRONMENTS, Wishes},
};
use crate::provider::{InstanceState, label};

impl Sim {
    pub(super) async fn rest(&mut self) -> Result<(), Broken> {
        self.begin("rest");
        self.calm = true;
        self.at_rest.store(true, Ordering::Relaxed);
        self.oracle.line("user", "comes to rest");
        self.settle().await?;
        self.world.calm();
        self.mend();
        // A lock that was written by a clock that was ahead lasts for as long as that was.
        let ahead = self.set_clocks_right();
        self.pass(ahead).await?;
        let pause = self.aftermath();
        self.pass(pause).await?;
        let touched: BTreeSet<_> = self.quiet.keys().copied().collect();
        for environment in ENVIRONMENTS.into_iter().filter(|environment| touched.contains(environment)) {
            self.carry_through(environment, Verb::Deploy { force: false }).await?;
            self.carry_through(environment, Verb::Gc { dry: false }).await?;
            self.pass(Duration::from_secs(30)).await?;
            self.check_rest(environment)?;
            let before = self.oracle.inner().acts;
            let again = self.carry_through(environment, Verb::Deploy { force: false }).await?;
            if !matches!(again, Ended::Done { changes: false }) || self.oracle.inner().acts != before {
                self.oracle.fail(format!("{environment}: the same deploy again finds something to do"));
            }
            self.check()?;
        }
        let last = touched.iter().next_back().copied();
        for environment in touched.iter().copied() {
            let images = Some(environment) == last || self.dice.hits(0.5);
            self.carry_through(environment, Verb::Destroy { images }).await?;
        }
        self.pass(Duration::from_secs(30)).await?;
        let left: Vec<_> = self.ours().iter().map(ToString::to_string).collect();
        if !left.is_empty() {
            self.oracle.fail(format!("after destroy, {} is left", left.join(", ")));
        }
        self.check()
    }

    /// Runs a command until it succeeds: a lock may have to expire, and what was left unfinished may have to fail first.
    async fn carry_through(&mut self, environment: &'static str, verb: Verb) -> Result<Ended, Broken> {
        let (mut failures, mut repairs) = (0, 0);
        for _ in 0..8 {
            let wishes = self.wishes[environment].clone();
            let ended = self.alone(verb, wishes, self.true_journal(), None).await?;
            match &ended {
                Ended::Done { .. } => return Ok(ended),
                Ended::Failed { kind, .. } if kind == "Locked" => {}
                // A process that was killed may have left half an object, also in the other environment: its releases are read, too.
                // While its lock lasts, nothing can be repaired.
                Ended::Failed { kind, .. } if kind == "Journal" && repairs < 4 => {
                    repairs += 1;
                    for damaged in ENVIRONMENTS {
                        let wishes = self.wishes[damaged].clone();
                        self.alone(Verb::Repair, wishes, self.true_journal(), None).await?;
                    }
                }
                Ended::Failed { .. } if failures < 2 => failures += 1,
                _ => break,
            }
            self.pass(Duration::from_secs(30)).await?;
        }
        self.oracle.fail(format!("{environment}: {verb} does not succeed at rest"));
        Err(Broken)
    }

    /// Everything that is neither somebody else's nor the user's.
    fn ours(&self) -> Vec<Resource> {
        let inner = self.oracle.inner();
        let others = |resource: &Resource| {
            inner.foreign.contains(resource) || inner.given.contains(resource) || inner.lost.contains(resource)
        };
        all(&inner.state).into_iter().filter(|resource| !others(resource)).collect()
    }

    /// Nothing of an environment is there but what it wants.
    fn check_rest(&mut self, environment: &'static str) -> Result<(), Broken> {
        let wishes = self.wishes[environment].clone();
        for resource in self.ours() {
            let inner = self.oracle.inner();
            let Some(maker) = inner.makers.get(&resource).filter(|maker| maker.environment == environment) else {
                continue;
            };
            let made = maker.at;
            let unwanted = unwanted(&inner, &wishes, &resource);
            drop(inner);
            if let Some(why) = unwanted {
                self.oracle.fail(format!("{environment} at rest: {resource} is left ({why}, made by change {made})"));
                return Err(Broken);
            }
        }
        let standing = self.standing(environment).len();
        let (least, most) = match wishes.fleet {
            Some(fleet) => (fleet.count as usize, fleet.count as usize),
            None => (1, if wishes.park { 2 } else { 1 }),
        };
        if !(least..=most).contains(&standing) {
            self.oracle.fail(format!("{environment} at rest: {standing} instances stand"));
        }
        self.check()
    }
}

/// Why something is not wanted, where it is not.
fn unwanted(inner: &super::oracle::Inner, wishes: &Wishes, resource: &Resource) -> Option<String> {
    let state = &inner.state;
    match resource {
        Resource::Machine(id) => {
            let machine = state.machines.get(id)?;
            if machine.instance.labels.get(label::ROLE) != Some("instance") {
                return Some("a builder".to_owned());
            }
            (machine.instance.state != InstanceState::Running).then(|| "it does not run".to_owned())
        }
        Resource::Key(_) => Some("nothing is being launched".to_owned()),
        Resource::Image(id) => {
            let image = state.images.get(id)?;
            image.labels.get(label::SERVICE).is_none().then(|| "half made".to_owned())
        }
        Resource::Ip(id) => {
            let ip = state.ips.get(id)?;
            if wishes.choice != Choice::Managed || wishes.fleet.is_some() {
                return Some("no static IP of ours is wanted".to_owned());
            }
            let healthy = ip.ip.assigned_to.as_ref().is_some_and(|to| inner.is_healthy(state, to));
            (!healthy).then(|| "it serves nothing".to_owned())
        }
        Resource::Balancer(id) => inner.unwanted_balancer(id, wishes),
        Resource::Record((_, name, _)) => {
            (wishes.record.as_ref() != Some(name)).then(|| "another record is wanted".to_owned())
        }
    }
}
