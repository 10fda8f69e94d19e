//! Static IPs, DNS, login keys, markers and strays.

use async_trait::async_trait;
use remint_core::provider::{
    DnsZones, Effect, InstanceId, Labels, LoginKey, LoginKeyId, LoginKeys, Markers, Owner, RecordKind, RecordSet,
    Result, Selector, StaticIp, StaticIpId, StaticIpSpec, StaticIps, Stray, Strays, Zone,
};

use super::{Recorded, unwritten};
use crate::ledger::Resource;
use crate::wrapped::there;

#[async_trait]
impl StaticIps for Recorded {
    async fn ensure(&self, spec: &StaticIpSpec) -> Result<StaticIp> {
        const OPERATION: &str = "ensure static IP";
        let ips = there(self.inner.static_ips(), OPERATION)?;
        let ip = Resource::StaticIp { instance: spec.instance.clone(), id: None };
        self.ledger.intend(vec![ip]).await.map_err(unwritten(OPERATION))?;
        let made = ips.ensure(spec).await?;
        let told = self.ledger.made_static_ip(&spec.instance, &made.id).await;
        told.map_err(|error| unwritten(OPERATION)(error).with_resource(&made.id).with_effect(Effect::Applied))?;
        Ok(made)
    }

    async fn list(&self, selector: &Selector) -> Result<Vec<StaticIp>> {
        there(self.inner.static_ips(), "list static IPs")?.list(selector).await
    }

    async fn get(&self, id: &StaticIpId) -> Result<StaticIp> {
        there(self.inner.static_ips(), "read static IP")?.get(id).await
    }

    async fn assign(&self, id: &StaticIpId, instance: &InstanceId) -> Result<()> {
        there(self.inner.static_ips(), "assign static IP")?.assign(id, instance).await
    }

    async fn label(&self, id: &StaticIpId, labels: &Labels) -> Result<()> {
        there(self.inner.static_ips(), "label static IP")?.label(id, labels).await
    }

    async fn unassign(&self, id: &StaticIpId) -> Result<()> {
        there(self.inner.static_ips(), "unassign static IP")?.unassign(id).await
    }

    async fn release(&self, id: &StaticIpId) -> Result<()> {
        there(self.inner.static_ips(), "release static IP")?.release(id).await
    }
}

#[async_trait]
impl DnsZones for Recorded {
    async fn zone(&self, name: &str) -> Result<Zone> {
        there(self.inner.dns_zones(), "find zone")?.zone(name).await
    }

    async fn get(&self, zone: &str, name: &str, kind: RecordKind) -> Result<Option<RecordSet>> {
        there(self.inner.dns_zones(), "get record")?.get(zone, name, kind).await
    }

    async fn upsert(&self, set: &RecordSet) -> Result<()> {
        const OPERATION: &str = "set record";
        let zones = there(self.inner.dns_zones(), OPERATION)?;
        let record = Resource::Record { zone: set.zone.clone(), name: set.name.clone(), record: set.kind };
        self.ledger.intend(vec![record]).await.map_err(unwritten(OPERATION))?;
        zones.upsert(set).await
    }

    async fn remove(&self, zone: &str, name: &str, kind: RecordKind) -> Result<()> {
        there(self.inner.dns_zones(), "remove record")?.remove(zone, name, kind).await
    }
}

#[async_trait]
impl LoginKeys for Recorded {
    async fn ensure(&self, name: &str, public_key: &str) -> Result<LoginKey> {
        const OPERATION: &str = "ensure login key";
        let keys = there(self.inner.login_keys(), OPERATION)?;
        let key = Resource::LoginKey { name: name.to_owned() };
        self.ledger.intend(vec![key]).await.map_err(unwritten(OPERATION))?;
        keys.ensure(name, public_key).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<LoginKey>> {
        there(self.inner.login_keys(), "list login keys")?.list(prefix).await
    }

    async fn remove(&self, id: &LoginKeyId) -> Result<()> {
        there(self.inner.login_keys(), "remove login key")?.remove(id).await
    }
}

#[async_trait]
impl Markers for Recorded {
    async fn get(&self, name: &str) -> Result<Option<String>> {
        there(self.inner.markers(), "read marker")?.get(name).await
    }

    async fn set(&self, name: &str, value: &str) -> Result<()> {
        const OPERATION: &str = "set marker";
        let markers = there(self.inner.markers(), OPERATION)?;
        let marker = Resource::Marker { name: name.to_owned() };
        self.ledger.intend(vec![marker]).await.map_err(unwritten(OPERATION))?;
        markers.set(name, value).await
    }

    async fn remove(&self, name: &str) -> Result<()> {
        there(self.inner.markers(), "remove marker")?.remove(name).await
    }
}

#[async_trait]
impl Strays for Recorded {
    async fn list(&self, owner: &Owner) -> Result<Vec<Stray>> {
        there(self.inner.strays(), "list strays")?.list(owner).await
    }

    async fn remove(&self, owner: &Owner, stray: &Stray) -> Result<()> {
        there(self.inner.strays(), "remove stray")?.remove(owner, stray).await
    }
}
