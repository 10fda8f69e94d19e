//! DNS zones are Route 53's public hosted zones.
//!
//! One call makes a record set what it should be. Route 53 shows a change at once, in its own answers, and tells its servers
//! within a minute; only the change itself says when they have it. As nothing else could be watched for that, `upsert` and
//! `remove` wait for it (decision 0010).
//!
//! A host name as an address is an alias record set, which has no TTL of its own: resolvers are given 60 s (Route 53 developer
//! guide, "Choosing between alias and non-alias records").

use std::{collections::BTreeSet, time::Duration};

use async_trait::async_trait;
use aws_sdk_route53::types::{
    Change, ChangeAction, ChangeBatch, ChangeInfo, ChangeStatus, ResourceRecord, ResourceRecordSet, RrType,
    builders::ResourceRecordSetBuilder,
};
use remint_core::provider::{
    DnsZones, Error, ErrorKind, RecordKind, RecordSet, Result, Zone, is_record_name, nearest, support::Call,
};
use tokio::time::Instant;

use crate::Aws;

mod alias;
#[cfg(test)]
mod tests;
mod text;

use text::{decode_name, decode_text, encode_name, encode_text};

const UPSERT: &str = "set record";
/// The first pause before a change is looked at; each further one doubles.
const FIRST_LOOK: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// More kinds of records than stand at one name.
const KINDS: i32 = 30;

impl Aws {
    /// The id of a zone; one call where this process does not know it.
    async fn zone_id(&self, operation: &'static str, zone: &str) -> Result<String> {
        if let Some(known) = self.memory.lock().zones.get(zone) {
            return Ok(known.clone());
        }
        let client = self.client.route53(&self.any_region());
        let request = client.list_hosted_zones_by_name().dns_name(zone);
        let call = Call::read(operation).about(zone);
        let answer = self.client.call(&call, || request.clone().send()).await?;
        let is_public = |zone: &&aws_sdk_route53::types::HostedZone| !zone.config().is_some_and(|c| c.private_zone());
        let public: Vec<_> = answer.hosted_zones().iter().filter(is_public).collect();
        let same: Vec<_> = public.iter().filter(|found| decode_name(found.name()) == zone).collect();
        match same.as_slice() {
            [found] => {
                self.memory.lock().zones.insert(zone.to_owned(), found.id().to_owned());
                Ok(found.id().to_owned())
            }
            [] => {
                let all = client.list_hosted_zones();
                let all = self.client.call(&call, || all.clone().send()).await;
                let all = all.map(|answer| answer.hosted_zones).unwrap_or_default();
                let names: Vec<String> = all.iter().filter(is_public).map(|zone| decode_name(zone.name())).collect();
                Err(no_zone(operation, zone, &names))
            }
            several => {
                let ids: Vec<_> = several.iter().map(|zone| zone.id()).collect();
                Err(call
                    .error(ErrorKind::Conflict, format!("several public zones have this name: {}", ids.join(", ")))
                    .with_hint("delete the ones that the domain is not delegated to"))
            }
        }
    }

