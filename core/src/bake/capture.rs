//! From the stopped builder to an image that can be launched.

use std::time::Duration;

use tokio::time::Instant;

use super::{Authority, BakeError, builder::Builder, prepare};
use crate::{
    context::Context,
    machine::patiently,
    provider::{CaptureProgress, CaptureSpec, Effect, Error, ErrorKind, Fingerprint, Image, Region, label},
    watch::{Observed, Wait},
};

/// How long a copy to another region may take.
const COPY_TIMEOUT: Duration = Duration::from_secs(2 * 3600);

/// The image's name: the same for every environment of a journal that bakes this fingerprint, so that two bakes at once find each
/// other's.
pub(super) fn name(ctx: &Context, authority: &Authority<'_>, fingerprint: &Fingerprint) -> String {
    format!("{}-{}{}", ctx.loaded.manifest.service, fingerprint.short(), authority.image_suffix())
}

/// Captures the stopped builder, unless somebody else has baked the same meanwhile.
pub(super) async fn capture(
    ctx: &Context,
    authority: &Authority<'_>,
    builder: &Builder,
    fingerprint: &Fingerprint,
) -> Result<Image, BakeError> {
    if let Some(image) = prepare::find_image(ctx, authority, fingerprint).await? {
        ctx.events.info(format!("another environment baked {} meanwhile; using that image", image.name));
        return Ok(image);
    }
    builder.machine.progress("capturing");
    // The image outlives the run, and is the same whoever baked it; and each label costs a call where a cloud labels by tags.
    let labels = authority.of_images().with(label::FINGERPRINT, fingerprint.as_str());
    let spec = CaptureSpec { instance: builder.instance.id.clone(), name: name(ctx, authority, fingerprint), labels };
    authority.journal.set_capture(authority.lock, Some(&spec)).await?;
    let image = until_done(ctx, &spec, builder.launched).await?;
    authority.journal.set_capture(authority.lock, None).await?;
    Ok(image)
}

/// Captures, or goes on with a capture that was begun, until the image is available and labelled. `started` is when the run
/// began that this is the long part of.
pub(super) async fn until_done(ctx: &Context, spec: &CaptureSpec, started: Instant) -> Result<Image, BakeError> {
    let what = format!("image {}", spec.name);
    let timeout = ctx.loaded.manifest.image.capture_timeout.0;
    let images = ctx.provider.images();
    match patiently(ctx, || images.capture(spec)).await {
        Ok(CaptureProgress::Done(image)) => return Ok(image),
        Ok(CaptureProgress::Pending) => {}
        // The next call sees whether it has begun. An outage that lasts is named when the time is up.
        Err(error) if error.kind().is_transient() || error.effect() != Effect::NotApplied => {
            tracing::debug!(%error, "the capture may not have begun");
        }
        Err(error) => return Err(BakeError::cloud("cannot capture the builder")(error)),
    }
    let wait = Wait::new("to be captured").first(ctx.provider.descriptor().limits.capture_time);
    let wait = wait.of_run(started).timeout(timeout);
    let look = || async {
        Ok(match images.capture(spec).await? {
            CaptureProgress::Done(image) => Observed::Done(image),
            CaptureProgress::Pending => Observed::NotYet("pending".to_owned()),
        })
    };
    ctx.watcher.poll(&what, wait, look).await.map_err(BakeError::watch("the capture does not finish"))
}

/// Starts copying the image to the regions of the manifest that it is not in.
pub(super) async fn start_copies(ctx: &Context, image: &Image) -> Result<(), BakeError> {
    for region in missing_regions(ctx, image) {
        let copied = patiently(ctx, || ctx.provider.images().copy(&image.id, region)).await;
        copied.map_err(BakeError::cloud("cannot copy the image"))?;
    }
    Ok(())
}

/// Waits until the image is in all regions of the manifest. A cloud that copies one at a time is asked again.
pub(super) async fn finish_copies(ctx: &Context, image: Image) -> Result<Image, BakeError> {
    if missing_regions(ctx, &image).next().is_none() {
        return Ok(image);
    }
    let images = ctx.provider.images();
    let limits = &ctx.provider.descriptor().limits;
    let wait = Wait::new("to be in all regions").first(limits.capture_time).timeout(COPY_TIMEOUT);
    let look = || async {
        let now = images.get(&image.id).await?;
        let missing: Vec<_> = missing_regions(ctx, &now).cloned().collect();
        if missing.is_empty() {
            return Ok::<_, Error>(Observed::Done(now));
        }
        for region in &missing {
            match images.copy(&image.id, region).await {
                Err(error) if error.kind() != ErrorKind::Busy => return Err(error),
                _ => {}
            }
        }
        let names: Vec<_> = missing.iter().map(Region::as_str).collect();
        Ok(Observed::NotYet(format!("missing in {}", names.join(", "))))
    };
    let what = format!("image {}", image.name);
    ctx.watcher.poll(&what, wait, look).await.map_err(BakeError::watch("the copy does not finish"))
}

/// The image may have been baked for another region, by an environment that is there.
fn missing_regions<'a>(ctx: &'a Context, image: &Image) -> impl Iterator<Item = &'a Region> {
    let (section, there) = (&ctx.loaded.section, image.regions.clone());
    std::iter::once(&section.region).chain(&section.copy_to).filter(move |region| !there.contains(region))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        events::Events,
        fake::{FakeCloud, Pace},
        manifest::{LoadOptions, load},
        provider::{InstanceId, Labels, Provider},
    };

    const MANIFEST: &str = r#"
service = "app"
provider = "fake"

[providers.fake]
region = "here"
base = "debian"
size = "small"

[image]
capture_timeout = "10m"

[health.check.tcp]
port = 80
"#;

    async fn captured(cloud: &Arc<FakeCloud>) -> Result<Image, BakeError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("remint.toml");
        std::fs::write(&path, MANIFEST).unwrap();
        let loaded = load(&path, &LoadOptions::default()).unwrap();
        let ctx = Context::new(loaded, Arc::clone(cloud) as Arc<dyn Provider>, Events::new(|_| ()));
        let spec = CaptureSpec { instance: InstanceId::new("1"), name: "app-1".to_owned(), labels: Labels::new() };
        until_done(&ctx, &spec, Instant::now()).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_capture_comes_through_an_outage_that_passes() {
        let cloud = FakeCloud::new(Pace::default());
        cloud.fail("capture", Some(ErrorKind::Unavailable));
        let over = Arc::clone(&cloud);
        let passing = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(120)).await;
            over.fail("capture", None);
        });
        assert_eq!(captured(&cloud).await.unwrap().name, "app-1");
        passing.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_that_lasts_is_named_and_a_refusal_is_told_at_once() {
        let cloud = FakeCloud::new(Pace::default());
        cloud.fail("capture", Some(ErrorKind::Unavailable));
        let started = Instant::now();
        let error = captured(&cloud).await.unwrap_err();
        let BakeError::Watch { source, .. } = &error else { panic!("{error}") };
        assert_eq!(source.provider_error().unwrap().kind(), ErrorKind::Unavailable);
        assert!(started.elapsed() >= Duration::from_secs(600), "{:?}", started.elapsed());

        cloud.fail("capture", Some(ErrorKind::Forbidden));
        let asked = cloud.count("capture");
        let error = captured(&cloud).await.unwrap_err();
        let BakeError::Cloud { source, .. } = &error else { panic!("{error}") };
        assert_eq!(source.kind(), ErrorKind::Forbidden);
        assert_eq!(cloud.count("capture"), asked + 1);
    }
}
