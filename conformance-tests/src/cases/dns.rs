//! DNS: zones and record sets.

use std::time::Duration;

use remint_core::provider::{Capability, Endpoint, ErrorKind, RecordKind, RecordSet};

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
    "dns.cname_beside", "a CNAME where an address exists is a Conflict, and the address stays", cname_beside,
        needs(&[Capability::Dns]), with(&[Setting::Zone]), costs(Cost::Cheap);
    "dns.cname_several", "a CNAME of two values is InvalidInput, and sets nothing", cname_several,
        needs(&[Capability::Dns]), with(&[Setting::Zone]), costs(Cost::Free);
    "dns.no_values", "a record set without values is InvalidInput, and leaves the existing record set", no_values,
        needs(&[Capability::Dns]), with(&[Setting::Zone]), costs(Cost::Cheap);
    "dns.malformed_value", "a value that is no address is InvalidInput, and leaves the existing record set whole", malformed_value,
        needs(&[Capability::Dns]), with(&[Setting::Zone]), costs(Cost::Cheap);
    "dns.kind_of_address", "an address of the other kind is InvalidInput, and sets nothing", kind_of_address,
        needs(&[Capability::Dns]), with(&[Setting::Zone]), costs(Cost::Free);
    "dns.bad_name", "a name that no resolver asks for is InvalidInput, and sets nothing", bad_name,
        needs(&[Capability::Dns]), with(&[Setting::Zone]), costs(Cost::Free);
    "dns.malformed_ipv6", "a value that is no IPv6 address is InvalidInput, and leaves the existing record set whole",
        malformed_ipv6, needs(&[Capability::Dns]), with(&[Setting::Zone]), costs(Cost::Cheap);
    "dns.malformed_cname", "a CNAME of what is no name is InvalidInput, and sets nothing", malformed_cname,
        needs(&[Capability::Dns]), with(&[Setting::Zone]), costs(Cost::Free);
    "dns.wildcard_inside", "a wildcard that is not the first label is InvalidInput, and sets nothing", wildcard_inside,
        needs(&[Capability::Dns]), with(&[Setting::Zone]), costs(Cost::Free);
    "dns.too_long", "a name longer than DNS has is InvalidInput, and sets nothing", too_long,
        needs(&[Capability::Dns]), with(&[Setting::Zone]), costs(Cost::Free);
    "dns.remove_unknown_zone", "removing a record of a zone that the account lacks is NotFound", remove_unknown_zone,
        needs(&[Capability::Dns]), costs(Cost::Free);
    "dns.zone_alike", "a zone is not found by the end or the beginning of its name", zone_alike,
        needs(&[Capability::Dns]), with(&[Setting::Zone]), costs(Cost::Free);
    "dns.apex", "a record set of the zone itself is made and removed, and its others stay", apex,
        needs(&[Capability::Dns]), with(&[Setting::Zone]), costs(Cost::Cheap), extended();
    "dns.wildcard", "a wildcard exists under its own name only", wildcard,
        needs(&[Capability::Dns]), with(&[Setting::Zone]), costs(Cost::Cheap);
    "dns.deep_name", "a name of several labels, underscores included, is kept", deep_name,
        needs(&[Capability::Dns]), with(&[Setting::Zone]), costs(Cost::Cheap);
    "dns.ipv6", "an IPv6 address is kept", ipv6,
        needs(&[Capability::Dns]), with(&[Setting::Zone]), costs(Cost::Cheap);
    "dns.fewer", "a record set of three values becomes one of them", fewer,
        needs(&[Capability::Dns]), with(&[Setting::Zone]), costs(Cost::Cheap);
    "dns.kinds", "setting one kind leaves the values of the others at the name alone", kinds,
        needs(&[Capability::Dns]), with(&[Setting::Zone]), costs(Cost::Cheap);
    "dns.texts", "several texts of one name exist side by side", texts,
        needs(&[Capability::Dns]), with(&[Setting::Zone]), costs(Cost::Cheap);
    "dns.long_text", "a text longer than 255 bytes comes back whole", long_text,
        needs(&[Capability::Dns]), with(&[Setting::Zone]), costs(Cost::Cheap), extended();
    "dns.alias", "addresses become an alias of a load balancer in place, and addresses again", alias,
        needs(&[Capability::Dns, Capability::DnsAlias, Capability::LoadBalancer]), with(&[Setting::Zone]),
        costs(Cost::Billable), minutes(20);
    "dns.text", "text with spaces, quotes and semicolons comes back as it was", text,
        needs(&[Capability::Dns]), with(&[Setting::Zone]), costs(Cost::Cheap), extended();
};

