//! Faults in `DnsZones`.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use remint_conformance::LostReply;
use remint_core::provider::{DnsZones, ErrorKind, RecordKind, RecordSet, Result, Zone};

use crate::{
    cloud::{FULL, ZONE, not_found, refusal},
    sabotage::{On, Saboteur, saboteurs},
};

pub(super) const SABOTEURS: &[Saboteur] = saboteurs! {
    on &FULL;
    "zone.final_dots", "`Zone::name_servers`: the servers that answer for it, as names without a final dot",
        GetZone(name) => final_dots, ["dns.zone"];
    "zone.any", "`DnsZones::zone`: `NotFound`",
        GetZone(name) => any_zone, ["dns.unknown_zone"];
    "zone.by_suffix", "`DnsZones::zone`: looks a zone up",
        GetZone(name) => by_suffix, ["dns.zone_alike"];
    "record.wildcards_answer", "`DnsZones::get`: the record set of a name and kind",
        GetRecord(zone, name, kind) => wildcards_answer, ["dns.wildcard"];
    "record.empty_for_unknown_zone", "`DnsZones::get`: `NotFound` when the zone does not exist",
        GetRecord(zone, name, kind) => empty_for_unknown_zone, ["dns.unknown_zone"];
    "record.final_dot", "`RecordSet::values`: names carry no final dot",
        GetRecord(zone, name, kind) => final_dot, ["dns.cname"];
    "record.first_value", "`DnsZones::get`: the record set of a name and kind",
        GetRecord(zone, name, kind) => first_value, ["dns.several_values"];
    "record.quoted_text", "`RecordSet::values`: the data",
        GetRecord(zone, name, kind) => quoted_text, ["dns.text", "dns.texts"];
    "upsert.adds", "`DnsZones::upsert`: after it, exactly these values",
        Upsert(set) => adds, ["dns.upsert", "dns.several_values", "dns.fewer"];
    "upsert.keeps_ttl", "`DnsZones::upsert`: with this TTL",
        Upsert(set) => keeps_ttl, ["dns.upsert"];
    "upsert.raises_ttl", "`Limits::dns_min_ttl`: the smallest TTL of a DNS record",
        Upsert(set) => raises_ttl, ["dns.short_ttl"];
    "upsert.replaces_cname", "`DnsZones::upsert`: `Conflict` when a CNAME stands at the name",
        Upsert(set) => replaces_cname, ["dns.cname_conflict"];
    "upsert.mangles_text", "`DnsZones::upsert`: exactly these values",
        Upsert(set) => mangles_text, ["dns.text"];
    "upsert.unknown_zone_is_success", "`DnsZones::upsert`: `NotFound` for the zone",
        Upsert(set) => unknown_zone_is_success, ["dns.unknown_zone"];
    "upsert.mends_names", "`DnsZones::upsert`: `InvalidInput`",
        Upsert(set) => mends_names, ["dns.bad_name"];
    "upsert.good_values_only", "`DnsZones::upsert`: exactly these values",
        Upsert(set) => good_values_only, ["dns.malformed_value", "dns.malformed_ipv6", "dns.kind_of_address"];
    "upsert.wildcards_anywhere", "`DnsZones::upsert`: `InvalidInput`",
        Upsert(set) => wildcards_anywhere, ["dns.wildcard_inside"];
    "upsert.any_cname", "`DnsZones::upsert`: `InvalidInput`",
        Upsert(set) => any_cname, ["dns.malformed_cname"];
    "upsert.any_length", "`DnsZones::upsert`: `InvalidInput`",
        Upsert(set) => any_length, ["dns.too_long"];
    "upsert.nothing_removes", "`DnsZones::upsert`: `InvalidInput`",
        Upsert(set) => nothing_removes, ["dns.no_values"];
    "upsert.cname_replaces", "`DnsZones::upsert`: a CNAME stands alone",
        Upsert(set) => cname_replaces, ["dns.cname_beside"];
    "upsert.first_of_cnames", "`DnsZones::upsert`: `InvalidInput`",
        Upsert(set) => first_of_cnames, ["dns.cname_several"];
    "upsert.cuts_text", "`DnsZones::upsert`: exactly these values",
        Upsert(set) => cuts_text, ["dns.long_text"];
    "upsert.alias_resolved", "`RecordSet::alias`: the host name whose addresses are answered",
        Upsert(set) => alias_resolved, ["dns.alias"];
    "record.alias_twice", "`RecordSet::alias`: the single value of the set",
        GetRecord(zone, name, kind) => alias_twice, ["dns.alias"];
    "upsert.whole_zone", "`Provider`: all methods may be called concurrently",
        Upsert(set) => whole_zone, ["concurrency.record_others", "concurrency.record_kinds"];
    "record.cached", "`DnsZones::get`: the record set of a name and kind",
        GetRecord(zone, name, kind) => cached, ["consistency.record_at_once"];
    "record.full_ipv6", "`RecordSet::values`: the data",
        GetRecord(zone, name, kind) => full_ipv6, ["dns.ipv6"];
    "upsert.refuses_apex", "`RecordSet::name`: below the zone, `@` for the zone itself",
        Upsert(set) => refuses_apex, ["dns.apex"];
    "upsert.first_label", "`RecordSet::name`: below the zone",
        Upsert(set) => first_label, ["dns.deep_name"];
    "upsert.one_kind", "`DnsZones::upsert`: makes the record set of a name and kind be this one",
        Upsert(set) => one_kind, ["dns.kinds"];
    "upsert.always_mutates", "`DnsZones::upsert`: a record set that is already this one is left alone",
        Upsert(set) => always_mutates, ["idempotency.record"];
    "remove_record.whole_name", "`DnsZones::remove`: removes the record set of a name and kind",
        RemoveRecord(zone, name, kind) => whole_name, ["dns.foreign_untouched"];
    "remove_record.missing_is_error", "`DnsZones::remove`: one that is not there is a success",
        RemoveRecord(zone, name, kind) => missing_is_error, ["dns.remove"];
    "remove_record.unknown_zone_is_success", "`DnsZones::remove`: of a zone that the account has",
        RemoveRecord(zone, name, kind) => remove_in_unknown_zone, ["dns.remove_unknown_zone"];
    "remove_record.longer_names_too", "`DnsZones::remove`: the record set of a name and kind",
        RemoveRecord(zone, name, kind) => longer_names_too, ["deletion.record_neighbours"];
    "remove_record.always_mutates", "`DnsZones::remove`: one that is not there is a success",
        RemoveRecord(zone, name, kind) => remove_always_mutates, ["deletion.record_never", "idempotency.remove_record"];
    "remove_record.only_says_so", "`DnsZones::remove`: removes the record set",
        RemoveRecord(zone, name, kind) => only_says_so, ["dns.remove", "lost_replies.remove_record"];
};

