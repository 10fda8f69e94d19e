//! What would stop a release is found before anything is made for it, the bake included: a size that the account does not
//! have, a disk that is too small, user data over the limit, no room for another static IP or for so many instances.

use super::{
    EngineError, EngineErrorKind, configuration,
    named::shape,
    observe::{Wanted, World},
    planner::{AddressFacts, Facts, Plan, Step},
};
use crate::{
    context::Context,
    manifest::Strategy,
    provider::{Selector, Shape, SizeName},
};

/// Checks a release that is about to be made. One or two reads, and two more where a static IP has to be made.
pub(super) async fn check(
    ctx: &Context,
    world: &World,
    wanted: &Wanted,
    facts: &Facts,
    plan: &Plan,
) -> Result<(), EngineError> {
    check_disk(ctx, wanted).await?;
    // What a secret adds to the size is known only to whoever reads it.
    if !ctx.loaded.config_is_sealed() {
        check_user_data(ctx, world, facts).await?;
    }
    if facts.fleet.is_some() {
        return check_room(ctx, world, plan).await;
    }
    if facts.address == AddressFacts::Missing { check_quota(ctx).await } else { Ok(()) }
}

/// The account must have room for as many instances as there are at most during the rollout.
async fn check_room(ctx: &Context, world: &World, plan: &Plan) -> Result<(), EngineError> {
    let waves = plan.steps.iter().find_map(|step| match step {
        Step::Launch { waves, .. } => waves.as_ref(),
        _ => None,
    });
    let Some(waves) = waves else { return Ok(()) };
    let account = ctx.provider.account().await?;
    let Some(quota) = account.quotas.iter().find(|quota| quota.what == "instances") else { return Ok(()) };
    let all = ctx.provider.instances().list(&Selector::all()).await?.len() as u64;
    let others = all.saturating_sub(world.instances.len() as u64);
    if others + u64::from(waves.most) <= quota.limit {
        return Ok(());
    }
    let message = format!(
        "the account may have {} instances, others use {others}, and this deploy has up to {} at the same time",
        quota.limit, waves.most
    );
    let refused = EngineError::new(EngineErrorKind::Provider, message);
    Err(match waves.strategy {
        Strategy::All => refused.hint(
            "set `deploy.strategy = \"rolling\"`, which replaces a few at a time, or ask the cloud to raise the limit",
        ),
        Strategy::Rolling | Strategy::Canary => {
            refused.hint("set a smaller `deploy.batch` or `deploy.max_surge`, or ask the cloud to raise the limit")
        }
    })
}

/// The image that there is, or the one that the bake would capture, must fit on the instances' disk.
async fn check_disk(ctx: &Context, wanted: &Wanted) -> Result<(), EngineError> {
    let section = &ctx.loaded.section;
    let shape = shape(ctx, &section.size, "size").await?;
    let (what, needed) = match wanted.image() {
        Some(image) => (format!("image {}", image.name), image.min_disk_gib),
        None => {
            let base = &wanted.base;
            let base = (format!("base image {}", base.name), base.min_disk_gib);
            match &section.builder_size {
                // An image is as large as the disk that it was captured from.
                Some(size) => {
                    let builder = shape_of_builder(ctx, size).await?.disk_gib;
                    let baked = (format!("an image from a builder of size {size}"), builder);
                    if baked.1 > base.1 { baked } else { base }
                }
                None => base,
            }
        }
    };
    if needed <= shape.disk_gib {
        return Ok(());
    }
    let (provider, size, disk) = (&ctx.loaded.provider, &section.size, shape.disk_gib);
    let message = format!("{what} needs a disk of {needed} GiB, and {size} has {disk} GiB (providers.{provider}.size)");
    Err(EngineError::new(EngineErrorKind::Manifest, message)
        .hint("choose a larger `size`, or bake on a smaller `builder_size`"))
}

async fn shape_of_builder(ctx: &Context, size: &SizeName) -> Result<Shape, EngineError> {
    shape(ctx, size, "builder_size").await
}

/// Composes the user data as the launch will, and throws it away.
async fn check_user_data(ctx: &Context, world: &World, facts: &Facts) -> Result<(), EngineError> {
    let name = "x".repeat(ctx.provider.descriptor().limits.name_length);
    let static_ip = world.static_ip.as_ref().map(|ip| ip.address.ip);
    configuration::prepare(ctx, facts.next, Some(&name), static_ip).await.map(|_| ())
}

async fn check_quota(ctx: &Context) -> Result<(), EngineError> {
    let Some(static_ips) = ctx.provider.static_ips() else { return Ok(()) };
    let account = ctx.provider.account().await?;
    let Some(quota) = account.quotas.iter().find(|quota| quota.what == "static_ips") else { return Ok(()) };
    let standing = static_ips.list(&Selector::all()).await?.len() as u64;
    if standing < quota.limit {
        return Ok(());
    }
    let message = format!("the account has {standing} static IPs, and may have no more than {}", quota.limit);
    Err(EngineError::new(EngineErrorKind::Provider, message).hint(
        "give back one that is not needed, ask the cloud to raise the limit, or name one that exists: \
         `static_ip = { existing = \"ADDRESS\" }` in `[address]`",
    ))
}
