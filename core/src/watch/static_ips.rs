//! Waiting for static IPs.

use std::{
    ops::ControlFlow,
    sync::{Arc, PoisonError},
};

use super::{
    Wait, WatchError, Watcher,
    board::{Turns, Verdict},
    watcher::{Boards, Last, settle},
};
use crate::provider::{Capability, Error, Result, Selector, StaticIp, StaticIpId};

/// Takes the id off the board's list when its waiter ends, however that is.
struct Wanted<'a> {
    boards: &'a Boards,
    id: StaticIpId,
}

impl<'a> Wanted<'a> {
    fn new(boards: &'a Boards, id: &StaticIpId) -> Self {
        boards.static_ips.wanted.lock().unwrap_or_else(PoisonError::into_inner).push(id.clone());
        Self { boards, id: id.clone() }
    }

    /// Whether somebody waits for another address.
    fn others(&self) -> bool {
        let wanted = self.boards.static_ips.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.iter().any(|id| *id != self.id)
    }
}

impl Drop for Wanted<'_> {
    fn drop(&mut self) {
        let mut wanted = self.boards.static_ips.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = wanted.iter().position(|id| *id == self.id) {
            wanted.swap_remove(at);
        }
    }
}

impl Watcher {
    /// Waits until a static IP is as `until` asks. All waiters for static IPs share their looks.
    ///
    /// # Errors
    ///
    /// [`WatchError`]; [`WatchError::Refused`] when it does not exist.
    pub async fn static_ip(
        &self,
        id: &StaticIpId,
        wait: Wait,
        until: impl Fn(&StaticIp) -> bool,
    ) -> Result<StaticIp, WatchError> {
        let mut last = Last::new(&format!("static IP {id}"), &wait);
        let wanted = Wanted::new(&self.boards, id);
        let mut turns = Turns::new(wait.start(), &self.boards.static_ips.board);
        loop {
            let fetch = || self.fetch_static_ips(id, wanted.others());
            let look = self.boards.static_ips.board.next(turns.since, turns.due, fetch).await;
            turns.advance(&look);
            let verdict = match &look.seen {
                Ok(seen) => match seen.iter().find(|ip| ip.id == *id) {
                    Some(ip) if until(ip) => Verdict::Done(ip.clone()),
                    Some(ip) => Verdict::NotYet(status(ip)),
                    None => Verdict::NotYet("not listed".to_owned()),
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
                ControlFlow::Break(Some(ip)) => return Ok(ip),
                ControlFlow::Break(None) => return Err(last.timed_out()),
                ControlFlow::Continue(()) => {}
            }
        }
    }

    async fn fetch_static_ips(&self, id: &StaticIpId, others: bool) -> Result<Vec<StaticIp>> {
        let Some(static_ips) = self.provider.static_ips() else {
            return Err(Error::unsupported("get static IP", Capability::StaticIp));
        };
        if others { static_ips.list(&Selector::all()).await } else { Ok(vec![static_ips.get(id).await?]) }
    }
}

fn status(ip: &StaticIp) -> String {
    let mut status = match &ip.assigned_to {
        Some(instance) => format!("assigned to {instance}"),
        None => "not assigned".to_owned(),
    };
    if ip.busy {
        status.push_str(", busy");
    }
    status
}
