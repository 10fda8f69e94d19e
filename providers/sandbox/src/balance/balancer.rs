//! One load balancer: an HAProxy, and what it was last told.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use remint_core::provider::PortMap;
use tokio::time::Instant;

use super::{
    config::{at, backend, differs, render},
    control::{self, Seen},
    haproxy::Haproxy,
    listening::listens,
};
use crate::cloud::balancer::{BalancerSnapshot, MemberHealth};

/// The time after which one that could not be brought in step is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// How long the former process may take connections after a new one took over, and how often is looked.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(5);

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
    /// Members that get no new connections, by listener, until they have none left.
    leaving: BTreeSet<(String, u64)>,
    /// When it is brought in step again, at the earliest, where it is not.
    next_try: Instant,
    ended: bool,
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
            leaving: BTreeSet::new(),
            next_try: Instant::now(),
            ended: false,
        }
    }

    /// Makes it as it shall be.
    pub(super) async fn set(&mut self, wanted: BalancerSnapshot) -> Result<(), String> {
        self.wanted = wanted;
        self.bring().await
    }

    /// Starts its process again where that has ended, and lets go of members that have no connections any more.
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
        } else if !self.leaving.is_empty()
            && let Err(error) = self.let_go().await
        {
            tracing::warn!(balancer = self.wanted.id, error, "members cannot be let go");
        }
    }

    /// What it makes of each member: healthy is what gets connections on every listener.
    pub(super) async fn health(&self) -> BTreeMap<u64, MemberHealth> {
        let seen = control::seen(&self.folder).await.unwrap_or_default();
        let mut health = BTreeMap::new();
        for Seen { member, health: here, .. } in seen {
            if !self.wanted.members.contains_key(&member) {
                continue;
            }
            let all = health.entry(member).or_insert(here);
            if here != MemberHealth::Healthy && *all != MemberHealth::Unhealthy {
                *all = here;
            }
        }
        health
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
            self.leaving.clear();
            self.told = None;
            let text = render(&self.wanted, &BTreeSet::new(), self.ports);
            self.haproxy = Some(Haproxy::start(&self.folder, &text).await?);
        } else if self.is_behind()
            && let Some(haproxy) = &self.haproxy
        {
            let healthy = self.health().await.into_iter().filter(|(_, health)| *health == MemberHealth::Healthy);
            let in_service = healthy.map(|(member, _)| member).collect();
            // The former process may have a request more on a connection that its client keeps.
            for one in control::seen(&self.folder).await? {
                if !self.wanted.members.contains_key(&one.member) {
                    control::drain(&self.folder, &one.backend, one.member).await?;
                }
            }
            let former = haproxy.reload(&self.folder, &render(&self.wanted, &in_service, self.ports)).await?;
            self.has_stopped(former).await?;
            // They go on in the former process, for as long as they have connections.
            self.leaving.clear();
        }
        self.told = Some(self.wanted.clone());
        self.bring_members().await
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

    /// Adds members that are missing, lets those begin that wait, and drains those that are not wanted.
    async fn bring_members(&mut self) -> Result<(), String> {
        let seen = control::seen(&self.folder).await?;
        let seen: BTreeMap<(&str, u64), &Seen> =
            seen.iter().map(|one| ((one.backend.as_str(), one.member), one)).collect();
        for listener in &self.wanted.listeners {
            let name = backend(listener.port);
            for (id, address) in &self.wanted.members {
                match seen.get(&(name.as_str(), *id)) {
                    None => {
                        let at = at(*address, listener.target_port, &self.wanted.check, self.ports);
                        control::add(&self.folder, &name, *id, &at).await?;
                    }
                    Some(one) if one.waits => control::begin(&self.folder, &name, *id).await?,
                    Some(_) if self.leaving.remove(&(name.clone(), *id)) => {
                        control::again(&self.folder, &name, *id).await?;
                    }
                    Some(_) => {}
                }
            }
        }
        for (name, id) in seen.keys().filter(|(_, id)| !self.wanted.members.contains_key(id)) {
            if self.leaving.insert(((*name).to_owned(), *id)) {
                control::drain(&self.folder, name, *id).await?;
            }
        }
        Ok(())
    }

    async fn let_go(&mut self) -> Result<(), String> {
        for one in control::seen(&self.folder).await? {
            let name = (one.backend, one.member);
            if one.connections == 0 && self.leaving.contains(&name) {
                control::remove(&self.folder, &name.0, name.1).await?;
                self.leaving.remove(&name);
            }
        }
        Ok(())
    }
}
