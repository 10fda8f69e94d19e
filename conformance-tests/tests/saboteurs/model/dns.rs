//! DNS of the model.

use async_trait::async_trait;
use remint_conformance::LostReply;
use remint_core::provider::{DnsZones, ErrorKind, RecordKind, RecordSet, Result, Zone};

use super::{Model, World, cloud::ZONE, not_found, refusal};

fn check_zone(operation: &'static str, zone: &str) -> Result<()> {
    if zone == ZONE { Ok(()) } else { Err(not_found(operation, zone).with_hint(format!("the account has {ZONE}"))) }
}

impl World {
    /// Makes a record set be this one.
    pub(crate) fn put(&mut self, set: &RecordSet) -> Result<()> {
        let stands_alone = |kind: RecordKind| kind == RecordKind::Cname;
        let beside = self.records.keys().find(|(zone, name, kind)| {
            let is_beside = (zone, name) == (&set.zone, &set.name) && *kind != set.kind;
            is_beside && (stands_alone(*kind) || stands_alone(set.kind))
        });
        if let Some((_, _, kind)) = beside {
            let message = format!("a record of kind {kind} stands at the name");
            return Err(refusal(ErrorKind::Conflict, "upsert record", message).with_resource(set.fqdn()));
        }
        let mut stored = set.clone();
        stored.values.sort();
        stored.values.dedup();
        self.records.insert((set.zone.clone(), set.name.clone(), set.kind), stored);
        Ok(())
    }
}

#[async_trait]
impl DnsZones for Model {
    async fn zone(&self, name: &str) -> Result<Zone> {
        self.read(|_| {
            check_zone("get zone", name)?;
            let name_servers = ["ns1.model.example", "ns2.model.example"].map(str::to_owned).to_vec();
            Ok(Zone { name: name.to_owned(), name_servers })
        })
        .await
    }

    async fn get(&self, zone: &str, name: &str, kind: RecordKind) -> Result<Option<RecordSet>> {
        self.read(|world| {
            check_zone("get record", zone)?;
            Ok(world.records.get(&(zone.to_owned(), name.to_owned(), kind)).cloned())
        })
        .await
    }

    async fn upsert(&self, set: &RecordSet) -> Result<()> {
        set.check("upsert record", &self.descriptor.limits)?;
        let mut wanted = set.clone();
        wanted.values.sort();
        wanted.values.dedup();
        if DnsZones::get(self, &set.zone, &set.name, set.kind).await?.as_ref() == Some(&wanted) {
            return Ok(());
        }
        self.change(LostReply::UpsertRecord, |world| world.put(&wanted)).await
    }

    async fn remove(&self, zone: &str, name: &str, kind: RecordKind) -> Result<()> {
        if DnsZones::get(self, zone, name, kind).await?.is_none() {
            return Ok(());
        }
        self.change(LostReply::RemoveRecord, |world| {
            world.records.remove(&(zone.to_owned(), name.to_owned(), kind));
            Ok(())
        })
        .await
    }
}