async fn final_dots(on: On, name: String) -> Result<Zone> {
    let mut zone = on.model.zone(&name).await?;
    zone.name_servers.iter_mut().for_each(|server| server.push('.'));
    Ok(zone)
}

async fn any_zone(_: On, name: String) -> Result<Zone> {
    Ok(Zone { name, name_servers: vec!["ns1.model.example".to_owned()] })
}

async fn empty_for_unknown_zone(on: On, zone: String, name: String, kind: RecordKind) -> Result<Option<RecordSet>> {
    match DnsZones::get(&on.model, &zone, &name, kind).await {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        answer => answer,
    }
}

async fn read(
    on: &On,
    (zone, name, kind): (String, String, RecordKind),
    change: fn(&mut RecordSet),
) -> Result<Option<RecordSet>> {
    let mut set = DnsZones::get(&on.model, &zone, &name, kind).await?;
    set.iter_mut().for_each(change);
    Ok(set)
}

async fn final_dot(on: On, zone: String, name: String, kind: RecordKind) -> Result<Option<RecordSet>> {
    read(&on, (zone, name, kind), |set| {
        if set.kind == RecordKind::Cname {
            set.values.iter_mut().for_each(|value| value.push('.'));
        }
    })
    .await
}

async fn first_value(on: On, zone: String, name: String, kind: RecordKind) -> Result<Option<RecordSet>> {
    read(&on, (zone, name, kind), |set| set.values.truncate(1)).await
}

async fn quoted_text(on: On, zone: String, name: String, kind: RecordKind) -> Result<Option<RecordSet>> {
    read(&on, (zone, name, kind), |set| {
        if set.kind == RecordKind::Txt {
            set.values.iter_mut().for_each(|value| *value = format!("{value:?}"));
        }
    })
    .await
}

async fn standing(on: &On, set: &RecordSet) -> Result<Option<RecordSet>> {
    DnsZones::get(&on.model, &set.zone, &set.name, set.kind).await
}

async fn adds(on: On, mut set: RecordSet) -> Result<()> {
    if let Some(before) = standing(&on, &set).await? {
        set.values.extend(before.values);
    }
    on.model.upsert(&set).await
}

