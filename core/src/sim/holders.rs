//! Who works on an environment: one process at a time.
//!
//! A process works by sending a mutation or writing to a release's journal. Where another one begins to work, it has taken the
//! lock over; that is right only where the former has ended, or its lease had run out and it could not be seen to live. From
//! then on, the former sends at most the one request that had passed its check.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    oracle::{Inner, Run},
    resource::Resource,
};
use crate::{clock, fake::Actor, journal::Entry};

#[derive(Debug, Clone)]
struct Work {
    first: Instant,
    /// When it was first succeeded by somebody else.
    succeeded: Option<Instant>,
    /// Mutations begun after that.
    late: u32,
}

#[derive(Debug, Default)]
pub(super) struct Holders {
    work: BTreeMap<&'static str, BTreeMap<Actor, Work>>,
    /// Until when the lock of a run lasts, as it wrote last.
    leases: BTreeMap<Uuid, Timestamp>,
    /// When the runs first wrote a lock.
    taken: BTreeMap<Uuid, Instant>,
    /// The runs that gave their lock back; they may live on.
    given_back: BTreeSet<Uuid>,
    /// The runs whose lock another one has taken lawfully.
    overtaken: BTreeSet<Uuid>,
}

impl Holders {
    /// Whether another run has begun to work since this one has.
    pub(super) fn is_succeeded(&self, environment: &str, actor: &Actor) -> bool {
        let work = self.work.get(environment).and_then(|work| work.get(actor));
        work.is_some_and(|work| work.succeeded.is_some())
    }

    /// Whether another run has begun to work since this one took its lock, where this one has done no work that would have
    /// asked for it: it was suspended after its look.
    pub(super) fn is_taken_over(&self, environment: &str, actor: &Actor, run: &Uuid) -> bool {
        let (Some(taken), Some(work)) = (self.taken.get(run), self.work.get(environment)) else { return false };
        !work.contains_key(actor) && work.values().any(|other| other.first > *taken)
    }

    fn lease(&mut self, sent: Instant, body: &[u8]) {
        #[derive(serde::Deserialize)]
        struct Lock {
            holder: Holder,
            expires: Timestamp,
            #[serde(default)]
            released: bool,
        }
        #[derive(serde::Deserialize)]
        struct Holder {
            run: Uuid,
        }
        if let Ok(lock) = serde_json::from_slice::<Lock>(body) {
            self.taken.entry(lock.holder.run).or_insert(sent);
            self.leases.insert(lock.holder.run, lock.expires);
            if lock.released {
                self.given_back.insert(lock.holder.run);
            }
        }
    }
}

impl Inner {
    /// A write to the store of the true journal.
    pub(super) fn note_write(&mut self, actor: &Actor, sent: Instant, path: &str, body: &[u8]) {
        self.note_reader(actor, path);
        self.note_stage(actor, path, body);
        let Some(run) = self.runs.get(actor).filter(|run| run.sealed.is_none()).cloned() else { return };
        if path.contains("/lock/") {
            let takes = !self.holders.taken.contains_key(&run.run);
            self.holders.lease(sent, body);
            if takes && self.unlawfully_succeeded(actor, &run, sent).is_none() {
                self.note_take(actor, &run);
            }
        }
        if path.ends_with("/resources.json") {
            self.note_names(run.environment(), body);
        }
        let Some((_, release)) = path.split_once("/releases/") else { return };
        if let Some(number) = release.split('/').next().and_then(|number| number.parse::<u64>().ok()) {
            let highest = self.releases.entry(run.environment()).or_default();
            *highest = number.max(*highest);
        }
        self.note_work(actor, &run, sent, false);
        let entry = serde_json::from_slice::<serde_json::Value>(body).unwrap_or_default();
        if entry["entry"] == "phase" && entry["phase"] == "retiring" {
            self.serves(&run);
        }
        if entry["entry"] == "phase" && entry["phase"] == "destroyed" && run.verb.is_destroy() {
            // It is destroyed on request from here on, whatever becomes of the process that was asked to.
            self.serving.remove(run.environment());
        }
    }

    /// The processes that worked on the environment before have lost the lock, even if this one does nothing with it.
    fn note_take(&mut self, actor: &Actor, run: &Run) {
        let others = self.holders.work.get(run.environment()).into_iter().flat_map(BTreeMap::keys);
        let others = others.filter(|other| *other != actor).filter_map(|other| self.runs.get(other));
        self.holders.overtaken.extend(others.map(|other| other.run));
    }

