//! Whether the rules hold, asked after every change of the world.
//!
//! The oracle sees what nobody in the world sees: who asked for what, who made what, which instance has passed its gate. It
//! decides by the rules of the promise alone, and knows nothing of how the engine means to keep them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::{sync::Notify, time::Instant};
use uuid::Uuid;

use super::{
    coverage::{Coverage, Trouble},
    holders::Holders,
    life::{Blow, Life},
    resource::Resource,
    rules::Pointing,
    serving::Serving,
    trace::{Counts, Trace},
    wishes::Wishes,
};
use crate::{
    fake::{Actor, Change, Fault, STALEST, Site, State},
    provider::{InstanceId, ReleaseId},
};

/// What a process was started for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Deploy { force: bool },
    Rollback(Option<ReleaseId>),
    Resume,
    Abort,
    Bake,
    Gc { dry: bool },
    Prune,
    Destroy { images: bool },
    Adopt,
    Repair,
    Plan,
    Status,
}

impl Verb {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Deploy { .. } => "deploy",
            Self::Rollback(_) => "rollback",
            Self::Resume => "resume",
            Self::Abort => "abort",
            Self::Bake => "bake",
            Self::Gc { dry: true } => "gc --dry-run",
            Self::Gc { dry: false } => "gc",
            Self::Prune => "images prune",
            Self::Destroy { .. } => "destroy",
            Self::Adopt => "adopt",
            Self::Repair => "journal repair",
            Self::Plan => "plan",
            Self::Status => "status",
        }
    }

    /// Whether it may change nothing, neither in the cloud nor in the journal.
    pub(super) fn only_reads(self) -> bool {
        matches!(self, Self::Plan | Self::Status | Self::Gc { dry: true })
    }

    pub(super) fn is_destroy(self) -> bool {
        matches!(self, Self::Destroy { .. })
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::Deploy { force: true } => f.write_str(" --force"),
            Self::Rollback(Some(to)) => write!(f, " {to}"),
            Self::Gc { dry: false } => f.write_str(" --yes"),
            Self::Destroy { images: true } => f.write_str(" --images"),
            _ => Ok(()),
        }
    }
}

/// One process, as the oracle knows it.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) verb: Verb,
    pub(super) wishes: Wishes,
    pub(super) host: &'static str,
    pub(super) run: Uuid,
    pub(super) life: Arc<Life>,
    pub(super) began: Instant,
    /// Why it may change nothing at all, where it may not.
    pub(super) sealed: Option<&'static str>,
    /// Whether somebody changed things by hand meanwhile, or so shortly before that a read has not shown it.
    pub(super) disturbed: bool,
    /// What it does, as far as its writes to the journal show.
    pub(super) stage: &'static str,
}

impl Run {
    pub(super) fn environment(&self) -> &'static str {
        self.wishes.environment
    }
}

/// How a process ended.
#[derive(Debug, Clone)]
pub(super) enum Ended {
    Killed,
    /// Whether there was anything to do.
    Done {
        changes: bool,
    },
    Failed {
        kind: String,
        chain: String,
    },
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Killed => f.write_str("killed"),
            Self::Done { changes: true } => f.write_str("done"),
            Self::Done { changes: false } => f.write_str("nothing to do"),
            Self::Failed { kind, chain } => write!(f, "failed, {kind}: {chain}"),
        }
    }
}

/// Who made something: a process, in its environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Maker {
    pub(super) environment: &'static str,
    /// The number of the change.
    pub(super) at: u64,
}