/// Writes an address for the host name, which is another one tomorrow.
async fn alias_resolved(on: On, mut set: RecordSet) -> Result<()> {
    if set.alias().is_some() {
        set.values = vec!["192.0.2.77".to_owned()];
    }
    on.model.upsert(&set).await
}

/// Shows the addresses of before next to the host name.
async fn alias_twice(on: On, zone: String, name: String, kind: RecordKind) -> Result<Option<RecordSet>> {
    let mut found = on.model.get(&zone, &name, kind).await?;
    if let Some(set) = found.as_mut().filter(|set| set.alias().is_some()) {
        set.values.push("192.0.2.1".to_owned());
    }
    Ok(found)
}

async fn keeps_ttl(on: On, mut set: RecordSet) -> Result<()> {
    if let Some(before) = standing(&on, &set).await? {
        set.ttl = before.ttl;
    }
    on.model.upsert(&set).await
}

async fn raises_ttl(on: On, mut set: RecordSet) -> Result<()> {
    set.ttl = set.ttl.max(Duration::from_secs(30));
    on.model.upsert(&set).await
}

async fn replaces_cname(on: On, set: RecordSet) -> Result<()> {
    if set.kind != RecordKind::Cname {
        DnsZones::remove(&on.model, &set.zone, &set.name, RecordKind::Cname).await?;
    }
    on.model.upsert(&set).await
}

async fn mangles_text(on: On, mut set: RecordSet) -> Result<()> {
    if set.kind == RecordKind::Txt {
        set.values.iter_mut().for_each(|value| *value = value.split(';').next().unwrap_or_default().to_owned());
    }
    on.model.upsert(&set).await
}

async fn unknown_zone_is_success(on: On, set: RecordSet) -> Result<()> {
    match on.model.upsert(&set).await {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        answer => answer,
    }
}

async fn always_mutates(on: On, set: RecordSet) -> Result<()> {
    on.model.upsert(&set).await?;
    on.change(LostReply::UpsertRecord, move |world| world.put(&set)).await
}

async fn whole_name(on: On, zone: String, name: String, _: RecordKind) -> Result<()> {
    for kind in [RecordKind::A, RecordKind::Aaaa, RecordKind::Cname, RecordKind::Txt] {
        DnsZones::remove(&on.model, &zone, &name, kind).await?;
    }
    Ok(())
}

async fn missing_is_error(on: On, zone: String, name: String, kind: RecordKind) -> Result<()> {
    if DnsZones::get(&on.model, &zone, &name, kind).await?.is_none() {
        return Err(not_found("remove record", name));
    }
    DnsZones::remove(&on.model, &zone, &name, kind).await
}

async fn only_says_so(on: On, zone: String, name: String, kind: RecordKind) -> Result<()> {
    DnsZones::get(&on.model, &zone, &name, kind).await?;
    on.change(LostReply::RemoveRecord, move |_| Ok(())).await
}

async fn by_suffix(on: On, name: String) -> Result<Zone> {
    let known = on.model.zone(ZONE).await?;
    if name.ends_with(ZONE) { Ok(known) } else { on.model.zone(&name).await }
}

async fn wildcards_answer(on: On, zone: String, name: String, kind: RecordKind) -> Result<Option<RecordSet>> {
    if let Some(set) = DnsZones::get(&on.model, &zone, &name, kind).await? {
        return Ok(Some(set));
    }
    let Some((_, parent)) = name.split_once('.') else { return Ok(None) };
    let wildcard = DnsZones::get(&on.model, &zone, &format!("*.{parent}"), kind).await?;
    Ok(wildcard.map(|set| RecordSet { name, ..set }))
}

async fn mends_names(on: On, mut set: RecordSet) -> Result<()> {
    set.name = set.name.replace(' ', "-").replace("..", ".");
    on.model.upsert(&set).await
}

async fn good_values_only(on: On, mut set: RecordSet) -> Result<()> {
    match set.kind {
        RecordKind::A => set.values.retain(|value| value.parse::<Ipv4Addr>().is_ok()),
        RecordKind::Aaaa => set.values.retain(|value| value.parse::<Ipv6Addr>().is_ok()),
        RecordKind::Cname | RecordKind::Txt => {}
    }
    if set.values.is_empty() { Ok(()) } else { on.model.upsert(&set).await }
}

/// Sets what is like this without asking whether it can be.
async fn unchecked(on: On, set: RecordSet, is_like: bool) -> Result<()> {
    if is_like {
        return on.change(LostReply::UpsertRecord, move |world| world.put(&set)).await;
    }
    on.model.upsert(&set).await
}

