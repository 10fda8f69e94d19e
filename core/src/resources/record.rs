//! The DNS record of an environment: as the manifest wants it, and as it is.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};

use crate::{
    context::Context,
    error::{EngineError, EngineErrorKind},
    journal::{Entry, OwnedRecord, Release, Resources},
    manifest::StaticIpChoice,
    provider::{Capability, DnsZones, Error, ErrorKind, Provider, ProviderId, RecordKind, RecordSet},
};

/// The DNS record of the manifest as it stands; one call, which also shows whether the zone exists.
pub(crate) async fn record(ctx: &Context) -> Result<Option<RecordSet>, EngineError> {
    let Some(dns) = &ctx.loaded.manifest.dns else { return Ok(None) };
    let provider = ctx.dns_provider();
    let Some(zones) = provider.dns_zones() else {
        let id = provider.descriptor().id;
        return Err(EngineError::new(EngineErrorKind::Manifest, format!("provider {id} has no DNS zones (dns.zone)"))
            .hint("name another one: `provider = \"…\"` in `[dns]`"));
    };
    let kind = record_kind(ctx);
    zones.get(&dns.zone, &dns.name, kind).await.map_err(|error| {
        if error.kind() == ErrorKind::NotFound {
            EngineError::new(EngineErrorKind::Manifest, format!("there is no zone {} (dns.zone)", dns.zone))
                .because(error)
                .hint("make the zone in the account first, or correct its name")
        } else {
            error.into()
        }
    })
}

fn record_kind(ctx: &Context) -> RecordKind {
    match *ctx.loaded.manifest.static_ip() {
        StaticIpChoice::Existing(IpAddr::V6(_)) => RecordKind::Aaaa,
        _ => RecordKind::A,
    }
}

/// The record that the manifest wants, leading to an address, or to a host name, which is an alias.
pub(crate) fn wanted_record(ctx: &Context, leads_to: &str) -> Option<RecordSet> {
    let is_ipv6 = leads_to.parse::<Ipv6Addr>().is_ok();
    let dns = ctx.loaded.manifest.dns.as_ref()?;
    Some(RecordSet {
        zone: dns.zone.clone(),
        name: dns.name.clone(),
        kind: if is_ipv6 { RecordKind::Aaaa } else { RecordKind::A },
        ttl: record_ttl(ctx)?,
        values: vec![leads_to.to_owned()],
    })
}

/// How long resolvers may keep the record: what the manifest says, raised to what the DNS provider has at least.
pub(crate) fn record_ttl(ctx: &Context) -> Option<Duration> {
    let dns = ctx.loaded.manifest.dns.as_ref()?;
    Some(Duration::max(dns.ttl.0, ctx.dns_provider().descriptor().limits.dns_min_ttl))
}

/// The provider and name of the record that the manifest wants.
pub(crate) fn wanted_record_name(ctx: &Context) -> Option<(&'static str, OwnedRecord)> {
    let dns = ctx.loaded.manifest.dns.as_ref()?;
    let provider = ctx.dns_provider().descriptor().id;
    let ttl = record_ttl(ctx)?.as_secs();
    Some((provider, OwnedRecord { zone: dns.zone.clone(), name: dns.name.clone(), kind: record_kind(ctx), ttl }))
}

/// Whether a record that exists may be changed: it is ours, or the manifest takes it over.
pub(crate) fn may_write(ctx: &Context, resources: &Resources, record: &RecordSet) -> Result<(), EngineError> {
    let Some(dns) = &ctx.loaded.manifest.dns else { return Ok(()) };
    let named = OwnedRecord { zone: record.zone.clone(), name: record.name.clone(), kind: record.kind, ttl: 0 };
    if dns.adopt || resources.find_record(ctx.dns_provider().descriptor().id, &named).is_some() {
        return Ok(());
    }
    let message =
        format!("{} {} exists ({}) and was not made by remint", record.fqdn(), record.kind, record.values.join(", "));
    Err(EngineError::new(EngineErrorKind::Conflict, message)
        .hint("remove the record, choose another name, or take it over: `adopt = true` in `[dns]`"))
}

/// A record as its provider has it; `None` where there is none.
pub(crate) async fn standing_record(
    zones: &dyn DnsZones,
    record: &OwnedRecord,
) -> Result<Option<RecordSet>, EngineError> {
    match zones.get(&record.zone, &record.name, record.kind).await {
        Ok(standing) => Ok(standing),
        // The zone went with all its records.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The zones of the provider that has a record.
pub(crate) fn zones<'a>(ctx: &'a Context, provider: &ProviderId) -> Result<&'a dyn DnsZones, EngineError> {
    let missing = || Error::unsupported("remove record", Capability::Dns);
    Ok(dns_provider(ctx, provider)?.dns_zones().ok_or_else(missing)?)
}

/// The provider that serves a record's zone: the manifest's, or the one of the instances.
pub(crate) fn dns_provider<'a>(ctx: &'a Context, provider: &ProviderId) -> Result<&'a Arc<dyn Provider>, EngineError> {
    let all = ctx.dns.iter().chain([&ctx.provider]);
    let found = all.into_iter().find(|known| known.descriptor().id == provider.as_str());
    found.ok_or_else(|| {
        let message = format!("a DNS record is at {provider}, which the manifest does not name any more");
        EngineError::new(EngineErrorKind::Manifest, message)
            .hint(format!("write `provider = \"{provider}\"` in `[dns]` again, until the record is gone"))
    })
}

/// Every value that releases wrote into records.
pub(crate) fn written<'r>(history: &'r [Release], release: impl Into<Option<&'r Release>>) -> BTreeSet<String> {
    let all = history.iter().chain(release.into());
    let values = all.flat_map(|release| &release.entries).filter_map(|record| match &record.entry {
        Entry::SettingRecord { change, .. } => Some(change.after.clone()),
        _ => None,
    });
    values.flatten().collect()
}