    /// The record sets of all kinds at a name, or from one kind on; one call.
    async fn record_sets(
        &self,
        operation: &'static str,
        zone: &str,
        name: &str,
        kind: Option<RecordKind>,
    ) -> Result<Vec<ResourceRecordSet>> {
        let id = self.zone_id(operation, zone).await?;
        if !is_record_name(name, zone) {
            return Ok(Vec::new()); // Route 53 refuses to look for some of them.
        }
        let full = if name == "@" { zone.to_owned() } else { format!("{name}.{zone}") };
        let client = self.client.route53(&self.any_region());
        let request = client
            .list_resource_record_sets()
            .hosted_zone_id(id)
            .start_record_name(encode_name(&full))
            .set_start_record_type(kind.map(rr_type))
            .max_items(if kind.is_some() { 1 } else { KINDS });
        let call = Call::read(operation).about(&full);
        let answer = match self.client.call(&call, || request.clone().send()).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // The zone was deleted, and perhaps made anew under another id.
                self.memory.lock().zones.remove(zone);
                return Err(error);
            }
            result => result?,
        };
        let mut sets = answer.resource_record_sets;
        sets.retain(|set| decode_name(set.name()).eq_ignore_ascii_case(&full));
        Ok(sets)
    }

    async fn change(
        &self,
        operation: &'static str,
        zone: &str,
        change: ChangeAction,
        set: ResourceRecordSet,
    ) -> Result<()> {
        let about = decode_name(set.name());
        let call = Call::idempotent(operation).about(&about);
        let unbuilt = |error: aws_smithy_types::error::operation::BuildError| {
            call.error(ErrorKind::InvalidInput, "the change cannot be built").with_source(error)
        };
        let change = Change::builder().action(change).resource_record_set(set).build().map_err(unbuilt)?;
        let batch = ChangeBatch::builder().changes(change).build().map_err(unbuilt)?;
        let id = self.zone_id(operation, zone).await?;
        let client = self.client.route53(&self.any_region());
        let request = client.change_resource_record_sets().hosted_zone_id(id).change_batch(batch);
        let answer = self.client.call(&call, || request.clone().send()).await?;
        self.in_sync(operation, &about, answer.change_info).await;
        Ok(())
    }

    /// Waits until all of Route 53's servers have a change. It is accepted all the same when they take long, or when that
    /// cannot be read.
    async fn in_sync(&self, operation: &'static str, about: &str, info: Option<ChangeInfo>) {
        let Some(mut info) = info else { return };
        let client = self.client.route53(&self.any_region());
        let (started, mut pause) = (Instant::now(), FIRST_LOOK.min(self.settings.sync / 8));
        while *info.status() != ChangeStatus::Insync {
            if started.elapsed() + pause > self.settings.sync {
                tracing::warn!(change = info.id(), about, "not all of Route 53's servers have the change yet");
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            let request = client.get_change().id(info.id());
            match self.client.call(&Call::read(operation).about(about), || request.clone().send()).await {
                Ok(answer) => match answer.change_info {
                    Some(now) => info = now,
                    None => return,
                },
                Err(error) => {
                    tracing::warn!(%error, "cannot read how far the change is");
                    return;
                }
            }
        }
    }
}

fn rr_type(kind: RecordKind) -> RrType {
    match kind {
        RecordKind::A => RrType::A,
        RecordKind::Aaaa => RrType::Aaaa,
        RecordKind::Cname => RrType::Cname,
        RecordKind::Txt => RrType::Txt,
    }
}

fn no_zone(operation: &'static str, zone: &str, names: &[String]) -> Error {
    let hint = match names {
        [] => "make a public hosted zone first; the account has none".to_owned(),
        _ => format!("zones of the account: {}", nearest(zone, names.iter().map(String::as_str))),
    };
    Error::new(ErrorKind::NotFound, operation, "the account has no such public zone")
        .with_resource(zone)
        .with_hint(hint)
}

/// A value as Route 53 takes it: names end with a dot, text stands in quotes.
fn wire_value(value: &str, kind: RecordKind) -> String {
    match kind {
        RecordKind::Cname => format!("{}.", value.trim_end_matches('.')),
        RecordKind::Txt => encode_text(value),
        RecordKind::A | RecordKind::Aaaa => value.to_owned(),
    }
}

/// A value as Remint knows it.
fn value(record: &ResourceRecord, kind: RecordKind) -> String {
    match kind {
        RecordKind::Cname => decode_name(record.value()),
        RecordKind::Txt => decode_text(record.value()),
        RecordKind::A | RecordKind::Aaaa => record.value().to_owned(),
    }
}

/// A record set in Remint's words. Where it is an alias, its value is the host name that it leads to.
fn record_set(zone: &str, name: &str, kind: RecordKind, set: &ResourceRecordSet) -> RecordSet {
    let alias = set.alias_target().map(|target| decode_name(target.dns_name()));
    let values = set.resource_records().iter().map(|record| value(record, kind)).chain(alias).collect();
    let own = set.alias_target().map_or_else(Duration::default, |_| alias::TTL);
    let ttl = set.ttl().and_then(|ttl| ttl.try_into().ok()).map_or(own, Duration::from_secs);
    RecordSet { zone: zone.to_owned(), name: name.to_owned(), kind, ttl, values }
}

/// Adds the values of a record set, each once.
fn with_values(mut builder: ResourceRecordSetBuilder, set: &RecordSet) -> Result<ResourceRecordSetBuilder> {
    let values: BTreeSet<&String> = set.values.iter().collect();
    for value in values {
        let record = ResourceRecord::builder().value(wire_value(value, set.kind)).build();
        builder =
            builder.resource_records(record.map_err(|error| {
                Error::new(ErrorKind::InvalidInput, UPSERT, "a value is missing").with_source(error)
            })?);
    }
    Ok(builder)
}

