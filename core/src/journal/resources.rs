//! What outlives releases: static IPs, load balancers and DNS records, each with who created it and whether it is still wanted.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Journal, JournalError, LockGuard, Place};
use crate::provider::{Address, LoadBalancerId, ProviderId, RecordKind, Region, ReleaseId, StaticIpId};

/// A static IP of an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnedStaticIp {
    /// The cloud's own id, by which the static IP is moved and released.
    pub id: StaticIpId,
    /// The IP address; on the sandbox with the offset of its ports.
    pub address: Address,
}

/// A DNS record of an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnedRecord {
    /// The zone that holds the record, without a final dot.
    pub zone: String,
    /// The name below the zone.
    pub name: String,
    /// A, AAAA and so on.
    pub kind: RecordKind,
    /// How long resolvers may keep it, in seconds; 0 where a Remint from before did not write it down.
    #[serde(default)]
    pub ttl: u64,
}

impl OwnedRecord {
    /// The full name, without the final dot.
    pub fn fqdn(&self) -> String {
        if self.name == "@" { self.zone.clone() } else { format!("{}.{}", self.name, self.zone) }
    }

    /// Whether both are the record of one name.
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.zone, &self.name, self.kind) == (&other.zone, &other.name, other.kind)
    }
}

/// A load balancer of an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnedLoadBalancer {
    /// The cloud's own id, by which instances are attached to it.
    pub id: LoadBalancerId,
    /// Its name, which holds the environment's id.
    pub name: String,
    /// The certificates by port, as the manifest named them when it was set up last: the cloud shows ids in their place.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub certificates: BTreeMap<String, String>,
}

/// What the environment has in a cloud in addition to the instances of its releases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "resource", rename_all = "snake_case")]
pub enum Resource {
    /// A static IP that releases point at their instance.
    StaticIp(OwnedStaticIp),
    /// A load balancer that releases attach their instances to.
    LoadBalancer(OwnedLoadBalancer),
    /// A DNS record that the manifest asks for, or asked for.
    Record(OwnedRecord),
}

/// A resource, and how this environment came to have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owned {
    /// The static IP, load balancer or record.
    #[serde(flatten)]
    pub resource: Resource,
    /// The provider whose API is asked: for a record, the one that serves the zone.
    pub provider: ProviderId,
    /// Where it is, for what has a place.
    #[serde(default)]
    pub region: Option<Region>,
    /// The release that created it, or took a record over; `None` for a static IP that the user named, which is used and never
    /// released.
    pub made_by: Option<ReleaseId>,
    /// That the manifest does not want it any more. It goes once nobody can be using it.
    #[serde(default)]
    pub superseded: Option<Superseded>,
}

/// Why a resource is on its way out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Superseded {
    /// When it was superseded: it goes once its TTL has passed since.
    pub since: Timestamp,
    /// The release that does without it. When that is undone, it is wanted again.
    pub by: ReleaseId,
}

impl Owned {
    /// The static IP that it is, if it is one.
    pub fn as_static_ip(&self) -> Option<&OwnedStaticIp> {
        match &self.resource {
            Resource::StaticIp(ip) => Some(ip),
            Resource::LoadBalancer(_) | Resource::Record(_) => None,
        }
    }

    /// The record that it is, if it is one.
    pub fn as_record(&self) -> Option<&OwnedRecord> {
        match &self.resource {
            Resource::Record(record) => Some(record),
            Resource::StaticIp(_) | Resource::LoadBalancer(_) => None,
        }
    }

    /// The load balancer that it is, if it is one.
    pub fn as_load_balancer(&self) -> Option<&OwnedLoadBalancer> {
        match &self.resource {
            Resource::LoadBalancer(balancer) => Some(balancer),
            Resource::StaticIp(_) | Resource::Record(_) => None,
        }
    }

    /// Whether clients are sent to it: a static IP or a load balancer, of which an environment has one at a time.
    pub fn is_way_in(&self) -> bool {
        self.as_record().is_none()
    }

    /// Its provider and region; `None` for what has no region, such as a DNS record.
    pub fn place(&self) -> Option<Place> {
        Some(Place { provider: self.provider.clone(), region: self.region.clone()? })
    }