/// A record set of this run in the target's zone.
pub(super) fn set(context: &CaseContext, what: &str, kind: RecordKind, values: &[&str]) -> Result<RecordSet, Failure> {
    let name = context.name(what);
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
    refused(context.dns()?.upsert(&record).await, &[ErrorKind::Conflict], "an address next to a CNAME")?;
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

/// Holds that a record set is not there.
pub(super) async fn absent(context: &CaseContext, set: &RecordSet) -> Result<(), Failure> {
    let found = context.dns()?.get(&set.zone, &set.name, set.kind).await?;
    check!(found.is_none(), "{} {} is there: {found:?}", set.fqdn(), set.kind);
    Ok(())
}

async fn cname_beside(context: CaseContext) -> Result<(), Failure> {
    let record = set(&context, "www", RecordKind::A, &["192.0.2.1"])?;
    context.dns()?.upsert(&record).await?;
    let cname = set(&context, "www", RecordKind::Cname, &["elsewhere.example"])?;
    refused(context.dns()?.upsert(&cname).await, &[ErrorKind::Conflict], "a CNAME next to an address")?;
    stands(&context, &record).await?;
    absent(&context, &cname).await
}

async fn cname_several(context: CaseContext) -> Result<(), Failure> {
    let cname = set(&context, "www", RecordKind::Cname, &["one.example", "two.example"])?;
    refused(context.dns()?.upsert(&cname).await, &[ErrorKind::InvalidInput], "a CNAME of two values")?;
    absent(&context, &cname).await
}

async fn no_values(context: CaseContext) -> Result<(), Failure> {
    let record = set(&context, "www", RecordKind::A, &["192.0.2.1"])?;
    context.dns()?.upsert(&record).await?;
    let empty = RecordSet { values: Vec::new(), ..record.clone() };
    refused(context.dns()?.upsert(&empty).await, &[ErrorKind::InvalidInput], "a record set without values")?;
    stands(&context, &record).await
}

/// Holds that each bad value is refused beside a good one, and that neither is set.
async fn refuses_values(
    context: &CaseContext,
    kind: RecordKind,
    stand: &[&str],
    good: &str,
    bad: &[&str],
) -> Result<(), Failure> {
    let record = set(context, "www", kind, stand)?;
    context.dns()?.upsert(&record).await?;
    for bad in bad {
        let other = RecordSet { values: [good, bad].map(str::to_owned).to_vec(), ..record.clone() };
        refused(context.dns()?.upsert(&other).await, &[ErrorKind::InvalidInput], "a malformed address")?;
        stands(context, &record).await?;
    }
    Ok(())
}

async fn alias(context: CaseContext) -> Result<(), Failure> {
    let balancer = context.balancer("web").await?;
    let Some(Endpoint::Host { name, .. }) = &balancer.endpoint else {
        return Err(Failure::new(format!("no host name that an alias could lead to: {:?}", balancer.endpoint)));
    };
    let dns = context.dns()?;
    let addresses = set(&context, "www", RecordKind::A, &["192.0.2.1", "192.0.2.2"])?;
    dns.upsert(&addresses).await?;
    let alias = RecordSet { values: vec![name.clone()], ..addresses.clone() };
    for _ in 0..2 {
        dns.upsert(&alias).await?;
        let found = dns.get(&alias.zone, &alias.name, alias.kind).await?;
        check!(found.as_ref().is_some_and(|found| found.is_as(&alias)), "wanted {alias:?}, found {found:?}");
    }
    let before = context.provider().calls().count();
    dns.upsert(&alias).await?;
    let spent = context.provider().calls().count().since(before);
    check!(spent.mutations == 0, "{} mutations for an alias that exists", spent.mutations);
    dns.upsert(&addresses).await?;
    stands(&context, &addresses).await?;
    dns.upsert(&alias).await?;
    dns.remove(&alias.zone, &alias.name, alias.kind).await?;
    let left = dns.get(&alias.zone, &alias.name, alias.kind).await?;
    check!(left.is_none(), "removed, and there: {left:?}");
    Ok(())
}

async fn malformed_value(context: CaseContext) -> Result<(), Failure> {
    let bad = ["not-an-address", "192.0.2", "192.0.2.300", ""];
    refuses_values(&context, RecordKind::A, &["192.0.2.1", "192.0.2.2"], "192.0.2.3", &bad).await
}

async fn kind_of_address(context: CaseContext) -> Result<(), Failure> {
    for (kind, value) in [(RecordKind::A, "2001:db8::1"), (RecordKind::Aaaa, "192.0.2.1")] {
        let record = set(&context, "www", kind, &[value])?;
        refused(context.dns()?.upsert(&record).await, &[ErrorKind::InvalidInput], "an address of the other kind")?;
        absent(&context, &record).await?;
    }
    Ok(())
}

async fn bad_name(context: CaseContext) -> Result<(), Failure> {
    let record = set(&context, "www", RecordKind::A, &["192.0.2.1"])?;
    let long = format!("{}{}", record.name, "w".repeat(64));
    for name in ["", "with space", "double..dot", &long] {
        let bad = RecordSet { name: name.to_owned(), ..record.clone() };
        refused(context.dns()?.upsert(&bad).await, &[ErrorKind::InvalidInput], "a name that cannot be")?;
    }
    Ok(())
}

async fn malformed_ipv6(context: CaseContext) -> Result<(), Failure> {
    let bad = ["2001:db8::1::2", "2001:db8:1:2:3:4:5:6:7", "2001:db8::g", ""];
    refuses_values(&context, RecordKind::Aaaa, &["2001:db8::1", "2001:db8::2"], "2001:db8::3", &bad).await
}

async fn malformed_cname(context: CaseContext) -> Result<(), Failure> {
    for bad in ["not a name", "double..dot", ""] {
        let cname = set(&context, "www", RecordKind::Cname, &[bad])?;
        refused(context.dns()?.upsert(&cname).await, &[ErrorKind::InvalidInput], "a CNAME of what is no name")?;
        absent(&context, &cname).await?;
    }
    Ok(())
}

async fn wildcard_inside(context: CaseContext) -> Result<(), Failure> {
    let record = set(&context, "www", RecordKind::A, &["192.0.2.1"])?;
    for name in [format!("{}.*", record.name), format!("a.*.{}", record.name), format!("w*.{}", record.name)] {
        let bad = RecordSet { name, ..record.clone() };
        refused(context.dns()?.upsert(&bad).await, &[ErrorKind::InvalidInput], "a wildcard within a name")?;
    }
    absent(&context, &record).await
}

async fn too_long(context: CaseContext) -> Result<(), Failure> {
    let record = set(&context, "www", RecordKind::A, &["192.0.2.1"])?;
    // Each label may be, and the whole may not.
    let name = [record.name.as_str()].into_iter().chain(["w".repeat(60).as_str(); 4]).collect::<Vec<_>>().join(".");
    let bad = RecordSet { name, ..record.clone() };
    refused(context.dns()?.upsert(&bad).await, &[ErrorKind::InvalidInput], "a name that is too long")?;
    absent(&context, &record).await
}

async fn remove_unknown_zone(context: CaseContext) -> Result<(), Failure> {
    let unknown = format!("{}unknown.example", context.prefix());
    let result = context.dns()?.remove(&unknown, "www", RecordKind::A).await;
    refused(result, &[ErrorKind::NotFound], "removing from an unknown zone")?;
    Ok(())
}

async fn zone_alike(context: CaseContext) -> Result<(), Failure> {
    let zone = context.zone()?;
    let parent = zone.split_once('.').map_or("example", |(_, parent)| parent);
    for alike in [&format!("sub.{zone}"), &format!("x{zone}"), &zone[..zone.len() - 1], parent] {
        refused(context.dns()?.zone(alike).await, &[ErrorKind::NotFound], "a zone that is not the account's")?;
    }
    Ok(())
}

async fn apex(context: CaseContext) -> Result<(), Failure> {
    let record = RecordSet { name: "@".to_owned(), ..set(&context, "www", RecordKind::Aaaa, &["2001:db8::1"])? };
    absent(&context, &record).await?;
    let servers = context.dns()?.zone(&record.zone).await?.name_servers;
    context.dns()?.upsert(&record).await?;
    stands(&context, &record).await?;
    context.dns()?.remove(&record.zone, &record.name, record.kind).await?;
    absent(&context, &record).await?;
    let now = context.dns()?.zone(&record.zone).await?.name_servers;
    check!(now == servers, "its servers were {servers:?}, and are {now:?}");
    Ok(())
}

async fn wildcard(context: CaseContext) -> Result<(), Failure> {
    let below = set(&context, "w", RecordKind::A, &["192.0.2.2"])?;
    let wildcard = RecordSet { name: format!("*.{}", below.name), ..below.clone() };
    let other = RecordSet { name: format!("a.{}", below.name), ..below.clone() };
    context.dns()?.upsert(&wildcard).await?;
    stands(&context, &wildcard).await?;
    absent(&context, &other).await?;
    context.dns()?.upsert(&wildcard).await?;
    context.dns()?.remove(&wildcard.zone, &wildcard.name, wildcard.kind).await?;
    absent(&context, &wildcard).await
}

async fn deep_name(context: CaseContext) -> Result<(), Failure> {
    let record = set(&context, "www", RecordKind::Txt, &["a token"])?;
    let record = RecordSet { name: format!("_acme-challenge.a.{}", record.name), ..record };
    for _ in 0..2 {
        context.dns()?.upsert(&record).await?;
        stands(&context, &record).await?;
    }
    Ok(())
}

async fn ipv6(context: CaseContext) -> Result<(), Failure> {
    let mut record = set(&context, "www", RecordKind::Aaaa, &["2001:db8::1"])?;
    for value in ["2001:db8::1", "2001:db8:1:2:3:4:5:6"] {
        record.values = vec![value.to_owned()];
        context.dns()?.upsert(&record).await?;
        stands(&context, &record).await?;
    }
    Ok(())
}

async fn fewer(context: CaseContext) -> Result<(), Failure> {
    let mut record = set(&context, "www", RecordKind::A, &["192.0.2.1", "192.0.2.2", "192.0.2.3"])?;
    context.dns()?.upsert(&record).await?;
    record.values = vec!["192.0.2.2".to_owned()];
    context.dns()?.upsert(&record).await?;
    stands(&context, &record).await
}

async fn kinds(context: CaseContext) -> Result<(), Failure> {
    let record = set(&context, "www", RecordKind::A, &["192.0.2.1"])?;
    let text = set(&context, "www", RecordKind::Txt, &["text"])?;
    for set in [&record, &text, &record] {
        context.dns()?.upsert(set).await?;
    }
    stands(&context, &record).await?;
    stands(&context, &text).await
}

async fn texts(context: CaseContext) -> Result<(), Failure> {
    let mut record = set(&context, "text", RecordKind::Txt, &["one", "one two", "three=3"])?;
    context.dns()?.upsert(&record).await?;
    stands(&context, &record).await?;
    record.values = vec!["one two".to_owned(), "four".to_owned()];
    context.dns()?.upsert(&record).await?;
    stands(&context, &record).await
}

async fn long_text(context: CaseContext) -> Result<(), Failure> {
    let text = format!("v=DKIM1; p={}", "0123456789abcdef".repeat(20));
    let record = set(&context, "text", RecordKind::Txt, &[&text])?;
    for _ in 0..2 {
        context.dns()?.upsert(&record).await?;
        stands(&context, &record).await?;
    }
    Ok(())
}
