//! Removing one resource, after its use was read again from the cloud.

use std::{collections::BTreeSet, time::Duration};

use super::{DeployError, DeployErrorKind, observe, ownership::Ownership};
use crate::{
    context::Context,
    journal::{Entry, OwnedRecord, OwnedStaticIp, Release},
    provider::{Capability, DnsZones, Error, InstanceId, ProviderId, RecordSet},
    watch::{Observed, Wait},
};

/// How long a static IP may take to be given back.
const GIVEN_BACK_WITHIN: Duration = Duration::from_secs(120);

/// Who uses a static IP that is not ours, where somebody does.
pub(super) async fn foreign_user(
    ctx: &Context,
    ip: &OwnedStaticIp,
    ownership: &Ownership,
) -> Result<Option<InstanceId>, DeployError> {
    let Some(static_ips) = ctx.provider.static_ips() else { return Ok(None) };
    let Some(standing) = observe::find(static_ips, &ip.id).await? else { return Ok(None) };
    let Some(to) = standing.assigned_to else { return Ok(None) };
    match ctx.provider.instances().get(&to).await {
        Ok(instance) if ownership.has(&instance) => Ok(None),
        // What it points at is on its way out.
        Err(error) if error.kind() == crate::provider::ErrorKind::NotFound => Ok(None),
        Ok(_) => Ok(Some(to)),
        Err(error) => Err(error.into()),
    }
}

/// Gives a static IP back to the cloud, and returns whether that was possible: one that points at somebody else's instance, or
/// carries another environment's id, stays.
pub(super) async fn give_back(ctx: &Context, ip: &OwnedStaticIp, ownership: &Ownership) -> Result<bool, DeployError> {
    let Some(static_ips) = ctx.provider.static_ips() else { return Ok(false) };
    let Some(standing) = observe::find(static_ips, &ip.id).await? else { return Ok(true) };
    if !ownership.may_be(&standing) {
        ctx.events.warn(format!("static IP {} stays: its labels say that it is another environment's", ip.address.ip));
        return Ok(false);
    }
    if let Some(user) = foreign_user(ctx, ip, ownership).await? {
        ctx.events.warn(format!(
            "static IP {} stays: instance {user}, which is not of this environment, uses it",
            ip.address.ip
        ));
        return Ok(false);
    }
    let wait = Wait::new("to be given back").timeout(GIVEN_BACK_WITHIN);
    let release = || async move { static_ips.release(&ip.id).await.map(Observed::Done) };
    ctx.watcher.poll(&format!("static IP {}", ip.id), wait, release).await?;
    Ok(true)
}

/// Removes a record, and returns whether that was possible: one that somebody sent elsewhere by hand stays. `written` is
/// what Remint ever wrote into it.
pub(super) async fn remove_record(
    ctx: &Context,
    provider: &ProviderId,
    record: &OwnedRecord,
    written: &BTreeSet<String>,
) -> Result<bool, DeployError> {
    let zones = zones(ctx, provider)?;
    let standing = standing_record(zones, record).await?;
    let Some(standing) = standing else { return Ok(true) };
    if !standing.values.iter().all(|value| written.contains(value)) {
        let values = standing.values.join(", ");
        ctx.events.warn(format!("{} {} stays: somebody else set it to {values}", record.fqdn(), record.kind));
        return Ok(false);
    }
    zones.remove(&record.zone, &record.name, record.kind).await?;
    Ok(true)
}

/// A record as its provider has it; `None` where there is none.
pub(super) async fn standing_record(
    zones: &dyn DnsZones,
    record: &OwnedRecord,
) -> Result<Option<RecordSet>, DeployError> {
    match zones.get(&record.zone, &record.name, record.kind).await {
        Ok(standing) => Ok(standing),
        // The zone went with all its records.
        Err(error) if error.kind() == crate::provider::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The zones of the provider that has a record.
pub(super) fn zones<'a>(ctx: &'a Context, provider: &ProviderId) -> Result<&'a dyn DnsZones, DeployError> {
    let missing = || Error::unsupported("remove record", Capability::Dns);
    Ok(dns_provider(ctx, provider)?.dns_zones().ok_or_else(missing)?)
}

/// The provider that serves a record's zone: the manifest's, or the one of the instances.
pub(super) fn dns_provider<'a>(
    ctx: &'a Context,
    provider: &ProviderId,
) -> Result<&'a std::sync::Arc<dyn crate::provider::Provider>, DeployError> {
    let all = ctx.dns.iter().chain([&ctx.provider]);
    let found = all.into_iter().find(|known| known.descriptor().id == provider.as_str());
    found.ok_or_else(|| {
        let message = format!("a DNS record is at {provider}, which the manifest does not name any more");
        DeployError::new(DeployErrorKind::Manifest, message)
            .hint(format!("write `provider = \"{provider}\"` in `[dns]` again, until the record is gone"))
    })
}

/// Every value that releases wrote into records.
pub(super) fn written<'r>(history: &'r [Release], release: impl Into<Option<&'r Release>>) -> BTreeSet<String> {
    let all = history.iter().chain(release.into());
    let values = all.flat_map(|release| &release.entries).filter_map(|record| match &record.entry {
        Entry::SettingRecord { change, .. } => Some(change.after.clone()),
        _ => None,
    });
    values.flatten().collect()
}