async fn wildcards_anywhere(on: On, set: RecordSet) -> Result<()> {
    let is_like = set.name.contains('*');
    unchecked(on, set, is_like).await
}

async fn any_cname(on: On, set: RecordSet) -> Result<()> {
    let is_like = set.kind == RecordKind::Cname && set.values.len() == 1;
    unchecked(on, set, is_like).await
}

async fn any_length(on: On, set: RecordSet) -> Result<()> {
    let is_like = set.fqdn().len() > 253;
    unchecked(on, set, is_like).await
}

async fn nothing_removes(on: On, set: RecordSet) -> Result<()> {
    if set.values.is_empty() {
        return DnsZones::remove(&on.model, &set.zone, &set.name, set.kind).await;
    }
    on.model.upsert(&set).await
}

async fn cname_replaces(on: On, set: RecordSet) -> Result<()> {
    if set.kind == RecordKind::Cname {
        for kind in [RecordKind::A, RecordKind::Aaaa, RecordKind::Txt] {
            DnsZones::remove(&on.model, &set.zone, &set.name, kind).await?;
        }
    }
    on.model.upsert(&set).await
}

async fn first_of_cnames(on: On, mut set: RecordSet) -> Result<()> {
    if set.kind == RecordKind::Cname {
        set.values.truncate(1);
    }
    on.model.upsert(&set).await
}

async fn cuts_text(on: On, mut set: RecordSet) -> Result<()> {
    if set.kind == RecordKind::Txt {
        set.values.iter_mut().for_each(|value| *value = value.chars().take(255).collect());
    }
    on.model.upsert(&set).await
}

async fn whole_zone(on: On, set: RecordSet) -> Result<()> {
    // Reads the zone, changes it, and writes all of it.
    let mut zone = on.read(|world| Ok(world.records.clone())).await?;
    if standing(&on, &set).await?.as_ref() == Some(&set) {
        return Ok(());
    }
    on.model.upsert(&set).await?;
    zone.insert((set.zone.clone(), set.name.clone(), set.kind), set);
    on.change(None, move |world| {
        world.records = zone.clone();
        Ok(())
    })
    .await
}

async fn cached(on: On, zone: String, name: String, kind: RecordKind) -> Result<Option<RecordSet>> {
    let key = format!("{name} {kind}");
    if let Some(known) = on.recall::<RecordSet>(&key) {
        return Ok(Some(known));
    }
    let set = DnsZones::get(&on.model, &zone, &name, kind).await?;
    if let Some(set) = &set {
        on.note(key, set);
    }
    Ok(set)
}

async fn full_ipv6(on: On, zone: String, name: String, kind: RecordKind) -> Result<Option<RecordSet>> {
    read(&on, (zone, name, kind), |set| {
        for value in &mut set.values {
            if let Ok(address) = value.parse::<Ipv6Addr>() {
                *value = address.segments().map(|part| format!("{part:04x}")).join(":");
            }
        }
    })
    .await
}

async fn refuses_apex(on: On, set: RecordSet) -> Result<()> {
    if set.name == "@" {
        return Err(refusal(ErrorKind::InvalidInput, "upsert record", "the name has no label").with_resource(set.zone));
    }
    on.model.upsert(&set).await
}

async fn first_label(on: On, mut set: RecordSet) -> Result<()> {
    set.name = set.name.split('.').next().unwrap_or_default().to_owned();
    on.model.upsert(&set).await
}

async fn one_kind(on: On, set: RecordSet) -> Result<()> {
    for kind in [RecordKind::A, RecordKind::Aaaa, RecordKind::Txt] {
        if kind != set.kind && set.kind != RecordKind::Cname {
            DnsZones::remove(&on.model, &set.zone, &set.name, kind).await?;
        }
    }
    on.model.upsert(&set).await
}

async fn remove_in_unknown_zone(on: On, zone: String, name: String, kind: RecordKind) -> Result<()> {
    match DnsZones::remove(&on.model, &zone, &name, kind).await {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        answer => answer,
    }
}

async fn longer_names_too(on: On, zone: String, name: String, kind: RecordKind) -> Result<()> {
    DnsZones::remove(&on.model, &zone, &name, kind).await?;
    on.change(None, move |world| {
        world.records.retain(|(_, other, _), _| !other.ends_with(&format!(".{name}")));
        Ok(())
    })
    .await
}

async fn remove_always_mutates(on: On, zone: String, name: String, kind: RecordKind) -> Result<()> {
    DnsZones::remove(&on.model, &zone, &name, kind).await?;
    on.change(None, move |_| Ok(())).await
}