pub(super) struct Inner {
    pub(super) trace: Trace,
    pub(super) counts: Counts,
    pub(super) coverage: Coverage,
    /// Where something has gone wrong, each as it can be left out.
    pub(super) sites: Vec<String>,
    pub(super) violation: Option<String>,
    pub(super) state: Arc<State>,
    pub(super) changes: u64,
    /// Those of them that a process has asked for.
    pub(super) acts: u64,
    pub(super) runs: BTreeMap<Actor, Run>,
    pub(super) gated: BTreeSet<InstanceId>,
    /// Builders that were sealed, each with the steps that ran on it before.
    pub(super) sealed: BTreeMap<InstanceId, Vec<String>>,
    pub(super) makers: BTreeMap<Resource, Maker>,
    /// Somebody else's, put there by the driver.
    pub(super) foreign: BTreeSet<Resource>,
    /// The user's, which Remint may use, and may not destroy.
    pub(super) given: BTreeSet<Resource>,
    /// Static IPs that a person has moved where nothing shows any more that they are ours: they carry no labels, and the journal
    /// does not name them. And those that Remint has left to the instance of somebody else that uses them.
    pub(super) lost: BTreeSet<Resource>,
    /// The static IPs that journals name.
    pub(super) named: BTreeSet<String>,
    pub(super) serving: BTreeMap<&'static str, Serving>,
    /// When somebody last changed something of an environment by hand.
    pub(super) by_hand: BTreeMap<&'static str, Instant>,
    pub(super) holders: Holders,
    pub(super) pointing: Pointing,
    /// The highest number of a release, by environment.
    pub(super) releases: BTreeMap<&'static str, u64>,
}

pub(super) struct Oracle {
    inner: Mutex<Inner>,
    pub(super) broken: Notify,
}

impl fmt::Debug for Oracle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Oracle")
    }
}

impl Oracle {
    pub(super) fn new(state: Arc<State>, traced: bool) -> Arc<Self> {
        let inner = Inner {
            trace: Trace::new(traced),
            counts: Counts::default(),
            coverage: Coverage::default(),
            sites: Vec::new(),
            violation: None,
            state,
            changes: 0,
            acts: 0,
            runs: BTreeMap::new(),
            gated: BTreeSet::new(),
            sealed: BTreeMap::new(),
            makers: BTreeMap::new(),
            foreign: BTreeSet::new(),
            given: BTreeSet::new(),
            lost: BTreeSet::new(),
            named: BTreeSet::new(),
            serving: BTreeMap::new(),
            by_hand: BTreeMap::new(),
            holders: Holders::default(),
            pointing: Pointing::default(),
            releases: BTreeMap::new(),
        };
        Arc::new(Self { inner: Mutex::new(inner), broken: Notify::new() })
    }

    pub(super) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// The first rule that was broken, in words.
    pub(super) fn violation(&self) -> Option<String> {
        self.inner().violation.clone()
    }

    pub(super) fn line(&self, who: impl fmt::Display, what: impl fmt::Display) {
        self.with(|inner| inner.trace.line(Instant::now(), who, what));
    }

    pub(super) fn count(&self, what: impl Into<String>) {
        self.inner().counts.add(what);
    }

    /// Nothing is noted once a rule was broken: the trace ends there.
    fn with(&self, act: impl FnOnce(&mut Inner)) {
        let mut inner = self.inner();
        if inner.violation.is_some() {
            return;
        }
        act(&mut inner);
        if let Some(violation) = inner.violation.clone() {
            inner.trace.line(Instant::now(), "****", violation);
            self.broken.notify_one();
        }
    }

    /// Says that a rule is broken.
    pub(super) fn fail(&self, violation: impl Into<String>) {
        self.with(|inner| inner.violation = Some(violation.into()));
    }

    pub(super) fn started(&self, actor: &Actor, run: Run) {
        self.with(|inner| {
            let Wishes { environment, .. } = run.wishes;
            if inner.trace.is_kept() {
                let sealed = run.sealed.map(|why| format!(" ({why})")).unwrap_or_default();
                let line = format!("starts on {}: {} -e {environment}{sealed}", run.host, run.verb);
                inner.trace.line(Instant::now(), actor, line);
            }
            if inner.meet_all(environment, Trouble::Rival) > 0 {
                inner.coverage.meet(run.verb.name(), Trouble::Rival);
            }
            inner.runs.insert(actor.clone(), run);
        });
    }

