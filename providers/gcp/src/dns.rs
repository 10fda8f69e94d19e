//! DNS zones are public managed zones; a record set is changed by one change, which takes the old one away and puts the
//! new one in its place at once.

use std::{net::Ipv6Addr, time::Duration};

use async_trait::async_trait;
use google_cloud_dns_v1::model::{
    Change, ManagedZone, ManagedZonesListResponse, ResourceRecordSet, ResourceRecordSetsListResponse,
    managed_zone::Visibility,
};
use remint_core::provider::{
    DnsZones, Effect, Error, ErrorKind, RecordKind, RecordSet, Result, Zone, nearest, support::CallClass,
};

use crate::{DESCRIPTOR, Gcp, error::Subject, memory::KnownZone};

#[cfg(test)]
mod tests;
mod text;

/// How often a change is made again when the record set changed meanwhile, or a reply was lost.
const ROUNDS: u32 = 4;

fn bare(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

impl Gcp {
    /// The managed zone of a name: one call, once.
    async fn managed_zone(&self, operation: &'static str, name: &str) -> Result<KnownZone> {
        let mut known = self.known_zones.lock().await;
        if let Some(found) = known.get(&bare(name)) {
            return Ok(found.clone());
        }
        let subject = Subject::new(operation).about(name);
        let zones = self.managed_zones(&subject, Some(format!("{}.", bare(name)))).await?;
        let public = |zone: &&ManagedZone| {
            let same = zone.dns_name.as_deref().is_some_and(|found| bare(found) == bare(name));
            same && !matches!(zone.visibility, Some(Visibility::Private))
        };
        let Some(found) = zones.iter().find(public) else {
            return Err(self.no_zone(&subject, name).await);
        };
        let servers = found.name_servers.iter().map(|server| bare(server)).collect();
        let found = KnownZone { id: found.name.clone().unwrap_or_default(), servers };
        known.insert(bare(name), found.clone());
        Ok(found)
    }

    async fn managed_zones(&self, subject: &Subject, name: Option<String>) -> Result<Vec<ManagedZone>> {
        let client = &self.client;
        let page = |token: Option<String>| {
            let ask = client.managed_zones.list().set_project(&client.project).set_or_clear_page_token(token);
            ask.set_or_clear_dns_name(name.clone()).send()
        };
        let take = |page: ManagedZonesListResponse| (page.managed_zones, page.next_page_token);
        client.pages(subject, page, take).await
    }

    async fn no_zone(&self, subject: &Subject, name: &str) -> Error {
        let zones = self.managed_zones(subject, None).await.unwrap_or_default();
        let names: Vec<String> = zones.iter().filter_map(|zone| zone.dns_name.as_deref()).map(bare).collect();
        let hint = match names.as_slice() {
            [] => "make a public managed zone first; the project has none".to_owned(),
            _ => format!("zones of the project: {}", nearest(name, names.iter().map(String::as_str))),
        };
        subject.error(ErrorKind::NotFound, "the project has no such public zone").with_hint(hint)
    }

    /// The record sets of a name, of one kind or of all; one call.
    async fn records(
        &self,
        operation: &'static str,
        zone: &str,
        fqdn: &str,
        kind: Option<RecordKind>,
    ) -> Result<(KnownZone, Vec<ResourceRecordSet>)> {
        let known = self.managed_zone(operation, zone).await?;
        let subject = Subject::new(operation).about(fqdn);
        let client = &self.client;
        let name = format!("{}.", bare(fqdn));
        let page = |token: Option<String>| {
            let ask = client.record_sets.list().set_project(&client.project).set_managed_zone(&known.id);
            let ask = ask.set_name(&name).set_or_clear_page_token(token);
            ask.set_or_clear_type(kind.map(|kind| kind.to_string())).send()
        };
        let take = |page: ResourceRecordSetsListResponse| (page.rrsets, page.next_page_token);
        let mut found: Vec<ResourceRecordSet> = match client.pages(&subject, page, take).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // Deleted since it was looked up.
                self.known_zones.lock().await.remove(&bare(zone));
                return Err(self.no_zone(&subject, zone).await);
            }
            result => result?,
        };
        found.retain(|set| set.name.as_deref().is_some_and(|found| bare(found) == bare(fqdn)));
        if let Some(kind) = kind {
            found.retain(|set| is_kind(set, kind));
        }
        Ok((known, found))
    }

    /// One change. `Ok(false)` when it must be looked again: the record set is not what it was, or a reply was lost.
    async fn change(&self, subject: &Subject, zone: &KnownZone, change: Change) -> Result<bool> {
        let client = &self.client;
        let ask = || {
            let ask = client.changes.create().set_project(&client.project).set_managed_zone(&zone.id);
            ask.set_body(change.clone()).send()
        };
        match client.run(CallClass::Mutation, subject, ask).await {
            Ok(_) => Ok(true),
            Err(error) if error.effect() != Effect::NotApplied => {
                tracing::warn!(%error, "looking whether the record was changed");
                Ok(false)
            }
            // Somebody else was faster: what was to be taken away is not there, or what was to be put there is.
            Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound) => {
                tracing::debug!(%error, "looking at the record again");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Looks and changes until the record set is as wanted; none when `wanted` is `None`.
    async fn bring_about(
        &self,
        operation: &'static str,
        zone: &str,
        fqdn: &str,
        kind: RecordKind,
        wanted: Option<&RecordSet>,
    ) -> Result<()> {
        let subject = Subject::new(operation).about(fqdn);
        for _ in 0..ROUNDS {
            let (known, all) = self.records(operation, zone, fqdn, wanted.is_none().then_some(kind)).await?;
            let standing = all.iter().find(|set| is_kind(set, kind));
            let mut change = Change::new();
            if let Some(wanted) = wanted {
                refuse_beside(&subject, &all, kind)?;
                if standing.is_some_and(|standing| is_same(standing, wanted)) {
                    return Ok(());
                }
                let set = ResourceRecordSet::new()
                    .set_name(format!("{}.", bare(fqdn)))
                    .set_type(kind.to_string())
                    .set_ttl(i32::try_from(wanted.ttl.as_secs()).unwrap_or(i32::MAX))
                    .set_rrdatas(wanted.values.iter().map(|value| text::to_wire(kind, value)));
                change = change.set_additions([set]);
            } else if standing.is_none() {
                return Ok(());
            }
            if let Some(standing) = standing {
                change = change.set_deletions([standing.clone()]);
            }
            if self.change(&subject, &known, change).await? {
                return Ok(());
            }
            tokio::time::sleep(self.look).await;
        }
        Err(subject
            .error(ErrorKind::Unavailable, "the record set changed, or a reply was lost, again and again")
            .with_effect(Effect::Unknown))
    }
}

fn is_kind(set: &ResourceRecordSet, kind: RecordKind) -> bool {
    set.r#type.as_deref() == Some(kind.to_string().as_str())
}

/// A CNAME stands alone at its name.
fn refuse_beside(subject: &Subject, all: &[ResourceRecordSet], kind: RecordKind) -> Result<()> {
    let excluded = |set: &&ResourceRecordSet| match kind {
        RecordKind::Cname => !matches!(set.r#type.as_deref(), Some("CNAME" | "SOA" | "NS")),
        RecordKind::A | RecordKind::Aaaa | RecordKind::Txt => set.r#type.as_deref() == Some("CNAME"),
    };
    let Some(other) = all.iter().find(excluded).and_then(|set| set.r#type.as_deref()) else { return Ok(()) };
    let message = format!("a {other} record exists at this name, and excludes {kind} records");
    Err(subject
        .error(ErrorKind::Conflict, message)
        .with_hint(format!("remove the {other} record, or choose another name")))
}

fn values(set: &ResourceRecordSet, kind: RecordKind) -> Vec<String> {
    set.rrdatas.iter().map(|data| text::from_wire(kind, data)).collect()
}

/// Whether a record set has these values, in whatever order, and this TTL.
fn is_same(standing: &ResourceRecordSet, wanted: &RecordSet) -> bool {
    let plain = |value: &String| match wanted.kind {
        RecordKind::Aaaa => value.parse::<Ipv6Addr>().map_or_else(|_| value.clone(), |ip| ip.to_string()),
        RecordKind::Cname => bare(value),
        RecordKind::A | RecordKind::Txt => value.clone(),
    };
    let sorted = |values: &[String]| {
        let mut values: Vec<String> = values.iter().map(plain).collect();
        values.sort();
        values
    };
    let ttl = standing.ttl.and_then(|ttl| u64::try_from(ttl).ok());
    ttl == Some(wanted.ttl.as_secs()) && sorted(&values(standing, wanted.kind)) == sorted(&wanted.values)
}

fn fqdn(zone: &str, name: &str) -> String {
    if name == "@" { zone.to_owned() } else { format!("{name}.{zone}") }
}

#[async_trait]
impl DnsZones for Gcp {
    async fn zone(&self, name: &str) -> Result<Zone> {
        let found = self.managed_zone("find zone", name).await?;
        Ok(Zone { name: bare(name), name_servers: found.servers })
    }

    async fn get(&self, zone: &str, name: &str, kind: RecordKind) -> Result<Option<RecordSet>> {
        let (_, found) = self.records("get record", zone, &fqdn(zone, name), Some(kind)).await?;
        Ok(found.first().map(|set| RecordSet {
            zone: zone.to_owned(),
            name: name.to_owned(),
            kind,
            ttl: Duration::from_secs(set.ttl.and_then(|ttl| u64::try_from(ttl).ok()).unwrap_or_default()),
            values: values(set, kind),
        }))
    }

    async fn upsert(&self, set: &RecordSet) -> Result<()> {
        const OPERATION: &str = "set record";
        set.check(OPERATION, &DESCRIPTOR)?;
        self.bring_about(OPERATION, &set.zone, &set.fqdn(), set.kind, Some(set)).await
    }

    async fn remove(&self, zone: &str, name: &str, kind: RecordKind) -> Result<()> {
        self.bring_about("remove record", zone, &fqdn(zone, name), kind, None).await
    }
}