    /// Its name for people.
    pub fn title(&self) -> String {
        match &self.resource {
            Resource::StaticIp(ip) => format!("static IP {}", ip.address.ip),
            Resource::LoadBalancer(balancer) => format!("load balancer {}", balancer.name),
            Resource::Record(record) => format!("{} {}", record.fqdn(), record.kind),
        }
    }
}

/// What outlives releases.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "ResourcesText")]
pub struct Resources {
    /// All of it, oldest first.
    pub owned: Vec<Owned>,
}

/// How [`Resources`] are read: as a list, or in the two fields of format 1.
#[derive(Deserialize)]
struct ResourcesText {
    #[serde(default)]
    owned: Vec<Owned>,
    #[serde(default)]
    static_ip: Option<StaticIpOfFormat1>,
    #[serde(default)]
    record: Option<RecordOfFormat1>,
}

#[derive(Deserialize)]
struct StaticIpOfFormat1 {
    id: StaticIpId,
    address: Address,
    made_by: Option<ReleaseId>,
}

#[derive(Deserialize)]
struct RecordOfFormat1 {
    zone: String,
    name: String,
    kind: RecordKind,
    provider: ProviderId,
    made_by: ReleaseId,
}

/// Stands for the provider of a static IP of format 1, which did not write it down: that of the environment's releases.
const UNKNOWN: &str = "";

impl From<ResourcesText> for Resources {
    fn from(text: ResourcesText) -> Self {
        let mut owned = text.owned;
        owned.extend(text.static_ip.map(|ip| Owned {
            resource: Resource::StaticIp(OwnedStaticIp { id: ip.id, address: ip.address }),
            provider: UNKNOWN.into(),
            region: None,
            made_by: ip.made_by,
            superseded: None,
        }));
        owned.extend(text.record.map(|record| Owned {
            resource: Resource::Record(OwnedRecord { zone: record.zone, name: record.name, kind: record.kind, ttl: 0 }),
            provider: record.provider,
            region: None,
            made_by: Some(record.made_by),
            superseded: None,
        }));
        Self { owned }
    }
}

impl Resources {
    /// The static IP that the environment serves under.
    pub fn static_ip(&self) -> Option<(&Owned, &OwnedStaticIp)> {
        self.wanted().find_map(|owned| Some((owned, owned.as_static_ip()?)))
    }

    /// The load balancer that the environment serves behind.
    pub fn load_balancer(&self) -> Option<(&Owned, &OwnedLoadBalancer)> {
        self.wanted().find_map(|owned| Some((owned, owned.as_load_balancer()?)))
    }

    /// The DNS record that the environment serves under.
    pub fn record(&self) -> Option<(&Owned, &OwnedRecord)> {
        self.wanted().find_map(|owned| Some((owned, owned.as_record()?)))
    }

    /// What the manifest wanted last.
    pub fn wanted(&self) -> impl Iterator<Item = &Owned> {
        self.owned.iter().filter(|owned| owned.superseded.is_none())
    }

    /// What it does not want any more, and that is not gone yet.
    pub fn superseded(&self) -> impl Iterator<Item = &Owned> {
        self.owned.iter().filter(|owned| owned.superseded.is_some())
    }

    /// Every static IP, wanted or not.
    pub fn static_ips(&self) -> impl Iterator<Item = (&Owned, &OwnedStaticIp)> {
        self.owned.iter().filter_map(|owned| Some((owned, owned.as_static_ip()?)))
    }

    /// Every load balancer, wanted or not.
    pub fn load_balancers(&self) -> impl Iterator<Item = (&Owned, &OwnedLoadBalancer)> {
        self.owned.iter().filter_map(|owned| Some((owned, owned.as_load_balancer()?)))
    }

    /// The entry of a record at a provider, wanted or not.
    pub fn find_record(&self, provider: &str, wanted: &OwnedRecord) -> Option<&Owned> {
        self.owned.iter().find(|owned| {
            owned.provider.as_str() == provider && owned.as_record().is_some_and(|record| record.is_same(wanted))
        })
    }

    /// Whether a static IP or record is among them, whatever is known of it.
    pub(super) fn has(&self, other: &Owned) -> bool {
        self.owned.iter().any(|owned| match (&owned.resource, &other.resource) {
            (Resource::StaticIp(one), Resource::StaticIp(other)) => one.id == other.id,
            (Resource::LoadBalancer(one), Resource::LoadBalancer(other)) => one.id == other.id,
            (Resource::Record(one), Resource::Record(record)) => {
                owned.provider == other.provider && one.is_same(record)
            }
            _ => false,
        })
    }