    pub(super) fn ended(&self, actor: &Actor, ended: &Ended) {
        self.with(|inner| {
            inner.trace.line(Instant::now(), actor, format_args!("ends: {ended}"));
            inner.end(actor, ended);
        });
    }

    /// Something befalls a process.
    pub(super) fn struck(&self, actor: &Actor, blow: Blow) {
        self.with(|inner| {
            inner.trace.line(Instant::now(), actor, format_args!("suffers {blow:?}"));
            let trouble = match blow {
                Blow::Kill => Trouble::Kill,
                Blow::Interrupt => Trouble::Interrupt,
                Blow::Suspend(_) => Trouble::Suspend,
            };
            if let Some(run) = inner.runs.get(actor) {
                inner.coverage.strike(run.verb.name(), run.stage, trouble);
            }
        });
    }

    /// Something goes wrong with a request, or with an operation of the journal's store.
    pub(super) fn fault(&self, site: &Site<'_>, trouble: Trouble) {
        self.with(|inner| {
            if inner.trace.is_kept() {
                let line = format!("[{}] {} ({site})", site.operation, trouble.name());
                inner.trace.line(Instant::now(), site.actor, line);
                inner.sites.push(site.to_string());
            }
            inner.meet(site.actor, trouble);
            if matches!(trouble, Trouble::Request(Fault::StaleGet | Fault::StaleList))
                && let Some(run) = inner.runs.get_mut(site.actor)
                && inner.by_hand.get(run.environment()).is_some_and(|at| at.elapsed() <= STALEST)
            {
                run.disturbed = true;
            }
        });
    }

    /// Something befalls a command.
    pub(super) fn meet(&self, actor: &Actor, trouble: Trouble) {
        self.inner().meet(actor, trouble);
    }

    /// Something befalls every command that is under way in an environment.
    pub(super) fn meet_all(&self, environment: &str, trouble: Trouble) {
        self.inner().meet_all(environment, trouble);
    }

    /// Something befalls every command that is under way on a host.
    pub(super) fn meet_on(&self, host: &str, trouble: Trouble) {
        let mut inner = self.inner();
        let Inner { runs, coverage, .. } = &mut *inner;
        let under_way = runs.values().filter(|run| run.host == host && run.life.is_alive());
        under_way.for_each(|run| coverage.meet(run.verb.name(), trouble));
    }

    /// What can be left out of this run, once more.
    pub(super) fn site(&self, site: impl Into<String>) {
        let mut inner = self.inner();
        if inner.trace.is_kept() {
            inner.sites.push(site.into());
        }
    }

    /// A change of the world.
    pub(super) fn changed(&self, change: &Change<'_>) {
        self.with(|inner| {
            if inner.trace.is_kept() {
                let who = change.actor.map_or("", |actor| actor.0.as_str());
                let late = change.at.saturating_duration_since(change.sent).as_secs();
                let late = if late > 0 { format!(", sent {late} s before") } else { String::new() };
                inner.trace.line(change.at, who, format!("[{}] {}{late}", change.operation, change.what));
            }
            inner.changes += 1;
            inner.acts += u64::from(change.actor.is_some());
            inner.state = Arc::clone(change.after);
            inner.check(change);
        });
    }

    /// A write to the journal's store. `created`: the object was not there before.
    pub(super) fn written(&self, actor: &Actor, sent: Instant, path: &str, body: &[u8]) {
        self.with(|inner| {
            if inner.trace.is_kept() {
                inner.trace.line(Instant::now(), actor, format!("writes {}", shown(path, body)));
            }
            inner.note_write(actor, sent, path, body);
        });
    }

