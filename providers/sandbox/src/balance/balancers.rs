//! All load balancers of a sandbox.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Weak},
    time::Duration,
};

use remint_core::provider::PortMap;
use tokio::sync::Mutex;

use super::{balancer::Balancer, haproxy};
use crate::cloud::balancer::{BalancerSnapshot, MemberHealth};

/// How often is looked after each.
const LOOK: Duration = Duration::from_millis(250);

type One = Arc<Mutex<Balancer>>;

/// The load balancers of one sandbox. Dropping it ends them.
#[derive(Debug)]
pub struct Balancers {
    folder: PathBuf,
    ports: PortMap,
    all: Mutex<BTreeMap<u64, One>>,
}

impl Balancers {
    /// None yet, in a folder that is made when the first one is. Ports are moved by the map, on the load balancers' addresses as
    /// on the members'.
    pub fn new(folder: PathBuf, ports: PortMap) -> Arc<Self> {
        let balancers = Arc::new(Self { folder, ports, all: Mutex::default() });
        tokio::spawn(look_after(Arc::downgrade(&balancers)));
        balancers
    }

    /// Whether there can be any on this machine.
    ///
    /// # Errors
    ///
    /// What is missing, with Debian's package that has it.
    pub fn possible(&self) -> Result<(), String> {
        haproxy::find().map(drop)
    }

    /// Makes one as it shall be; it need not be there. Returns when new connections go where they shall.
    ///
    /// # Errors
    ///
    /// Why it does not work as it shall.
    pub async fn set(&self, balancer: BalancerSnapshot) -> Result<(), String> {
        let new = || Balancer::new(self.folder.join(balancer.id.to_string()), self.ports, balancer.clone());
        let one = self.all.lock().await.entry(balancer.id).or_insert_with(|| Arc::new(Mutex::new(new()))).clone();
        one.lock().await.set(balancer.clone()).await
    }

    /// Ends one, with all its connections.
    pub async fn remove(&self, id: u64) {
        let removed = self.all.lock().await.remove(&id);
        end(removed).await;
    }

    /// What one makes of its members; empty where it does not work.
    pub async fn health(&self, id: u64) -> BTreeMap<u64, MemberHealth> {
        let one = self.all.lock().await.get(&id).cloned();
        match one {
            Some(one) => one.lock().await.health().await,
            None => BTreeMap::new(),
        }
    }

    /// What each listener of one makes of its members, by its port; empty where it does not work.
    pub async fn listener_health(&self, id: u64) -> BTreeMap<u16, BTreeMap<u64, MemberHealth>> {
        let one = self.all.lock().await.get(&id).cloned();
        match one {
            Some(one) => one.lock().await.listener_health().await,
            None => BTreeMap::new(),
        }
    }

    /// Ends all. Returns when their ports are free.
    pub async fn end(&self) {
        let all = std::mem::take(&mut *self.all.lock().await);
        futures::future::join_all(all.into_values().map(|one| end(Some(one)))).await;
    }
}

/// Ends one when nobody is at work on it.
async fn end(one: Option<One>) {
    if let Some(one) = one {
        one.lock().await.end().await;
    }
}

async fn look_after(balancers: Weak<Balancers>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(balancers) = balancers.upgrade() else { return };
        let all: Vec<One> = balancers.all.lock().await.values().cloned().collect();
        drop(balancers);
        for one in all {
            one.lock().await.look_after().await;
        }
    }
}
