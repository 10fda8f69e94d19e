//! One load balancer: an HAProxy, and what it was last told.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use remint_core::provider::PortMap;
use tokio::time::Instant;

use super::{
    config::{InService, backend, differs, render, spare},
    control::{self, Seen},
    haproxy::Haproxy,
    listening::{exists, listens},
    parts::Parts,
};
use crate::cloud::balancer::{BalancerSnapshot, Listener, MemberHealth, NoneHealthy, PoolSnapshot};

/// The time after which one that could not be brought in step is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// How long the former process may take connections after a new one took over, and how often is looked.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(5);

/// A member of a listener: the part of the configuration, and the instance's number.
type Place = (String, u64);

/// A member that was one.
#[derive(Debug, Clone, Copy)]
struct Leaving {
    /// Until when it gets new connections.
    drains: Instant,
    /// Whether it gets none any more.
    drained: bool,
    /// When its time is over; `None` for never.
    over: Option<Instant>,
    /// Whether its connections are cut then. Where not, it is not shown any more.
    cuts: bool,
    /// The former process that has its connections.
    former: Option<u32>,
}

/// A load balancer.
#[derive(Debug)]
pub(super) struct Balancer {
    folder: PathBuf,
    ports: PortMap,
    /// What it is to be.
    wanted: BalancerSnapshot,
    /// What its process was last told, all but the members.
    told: Option<BalancerSnapshot>,
    haproxy: Option<Haproxy>,
    /// Members that get no checks yet, until when.
    joining: BTreeMap<Place, Instant>,
    /// Members that a first check puts in service when it passes.
    fresh: BTreeSet<Place>,
    /// Members that get no new connections, or soon, until they have none left.
    leaving: BTreeMap<Place, Leaving>,
    /// When it is brought in step again, at the earliest, where it is not.
    next_try: Instant,
    ended: bool,
}

impl Leaving {
    /// Whether its time is over.
    fn is_over(&self, now: Instant) -> bool {
        self.over.is_some_and(|over| over <= now)
    }
}

impl Balancer {
    /// One that does nothing yet.
    pub(super) fn new(folder: PathBuf, ports: PortMap, wanted: BalancerSnapshot) -> Self {
        Self {
            folder,
            ports,
            wanted,
            told: None,
            haproxy: None,
            joining: BTreeMap::new(),
            fresh: BTreeSet::new(),
            leaving: BTreeMap::new(),
            next_try: Instant::now(),
            ended: false,
        }
    }

    /// Makes it as it shall be.
    pub(super) async fn set(&mut self, wanted: BalancerSnapshot) -> Result<(), String> {
        self.wanted = wanted;
        self.bring().await
    }

    /// Starts its process again where that has ended, and does what is due: members begin, and are let go.
    pub(super) async fn look_after(&mut self) {
        if self.ended {
            return;
        }
        if !self.runs() || self.is_behind() {
            if self.next_try > Instant::now() {
                return;
            }
            tracing::warn!(balancer = self.wanted.id, "HAProxy has ended, or is not as it shall be");
            if let Err(error) = self.bring().await {
                tracing::error!(balancer = self.wanted.id, error, "a load balancer does not work");
            }
            self.next_try = Instant::now() + TRY_AGAIN;
        } else if let Err(error) = self.tend().await {
            tracing::warn!(balancer = self.wanted.id, error, "members cannot be let in or go");
        }
    }

    async fn tend(&mut self) -> Result<(), String> {
        let now = Instant::now();
        let drains = |leaving: &Leaving| !leaving.drained && leaving.drains <= now;
        if self.joining.values().any(|at| *at <= now) || self.leaving.values().any(drains) {
            self.bring_members().await?;
        }
        if !self.fresh.is_empty() {
            self.let_in().await?;
        }
        if self.leaving.is_empty() { Ok(()) } else { self.let_go().await }
    }

    /// What it makes of each member: healthy is what gets connections on every listener.
    pub(super) async fn health(&self) -> BTreeMap<u64, MemberHealth> {
        let mut health = BTreeMap::new();
        for (member, here) in self.listener_health().await.into_values().flatten() {
            let all = health.entry(member).or_insert(here);
            if here != MemberHealth::Healthy && *all != MemberHealth::Unhealthy {
                *all = here;
            }
        }
        health
    }

