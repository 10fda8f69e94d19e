//! Faults in `Images::capture`.

use remint_conformance::LostReply;
use remint_core::fake::Transaction;
use remint_core::provider::{
    CaptureProgress, CaptureSpec, Effect, ErrorKind, Image, ImageId, Images, Instances, Labels, PowerOp, Result,
    Selector,
};

use crate::{
    cloud::{FULL, HOME, refusal},
    sabotage::{On, Saboteur, saboteurs},
};

pub(super) const SABOTEURS: &[Saboteur] = saboteurs! {
    on &FULL;
    "capture.takes_running", "`Images::capture`: `Conflict` when the instance runs",
        Capture(spec) => takes_running, ["refusals.capture_running"];
    "capture.starts_again", "`Images::capture`: only when there is neither starts one",
        Capture(spec) => starts_again, ["idempotency.capture"];
    "capture.repeats_blindly", "`Images::capture`: a call after a lost reply makes one image",
        Capture(spec) => repeats_blindly, ["lost_replies.capture"];
    "capture.looks_first", "`Provider`: all methods may be called concurrently",
        Capture(spec) => looks_first, ["concurrency.capture"];
    "capture.own_memory", "`Images::capture`: idempotent by name",
        Capture(spec) => own_memory, ["consistency.capture_elsewhere"];
    "capture.one_each", "`Images::capture`: idempotent by name",
        Capture(spec) => one_each, ["images.two", "deletion.image_name_again"];
    "capture.doubles_disk", "`Image::min_disk_gib`: the smallest disk that it fits on",
        Capture(spec) => doubles_disk, ["images.fits"];
    "capture.done_too_early", "`CaptureProgress::Done`: the image can be launched",
        Capture(spec) => done_too_early, ["images.capture", "consistency.image_at_once", "consistency.image_not_before"];
    "capture.unlabelled", "`Images::capture`: `list` shows the image with its labels",
        Capture(spec) => unlabelled, ["images.capture"];
    "capture.ignores_name", "`CaptureSpec::name`: the image's name",
        Capture(spec) => ignores_name, ["images.capture"];
    "capture.starts_instance", "`Images::capture`: captures a stopped instance",
        Capture(spec) => starts_instance, ["images.capture"];
    "capture.gone_is_invalid", "`ErrorKind::NotFound`: the named resource does not exist",
        Capture(spec) => gone_is_invalid, ["refusals.capture_unknown"];
};

async fn takes_running(on: On, spec: CaptureSpec) -> Result<CaptureProgress> {
    match on.model.capture(&spec).await {
        Err(error) if error.kind() == ErrorKind::Conflict => {
            again(&on, LostReply::Capture, &spec).await?;
            Ok(CaptureProgress::Pending)
        }
        answer => answer,
    }
}

/// Starts a capture beside others of the name.
async fn again(on: &On, call: impl Into<Option<LostReply>>, spec: &CaptureSpec) -> Result<()> {
    let spec = spec.clone();
    let start = move |world: &mut Transaction<'_>| {
        world.capture_again(&spec);
        Ok(())
    };
    on.change(call, start).await
}

/// The image of the name, once it is there.
async fn done(on: &On, spec: &CaptureSpec) -> Result<Option<CaptureProgress>> {
    let listed = Images::list(&on.model, &Selector::all()).await?;
    Ok(listed.into_iter().find(|image| image.name == spec.name).map(CaptureProgress::Done))
}

async fn starts_again(on: On, spec: CaptureSpec) -> Result<CaptureProgress> {
    if let Some(done) = done(&on, &spec).await? {
        return Ok(done);
    }
    match on.model.capture(&spec).await? {
        // It looks for the image, and not for the capture that is under way.
        CaptureProgress::Pending => again(&on, None, &spec).await?,
        done => return Ok(done),
    };
    Ok(CaptureProgress::Pending)
}

async fn repeats_blindly(on: On, spec: CaptureSpec) -> Result<CaptureProgress> {
    let is_known = on.read(|world| Ok(world.knows_image(&spec.name))).await?;
    if is_known {
        return on.model.capture(&spec).await;
    }
    let asked = spec.clone();
    match on.change_once(LostReply::Capture, move |world| world.capture(&asked)).await {
        Err(error) if error.effect() == Effect::Unknown => {
            again(&on, None, &spec).await?;
        }
        answer => answer?,
    }
    Ok(CaptureProgress::Pending)
}

async fn done_too_early(on: On, spec: CaptureSpec) -> Result<CaptureProgress> {
    match on.model.capture(&spec).await? {
        // The id that it will have.
        CaptureProgress::Pending => {
            let like = on.model.resolve("debian-12", &HOME.into()).await?;
            let id = ImageId::new(format!("image-of-{}", spec.instance));
            Ok(CaptureProgress::Done(Image { id, name: spec.name, labels: spec.labels, ..like }))
        }
        done => Ok(done),
    }
}

async fn unlabelled(on: On, spec: CaptureSpec) -> Result<CaptureProgress> {
    on.model.capture(&CaptureSpec { labels: Labels::new(), ..spec }).await
}

async fn ignores_name(on: On, mut spec: CaptureSpec) -> Result<CaptureProgress> {
    spec.name = format!("snapshot-of-{}", spec.instance);
    on.model.capture(&spec).await
}

async fn starts_instance(on: On, spec: CaptureSpec) -> Result<CaptureProgress> {
    let progress = on.model.capture(&spec).await?;
    if matches!(progress, CaptureProgress::Done(_)) {
        on.model.power(&spec.instance, PowerOp::Start).await?;
    }
    Ok(progress)
}

async fn gone_is_invalid(on: On, spec: CaptureSpec) -> Result<CaptureProgress> {
    on.model.capture(&spec).await.map_err(|error| match error.kind() {
        ErrorKind::NotFound => refusal(ErrorKind::InvalidInput, "capture image", error.message()),
        _ => error,
    })
}

async fn is_under_way(on: &On, spec: &CaptureSpec) -> Result<bool> {
    on.read(|world| Ok(world.knows_image(&spec.name))).await
}

async fn looks_first(on: On, spec: CaptureSpec) -> Result<CaptureProgress> {
    if is_under_way(&on, &spec).await? {
        return on.model.capture(&spec).await;
    }
    again(&on, LostReply::Capture, &spec).await?;
    Ok(CaptureProgress::Pending)
}

async fn own_memory(on: On, spec: CaptureSpec) -> Result<CaptureProgress> {
    if on.recall::<bool>(&spec.name).is_none() && is_under_way(&on, &spec).await? {
        again(&on, None, &spec).await?;
    }
    on.note(spec.name.clone(), &true);
    on.model.capture(&spec).await
}

async fn one_each(on: On, spec: CaptureSpec) -> Result<CaptureProgress> {
    if let Some(image) = on.recall::<Image>(spec.instance.as_str()) {
        return Ok(CaptureProgress::Done(image));
    }
    let progress = on.model.capture(&spec).await?;
    if let CaptureProgress::Done(image) = &progress {
        on.note(spec.instance.as_str(), image);
    }
    Ok(progress)
}

async fn doubles_disk(on: On, spec: CaptureSpec) -> Result<CaptureProgress> {
    Ok(match on.model.capture(&spec).await? {
        CaptureProgress::Done(image) => CaptureProgress::Done(Image { min_disk_gib: 2 * image.min_disk_gib, ..image }),
        CaptureProgress::Pending => CaptureProgress::Pending,
    })
}
