//! DNS: zones and record sets.

use std::time::Duration;

use remint_core::provider::{Capability, ErrorKind, RecordKind, RecordSet};

use super::table;
use crate::{Case, CaseContext, Cost, Failure, Setting, context::check, steps::refused};

pub(super) const CASES: &[Case] = table! {
    "dns.zone", "a zone of the account is found, with its name servers", zone,
        needs(&[Capability::Dns]), with(&[Setting::Zone]), costs(Cost::Free);
    "dns.unknown_zone", "a zone that the account lacks is NotFound, with a hint, whatever is asked of it", unknown_zone,
        needs(&[Capability::Dns]), with(&[Setting::Zone]), costs(Cost::Free);
    "dns.upsert", "a record set is made, replaced, and given another TTL", upsert,
        needs(&[Capability::Dns]), with(&[Setting::Zone]), costs(Cost::Cheap);
    "dns.several_values", "a record set of several values becomes another one that shares some of them", several,
        needs(&[Capability::Dns]), with(&[Setting::Zone]), costs(Cost::Cheap);
    "dns.remove", "a removed record set is gone, and removing it again is a success", remove,
        needs(&[Capability::Dns]), with(&[Setting::Zone]), costs(Cost::Cheap);
    "dns.foreign_untouched", "records of other names and kinds are left alone", foreign,
        needs(&[Capability::Dns]), with(&[Setting::Zone]), costs(Cost::Cheap);
    "dns.cname_conflict", "a CNAME at the name is a Conflict, and stays", cname_conflict,
        needs(&[Capability::Dns]), with(&[Setting::Zone]), costs(Cost::Cheap);
    "dns.cname", "a CNAME is read back without a final dot", cname,
        needs(&[Capability::Dns]), with(&[Setting::Zone]), costs(Cost::Cheap);
    "dns.short_ttl", "a TTL below the least is InvalidInput, and sets nothing", short_ttl,
        needs(&[Capability::Dns]), with(&[Setting::Zone]), costs(Cost::Cheap);
    "dns.text", "text with spaces, quotes and semicolons comes back as it was", text,
        needs(&[Capability::Dns]), with(&[Setting::Zone]), costs(Cost::Cheap), extended();
};

/// A record set of this run in the target's zone, written into the ledger.
pub(super) fn set(context: &CaseContext, what: &str, kind: RecordKind, values: &[&str]) -> Result<RecordSet, Failure> {
    let name = context.name(what);
    context.ledger().record(&name, kind);
    let values = values.iter().map(|value| (*value).to_owned()).collect();
    Ok(RecordSet { zone: context.zone()?.to_owned(), name, kind, ttl: Duration::from_secs(300), values })
}

/// Holds that a record set is this one.
pub(super) async fn stands(context: &CaseContext, set: &RecordSet) -> Result<(), Failure> {
    let found = context.dns()?.get(&set.zone, &set.name, set.kind).await?;
    let mut found = found.ok_or_else(|| Failure::new(format!("{} {} is not there", set.fqdn(), set.kind)))?;
    let mut wanted = set.clone();
    found.values.sort();
    wanted.values.sort();
    check!(found == wanted, "wanted {wanted:?}, found {found:?}");
    Ok(())
}

async fn zone(context: CaseContext) -> Result<(), Failure> {
    let zone = context.dns()?.zone(context.zone()?).await?;
    check!(zone.name == context.zone()?, "asked for {}, got {}", context.zone()?, zone.name);
    check!(!zone.name_servers.is_empty(), "nobody answers for it");
    check!(zone.name_servers.iter().all(|server| !server.ends_with('.')), "a final dot: {:?}", zone.name_servers);
    Ok(())
}

async fn unknown_zone(context: CaseContext) -> Result<(), Failure> {
    let dns = context.dns()?;
    let unknown = format!("{}unknown.example", context.prefix());
    let kinds = &[ErrorKind::NotFound];
    let error = refused(dns.zone(&unknown).await, kinds, "an unknown zone")?;
    let hint = error.hint().unwrap_or_default();
    check!(hint.contains(context.zone()?), "the hint does not name the account's zone: {hint:?}");
    refused(dns.get(&unknown, "www", RecordKind::A).await, kinds, "a record of an unknown zone")?;
    let set = RecordSet { zone: unknown, ..set(&context, "www", RecordKind::A, &["192.0.2.1"])? };
    refused(dns.upsert(&set).await, kinds, "a record for an unknown zone")?;
    Ok(())
}

