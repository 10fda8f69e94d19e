//! The cloud that all processes share: requests arrive, and change it in their own time.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::{
    sync::oneshot,
    time::{Instant, sleep},
};

use super::{
    Faults, Flavour, Pace, State,
    faults::{Fate, Loss, PATIENCE, Read, STALEST},
};
use crate::provider::{Error, ErrorKind, InstanceId, Result};

/// Who asks for something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Actor(pub(crate) String);

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A change of the world, for whoever checks each of them.
#[derive(Debug)]
pub(crate) struct Change<'a> {
    /// Who asked for it; nobody where it happened by itself.
    pub(crate) actor: Option<&'a Actor>,
    pub(crate) operation: &'static str,
    /// In words.
    pub(crate) what: &'a str,
    /// When the caller began with the call, which may have taken several attempts.
    pub(crate) called: Instant,
    /// When this attempt began: right after the caller's last check.
    pub(crate) began: Instant,
    /// When the request left.
    pub(crate) sent: Instant,
    /// When it happened.
    pub(crate) at: Instant,
    pub(crate) before: &'a Arc<State>,
    pub(crate) after: &'a Arc<State>,
}

type Checker = Box<dyn FnMut(&Change<'_>) + Send>;

/// What a mutation gives, and in words what it has changed: nothing, where all was so already.
pub(super) struct Done<T> {
    pub(super) value: T,
    pub(super) what: Option<String>,
}

impl<T> Done<T> {
    pub(super) fn changed(value: T, what: String) -> Result<Self> {
        Ok(Self { value, what: Some(what) })
    }

    pub(super) fn unchanged(value: T) -> Result<Self> {
        Ok(Self { value, what: None })
    }
}

/// The circumstances of a commit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) now: Instant,
    pub(super) pace: Pace,
    pub(super) flavour: Flavour,
    /// Whether what is accepted now comes to nothing.
    pub(super) not_done: bool,
    /// Whether it ends in an error.
    pub(super) fails: bool,
}

/// A mutation, as the world carries it out.
pub(super) type Apply<T> = Arc<dyn Fn(&mut State, &Moment) -> Result<Done<T>> + Send + Sync>;

/// How an order ends that was accepted.
#[derive(Debug, Clone, Copy)]
struct Ends {
    not_done: bool,
    fails: bool,
}

/// A request for a mutation.
pub(super) struct Order {
    pub(super) actor: Actor,
    pub(super) operation: &'static str,
    pub(super) called: Instant,
}

pub(crate) struct World {
    inner: Mutex<Inner>,
}

struct Inner {
    state: Arc<State>,
    /// The states of the last seconds, each with the moment from which on it stood.
    past: VecDeque<(Instant, Arc<State>)>,
    pace: Pace,
    flavour: Flavour,
    faults: Option<Faults>,
    counts: BTreeMap<&'static str, u64>,
    failing: BTreeMap<&'static str, ErrorKind>,
    log: Vec<String>,
    pointed_at: Vec<InstanceId>,
    checker: Option<Checker>,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("state", &self.lock().state).finish_non_exhaustive()
    }
}

impl World {
    pub(crate) fn new(pace: Pace, flavour: Flavour) -> Arc<Self> {
        let state = Arc::new(State { zones: vec!["example.org".to_owned()], ..State::default() });
        let inner = Inner {
            past: VecDeque::from([(Instant::now(), Arc::clone(&state))]),
            state,
            pace,
            flavour,
            faults: None,
            counts: BTreeMap::new(),
            failing: BTreeMap::new(),
            log: Vec::new(),
            pointed_at: Vec::new(),
            checker: None,
        };
        Arc::new(Self { inner: Mutex::new(inner) })
    }

    /// Draws from now on what goes wrong.
    pub(crate) fn set_faults(&self, faults: Faults) {
        self.lock().faults = Some(faults);
    }

    /// Nothing goes wrong any more.
    pub(crate) fn calm(&self) {
        if let Some(faults) = &mut self.lock().faults {
            faults.calm();
        }
    }

