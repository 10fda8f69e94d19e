//! A bake whose machine is the fake cloud's: the same launch, capture and clean-up as a real one, and in place of the steps
//! over SSH some time.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{
    Authority, BakeError,
    capture::{self, until_done},
    cleanup::Cleanup,
    prepare::{self, find_image},
    recover,
};
use crate::{
    context::Context,
    provider::{CaptureSpec, Fingerprint, Image, Instance, InstanceState, LaunchSpec, PowerOp, Selector, label},
    watch::Wait,
};

/// Makes sure that the image exists. The caller holds the environment's lock. `steps` is how long they take.
pub(crate) async fn bake(
    ctx: &Context,
    authority: &Authority<'_>,
    fingerprint: &Fingerprint,
    steps: Duration,
) -> Result<Image, BakeError> {
    if let Some(image) = find_image(ctx, authority, fingerprint).await? {
        return Ok(image);
    }
    let cleanup = Cleanup::default();
    let baked = tokio::select! {
        biased;
        () = ctx.interrupted() => Err(BakeError::Cancelled),
        image = until_captured(ctx, authority, fingerprint, steps, &cleanup) => image,
    };
    if let Err(error) = &baked
        && error.is_cancelled()
        && let Err(error) = recover::finish_capture(ctx, authority).await
    {
        ctx.events.warn(format!("could not settle the capture: {error}"));
    }
    cleanup.run(ctx, authority).await;
    baked
}

async fn until_captured(
    ctx: &Context,
    authority: &Authority<'_>,
    fingerprint: &Fingerprint,
    steps: Duration,
    cleanup: &Cleanup,
) -> Result<Image, BakeError> {
    let cloud = BakeError::cloud;
    let failed = || cloud("the builder does not do as asked");
    authority.journal.claim_place(authority.lock, &ctx.place()).await?;
    let started = Instant::now();
    let (instance, selector) = launch(ctx, authority, fingerprint, cleanup).await?;
    let runs = |instance: &Instance| instance.state == InstanceState::Running;
    let wait = Wait::new("to run").first(ctx.provider.descriptor().limits.launch_time);
    let seen = ctx.watcher.instance(&selector, &instance.id, wait, runs).await;
    seen.map_err(BakeError::watch("the builder does not start"))?;
    sleep(steps).await;
    ctx.provider.instances().power(&instance.id, PowerOp::Stop).await.map_err(failed())?;
    let stopped = |instance: &Instance| instance.state == InstanceState::Stopped;
    let seen = ctx.watcher.instance(&selector, &instance.id, Wait::new("to be stopped"), stopped).await;
    seen.map_err(BakeError::watch("the builder does not stop"))?;
    if let Some(image) = find_image(ctx, authority, fingerprint).await? {
        return Ok(image);
    }
    let labels = authority.of_images().with(label::FINGERPRINT, fingerprint.as_str());
    let spec = CaptureSpec { instance: instance.id, name: capture::name(ctx, authority, fingerprint), labels };
    authority.journal.set_capture(authority.lock, Some(&spec)).await?;
    let image = until_done(ctx, &spec, started).await?;
    authority.journal.set_capture(authority.lock, None).await?;
    Ok(image)
}

async fn launch(
    ctx: &Context,
    authority: &Authority<'_>,
    fingerprint: &Fingerprint,
    cleanup: &Cleanup,
) -> Result<(Instance, Selector), BakeError> {
    let failed = || BakeError::cloud("cannot launch the builder");
    let mut login_keys = Vec::new();
    if let Some(keys) = ctx.provider.login_keys() {
        let name = format!("{}{}", authority.builder_keys(), ctx.run4());
        cleanup.expect_key(name.clone());
        let key = ctx.commit(keys.ensure(&name, &format!("ssh-ed25519 {name}"))).await.map_err(failed())?;
        cleanup.registered(&key.id);
        login_keys.push(key.id);
    }
    let labels = prepare::labels(ctx, authority, fingerprint, "builder");
    let selector = Selector(labels.0.clone());
    cleanup.expect_instances(selector.clone());
    let spec = LaunchSpec {
        names: vec![format!("{}-bake-{}-{}", ctx.loaded.manifest.service, fingerprint.short(), ctx.run4())],
        new_names: true,
        image: ctx.loaded.section.base.as_str().into(),
        size: ctx.loaded.section.size.clone(),
        region: ctx.loaded.section.region.clone(),
        labels,
        user_data: None,
        login_keys,
    };
    let launched = ctx.commit(ctx.provider.instances().launch(&spec)).await.map_err(failed())?;
    let instance = launched.into_iter().next().ok_or(BakeError::Cancelled)?;
    cleanup.launched(&instance.id);
    Ok((instance, selector))
}