    /// Takes a load balancer in as the wanted one, on behalf of the release that created it; the way in of before is superseded.
    pub fn want_load_balancer(&mut self, balancer: OwnedLoadBalancer, place: &Place, by: ReleaseId) {
        let is_same = |owned: &Owned| owned.as_load_balancer().is_some_and(|known| known.id == balancer.id);
        let former = self.owned.iter().position(is_same);
        let made_by = former.and_then(|at| self.owned.remove(at).made_by).unwrap_or(by);
        self.supersede(by, Owned::is_way_in);
        self.owned.push(Owned {
            resource: Resource::LoadBalancer(balancer),
            provider: place.provider.clone(),
            region: Some(place.region.clone()),
            made_by: Some(made_by),
            superseded: None,
        });
    }

    /// Takes a static IP in as the wanted one, on behalf of a release; the way in of before is superseded. `made` says whether the
    /// release created it.
    pub fn want_static_ip(&mut self, ip: OwnedStaticIp, place: &Place, made: bool, by: ReleaseId) {
        let former = self.owned.iter().position(|owned| owned.as_static_ip().is_some_and(|known| known.id == ip.id));
        // One that was made here stays so, also when a manifest names it as an existing one meanwhile.
        let made_by = former.and_then(|at| self.owned.remove(at).made_by).or(made.then_some(by));
        self.supersede(by, Owned::is_way_in);
        self.owned.push(Owned {
            resource: Resource::StaticIp(ip),
            provider: place.provider.clone(),
            region: Some(place.region.clone()),
            made_by,
            superseded: None,
        });
    }

    /// Takes a record in as the wanted one, on behalf of a release; one of another name is superseded.
    pub fn want_record(&mut self, record: OwnedRecord, provider: &str, by: ReleaseId) {
        let former = self.owned.iter().position(|owned| {
            owned.provider.as_str() == provider && owned.as_record().is_some_and(|known| known.is_same(&record))
        });
        let made_by = former.and_then(|at| self.owned.remove(at).made_by).unwrap_or(by);
        self.supersede(by, |owned| owned.as_record().is_some());
        self.owned.push(Owned {
            resource: Resource::Record(record),
            provider: provider.into(),
            region: None,
            made_by: Some(made_by),
            superseded: None,
        });
    }

    /// Notes that some of what is wanted is so no more.
    pub fn supersede(&mut self, by: ReleaseId, which: impl Fn(&Owned) -> bool) {
        let since = crate::clock::wall();
        for owned in self.owned.iter_mut().filter(|owned| owned.superseded.is_none()) {
            if which(owned) {
                owned.superseded = Some(Superseded { since, by });
            }
        }
    }

    /// Counts from now how long resolvers may keep the records that a release does without. Says whether there are any.
    pub fn supersede_records_from_now(&mut self, by: ReleaseId) -> bool {
        let since = crate::clock::wall();
        let mut any = false;
        for owned in self.owned.iter_mut().filter(|owned| owned.as_record().is_some()) {
            if let Some(superseded) = owned.superseded.as_mut().filter(|superseded| superseded.by == by) {
                superseded.since = since;
                any = true;
            }
        }
        any
    }

    /// Wants again what a release did without. What it made or took instead is superseded or forgotten.
    pub fn restore(&mut self, by: ReleaseId, which: impl Fn(&Owned) -> bool) {
        let is_former = |owned: &Owned| {
            let superseded = owned.superseded.as_ref().is_some_and(|former| former.by == by);
            which(owned) && superseded && owned.made_by != Some(by)
        };
        if !self.owned.iter().any(is_former) {
            return;
        }
        let is_wanted = |owned: &Owned| which(owned) && owned.superseded.is_none();
        self.owned.retain(|owned| !is_wanted(owned) || owned.made_by.is_some());
        let since = crate::clock::wall();
        for owned in &mut self.owned {
            if is_former(owned) {
                owned.superseded = None;
            } else if is_wanted(owned) {
                owned.superseded = owned.made_by.map(|by| Superseded { since, by });
            }
        }
    }

    /// Forgets a resource, which is gone.
    pub fn forget(&mut self, gone: &Resource) {
        self.owned.retain(|owned| owned.resource != *gone);
    }
}

