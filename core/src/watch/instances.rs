//! Waiting for instances.

use std::{
    ops::ControlFlow,
    sync::{Arc, PoisonError},
};

use tokio::time::Instant;

use super::{
    Wait, WatchError, Watcher,
    board::{Board, Turns, Verdict},
    watcher::{Last, settle},
};
use crate::provider::{Error, ErrorKind, Instance, InstanceId, InstanceState, Result, Selector};

/// After so many looks without the instance, its absence is checked by its id: a list may lag.
const MISSING_BEFORE_ASKING: u32 = 3;

/// When more wait for their instances to be gone, one list of all instances says it for all of them.
const FEW: usize = 2;

impl Watcher {
    /// Takes note of what a list has shown.
    pub(crate) fn note_listed(&self, instances: &[Instance]) {
        let now = Instant::now();
        let mut listed = self.boards.listed.lock().unwrap_or_else(PoisonError::into_inner);
        for instance in instances {
            listed.entry(instance.id.clone()).or_insert(now);
        }
    }

    async fn list(&self, selector: &Selector) -> Result<Vec<Instance>> {
        let instances = self.provider.instances().list(selector).await?;
        self.note_listed(&instances);
        Ok(instances)
    }

    /// Waits until an instance is as `until` asks. Waiters with the same selector share their looks; the selector must
    /// match the instance.
    ///
    /// # Errors
    ///
    /// [`WatchError::Gone`] when it does not exist any more; see there for the others.
    pub async fn instance(
        &self,
        selector: &Selector,
        id: &InstanceId,
        wait: Wait,
        until: impl Fn(&Instance) -> bool,
    ) -> Result<Instance, WatchError> {
        let mut last = Last::new(&format!("instance {id}"), &wait);
        let mut missing = 0;
        let board = self.instance_board(selector).await;
        let mut turns = Turns::new(wait.start(), &board);
        loop {
            let look = board.next(turns.since, turns.due, || self.list(selector)).await;
            turns.advance(&look);
            let verdict = match &look.seen {
                Ok(seen) => match seen.iter().find(|instance| instance.id == *id) {
                    Some(instance) => {
                        missing = 0;
                        last.what = format!("instance {}", instance.name);
                        if until(instance) {
                            Verdict::Done(instance.clone())
                        } else {
                            Verdict::NotYet(status(instance))
                        }
                    }
                    None => {
                        missing += 1;
                        if missing >= MISSING_BEFORE_ASKING
                            && let Some(reason) = self.gone(id).await
                        {
                            return Err(last.gone(reason));
                        }
                        Verdict::NotYet("not listed".to_owned())
                    }
                },
                Err(error) => {
                    last.error(Arc::clone(error))?;
                    if turns.schedule.is_over() {
                        return Err(last.timed_out());
                    }
                    continue;
                }
            };
            match settle(verdict, &mut last, &turns) {
                ControlFlow::Break(Some(instance)) => return Ok(instance),
                ControlFlow::Break(None) => return Err(last.timed_out()),
                ControlFlow::Continue(()) => {}
            }
        }
    }

    /// Waits until an instance that was destroyed is gone: no list shows it, and asked for by its id, the cloud does not
    /// know it. Where many wait, a list of all instances is asked in place of each id.
    ///
    /// # Errors
    ///
    /// [`WatchError`].
    pub async fn instance_gone(&self, selector: &Selector, id: &InstanceId, wait: Wait) -> Result<(), WatchError> {
        let mut last = Last::new(&format!("instance {id}"), &wait);
        let board = self.instance_board(selector).await;
        let _waiting = board.wait();
        let mut turns = Turns::new(wait.start(), &board);
        // Those that came before have perhaps gone by the time of the first look, and those that come after are not there yet.
        let mut many = board.waiting() > FEW;
        loop {
            let look = board.next(turns.since, turns.due, || self.list(selector)).await;
            turns.advance(&look);
            many |= board.waiting() > FEW;
            let verdict = match &look.seen {
                Ok(seen) => match seen.iter().find(|instance| instance.id == *id) {
                    Some(instance) => Verdict::NotYet(status(instance)),
                    None if self.is_gone(id, many).await => Verdict::Done(()),
                    None => Verdict::NotYet("not listed, but there".to_owned()),
                },
                Err(error) => {
                    last.error(Arc::clone(error))?;
                    if turns.schedule.is_over() {
                        return Err(last.timed_out());
                    }
                    continue;
                }
            };
            match settle(verdict, &mut last, &turns) {
                ControlFlow::Break(Some(())) => return Ok(()),
                ControlFlow::Break(None) => return Err(last.timed_out()),
                ControlFlow::Continue(()) => {}
            }
        }
    }

    async fn instance_board(&self, selector: &Selector) -> Arc<Board<Instance>> {
        let mut boards = self.boards.instances.lock().await;
        Arc::clone(boards.entry(selector.clone()).or_insert_with(|| Arc::new(Board::new())))
    }

    /// Whether an instance that is not listed any more is gone. One that was listed for longer than anything may take to show
    /// cannot be missing from a list of all by chance.
    async fn is_gone(&self, id: &InstanceId, many: bool) -> bool {
        let shows_after = self.provider.descriptor().limits.settle_time;
        let first = self.boards.listed.lock().unwrap_or_else(PoisonError::into_inner).get(id).copied();
        if !many || first.is_none_or(|first| first.elapsed() < shows_after) {
            return self.gone(id).await.is_some();
        }
        let all = Selector::all();
        let board = self.instance_board(&all).await;
        let look = board.next(board.begun(), Instant::now(), || self.list(&all)).await;
        look.seen.as_ref().is_ok_and(|seen| seen.iter().all(|instance| instance.id != *id))
    }

    /// The cloud's word that the instance is gone; `None` when it is there, or cannot be asked for.
    async fn gone(&self, id: &InstanceId) -> Option<Arc<Error>> {
        let missing = self.provider.instances().get(id).await.err()?;
        (missing.kind() == ErrorKind::NotFound).then(|| Arc::new(missing))
    }
}

fn status(instance: &Instance) -> String {
    let mut status = instance.state.as_str().to_owned();
    if instance.state == InstanceState::Running && instance.address.is_none() {
        status.push_str(", without an address");
    }
    if instance.busy && instance.state != InstanceState::Pending {
        status.push_str(", busy");
    }
    status
}
