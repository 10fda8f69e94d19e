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
    provider::{
        CaptureSpec, Error, ErrorKind, Fingerprint, Image, ImageId, Images, Instance, InstanceState, Labels,
        LaunchSpec, PowerOp, Selector, label,
    },
    watch::{Wait, WatchError},
};

/// What stands in for the machine: how long the steps take on it, and whether an instance of the image would become healthy.
pub(crate) struct Machine<'a> {
    pub(crate) steps: Duration,
    pub(crate) passes: &'a (dyn Fn(&Instance) -> bool + Sync),
}

/// Makes sure that the image exists, and has passed its boot check where it needs one. The caller holds the environment's lock.
pub(crate) async fn bake(
    ctx: &Context,
    authority: &Authority<'_>,
    fingerprint: &Fingerprint,
    machine: &Machine<'_>,
) -> Result<Image, BakeError> {
    let cleanup = Cleanup::default();
    let image = match find_image(ctx, authority, fingerprint).await? {
        Some(image) => image,
        None => {
            let baked = tokio::select! {
                biased;
                () = ctx.interrupted() => Err(BakeError::Cancelled),
                image = until_captured(ctx, authority, fingerprint, machine.steps, &cleanup) => image,
            };
            if let Err(error) = &baked
                && error.is_cancelled()
                && let Err(error) = recover::finish_capture(ctx, authority).await
            {
                ctx.events.warn(format!("could not settle the capture: {error}"));
            }
            cleanup.run(ctx, authority).await;
            baked?
        }
    };
    capture::start_copies(ctx, &image).await?;
    let image = capture::finish_copies(ctx, image).await?;
    if !ctx.loaded.manifest.image.boot_check || image.labels.get(label::CHECKED).is_some() {
        return Ok(image);
    }
    let checked = tokio::select! {
        biased;
        () = ctx.interrupted() => Err(BakeError::Cancelled),
        checked = check(ctx, authority, (fingerprint, &image), machine, &cleanup) => checked,
    };
    cleanup.run(ctx, authority).await;
    checked.map(|()| image)
}

/// The boot check: an instance of the image becomes healthy, or the image goes.
async fn check(
    ctx: &Context,
    authority: &Authority<'_>,
    (fingerprint, image): (&Fingerprint, &Image),
    machine: &Machine<'_>,
    cleanup: &Cleanup,
) -> Result<(), BakeError> {
    authority.journal.claim_place(authority.lock, &ctx.place()).await?;
    let instance = running(ctx, authority, (fingerprint, &image.id), "check", cleanup).await?.0;
    sleep(machine.steps / 4).await;
    if !(machine.passes)(&instance) {
        ctx.provider.images().delete(&image.id).await.map_err(BakeError::cloud("cannot delete the image"))?;
        let sick = Error::new(ErrorKind::Unexpected, "check image", "it answers 503");
        return Err(BakeError::cloud("the image does not pass its boot check")(sick));
    }
    let checked = Labels::new().with(label::CHECKED, crate::clock::wall().to_string());
    let labelled = Images::label(ctx.provider.images(), &image.id, &checked).await;
    labelled.map_err(BakeError::cloud("cannot label the image as checked"))
}

/// Launches a machine of the bake, and waits until it runs.
async fn running(
    ctx: &Context,
    authority: &Authority<'_>,
    image: (&Fingerprint, &ImageId),
    role: &'static str,
    cleanup: &Cleanup,
) -> Result<(Instance, Selector), BakeError> {
    let (instance, selector) = launch(ctx, authority, image, role, cleanup).await?;
    let runs = |instance: &Instance| instance.state == InstanceState::Running;
    let wait = Wait::new("to run").first(ctx.provider.descriptor().limits.launch_time);
    let wait = wait.timeout(ctx.loaded.manifest.image.boot_timeout.0);
    let seen = ctx.watcher.instance(&selector, &instance.id, wait, runs).await;
    Ok((seen.map_err(BakeError::watch("the builder does not start"))?, selector))
}

/// Asks it to stop, and cuts its power where it does not.
async fn stop(ctx: &Context, instance: &Instance, selector: &Selector) -> Result<(), BakeError> {
    let stopped = |instance: &Instance| instance.state == InstanceState::Stopped;
    for (op, patience) in [(PowerOp::Stop, 90), (PowerOp::ForceStop, 300)] {
        let asked = ctx.provider.instances().power(&instance.id, op).await;
        asked.map_err(BakeError::cloud("cannot stop the builder"))?;
        let wait = Wait::new("to be stopped").timeout(Duration::from_secs(patience));
        match ctx.watcher.instance(selector, &instance.id, wait, stopped).await {
            Ok(_) => return Ok(()),
            Err(WatchError::TimedOut { .. }) if op == PowerOp::Stop => {}
            Err(error) => return Err(BakeError::watch("the builder does not stop")(error)),
        }
    }
    Ok(())
}

async fn until_captured(
    ctx: &Context,
    authority: &Authority<'_>,
    fingerprint: &Fingerprint,
    steps: Duration,
    cleanup: &Cleanup,
) -> Result<Image, BakeError> {
    authority.journal.claim_place(authority.lock, &ctx.place()).await?;
    let started = Instant::now();
    let base = ImageId::from(ctx.loaded.section.base.as_str());
    let (instance, selector) = running(ctx, authority, (fingerprint, &base), "builder", cleanup).await?;
    sleep(steps).await;
    stop(ctx, &instance, &selector).await?;
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
    (fingerprint, image): (&Fingerprint, &ImageId),
    role: &'static str,
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
    let labels = prepare::labels(ctx, authority, fingerprint, role);
    let selector = Selector(labels.0.clone());
    cleanup.expect_instances(selector.clone());
    let spec = LaunchSpec {
        names: vec![format!("{}-{role}-{}-{}", ctx.loaded.manifest.service, fingerprint.short(), ctx.run4())],
        new_names: true,
        image: image.clone(),
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