impl Journal {
    fn resources_name(&self) -> String {
        format!("{}/resources.json", self.environment())
    }

    /// What outlives releases.
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn resources(&self) -> Result<Resources, JournalError> {
        let mut resources: Resources = match self.store().get(&self.resources_name()).await? {
            Some(resources) => resources,
            None if self.environment_record().await?.is_some() => {
                let what = "it is missing, and with it which static IPs and records are ours";
                return Err(JournalError::damaged(&self.resources_name(), what));
            }
            None => Resources::default(),
        };
        if resources.owned.iter().any(|owned| owned.provider.as_str() == UNKNOWN) {
            let history = self.history().await?;
            for owned in resources.owned.iter_mut().filter(|owned| owned.provider.as_str() == UNKNOWN) {
                let maker = history.iter().find(|release| owned.made_by.is_none_or(|made| made == release.id()));
                if let Some(release) = maker.or(history.last()) {
                    owned.provider = release.record.provider.clone();
                    owned.region = Some(release.record.region.clone());
                }
            }
        }
        Ok(resources)
    }

    /// Writes down what outlives releases.
    ///
    /// # Errors
    ///
    /// [`JournalError::Lost`] without the lock.
    pub async fn set_resources(&self, lock: &LockGuard, resources: &Resources) -> Result<(), JournalError> {
        self.update(lock, &self.resources_name(), resources).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place { provider: "fake".into(), region: "here".into() }
    }

    fn ip(last: u8) -> OwnedStaticIp {
        let address = Address::new(std::net::IpAddr::from([192, 0, 2, last]));
        OwnedStaticIp { id: address.ip.to_string().into(), address }
    }

    #[test]
    fn an_address_that_is_replaced_is_remembered_until_it_is_gone() {
        let (one, two) = (ReleaseId(1), ReleaseId(2));
        let mut resources = Resources::default();
        resources.want_static_ip(ip(1), &place(), true, one);
        let before = resources.clone();
        resources.want_static_ip(ip(2), &place(), false, two);
        assert_eq!(resources.static_ip().unwrap().1, &ip(2));
        let old: Vec<_> = resources.superseded().map(Owned::title).collect();
        assert_eq!(old, ["static IP 192.0.2.1"]);
        let mut undone = resources.clone();
        undone.restore(two, |owned| owned.as_static_ip().is_some());
        assert_eq!(undone, before);
        // Named by the user as an existing one, it is still the one that r1 made, and goes with the environment.
        resources.want_static_ip(ip(1), &place(), false, ReleaseId(3));
        assert_eq!(resources.static_ip().unwrap().0.made_by, Some(one));
    }

    #[test]
    fn what_a_release_made_is_still_known_when_what_it_replaced_is_wanted_again() {
        let two = ReleaseId(2);
        let mut resources = Resources::default();
        resources.want_static_ip(ip(1), &place(), true, ReleaseId(1));
        resources.want_static_ip(ip(2), &place(), true, two);
        for _ in 0..2 {
            resources.restore(two, |owned| owned.as_static_ip().is_some());
            assert_eq!(resources.static_ip().unwrap().1, &ip(1));
            let left: Vec<_> = resources.superseded().map(|owned| (owned.title(), owned.made_by)).collect();
            assert_eq!(left, [("static IP 192.0.2.2".to_owned(), Some(two))]);
        }
    }

    #[test]
    fn a_release_that_superseded_nothing_restores_nothing() {
        let mut resources = Resources::default();
        resources.want_static_ip(ip(1), &place(), true, ReleaseId(1));
        let before = resources.clone();
        resources.restore(ReleaseId(2), |_| true);
        assert_eq!(resources, before);
    }

    #[test]
    fn format_1_is_read_as_a_list() {
        let text = r#"{"static_ip": {"id": "192.0.2.1", "address": {"ip": "192.0.2.1"}, "made_by": 1},
            "record": {"zone": "example.org", "name": "www", "kind": "A", "provider": "fake", "made_by": 1}}"#;
        let resources: Resources = serde_json::from_str(text).unwrap();
        assert_eq!(resources.static_ip().unwrap().1, &ip(1));
        assert_eq!(resources.record().unwrap().1.fqdn(), "www.example.org");
        let again: Resources = serde_json::from_str(&serde_json::to_string(&resources).unwrap()).unwrap();
        assert_eq!(again, resources);
    }
}