    pub(super) fn deleted(&self, actor: &Actor, path: &str) {
        self.with(|inner| {
            inner.trace.line(Instant::now(), actor, format_args!("deletes {path}"));
            inner.note_reader(actor, path);
        });
    }

    /// An instance has passed its gate.
    pub(super) fn gated(&self, id: &InstanceId) {
        self.with(|inner| {
            inner.trace.line(Instant::now(), "", format_args!("{id} has passed its gate"));
            inner.gated.insert(id.clone());
        });
    }

    /// A builder has nothing left of its own, after these steps.
    pub(super) fn sealed(&self, id: &InstanceId, steps: Vec<String>) {
        self.with(|inner| _ = inner.sealed.insert(id.clone(), steps));
    }

    /// What the command does that is at work in an environment.
    pub(super) fn stage(&self, environment: &str) -> Option<&'static str> {
        let inner = self.inner();
        let mut at_work = inner.runs.values().filter(|run| run.environment() == environment && run.life.is_alive());
        at_work.next().map(|run| run.stage)
    }

    /// The static IPs that somebody who knows what they made for an environment names when they adopt it.
    pub(super) fn adoptable(&self, environment: &str) -> Vec<IpAddr> {
        let inner = self.inner();
        let own = inner.state.ips.values().filter(|ip| {
            let used = ip.ip.assigned_to.clone().map(Resource::Machine);
            let free = used.is_none_or(|used| inner.made_by(&used, environment));
            let made = Resource::Ip(ip.ip.id.clone());
            free && inner.made_by(&made, environment) && !inner.lost.contains(&made)
        });
        own.map(|ip| ip.ip.address.ip).collect()
    }

    /// The instance that they name: the one that they know to serve.
    pub(super) fn known_to_serve(&self, environment: &str) -> Option<InstanceId> {
        let inner = self.inner();
        let ours = |id: &&InstanceId| inner.made_by(&Resource::Machine((*id).clone()), environment);
        let mut healthy = inner.state.machines.keys().filter(ours).filter(|id| inner.is_healthy(&inner.state, id));
        let only = healthy.next().cloned();
        only.filter(|_| healthy.next().is_none())
    }

    /// Somebody is about to change something of an environment by hand: its address may point anywhere for a while.
    pub(super) fn disturb(&self, environment: &'static str) {
        let mut inner = self.inner();
        inner.by_hand.insert(environment, Instant::now());
        if let Some(serving) = inner.serving.get_mut(environment) {
            serving.excused = true;
        }
        for run in inner.runs.values_mut().filter(|run| run.environment() == environment && run.life.is_alive()) {
            run.disturbed = true;
        }
    }
}

impl Inner {
    fn meet(&mut self, actor: &Actor, trouble: Trouble) {
        if let Some(run) = self.runs.get(actor) {
            self.coverage.meet(run.verb.name(), trouble);
        }
    }

    /// Returns how many commands there are.
    fn meet_all(&mut self, environment: &str, trouble: Trouble) -> usize {
        let under_way = self.runs.values().filter(|run| run.environment() == environment && run.life.is_alive());
        under_way.map(|run| self.coverage.meet(run.verb.name(), trouble)).count()
    }

    /// A command that only reads must not touch the journal.
    pub(super) fn note_reader(&mut self, actor: &Actor, path: &str) {
        if let Some(run) = self.runs.get(actor).filter(|run| run.verb.only_reads()) {
            self.violation =
                Some(format!("{actor} writes to the journal, and {} only reads ({path})", run.verb.name()));
        }
    }
}

/// An object of the journal in one line.
fn shown(path: &str, body: &[u8]) -> String {
    let Ok(serde_json::Value::Object(mut value)) = serde_json::from_slice(body) else { return path.to_owned() };
    if !path.contains("/journal/") {
        return path.to_owned();
    }
    for noise in ["format", "seq", "at", "run", "token"] {
        value.remove(noise);
    }
    format!("{path} {}", serde_json::Value::Object(value))
}
