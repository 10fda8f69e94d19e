//! Telling the edge how things shall be.
//!
//! What is told is read from the state at the moment of telling, and one call runs at a time; so the edge ends at the
//! newest state whatever the order of the changes was. Each telling is a task of its own: a client that hangs up in the
//! middle of its request does not leave the edge behind the state.

use std::net::Ipv4Addr;

use super::{Cloud, Front, ZoneSnapshot};

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

    async fn tell<T: Future<Output = ()> + Send + 'static>(&self, what: impl FnOnce(Self) -> T + Send + 'static) {
        let cloud = self.clone();
        let told = tokio::spawn(async move {
            let _one_at_a_time = cloud.inner.telling.lock().await;
            what(cloud.clone()).await;
        });
        if let Err(error) = told.await {
            tracing::error!(%error, "the edge failed");
        }
    }
}