/// What stands at the name and excludes a kind.
fn conflicting(sets: &[ResourceRecordSet], kind: RecordKind) -> Option<&ResourceRecordSet> {
    sets.iter().find(|set| match kind {
        RecordKind::Cname => !matches!(set.r#type(), RrType::Cname | RrType::Soa | RrType::Ns),
        _ => *set.r#type() == RrType::Cname,
    })
}

#[async_trait]
impl DnsZones for Aws {
    async fn zone(&self, name: &str) -> Result<Zone> {
        const OPERATION: &str = "find zone";
        self.memory.lock().zones.remove(name);
        let id = self.zone_id(OPERATION, name).await?;
        let request = self.client.route53(&self.any_region()).get_hosted_zone().id(id);
        let answer = self.client.call(&Call::read(OPERATION).about(name), || request.clone().send()).await?;
        let servers = answer.delegation_set.map(|set| set.name_servers).unwrap_or_default();
        let name_servers = servers.iter().map(|server| decode_name(server)).collect();
        Ok(Zone { name: name.to_ascii_lowercase(), name_servers })
    }

    async fn get(&self, zone: &str, name: &str, kind: RecordKind) -> Result<Option<RecordSet>> {
        let sets = self.record_sets("get record", zone, name, Some(kind)).await?;
        let found = sets.iter().find(|set| *set.r#type() == rr_type(kind));
        Ok(found.map(|set| record_set(zone, name, kind, set)))
    }

    async fn upsert(&self, set: &RecordSet) -> Result<()> {
        let invalid =
            |message: String| Err(Error::new(ErrorKind::InvalidInput, UPSERT, message).with_resource(set.fqdn()));
        set.check(UPSERT, self.settings.descriptor)?;
        let Ok(ttl) = i32::try_from(set.ttl.as_secs()) else {
            return invalid(format!("a TTL of {} s; {} s is the most", set.ttl.as_secs(), i32::MAX));
        };
        let standing = self.record_sets(UPSERT, &set.zone, &set.name, None).await?;
        if let Some(other) = conflicting(&standing, set.kind) {
            let other = other.r#type().as_str();
            let message = format!("a {other} record exists at this name, and excludes {} records", set.kind);
            return Err(Error::new(ErrorKind::Conflict, UPSERT, message)
                .with_resource(set.fqdn())
                .with_hint(format!("remove the {other} record, or choose another name")));
        }
        if let Some(same) = standing.iter().find(|found| *found.r#type() == rr_type(set.kind)) {
            let mut now = record_set(&set.zone, &set.name, set.kind, same);
            let mut wanted = set.clone();
            now.values.sort();
            wanted.values.sort();
            wanted.values.dedup();
            let same = match (wanted.alias(), same.alias_target()) {
                (Some(_), Some(target)) => now.is_as(&wanted) && !target.evaluate_target_health(),
                (None, None) => now == wanted,
                _ => false,
            };
            if same {
                return Ok(());
            }
        }
        let builder = ResourceRecordSet::builder().name(encode_name(&set.fqdn())).r#type(rr_type(set.kind));
        let builder = match set.alias() {
            Some(host) => builder.alias_target(self.alias_target(UPSERT, host).await?),
            None => with_values(builder, set)?.ttl(i64::from(ttl)),
        };
        let wanted = builder.build().map_err(|error| {
            Error::new(ErrorKind::InvalidInput, UPSERT, "the record set cannot be built").with_source(error)
        })?;
        self.change(UPSERT, &set.zone, ChangeAction::Upsert, wanted).await
    }

    async fn remove(&self, zone: &str, name: &str, kind: RecordKind) -> Result<()> {
        const OPERATION: &str = "remove record";
        let sets = self.record_sets(OPERATION, zone, name, Some(kind)).await?;
        let Some(found) = sets.into_iter().find(|set| *set.r#type() == rr_type(kind)) else { return Ok(()) };
        match self.change(OPERATION, zone, ChangeAction::Delete, found).await {
            // A lost reply's repetition finds nothing to delete; nor does the second of two callers.
            Err(error) if error.is_code("InvalidChangeBatch") => {
                let left = self.record_sets(OPERATION, zone, name, Some(kind)).await?;
                if left.iter().any(|set| *set.r#type() == rr_type(kind)) { Err(error) } else { Ok(()) }
            }
            result => result,
        }
    }
}
