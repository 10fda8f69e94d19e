//! Static IPs, DNS, login keys, markers and strays.

use async_trait::async_trait;
use remint_core::provider::{
    DnsZones, InstanceId, Labels, LoginKey, LoginKeyId, LoginKeys, Markers, Owner, RecordKind, RecordSet, Result,
    Selector, StaticIp, StaticIpId, StaticIpSpec, StaticIps, Stray, Strays, Zone,
};

use super::Traced;
use crate::wrapped::there;

#[async_trait]
impl StaticIps for Traced {
    async fn ensure(&self, spec: &StaticIpSpec) -> Result<StaticIp> {
        let asked = there(self.inner.static_ips(), "ensure static IP")?.ensure(spec);
        self.log.trace(self.inner.calls(), "ensure static IP", &spec.instance, asked).await
    }

    async fn list(&self, selector: &Selector) -> Result<Vec<StaticIp>> {
        let asked = there(self.inner.static_ips(), "list static IPs")?.list(selector);
        self.log.trace(self.inner.calls(), "list static IPs", "", asked).await
    }

    async fn get(&self, id: &StaticIpId) -> Result<StaticIp> {
        let asked = there(self.inner.static_ips(), "read static IP")?.get(id);
        self.log.trace(self.inner.calls(), "read static IP", id, asked).await
    }

    async fn assign(&self, id: &StaticIpId, instance: &InstanceId) -> Result<()> {
        let asked = there(self.inner.static_ips(), "assign static IP")?.assign(id, instance);
        self.log.trace(self.inner.calls(), "assign static IP", format!("{id} to {instance}"), asked).await
    }

    async fn label(&self, id: &StaticIpId, labels: &Labels) -> Result<()> {
        let asked = there(self.inner.static_ips(), "label static IP")?.label(id, labels);
        self.log.trace(self.inner.calls(), "label static IP", id, asked).await
    }

    async fn unassign(&self, id: &StaticIpId) -> Result<()> {
        let asked = there(self.inner.static_ips(), "unassign static IP")?.unassign(id);
        self.log.trace(self.inner.calls(), "unassign static IP", id, asked).await
    }

    async fn release(&self, id: &StaticIpId) -> Result<()> {
        let asked = there(self.inner.static_ips(), "release static IP")?.release(id);
        self.log.trace(self.inner.calls(), "release static IP", id, asked).await
    }
}

#[async_trait]
impl DnsZones for Traced {
    async fn zone(&self, name: &str) -> Result<Zone> {
        let asked = there(self.inner.dns_zones(), "find zone")?.zone(name);
        self.log.trace(self.inner.calls(), "find zone", name, asked).await
    }

    async fn get(&self, zone: &str, name: &str, kind: RecordKind) -> Result<Option<RecordSet>> {
        let asked = there(self.inner.dns_zones(), "read record")?.get(zone, name, kind);
        self.log.trace(self.inner.calls(), "read record", format!("{name} in {zone}"), asked).await
    }

    async fn upsert(&self, set: &RecordSet) -> Result<()> {
        let asked = there(self.inner.dns_zones(), "set record")?.upsert(set);
        self.log.trace(self.inner.calls(), "set record", format!("{} in {}", set.name, set.zone), asked).await
    }

    async fn remove(&self, zone: &str, name: &str, kind: RecordKind) -> Result<()> {
        let asked = there(self.inner.dns_zones(), "remove record")?.remove(zone, name, kind);
        self.log.trace(self.inner.calls(), "remove record", format!("{name} in {zone}"), asked).await
    }
}

#[async_trait]
impl LoginKeys for Traced {
    async fn ensure(&self, name: &str, public_key: &str) -> Result<LoginKey> {
        let asked = there(self.inner.login_keys(), "ensure login key")?.ensure(name, public_key);
        self.log.trace(self.inner.calls(), "ensure login key", name, asked).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<LoginKey>> {
        let asked = there(self.inner.login_keys(), "list login keys")?.list(prefix);
        self.log.trace(self.inner.calls(), "list login keys", prefix, asked).await
    }

    async fn remove(&self, id: &LoginKeyId) -> Result<()> {
        let asked = there(self.inner.login_keys(), "remove login key")?.remove(id);
        self.log.trace(self.inner.calls(), "remove login key", id, asked).await
    }
}

#[async_trait]
impl Markers for Traced {
    async fn get(&self, name: &str) -> Result<Option<String>> {
        let asked = there(self.inner.markers(), "read marker")?.get(name);
        self.log.trace(self.inner.calls(), "read marker", name, asked).await
    }

    async fn set(&self, name: &str, value: &str) -> Result<()> {
        let asked = there(self.inner.markers(), "set marker")?.set(name, value);
        self.log.trace(self.inner.calls(), "set marker", name, asked).await
    }

    async fn remove(&self, name: &str) -> Result<()> {
        let asked = there(self.inner.markers(), "remove marker")?.remove(name);
        self.log.trace(self.inner.calls(), "remove marker", name, asked).await
    }
}

#[async_trait]
impl Strays for Traced {
    async fn list(&self, owner: &Owner) -> Result<Vec<Stray>> {
        let asked = there(self.inner.strays(), "list strays")?.list(owner);
        self.log.trace(self.inner.calls(), "list strays", "", asked).await
    }

    async fn remove(&self, owner: &Owner, stray: &Stray) -> Result<()> {
        let asked = there(self.inner.strays(), "remove stray")?.remove(owner, stray);
        self.log.trace(self.inner.calls(), "remove stray", "", asked).await
    }
}