    /// Tells of every change from now on.
    pub(crate) fn watch(&self, checker: impl FnMut(&Change<'_>) + Send + 'static) {
        self.lock().checker = Some(Box::new(checker));
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        let mut inner = self.inner.lock().unwrap();
        inner.tick();
        inner
    }

    /// What is there now.
    pub(crate) fn state(&self) -> Arc<State> {
        Arc::clone(&self.lock().state)
    }

    /// Changes the world by hand, as its owner may at any time.
    pub(crate) fn by_hand<T>(&self, what: &str, change: impl FnOnce(&mut State) -> T) -> T {
        let mut inner = self.lock();
        let now = Instant::now();
        let (value, before) = inner.change(now, change);
        inner.tell(None, "by hand", what, [now; 4], &before);
        value
    }

    pub(super) fn set_flavour(&self, flavour: Flavour) {
        self.lock().flavour = flavour;
    }

    pub(super) fn flavour(&self) -> Flavour {
        self.lock().flavour
    }

    pub(super) fn fail(&self, operation: &'static str, kind: Option<ErrorKind>) {
        let mut inner = self.lock();
        match kind {
            Some(kind) => inner.failing.insert(operation, kind),
            None => inner.failing.remove(operation),
        };
    }

    pub(super) fn count(&self, operation: &'static str) -> u64 {
        self.lock().counts.get(operation).copied().unwrap_or_default()
    }

    pub(super) fn total(&self) -> u64 {
        self.lock().counts.values().sum()
    }

    pub(super) fn log(&self) -> Vec<String> {
        self.lock().log.clone()
    }

    pub(super) fn pointed_at(&self) -> Vec<InstanceId> {
        self.lock().pointed_at.clone()
    }

    /// Takes a read: delayed, refused or answered with an older state as the faults say. `not_before` is the caller's own last
    /// change, which it always sees.
    pub(super) async fn look<T>(
        &self,
        (actor, operation): (&Actor, &'static str),
        kind: Read,
        not_before: Instant,
        read: impl FnOnce(&State) -> Result<T>,
    ) -> Result<T> {
        let fate = self.lock().admit(operation, |faults| faults.read(actor, operation, kind))?;
        pass(fate.commit).await;
        let seen = match fate.refusal(operation) {
            Some(refusal) => Err(refusal),
            None => {
                let inner = self.lock();
                let seen = match fate.stale.is_zero() {
                    true => Arc::clone(&inner.state),
                    false => inner.as_of(not_before.max(Instant::now() - fate.stale)),
                };
                drop(inner);
                read(&seen)
            }
        };
        pass(fate.reply).await;
        seen
    }

    /// Takes a request for a mutation, and waits for the reply. Whoever drops this takes nothing back. Returns whether
    /// anything has changed, too.
    pub(super) async fn submit<T: Send + 'static>(
        self: &Arc<Self>,
        order: Order,
        apply: Apply<T>,
    ) -> Result<(T, bool)> {
        let operation = order.operation;
        let fate = self.lock().admit(operation, |faults| faults.mutation(&order.actor, operation))?;
        let began = Instant::now();
        // Until here the caller can still be stopped.
        pass(fate.travel).await;
        let sent = Instant::now();
        if let Some(refusal) = fate.refusal(operation) {
            pass(fate.reply).await;
            return Err(refusal);
        }
        let commit = {
            let world = Arc::clone(self);
            let ends = Ends { not_done: fate.not_done, fails: fate.fails };
            move || world.commit(&order, [order.called, began, sent], ends, &apply)
        };
        if fate.is_at_once() {
            return commit();
        }
        let (reply, answer) = oneshot::channel();
        let lost = fate.lost;
        tokio::spawn(async move {
            pass(fate.commit).await;
            let result = commit();
            pass(if lost == Some(Loss::Silence) { PATIENCE } else { fate.reply }).await;
            if lost.is_none() {
                // Nobody may be there any more.
                let _ = reply.send(result);
            }
        });
        answer.await.unwrap_or_else(|_| Err(Fate::loss(operation, lost)))
    }

    fn commit<T>(&self, order: &Order, times: [Instant; 3], ends: Ends, apply: &Apply<T>) -> Result<(T, bool)> {
        let mut inner = self.lock();
        let now = Instant::now();
        let Ends { not_done, fails } = ends;
        let moment = Moment { now, pace: inner.pace, flavour: inner.flavour, not_done, fails };
        let mut next = State::clone(&inner.state);
        let done = apply(&mut next, &moment)?;
        let Some(what) = &done.what else { return Ok((done.value, false)) };
        let (_, before) = inner.change(now, |state| *state = next);
        inner.log.push(what.clone());
        let [called, began, sent] = times;
        inner.tell(Some(&order.actor), order.operation, what, [called, began, sent, now], &before);
        Ok((done.value, true))
    }
}

impl Inner {
    /// Counts a request, and draws what becomes of it.
    fn admit(&mut self, operation: &'static str, draw: impl FnOnce(&mut Faults) -> Fate) -> Result<Fate> {
        *self.counts.entry(operation).or_default() += 1;
        if let Some(kind) = self.failing.get(operation) {
            return Err(Error::new(*kind, operation, "as the test asks"));
        }
        Ok(self.faults.as_mut().map(draw).unwrap_or_default())
    }

    fn change<T>(&mut self, at: Instant, change: impl FnOnce(&mut State) -> T) -> (T, Arc<State>) {
        let before = Arc::clone(&self.state);
        let value = change(Arc::make_mut(&mut self.state));
        self.past.push_back((at, Arc::clone(&self.state)));
        // The last of those that are too old still stood when the oldest that counts began.
        while self.past.get(1).is_some_and(|(from, _)| *from + STALEST < at) {
            self.past.pop_front();
        }
        (value, before)
    }

    fn as_of(&self, wanted: Instant) -> Arc<State> {
        let found = self.past.iter().rev().find(|(from, _)| *from <= wanted);
        found.or(self.past.front()).map_or_else(|| Arc::clone(&self.state), |(_, state)| Arc::clone(state))
    }

    /// Lets what is due by now happen, in its order.
    fn tick(&mut self) {
        let now = Instant::now();
        while let Some((at, event)) = self.state.next_event().filter(|(at, _)| *at <= now) {
            let flavour = self.flavour;
            let ((what, arrived), before) = self.change(at, |state| state.happen(&event, flavour));
            self.pointed_at.extend(arrived);
            self.tell(None, "time", &what, [at; 4], &before);
        }
    }

    fn tell(
        &mut self,
        actor: Option<&Actor>,
        operation: &'static str,
        what: &str,
        [called, began, sent, at]: [Instant; 4],
        before: &Arc<State>,
    ) {
        let Some(checker) = &mut self.checker else { return };
        let after = Arc::clone(&self.state);
        checker(&Change { actor, operation, what, called, began, sent, at, before, after: &after });
    }
}

/// Sleeps, unless there is nothing to sleep for: then nobody else has a turn meanwhile.
async fn pass(time: std::time::Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}
