//! The cloud that all processes share: requests arrive, and change it in their own time.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    sync::oneshot,
    time::{Instant, sleep},
};

use super::{
    Actor, Change, Faults, Flavour, Machine, Pace, State, Transaction,
    faults::{Fate, Loss, PATIENCE, Read, STALEST},
    transaction::{Ends, carry_out},
    trouble::Trouble,
};
use crate::provider::{Error, ErrorKind, Instance, InstanceId, InstanceState, Result};

type Checker = Box<dyn FnMut(&Change<'_>) + Send>;

/// A mutation, as the world carries it out.
pub(super) type Apply<T> = Arc<dyn Fn(&mut Transaction<'_>) -> Result<T> + Send + Sync>;

/// A request for a mutation.
pub(super) struct Order {
    pub(super) actor: Actor,
    pub(super) operation: &'static str,
    pub(super) called: Instant,
}

/// The cloud itself, with one account.
pub struct World {
    inner: Mutex<Inner>,
}

struct Inner {
    state: Arc<State>,
    /// The states of the last seconds, each with the moment from which on it stood.
    past: VecDeque<(Instant, Arc<State>)>,
    faults: Option<Faults>,
    trouble: Trouble,
    counts: BTreeMap<&'static str, u64>,
    log: Vec<String>,
    pointed_at: Vec<InstanceId>,
    gone: BTreeMap<InstanceId, Instance>,
    checker: Option<Checker>,
    /// Whether an instance's service answers.
    answers: fn(&Machine) -> bool,
    /// How many connections load balancers have passed on.
    balanced: usize,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("state", &self.lock().state).finish_non_exhaustive()
    }
}

impl World {
    /// A cloud with an empty account, in which nothing goes wrong.
    pub fn new(pace: Pace, flavour: Flavour) -> Arc<Self> {
        let zones = flavour.catalogue.zones.iter().map(|zone| (*zone).to_owned()).collect();
        let state = Arc::new(State { pace, flavour, zones, ..State::default() });
        let inner = Inner {
            past: VecDeque::from([(Instant::now(), Arc::clone(&state))]),
            state,
            faults: None,
            trouble: Trouble::default(),
            counts: BTreeMap::new(),
            log: Vec::new(),
            pointed_at: Vec::new(),
            gone: BTreeMap::new(),
            checker: None,
            answers: |machine| machine.instance.state == InstanceState::Running && !machine.unwell,
            balanced: 0,
        };
        Arc::new(Self { inner: Mutex::new(inner) })
    }

    /// Draws from now on what goes wrong.
    pub fn set_faults(&self, faults: Faults) {
        self.lock().faults = Some(faults);
    }

    /// Nothing goes wrong any more.
    pub fn calm(&self) {
        if let Some(faults) = &mut self.lock().faults {
            faults.calm();
        }
    }

    /// Tells of every change from now on.
    pub fn watch(&self, checker: impl FnMut(&Change<'_>) + Send + 'static) {
        self.lock().checker = Some(Box::new(checker));
    }

    /// Says which instances' services answer, from now on: the checks of load balancers ask them. Without this, those that run
    /// and are well.
    pub fn answering(&self, answers: fn(&Machine) -> bool) {
        self.lock().answers = answers;
    }

    /// The instance to which a new connection goes. Members of a load balancer take turns; nobody where it refuses.
    pub fn leads_to(&self, endpoint: SocketAddr) -> Option<InstanceId> {
        let mut inner = self.lock();
        let state = Arc::clone(&inner.state);
        let Some(balancer) = state.balancer_at(endpoint.ip()) else { return state.instance_at(endpoint.ip()).cloned() };
        let receivers = balancer.receivers(endpoint.port(), state.flavour.balancing.fails_open);
        let turn = inner.balanced.checked_rem(receivers.len())?;
        inner.balanced += 1;
        Some(receivers[turn].clone())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.tick();
        inner
    }

    /// What is there now.
    pub fn state(&self) -> Arc<State> {
        Arc::clone(&self.lock().state)
    }

    /// Changes the world by hand, as its owner may at any time.
    pub fn by_hand<T>(&self, what: &str, change: impl FnOnce(&mut State) -> T) -> T {
        let mut inner = self.lock();
        let now = Instant::now();
        let (value, before) = inner.change(now, change);
        inner.tell(None, "by hand", what, [now; 4], &before);
        value
    }

    /// In what this cloud differs from others.
    pub(super) fn flavour(&self) -> Flavour {
        self.lock().state.flavour
    }

    /// The instances that are gone, as they last were.
    pub fn gone(&self) -> BTreeMap<InstanceId, Instance> {
        self.lock().gone.clone()
    }

    /// Loses the next reply to a request for this operation that is carried out.
    pub fn lose_next(&self, operation: &'static str) {
        self.lock().trouble.lose_next(operation);
    }

    /// Turns away the next requests for this operation.
    pub fn refuse_next(&self, operation: &'static str, kind: ErrorKind, times: u64) {
        self.lock().trouble.refuse_next(operation, kind, times);
    }

    /// Loses no further reply, and turns no request away.
    pub fn recover(&self) {
        self.lock().trouble.recover();
    }

    /// How many requests were turned away or lost their reply, as they were to.
    pub fn hits(&self) -> u64 {
        self.lock().trouble.hits()
    }

    /// An error with the id of its request, where the cloud gives one.
    pub(super) fn identify(&self, error: Error) -> Error {
        let inner = self.lock();
        match inner.state.flavour.request_ids {
            true => error.with_request_id(format!("req-{}", inner.counts.values().sum::<u64>())),
            false => error,
        }
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
        pass(fate.travel + fate.commit).await;
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

    /// Carries out a request of somebody who is no client: no call layer counts or repeats it, and nobody asks for credentials.
    ///
    /// # Errors
    ///
    /// Those of `apply`, and whatever goes wrong with a request.
    pub async fn request<T, F>(self: &Arc<Self>, actor: Actor, operation: &'static str, apply: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut Transaction<'_>) -> Result<T> + Send + Sync + 'static,
    {
        let order = Order { actor, operation, called: Instant::now() };
        Ok(self.submit(order, Arc::new(apply)).await?.0)
    }

    fn commit<T>(&self, order: &Order, times: [Instant; 3], ends: Ends, apply: &Apply<T>) -> Result<(T, bool)> {
        let mut inner = self.lock();
        let (operation, now) = (order.operation, Instant::now());
        let (value, changed) = carry_out(&inner.state, (operation, now, ends), |transaction| apply(transaction))?;
        let is_changed = changed.is_some();
        if let Some((next, what)) = changed {
            let (_, before) = inner.change(now, |state| *state = next);
            inner.log.push(what.clone());
            let [called, began, sent] = times;
            inner.tell(Some(&order.actor), operation, &what, [called, began, sent, now], &before);
        }
        match inner.trouble.loses(operation) {
            true => Err(Fate::loss(operation, Some(Loss::BadGateway))),
            false => Ok((value, is_changed)),
        }
    }
}

impl Inner {
    /// Counts a request, and draws what becomes of it.
    fn admit(&mut self, operation: &'static str, draw: impl FnOnce(&mut Faults) -> Fate) -> Result<Fate> {
        *self.counts.entry(operation).or_default() += 1;
        if let Some(kind) = self.trouble.failing(operation) {
            return Err(Error::new(kind, operation, "as the test asks"));
        }
        let mut fate = self.faults.as_mut().map(draw).unwrap_or_default();
        fate.travel += self.state.pace.travel;
        fate.reply += self.state.pace.travel;
        fate.refused = self.trouble.refuses(operation).or(fate.refused);
        Ok(fate)
    }

    fn change<T>(&mut self, at: Instant, change: impl FnOnce(&mut State) -> T) -> (T, Arc<State>) {
        let before = Arc::clone(&self.state);
        let state = Arc::make_mut(&mut self.state);
        let value = change(state);
        state.check_members(at, self.answers);
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
        while let Some((at, event)) = self.state.due(now) {
            let ((what, arrived), before) = self.change(at, |state| state.happen(&event));
            self.pointed_at.extend(arrived);
            self.remember_gone(&before);
            self.tell(None, "time", &what, [at; 4], &before);
        }
    }

    /// Keeps what was there and is no more.
    fn remember_gone(&mut self, before: &State) {
        let gone = before.machines.iter().filter(|(id, _)| !self.state.machines.contains_key(*id));
        self.gone.extend(gone.map(|(id, machine)| (id.clone(), machine.instance.clone())));
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

/// What tests of one process ask and change.
#[cfg(test)]
impl World {
    pub(super) fn set_flavour(&self, flavour: Flavour) {
        Arc::make_mut(&mut self.lock().state).flavour = flavour;
    }

    pub(super) fn fail(&self, operation: &'static str, kind: Option<ErrorKind>) {
        self.lock().trouble.fail(operation, kind);
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
}

/// Sleeps, unless there is nothing to sleep for: then nobody else has a turn meanwhile.
async fn pass(time: std::time::Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}