    /// What each listener makes of its members, by its port.
    pub(super) async fn listener_health(&self) -> BTreeMap<u16, BTreeMap<u64, MemberHealth>> {
        let Ok(seen) = control::seen(&self.folder).await else { return BTreeMap::new() };
        let (mut all, now) = (BTreeMap::new(), Instant::now());
        for listener in &self.wanted.listeners {
            let (name, pool) = (backend(listener.port), self.wanted.of(listener));
            let mut health = BTreeMap::new();
            for one in seen.iter().filter(|one| one.backend == name && pool.members.contains_key(&one.member)) {
                health.insert(one.member, one.health);
            }
            for (_, id) in self.joining.keys().filter(|(joined, _)| *joined == name) {
                health.insert(*id, MemberHealth::Unchecked);
            }
            let shown = |leaving: &Leaving| leaving.over.is_some() && (leaving.cuts || !leaving.is_over(now));
            for ((_, id), _) in self.leaving.iter().filter(|((left, _), leaving)| *left == name && shown(leaving)) {
                health.entry(*id).or_insert(MemberHealth::Draining);
            }
            all.insert(listener.port, health);
        }
        all
    }

    /// Ends it, with all its connections.
    pub(super) async fn end(&mut self) {
        self.ended = true;
        if let Some(haproxy) = self.haproxy.take() {
            haproxy.end().await;
        }
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            tracing::warn!(balancer = self.wanted.id, %error, "the folder of a load balancer cannot be removed");
        }
    }

    fn runs(&mut self) -> bool {
        self.haproxy.as_mut().is_some_and(Haproxy::runs)
    }

    /// Whether its process still has to take over new settings, other than the members.
    fn is_behind(&self) -> bool {
        self.told.as_ref().is_none_or(|told| differs(told, &self.wanted))
    }

    async fn bring(&mut self) -> Result<(), String> {
        if !self.runs() {
            self.joining.clear();
            self.fresh.clear();
            self.leaving.clear();
            self.told = None;
            let text = render(&self.without_joining(&[]), &BTreeSet::new(), self.ports);
            self.haproxy = Some(Haproxy::start(&self.folder, &text).await?);
        } else if self.is_behind() {
            self.reload().await?;
        }
        self.told = Some(self.wanted.clone());
        self.bring_members().await
    }

    /// Lets its process take over new settings. Members that leave go on in the former process, for as long as they have
    /// connections.
    async fn reload(&mut self) -> Result<(), String> {
        let Some(haproxy) = &self.haproxy else { return Ok(()) };
        let staying = self.places();
        let seen = control::seen(&self.folder).await?;
        let in_service = self.in_service(&seen);
        // The former process may have a request more on a connection that its client keeps.
        for one in seen.iter().filter(|one| !staying.contains(&(one.backend.clone(), one.member))) {
            self.parts(&one.backend).drain(&self.folder, one.member).await?;
        }
        let text = render(&self.without_joining(&seen), &in_service, self.ports);
        let former = haproxy.reload(&self.folder, &text).await?;
        self.has_stopped(former).await?;
        let now = Instant::now();
        self.leaving.retain(|place, _| !staying.contains(place));
        for one in seen {
            let place = (one.backend, one.member);
            if !staying.contains(&place) {
                let leaving = self.leaving.get(&place).copied().unwrap_or_else(|| self.leaves(&place.0, now));
                let former = leaving.former.or(Some(former));
                self.leaving.insert(place, Leaving { drained: true, former, ..leaving });
            }
        }
        Ok(())
    }

    /// Waits until a former process takes no connections any more.
    async fn has_stopped(&self, former: u32) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        while listens(former, self.wanted.address) {
            if Instant::now() > deadline {
                return Err("HAProxy's former process still takes connections".to_owned());
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// All that are to be members.
    fn places(&self) -> BTreeSet<Place> {
        let of = |listener: &Listener| {
            let name = backend(listener.port);
            self.wanted.of(listener).members.into_keys().map(move |id| (name.clone(), id))
        };
        self.wanted.listeners.iter().flat_map(of).collect()
    }

    /// Members that are healthy wherever they are members: a new listener has them at once.
    fn in_service(&self, seen: &[Seen]) -> InService {
        let mut all = BTreeSet::new();
        for listener in &self.wanted.listeners {
            let same = self.wanted.listeners.iter().filter(|other| other.pool == listener.pool);
            let names: BTreeSet<String> = same.map(|other| backend(other.port)).collect();
            for id in self.wanted.of(listener).members.into_keys() {
                let mut healths = seen.iter().filter(|one| one.member == id && names.contains(&one.backend)).peekable();
                if healths.peek().is_some() && healths.all(|one| one.health == MemberHealth::Healthy) {
                    all.insert((listener.port, id));
                }
            }
        }
        all
    }

    /// What it is to be, without the members that get no checks yet.
    fn without_joining(&self, seen: &[Seen]) -> BalancerSnapshot {
        let mut rendered = self.wanted.clone();
        if !self.wanted.join.is_zero() {
            let joins = |id: u64| self.joining.keys().any(|(_, joining)| *joining == id);
            let here = |id: u64| seen.iter().any(|one| one.member == id);
            let begun = |id: u64, known: &BTreeSet<u64>| here(id) || known.contains(&id) && !joins(id);
            rendered.members.retain(|id, _| begun(*id, &self.wanted.known));
            for pool in rendered.pools.values_mut() {
                let known = &pool.known;
                pool.members.retain(|id, _| begun(*id, known));
            }
        }
        rendered
    }

    /// The parts of the configuration that have a listener's members.
    fn parts(&self, backend: &str) -> Parts {
        let spread = self.told.as_ref().is_some_and(|told| told.none_healthy == NoneHealthy::Spread);
        Parts { spare: spread.then(|| spare(backend)), backend: backend.to_owned() }
    }

    /// How a member leaves from now on.
    fn leaves(&self, name: &str, now: Instant) -> Leaving {
        let mut listeners = self.wanted.listeners.iter().filter(|listener| backend(listener.port) == name);
        let pool = listeners.next().map(|listener| self.wanted.of(listener));
        let drain = pool.as_ref().map_or(self.wanted.drain, |pool| pool.drain);
        let over = drain.map(|drain| now + drain.max(self.wanted.leave));
        let cuts = pool.is_none_or(|pool| pool.cuts);
        Leaving { drains: now + self.wanted.leave, drained: false, over, cuts, former: None }
    }

    /// Adds members that are missing, lets those begin that wait, and drains those that are not wanted.
    async fn bring_members(&mut self) -> Result<(), String> {
        let seen = control::seen(&self.folder).await?;
        let seen: BTreeMap<Place, Seen> =
            seen.into_iter().map(|one| ((one.backend.clone(), one.member), one)).collect();
        let (now, wanted) = (Instant::now(), self.places());
        self.joining.retain(|place, _| wanted.contains(place));
        self.fresh.retain(|place| wanted.contains(place));
        for listener in self.wanted.listeners.clone() {
            let (name, pool) = (backend(listener.port), self.wanted.of(&listener));
            let parts = self.parts(&name);
            for (id, address) in &pool.members {
                let place = (name.clone(), *id);
                match seen.get(&place) {
                    None if self.waits(&place, &pool, now) => {}
                    None => {
                        parts.add(&self.folder, *id, *address, &listener, &pool.check, self.ports).await?;
                        self.joining.remove(&place);
                        self.leaving.remove(&place);
                        if self.wanted.first_pass {
                            self.fresh.insert(place);
                        }
                    }
                    Some(one) if one.waits => {
                        self.leaving.remove(&place);
                        control::begin(&self.folder, &name, *id).await?;
                        if self.wanted.first_pass {
                            self.fresh.insert(place);
                        }
                    }
                    Some(_) => {
                        if self.leaving.remove(&place).is_some_and(|leaving| leaving.drained) {
                            parts.again(&self.folder, *id).await?;
                        }
                    }
                }
            }
        }
        for place in seen.into_keys().filter(|place| !wanted.contains(place)) {
            let mut leaving = self.leaving.get(&place).copied().unwrap_or_else(|| self.leaves(&place.0, now));
            if !leaving.drained && leaving.drains <= now {
                self.parts(&place.0).drain(&self.folder, place.1).await?;
                leaving.drained = true;
            }
            self.leaving.insert(place, leaving);
        }
        Ok(())
    }

    /// Whether a new member gets no checks yet.
    fn waits(&mut self, place: &Place, pool: &PoolSnapshot, now: Instant) -> bool {
        let wait = if pool.known.contains(&place.1) { Duration::ZERO } else { self.wanted.join };
        *self.joining.entry(place.clone()).or_insert(now + wait) > now
    }

    /// Puts new members in service whose first check passed.
    async fn let_in(&mut self) -> Result<(), String> {
        for one in control::seen(&self.folder).await? {
            let place = (one.backend, one.member);
            if !one.passed || !self.fresh.contains(&place) {
                continue;
            }
            if one.health != MemberHealth::Healthy {
                control::rise(&self.folder, &place.0, place.1).await?;
            }
            self.fresh.remove(&place);
        }
        Ok(())
    }

    /// Removes members that have no connections left, and cuts those of members that had their time.
    async fn let_go(&mut self) -> Result<(), String> {
        let now = Instant::now();
        // What a former process still does shows it by being there.
        let over = |leaving: &Leaving| leaving.former.is_some_and(|former| leaving.is_over(now) || !exists(former));
        self.leaving.retain(|_, leaving| !over(leaving));
        for one in control::seen(&self.folder).await? {
            let place = (one.backend, one.member);
            let Some(leaving) = self.leaving.get(&place).filter(|leaving| leaving.drained) else { continue };
            if one.connections == 0 {
                self.parts(&place.0).remove(&self.folder, place.1).await?;
                self.leaving.remove(&place);
            } else if leaving.cuts && leaving.is_over(now) {
                self.parts(&place.0).cut(&self.folder, place.1).await?;
            }
        }
        Ok(())
    }
}
