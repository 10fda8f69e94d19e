//! A bake from beginning to end.

use tokio::time::Instant;

use super::{
    BakeError, BakeReport, Prepared,
    builder::{Builder, Plan},
    capture,
    check::boot_check,
    cleanup::{Cleanup, sweep},
    prepare::{self, prepare},
    recover,
    report::Phases,
    seal::seal,
    steps::Steps,
};
use crate::{context::Context, events::Event, journal::Journal, provider::Image};

/// Makes sure that an image of the manifest's recipe exists, and returns it.
///
/// The caller holds the environment's lock: builders of this environment that an earlier run left behind are destroyed.
/// Whatever happens, also when `ctx.cancel` is cancelled, the builder and its key are removed before this returns, and an
/// event says what could not be.
///
/// # Errors
///
/// [`BakeError`], with a hint and the last lines of output where there are any.
pub async fn bake(ctx: &Context) -> Result<BakeReport, BakeError> {
    let started = Instant::now();
    let journal = Journal::open(&ctx.loaded)?;
    let calls = ctx.provider.calls().count();
    let mut phases = Phases::new(&ctx.events);
    let prepared = tokio::select! {
        prepared = phases.run("fingerprint", prepare(ctx)) => prepared?,
        () = ctx.cancel.cancelled() => return Err(BakeError::Cancelled),
    };
    let reused = prepared.image.is_some();
    let (image, leftovers) = match &prepared.image {
        Some(image) => (with_copies(ctx, image.clone()).await?, Vec::new()),
        None => make(ctx, &prepared, &journal, &mut phases).await?,
    };
    let Prepared { fingerprint, inputs, .. } = prepared;
    ctx.events.emit(Event::ImageReady { image: image.id.clone(), fingerprint: fingerprint.clone(), reused });
    let calls = ctx.provider.calls().count().since(calls);
    let elapsed = started.elapsed();
    Ok(BakeReport { image, fingerprint, inputs, reused, phases: phases.done, calls, elapsed, leftovers })
}

/// An image that was there may still lack a region that the manifest names since.
async fn with_copies(ctx: &Context, image: Image) -> Result<Image, BakeError> {
    let copied = async {
        capture::start_copies(ctx, &image).await?;
        capture::finish_copies(ctx, image).await
    };
    tokio::select! {
        image = copied => image,
        () = ctx.cancel.cancelled() => Err(BakeError::Cancelled),
    }
}

/// Bakes, and cleans up however that ends.
async fn make(
    ctx: &Context,
    prepared: &Prepared,
    journal: &Journal,
    phases: &mut Phases<'_>,
) -> Result<(Image, Vec<String>), BakeError> {
    let cleanup = Cleanup::default();
    let baked = tokio::select! {
        image = until_captured(ctx, prepared, journal, &cleanup, phases) => image,
        () = ctx.cancel.cancelled() => Err(BakeError::Cancelled),
    };
    if let Err(error) = &baked {
        let why = if error.is_cancelled() { "interrupted" } else { "the bake failed" };
        ctx.events.info(format!("{why}: removing the builder and its key"));
        let settled = if error.is_cancelled() {
            // Until the cloud has captured it, the builder cannot be destroyed; and the image is whole.
            recover::finish_capture(ctx, journal).await
        } else {
            journal.set_capture(None).await.map_err(BakeError::from)
        };
        if let Err(error) = settled {
            ctx.events.warn(format!("could not settle the capture: {error}"));
        }
    }
    let mut left = cleanup.run(ctx).await;
    let image = baked?;
    let finished = tokio::select! {
        image = finish(ctx, prepared, image, &cleanup, phases) => image,
        () = ctx.cancel.cancelled() => Err(BakeError::Cancelled),
    };
    left.extend(cleanup.run(ctx).await);
    Ok((finished?, left))
}

async fn until_captured(
    ctx: &Context,
    prepared: &Prepared,
    journal: &Journal,
    cleanup: &Cleanup,
    phases: &mut Phases<'_>,
) -> Result<Image, BakeError> {
    let Prepared { fingerprint, base, .. } = prepared;
    let started = Instant::now();
    prepare::check(ctx, prepared).await?;
    sweep(ctx).await.map_err(BakeError::cloud("cannot remove what an earlier run left behind"))?;
    let plan = Plan { role: "builder", image: base, size: prepare::builder_size(ctx), fingerprint };
    let mut builder = phases.run("builder", Builder::launch(ctx, &plan, cleanup)).await?;
    phases.run("cloud-init", builder.first_boot_done()).await?;
    let steps = Steps::new(ctx, fingerprint);
    phases.run("provision", steps.provision(&mut builder)).await?;
    phases.run("verify", steps.verify(&mut builder)).await?;
    phases.run("seal", seal(&builder)).await?;
    phases.run("stop", builder.stop()).await?;
    let image = phases.run("capture", capture::capture(ctx, &builder, fingerprint, journal)).await?;
    capture::start_copies(ctx, &image).await?;
    let (task, message) = (builder.task.clone(), format!("captured as {}", image.name));
    ctx.events.emit(Event::TaskFinished { task, message, elapsed: started.elapsed() });
    Ok(image)
}

async fn finish(
    ctx: &Context,
    prepared: &Prepared,
    image: Image,
    cleanup: &Cleanup,
    phases: &mut Phases<'_>,
) -> Result<Image, BakeError> {
    let image = phases.run("copy", capture::finish_copies(ctx, image)).await?;
    if ctx.loaded.manifest.image.boot_check {
        phases.run("boot check", boot_check(ctx, &image, &prepared.fingerprint, cleanup)).await?;
    }
    Ok(image)
}
