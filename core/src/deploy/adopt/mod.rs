//! Adopting: a journal for what is in the cloud and no journal knows, or none any more.
//!
//! Labels and the cloud's own lists show the ids, the release that serves, what an interrupted run has left, images, static IPs and
//! the record. What they do not show is said. Nothing is destroyed and nothing is moved: what was left in the middle is written down
//! as such, and the next command brings it to an end as it does after any crash.
//!
//! What carries this environment's names and one id is of the journal that is gone. What carries no id, or another one, may be
//! anybody's, and is taken over only where it is named.

mod look;
mod rebuild;
mod report;

use self::{
    look::Found,
    rebuild::{Proposal, Rebuilding},
};
use super::{EngineError, EngineErrorKind, configuration, engine::Engine, observe::Wanted};
use crate::{
    context::Context,
    journal::{Identity, Journal, LockGuard},
    provider::Capability,
};
pub use look::AdoptOptions;
pub use report::{AdoptedAddress, AdoptedInstance, AdoptedRelease, Adoption};

/// Says what would be adopted; changes nothing.
///
/// # Errors
///
/// [`EngineErrorKind::Conflict`] where the journal is in use, where there is nothing to adopt, and where something must be named
/// first; else the cloud's and the journal's.
pub async fn adoption(ctx: &Context, options: &AdoptOptions) -> Result<Adoption, EngineError> {
    adoption_with(&Engine::new(ctx)?, options).await
}

pub(super) async fn adoption_with(engine: &Engine<'_>, options: &AdoptOptions) -> Result<Adoption, EngineError> {
    Ok(propose(engine, options).await?.report)
}

/// Writes the journal of what was found, and labels what was named.
///
/// # Errors
///
/// As [`adoption`]; [`EngineErrorKind::Conflict`] when it is not what was approved any more.
pub async fn adopt(ctx: &Context, options: &AdoptOptions, approved: &Adoption) -> Result<Adoption, EngineError> {
    adopt_with(&Engine::new(ctx)?, options, Some(approved)).await
}

/// `approved` is what may be adopted; without it, what is found.
pub(super) async fn adopt_with(
    engine: &Engine<'_>,
    options: &AdoptOptions,
    approved: Option<&Adoption>,
) -> Result<Adoption, EngineError> {
    let lock = engine.lock("adopt").await?;
    // What runs that died have left behind is for the next command to remove.
    lock.leave_behind();
    let done = engine.until_interrupted(adopt_locked(engine, &lock, options, approved)).await;
    if let Err(error) = lock.release_unsettled().await {
        engine.ctx.events.warn(format!("cannot release the lock, which expires by itself: {error}"));
    }
    done
}

async fn adopt_locked(
    engine: &Engine<'_>,
    lock: &LockGuard,
    options: &AdoptOptions,
    approved: Option<&Adoption>,
) -> Result<Adoption, EngineError> {
    let Proposal { rebuilt, labels, ip_labels, report } = propose(engine, options).await?;
    if approved.is_some_and(|approved| !approved.is_same(&report)) {
        return Err(EngineError::new(EngineErrorKind::Conflict, "something has changed since that was shown")
            .hint("run `remint adopt` again to see what is there now"));
    }
    engine.journal().write_adopted(lock, &rebuilt).await?;
    let provider = &engine.ctx.provider;
    for (id, labels) in labels {
        provider.instances().label(&id, &labels).await?;
    }
    if let Some(static_ips) = provider.static_ips().filter(|_| provider.descriptor().has(Capability::StaticIpLabels)) {
        for (id, labels) in ip_labels {
            static_ips.label(&id, &labels).await?;
        }
    }
    Ok(report)
}

async fn propose(engine: &Engine<'_>, options: &AdoptOptions) -> Result<Proposal, EngineError> {
    let (ctx, journal) = (engine.ctx, engine.journal());
    if ctx.loaded.manifest.load_balancer.is_some() {
        let message = "what is behind a load balancer cannot be adopted yet (load_balancer)";
        return Err(EngineError::new(EngineErrorKind::Manifest, message)
            .hint("deploy a second environment (`-e NAME`), and switch clients to it"));
    }
    let identity = usable(ctx, journal).await?;
    let found = Found::look(ctx, options, identity.as_ref()).await?;
    let wanted = Wanted::resolve(ctx, journal, None).await?;
    let service = journal.service().await?;
    let salt = (engine.new_salt)();
    let rebuilding = Rebuilding::new(ctx, found, identity, service, wanted, engine.holder().clone())?;
    let serving = rebuilding.serving()?;
    let static_ip = rebuilding.wanted_static_ip(serving.as_ref())?;
    rebuilding.can_label()?;
    // The configuration that an instance has cannot be read back: it is taken to be the manifest's.
    let digest = configuration::digest(ctx, &salt, static_ip.as_ref().map(|ip| ip.address.ip)).await?;
    Ok(rebuilding.finish(serving, static_ip, (salt, digest)))
}

/// Whether a journal can take in what is found: one that has releases of its own knows better.
async fn usable(ctx: &Context, journal: &Journal) -> Result<Option<Identity>, EngineError> {
    journal.check_service(&ctx.loaded.manifest.service).await?;
    let (identity, history) = (journal.identity().await?, journal.history().await?);
    let Some(own) = history.iter().find(|release| !release.record.adopted) else { return Ok(identity) };
    let (environment, url) = (&ctx.loaded.environment, &ctx.loaded.manifest.journal.url);
    let message = format!("the journal at {url} has releases of {environment} of its own ({} is one)", own.id());
    Err(EngineError::new(EngineErrorKind::Conflict, message)
        .hint("run `remint status`; where the journal is an older copy, restore the newest one instead")
        .hint("to start from what is in the cloud, move the journal away first"))
}