    /// What a process does from now on.
    fn note_stage(&mut self, actor: &Actor, path: &str, body: &[u8]) {
        let Some(run) = self.runs.get_mut(actor) else { return };
        if path.contains("/lock/") {
            run.stage = if run.stage == "start" { "locked" } else { run.stage };
        } else if path.contains("/captures/") {
            run.stage = "capturing";
        } else if path.contains("/journal/")
            && let Ok(Entry::Phase { phase }) = serde_json::from_slice(body)
        {
            run.stage = phase.as_str();
        }
    }

    /// The static IPs that are in the journal from now on. One that is dropped while somebody else's instance uses it is theirs.
    fn note_names(&mut self, environment: &str, body: &[u8]) {
        let text = serde_json::from_slice::<serde_json::Value>(body).unwrap_or_default();
        let owned = text["owned"].as_array().map(Vec::as_slice).unwrap_or_default();
        let owned: BTreeSet<String> = owned.iter().filter_map(|one| one["id"].as_str().map(str::to_owned)).collect();
        for (id, ip) in &self.state.ips {
            let resource = Resource::Ip(id.clone());
            let dropped = self.named.contains(id.as_str()) && !owned.contains(id.as_str());
            let user = ip.ip.assigned_to.clone().map(Resource::Machine);
            if dropped && self.made_by(&resource, environment) && user.is_some_and(|user| self.foreign.contains(&user))
            {
                self.lost.insert(resource);
            }
        }
        self.named.extend(owned);
    }

    /// A process works on its environment.
    pub(super) fn note_work(&mut self, actor: &Actor, run: &Run, began: Instant, mutation: bool) {
        let environment = run.environment();
        let known = self.holders.work.get(environment).is_some_and(|work| work.contains_key(actor));
        let mut own = Work { first: began, succeeded: None, late: 0 };
        if !known && let Some((former, since)) = self.unlawfully_succeeded(actor, run, began) {
            // It may have held the lock before, and its first request may be the one that had passed its check.
            let Some(taken) = self.holders.taken.get(&run.run).filter(|taken| **taken < since) else {
                self.violation =
                    Some(format!("two holders: {actor} works in {environment} while {former} holds the lock"));
                return;
            };
            own = Work { first: *taken, succeeded: Some(since), late: 0 };
        }
        let work = self.holders.work.entry(environment).or_default();
        let own = work.entry(actor.clone()).or_insert(own);
        own.first = own.first.min(began);
        let first = own.first;
        for (_, other) in work.iter_mut().filter(|(other, work)| *other != actor && work.first < first) {
            other.succeeded = Some(other.succeeded.map_or(first, |before| before.min(first)));
        }
        let Some(own) = work.get_mut(actor) else { return };
        if mutation && own.succeeded.is_some_and(|succeeded| began > succeeded) {
            own.late += 1;
            if own.late > 1 {
                self.violation = Some(format!("{actor} goes on without the lock, which another run has taken over"));
            }
        }
    }

    /// Who still held the lock when `actor` began to work, and since when.
    fn unlawfully_succeeded(&self, actor: &Actor, run: &Run, began: Instant) -> Option<(Actor, Instant)> {
        let work = self.holders.work.get(run.environment())?;
        let elapsed = Instant::now().saturating_duration_since(began);
        // By its own clock, a lease may have run out that has not by others.
        let ahead = SignedDuration::from_millis(run.life.clock().most().max(0));
        let wall = clock::wall().checked_sub(elapsed).ok()?.checked_add(ahead).ok()?;
        let holds = |(former, work): &(&Actor, &Work)| {
            let Some(other) = self.runs.get(*former) else { return false };
            let gone = other.life.ended_at().is_some_and(|ended| ended <= began);
            let gone = gone || self.holders.given_back.contains(&other.run);
            let gone = gone || self.holders.overtaken.contains(&other.run);
            if *former == actor || gone || work.succeeded.is_some() || work.first >= began {
                return false;
            }
            let lease = self.holders.leases.get(&other.run);
            other.host == run.host || lease.is_some_and(|expires| *expires > wall)
        };
        work.iter().find(holds).map(|(former, work)| (former.clone(), work.first))
    }
}
