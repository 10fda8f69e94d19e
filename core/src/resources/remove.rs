//! Removing one resource, after its use was read again from the cloud.

use std::{collections::BTreeSet, time::Duration};

use super::{
    ownership::Ownership,
    record::{standing_record, zones},
    static_ip::find,
};
use crate::{
    context::Context,
    error::EngineError,
    journal::{OwnedRecord, OwnedStaticIp},
    provider::{ErrorKind, InstanceId, ProviderId},
    watch::{Observed, Wait},
};

/// How long a static IP may take to be given back.
const GIVEN_BACK_WITHIN: Duration = Duration::from_secs(120);

/// Who uses a static IP that is not ours, where somebody does.
pub(crate) async fn foreign_user(
    ctx: &Context,
    ip: &OwnedStaticIp,
    ownership: &Ownership,
) -> Result<Option<InstanceId>, EngineError> {
    let Some(static_ips) = ctx.provider.static_ips() else { return Ok(None) };
    let Some(standing) = find(static_ips, &ip.id).await? else { return Ok(None) };
    let Some(to) = standing.assigned_to else { return Ok(None) };
    match ctx.provider.instances().get(&to).await {
        Ok(instance) if ownership.has(&instance) => Ok(None),
        // What it points at is on its way out.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Ok(_) => Ok(Some(to)),
        Err(error) => Err(error.into()),
    }
}

/// Gives a static IP back to the cloud, and returns whether that was possible: one that points at somebody else's instance, or
/// carries another environment's id, stays.
pub(crate) async fn give_back(ctx: &Context, ip: &OwnedStaticIp, ownership: &Ownership) -> Result<bool, EngineError> {
    let Some(static_ips) = ctx.provider.static_ips() else { return Ok(false) };
    let Some(standing) = find(static_ips, &ip.id).await? else { return Ok(true) };
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
pub(crate) async fn remove_record(
    ctx: &Context,
    provider: &ProviderId,
    record: &OwnedRecord,
    written: &BTreeSet<String>,
) -> Result<bool, EngineError> {
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
