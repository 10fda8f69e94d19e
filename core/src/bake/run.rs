//! A bake from beginning to end.

use tokio::time::Instant;

use super::{
    Authority, BakeError, BakeReport, Prepared,
    builder::{Blueprint, Builder},
    capture,
    check::boot_check,
    cleanup::Cleanup,
    keep::keep,
    logins::logins,
    prepare::{self, prepare},
    recover,
    report::Phases,
    seal::seal,
    secrets,
    steps::Steps,
};
use crate::{
    context::Context,
    events::Event,
    machine,
    provider::{Image, Images, Labels, label},
};

/// Makes sure that an image of the manifest's recipe exists, and returns it. Without [`BakeOptions::capture`], runs and verifies
/// the recipe, whether there is an image or not, and returns none.
///
/// The caller holds the environment's lock, and has removed what a run before left behind ([`super::recover`]). Whatever happens,
/// also when `ctx.cancel` is cancelled, the builder and its key are removed before this returns; an event says what could not be,
/// and the next run tries it again. A builder that [`BakeOptions::on_error`] keeps stays, and an event says so.
///
/// [`BakeOptions::capture`]: super::BakeOptions::capture
/// [`BakeOptions::on_error`]: super::BakeOptions::on_error
///
/// # Errors
///
/// [`BakeError`], with a hint and the last lines of output where there are any.
pub async fn bake(ctx: &Context, authority: &Authority<'_>) -> Result<BakeReport, BakeError> {
    let started = Instant::now();
    let calls = ctx.provider.calls().count();
    let mut phases = Phases::new(&ctx.events);
    let prepared = tokio::select! {
        biased;
        () = ctx.interrupted() => return Err(BakeError::Cancelled),
        prepared = phases.run("fingerprint", prepare(ctx, authority)) => prepared?,
    };
    let reused = prepared.image.is_some() && ctx.bake.capture;
    let (image, leftovers) = match &prepared.image {
        _ if !ctx.bake.capture => (None, rehearse(ctx, &prepared, authority, &mut phases).await?),
        Some(image) => some(reuse(ctx, &prepared, authority, image.clone(), &mut phases).await?),
        None => some(make(ctx, &prepared, authority, &mut phases).await?),
    };
    let Prepared { fingerprint, inputs, .. } = prepared;
    if let Some(image) = &image {
        ctx.events.emit(Event::ImageReady { image: image.id.clone(), fingerprint: fingerprint.clone(), reused });
    }
    let calls = ctx.provider.calls().count().since(calls);
    let elapsed = started.elapsed();
    Ok(BakeReport { image, fingerprint, inputs, reused, phases: phases.done, calls, elapsed, leftovers })
}

fn some((image, leftovers): (Image, Vec<String>)) -> (Option<Image>, Vec<String>) {
    (Some(image), leftovers)
}

/// An image that exists may still lack a region that the manifest names since, or the boot check.
async fn reuse(
    ctx: &Context,
    prepared: &Prepared,
    authority: &Authority<'_>,
    image: Image,
    phases: &mut Phases<'_>,
) -> Result<(Image, Vec<String>), BakeError> {
    let cleanup = Cleanup::default();
    let finished = tokio::select! {
        biased;
        () = ctx.interrupted() => Err(BakeError::Cancelled),
        image = async {
            capture::start_copies(ctx, &image).await?;
            finish(ctx, prepared, authority, image, &cleanup, phases).await
        } => image,
    };
    settle(ctx, authority, &cleanup, &finished).await;
    let left = cleanup.run(ctx, authority).await;
    Ok((finished?, left))
}

/// Runs and verifies the recipe, and cleans up however that ends.
async fn rehearse(
    ctx: &Context,
    prepared: &Prepared,
    authority: &Authority<'_>,
    phases: &mut Phases<'_>,
) -> Result<Vec<String>, BakeError> {
    let cleanup = Cleanup::default();
    let verified = tokio::select! {
        biased;
        () = ctx.interrupted() => Err(BakeError::Cancelled),
        verified = until_verified(ctx, prepared, authority, &cleanup, phases) => verified,
    };
    if let Ok(builder) = &verified {
        let (task, message) = (builder.machine.name().to_owned(), "verified; nothing is captured".to_owned());
        ctx.events.emit(Event::TaskFinished { task, message, elapsed: builder.launched.elapsed() });
    }
    settle(ctx, authority, &cleanup, &verified).await;
    let left = cleanup.run(ctx, authority).await;
    verified.map(|_| left)
}

/// Keeps the builder of what failed, where the user wants that, and says what goes.
async fn settle<T>(ctx: &Context, authority: &Authority<'_>, cleanup: &Cleanup, ended: &Result<T, BakeError>) {
    let Err(error) = ended else { return };
    if cleanup.is_empty() {
        return;
    }
    if !keep(ctx, &authority.identity.environment.id, cleanup, error).await {
        let why = if error.is_cancelled() { "interrupted" } else { "the bake failed" };
        ctx.events.info(format!("{why}: removing the builder and its key"));
    }
}