async fn upsert(context: CaseContext) -> Result<(), Failure> {
    let mut record = set(&context, "www", RecordKind::A, &["192.0.2.1"])?;
    let dns = context.dns()?;
    let before = dns.get(&record.zone, &record.name, record.kind).await?;
    check!(before.is_none(), "there before it was made: {before:?}");
    for (value, ttl) in [("192.0.2.1", 300), ("192.0.2.2", 300), ("192.0.2.2", 60), ("192.0.2.3", 600)] {
        record.values = vec![value.to_owned()];
        record.ttl = Duration::from_secs(ttl);
        dns.upsert(&record).await?;
        stands(&context, &record).await?;
    }
    Ok(())
}

async fn several(context: CaseContext) -> Result<(), Failure> {
    let mut record = set(&context, "www", RecordKind::A, &["192.0.2.1", "192.0.2.2", "192.0.2.3"])?;
    context.dns()?.upsert(&record).await?;
    stands(&context, &record).await?;
    record.values = ["192.0.2.3", "192.0.2.4"].map(str::to_owned).to_vec();
    record.ttl = Duration::from_secs(120);
    context.dns()?.upsert(&record).await?;
    stands(&context, &record).await
}

async fn remove(context: CaseContext) -> Result<(), Failure> {
    let record = set(&context, "www", RecordKind::A, &["192.0.2.1", "192.0.2.2"])?;
    let dns = context.dns()?;
    dns.upsert(&record).await?;
    for _ in 0..2 {
        dns.remove(&record.zone, &record.name, record.kind).await?;
        let left = dns.get(&record.zone, &record.name, record.kind).await?;
        check!(left.is_none(), "removed, and there: {left:?}");
    }
    Ok(())
}

async fn foreign(context: CaseContext) -> Result<(), Failure> {
    let dns = context.dns()?;
    // All with one TTL: some clouds keep one for all records of a name.
    let others = [
        set(&context, "www", RecordKind::Txt, &["theirs"])?,
        set(&context, "www", RecordKind::Aaaa, &["2001:db8::1"])?,
        set(&context, "www2", RecordKind::A, &["192.0.2.1"])?,
        set(&context, "sub.www", RecordKind::A, &["192.0.2.1"])?,
    ];
    for other in &others {
        dns.upsert(other).await?;
    }
    let mut record = set(&context, "www", RecordKind::A, &["192.0.2.1"])?;
    for value in ["192.0.2.1", "192.0.2.2"] {
        record.values = vec![value.to_owned()];
        dns.upsert(&record).await?;
        for other in &others {
            stands(&context, other).await?;
        }
    }
    dns.remove(&record.zone, &record.name, record.kind).await?;
    for other in &others {
        stands(&context, other).await?;
    }
    Ok(())
}

async fn cname_conflict(context: CaseContext) -> Result<(), Failure> {
    let cname = set(&context, "www", RecordKind::Cname, &["elsewhere.example"])?;
    context.dns()?.upsert(&cname).await?;
    let record = set(&context, "www", RecordKind::A, &["192.0.2.1"])?;
    refused(context.dns()?.upsert(&record).await, &[ErrorKind::Conflict], "an address beside a CNAME")?;
    stands(&context, &cname).await?;
    let made = context.dns()?.get(&record.zone, &record.name, record.kind).await?;
    check!(made.is_none(), "the address was set all the same: {made:?}");
    Ok(())
}

async fn cname(context: CaseContext) -> Result<(), Failure> {
    let mut record = set(&context, "www", RecordKind::Cname, &["elsewhere.example"])?;
    for value in ["elsewhere.example", "nowhere.example", "nowhere.example"] {
        record.values = vec![value.to_owned()];
        context.dns()?.upsert(&record).await?;
        stands(&context, &record).await?;
    }
    Ok(())
}

async fn short_ttl(context: CaseContext) -> Result<(), Failure> {
    let least = context.provider().descriptor().limits.dns_min_ttl;
    let mut record = set(&context, "www", RecordKind::A, &["192.0.2.1"])?;
    record.ttl = least;
    context.dns()?.upsert(&record).await?;
    stands(&context, &record).await?;
    let Some(shorter) = least.checked_sub(Duration::from_secs(1)) else { return Ok(()) };
    let mut short = record.clone();
    short.ttl = shorter;
    refused(context.dns()?.upsert(&short).await, &[ErrorKind::InvalidInput], "a TTL below the least")?;
    stands(&context, &record).await
}

async fn text(context: CaseContext) -> Result<(), Failure> {
    let record = set(&context, "text", RecordKind::Txt, &["v=spf1 -all; \"quoted\" \\ back"])?;
    for _ in 0..2 {
        context.dns()?.upsert(&record).await?;
        stands(&context, &record).await?;
    }
    Ok(())
}
