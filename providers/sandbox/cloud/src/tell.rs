//! Telling the edge how things shall be.
//!
//! What is told is read from the state at the moment of telling, and one call runs at a time; so the edge ends at the
//! newest state whatever the order of the changes was. Each telling is a task of its own: a client that hangs up in the
//! middle of its request does not leave the edge behind the state.

use std::{collections::BTreeMap, net::Ipv4Addr};

use super::{
    ApiError, ApiResult, Cloud, Front, ZoneSnapshot,
    balancer::{BalancerSnapshot, BalancerStatus, LoadBalancer, MemberHealth},
};

impl<F: Front> Cloud<F> {
    /// Brings one static IP's forwarding in step with the state.
    pub async fn tell_static_ip(&self, ip: Ipv4Addr) {
        self.tell(move |cloud| async move {
            let known = cloud.read(|state| {
                let reserved = state.static_ips.get(&ip)?;
                Some(reserved.instance.and_then(|id| state.instances.get(&id)).map(|instance| instance.address))
            });
            match known {
                Some(target) => cloud.inner.edge.static_ip(ip, target).await,
                None => cloud.inner.edge.remove_static_ip(ip).await,
            }
        })
        .await;
    }

    /// The same for all of them.
    pub(super) async fn tell_static_ips(&self) {
        for ip in self.read(|state| state.static_ips.keys().copied().collect::<Vec<_>>()) {
            self.tell_static_ip(ip).await;
        }
    }

    /// Brings one load balancer in step with its settings and the members that are wanted now; gives what was said.
    pub(super) async fn tell_balancer(&self, id: u64) -> Result<BalancerSnapshot, String> {
        let told = self.tell(move |cloud| async move {
            let snapshot = cloud.read(|state| {
                let balancer = state.load_balancers.get(&id).filter(|_| !state.balancer_ends(id))?;
                Some(state.balancer_snapshot(cloud.config(), balancer))
            });
            let snapshot = snapshot.ok_or("the load balancer is gone")?;
            cloud.inner.edge.load_balancer(snapshot.clone()).await.map(|()| snapshot)
        });
        told.await.unwrap_or_else(|| Err("the edge failed".to_owned()))
    }

    /// The same for all that are active, at the start.
    pub(super) async fn tell_balancers(&self) {
        let active = self.read(|state| {
            let active = |balancer: &&LoadBalancer| balancer.status == BalancerStatus::Active;
            state.load_balancers.values().filter(active).map(|balancer| balancer.id).collect::<Vec<_>>()
        });
        for id in active {
            if let Err(error) = self.tell_balancer(id).await {
                tracing::error!(balancer = id, error, "a load balancer does not work");
            }
        }
    }

    /// Ends a load balancer's work.
    pub(super) async fn end_balancer(&self, id: u64) {
        self.tell(move |cloud| async move { cloud.inner.edge.remove_load_balancer(id).await }).await;
    }

    /// What a load balancer makes of its members now.
    pub async fn member_health(&self, id: u64) -> BTreeMap<u64, MemberHealth> {
        self.inner.edge.member_health(id).await
    }

    /// What each listener of a load balancer makes of its members now, by its port.
    pub async fn listener_health(&self, id: u64) -> BTreeMap<u16, BTreeMap<u64, MemberHealth>> {
        self.inner.edge.listener_health(id).await
    }

    /// Whether load balancers can be had here.
    ///
    /// # Errors
    ///
    /// 501, which says what is missing.
    pub fn can_balance(&self) -> ApiResult<()> {
        self.inner.edge.can_balance().map_err(ApiError::not_here)
    }

    /// Brings one zone in step with the state.
    pub async fn tell_zone(&self, name: &str) {
        let name = name.to_owned();
        self.tell(move |cloud| async move {
            let zone = cloud.read(|state| {
                let zone = state.zones.get(&name)?;
                Some(ZoneSnapshot { name: name.clone(), records: zone.records.values().cloned().collect() })
            });
            match zone {
                Some(zone) => cloud.inner.edge.zone(zone).await,
                None => cloud.inner.edge.remove_zone(&name).await,
            }
        })
        .await;
    }

    /// `None` where the edge panicked, which is in the log.
    async fn tell<T, O>(&self, what: impl FnOnce(Self) -> T + Send + 'static) -> Option<O>
    where
        T: Future<Output = O> + Send + 'static,
        O: Send + 'static,
    {
        let cloud = self.clone();
        let told = tokio::spawn(async move {
            let _one_at_a_time = cloud.inner.telling.lock().await;
            what(cloud.clone()).await
        });
        told.await.inspect_err(|error| tracing::error!(%error, "the edge failed")).ok()
    }
}