/// Bakes, and cleans up however that ends.
async fn make(
    ctx: &Context,
    prepared: &Prepared,
    authority: &Authority<'_>,
    phases: &mut Phases<'_>,
) -> Result<(Image, Vec<String>), BakeError> {
    let cleanup = Cleanup::default();
    let baked = tokio::select! {
        biased;
        () = ctx.interrupted() => Err(BakeError::Cancelled),
        image = until_captured(ctx, prepared, authority, &cleanup, phases) => image,
    };
    settle(ctx, authority, &cleanup, &baked).await;
    // Until the cloud has captured it, the builder cannot be destroyed; and the image is whole. A capture that takes too
    // long stays in the journal: the next command looks for its image.
    if baked.as_ref().is_err_and(BakeError::is_cancelled)
        && let Err(error) = recover::finish_capture(ctx, authority).await
    {
        ctx.events.warn(format!("could not settle the capture: {error}"));
    }
    let mut left = cleanup.run(ctx, authority).await;
    let image = baked?;
    let finished = tokio::select! {
        biased;
        () = ctx.interrupted() => Err(BakeError::Cancelled),
        image = finish(ctx, prepared, authority, image, &cleanup, phases) => image,
    };
    settle(ctx, authority, &cleanup, &finished).await;
    left.extend(cleanup.run(ctx, authority).await);
    Ok((finished?, left))
}

/// Launches a builder, runs the recipe on it and verifies that.
async fn until_verified(
    ctx: &Context,
    prepared: &Prepared,
    authority: &Authority<'_>,
    cleanup: &Cleanup,
    phases: &mut Phases<'_>,
) -> Result<Builder, BakeError> {
    let Prepared { fingerprint, base, .. } = prepared;
    prepare::check(ctx, prepared).await?;
    secrets::read_all(ctx).await?;
    authority.journal.claim_place(authority.lock, &ctx.place()).await?;
    let blueprint = Blueprint { role: "builder", image: base, size: prepare::builder_size(ctx), fingerprint };
    let mut builder = phases.run("builder", Builder::launch(ctx, authority, &blueprint, cleanup)).await?;
    let boots_within = Some(ctx.loaded.manifest.image.boot_timeout.0);
    let machine = &mut builder.machine;
    phases.run("cloud-init", machine.first_boot_done(false, boots_within)).await?;
    let steps = Steps::new(ctx, fingerprint);
    phases.run("provision", steps.provision(machine)).await?;
    phases.run("verify", steps.verify(machine)).await?;
    phases.run("logins", logins(ctx, machine)).await?;
    Ok(builder)
}

async fn until_captured(
    ctx: &Context,
    prepared: &Prepared,
    authority: &Authority<'_>,
    cleanup: &Cleanup,
    phases: &mut Phases<'_>,
) -> Result<Image, BakeError> {
    let fingerprint = &prepared.fingerprint;
    let started = Instant::now();
    let builder = until_verified(ctx, prepared, authority, cleanup, phases).await?;
    // The seal takes the login keys away.
    cleanup.closes();
    phases.run("seal", seal(&builder.machine)).await?;
    if secrets::are_given(ctx) {
        phases.run("secrets", secrets::prove_absent(ctx, &builder.machine)).await?;
    }
    let Builder { instance, selector, machine, launched } = &builder;
    phases.run("stop", machine::stop(ctx, machine, instance, selector, *launched)).await?;
    let image = phases.run("capture", capture::capture(ctx, authority, &builder, fingerprint)).await?;
    capture::start_copies(ctx, &image).await?;
    let (task, message) = (builder.machine.name().to_owned(), format!("captured as {}", image.name));
    ctx.events.emit(Event::TaskFinished { task, message, elapsed: started.elapsed() });
    Ok(image)
}

async fn finish(
    ctx: &Context,
    prepared: &Prepared,
    authority: &Authority<'_>,
    image: Image,
    cleanup: &Cleanup,
    phases: &mut Phases<'_>,
) -> Result<Image, BakeError> {
    let image = phases.run("copy", capture::finish_copies(ctx, image)).await?;
    if !ctx.loaded.manifest.image.boot_check || image.labels.get(label::CHECKED).is_some() {
        return Ok(image);
    }
    phases.run("boot check", boot_check(ctx, authority, &image, &prepared.fingerprint, cleanup)).await?;
    // Only now may a deploy take it for baked.
    let now = crate::clock::wall().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let checked = Labels::new().with(label::CHECKED, now);
    let labelled = Images::label(ctx.provider.images(), &image.id, &checked).await;
    labelled.map_err(BakeError::cloud("cannot label the image as checked"))?;
    Ok(image)
}
