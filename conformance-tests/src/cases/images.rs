//! Images: resolve, capture, launch from, copy, delete.

use remint_core::provider::{
    Capability, CaptureProgress, ErrorKind, Image, ImageState, InstanceState, Labels, PowerOp, Region, Selector, label,
};

use super::table;
use crate::{
    Case, CaseContext, Cost, Failure, Setting,
    context::check,
    inside::{Keys, output},
    steps::refused,
};

pub(super) const CASES: &[Case] = table! {
    "images.resolve", "the name of a public image is an image that can be launched", resolve, costs(Cost::Free);
    "images.capture", "a captured image carries its name and labels, and is listed", capture;
    "images.resolve_own", "an image of the account is found by its id", resolve_own;
    "images.launch", "an instance launches from a captured image whose instance is gone", launch, machines(2);
    "images.public_unlisted", "public images are never listed", public_unlisted, costs(Cost::Free);
    "images.content", "what was written on the builder's disk is on the disk of what is launched from the image",
        content, with(&[Setting::Boots]), machines(2);
    "images.two", "two captures of one instance are two images, each with its own labels", two;
    "images.list_selects", "a list holds exactly those with all of the labels", list_selects;
    "images.fits", "an image fits on the disk that it was captured from", fits;
    "images.builder_starts", "an instance that was captured starts again", builder_starts;
    "images.copy_launch", "an instance launches in the region that an image was copied to", copy_launch,
        needs(&[Capability::ImageCopyRegions]), with(&[Setting::SecondRegion]), minutes(90), machines(2);
    "images.copy_deleted", "a deleted image is gone from all regions that it was copied to", copy_deleted,
        needs(&[Capability::ImageCopyRegions]), with(&[Setting::SecondRegion]), minutes(90);
    "images.copy", "an image is copied to a region, and copying it again changes nothing",
        copy, needs(&[Capability::ImageCopyRegions]), with(&[Setting::SecondRegion]), minutes(90);
    "images.copy_unknown", "neither an unknown region nor an image that is gone is copied",
        copy_unknown, needs(&[Capability::ImageCopyRegions]);
    "images.capture_after_builder", "a capture whose instance is gone is found by another client, and ends with its labels",
        capture_after_builder, with(&[Setting::Another]);
    "images.capture_taken", "a name that an image with other labels has is Conflict, and that image stays as it is",
        capture_taken;
    "images.label", "labels are added to an image, and each finds it", label_added;
    "images.label_refused", "a label that is none is InvalidInput, and the image keeps those that it has", label_refused;
    "images.label_unknown", "neither an image that is gone nor a public one gets labels", label_unknown;
};

async fn resolve(context: CaseContext) -> Result<(), Failure> {
    let target = context.target();
    let base = context.images().resolve(&target.base_image, &target.region).await?;
    check!(base.name == target.base_image, "asked for {}, got {}", target.base_image, base.name);
    check!(base.state == ImageState::Available, "the base image is {:?}", base.state);
    check!(base.regions.contains(&target.region), "the base image is not in {}", target.region);
    check!(base.labels.0.is_empty(), "a public image has labels: {:?}", base.labels);
    let again = context.images().resolve(&target.base_image, &target.region).await?;
    check!(again.id == base.id, "one name, two images: {} and {}", base.id, again.id);
    Ok(())
}

async fn capture(context: CaseContext) -> Result<(), Failure> {
    let instance = context.stopped("builder").await?;
    let spec = context.capture_spec("image", &instance.id);
    let image = context.capture(&spec).await?;
    check!(image.name == spec.name && image.labels == spec.labels, "captured as {spec:?}, got {image:?}");
    check!(image.state == ImageState::Available, "done, and {:?}", image.state);
    check!(image.regions.contains(&context.target().region), "it is not where its instance is");
    let listed = context.images().list(&context.selector()).await?;
    check!(listed.iter().any(|other| other.id == image.id), "it is not listed by its labels");
    let read = context.images().get(&image.id).await?;
    check!(read.labels == spec.labels, "read with labels {:?}", read.labels);
    let source = context.instances().get(&instance.id).await?;
    check!(source.state == InstanceState::Stopped, "capturing made the instance {}", source.state.as_str());
    Ok(())
}

async fn resolve_own(context: CaseContext) -> Result<(), Failure> {
    let (_, image) = context.image().await?;
    let found = context.images().resolve(image.id.as_str(), &context.target().region).await?;
    check!(found.id == image.id, "asked for {}, got {}", image.id, found.id);
    Ok(())
}

async fn launch(context: CaseContext) -> Result<(), Failure> {
    let (builder, image) = context.image().await?;
    context.destroy(&builder.id).await?;
    let made = context.launch(&context.spec_from("web", &image.id)).await?;
    let running = context.reaches(&made.id, InstanceState::Running).await?;
    check!(running.image.as_ref().is_none_or(|from| *from == image.id), "launched from {:?}", running.image);
    Ok(())
}

async fn public_unlisted(context: CaseContext) -> Result<(), Failure> {
    let target = context.target();
    let base = context.images().resolve(&target.base_image, &target.region).await?;
    let listed = context.images().list(&Selector::all()).await?;
    check!(listed.iter().all(|image| image.id != base.id), "the base image is listed as the account's");
    Ok(())
}

async fn copy(context: CaseContext) -> Result<(), Failure> {
    let (_, image) = context.image().await?;
    let (images, second) = (context.images(), context.second_region()?);
    for _ in 0..2 {
        context.patiently("copy", || images.copy(&image.id, second)).await?;
    }
    let copied = context.copied(&image.id, second).await?;
    check!(copied.regions.contains(&context.target().region), "copying moved it away");
    check!((&copied.name, &copied.labels) == (&image.name, &image.labels), "the image {image:?} became {copied:?}");
    images.copy(&image.id, second).await?;
    check!(images.list(&context.selector()).await?.len() == 1, "the copy is another image");
    Ok(())
}

async fn copy_launch(context: CaseContext) -> Result<(), Failure> {
    let (_, image) = context.image().await?;
    let second = context.second_region()?;
    context.copied(&image.id, second).await?;
    let mut spec = context.spec_from("web", &image.id);
    spec.region = second.clone();
    let made = context.launch(&spec).await?;
    let running = context.reaches(&made.id, InstanceState::Running).await?;
    check!(running.region == *second, "launched in {second}, and is in {}", running.region);
    Ok(())
}

async fn copy_deleted(context: CaseContext) -> Result<(), Failure> {
    let (_, image) = context.image().await?;
    let second = context.second_region()?;
    context.copied(&image.id, second).await?;
    context.delete_image(&image.id).await?;
    let result = context.images().resolve(image.id.as_str(), second).await;
    refused(result, &[ErrorKind::NotFound], "the copy of what is deleted")?;
    Ok(())
}

async fn content(context: CaseContext) -> Result<(), Failure> {
    let (first, second) = (Keys::generate(), Keys::generate());
    let mut spec = context.spec("builder").await?;
    let builder = context.opened(&mut spec, &first, &[]).await?;
    let machine = context.booted(builder.address.as_ref(), &first).await?;
    output(&machine, "echo made on the builder > /etc/conformance && sync").await?;
    drop(machine);
    context.patiently("stop", || context.instances().power(&builder.id, PowerOp::Stop)).await?;
    context.reaches(&builder.id, InstanceState::Stopped).await?;
    let image = context.capture(&context.capture_spec("image", &builder.id)).await?;
    let mut spec = context.spec_from("web", &image.id);
    let instance = context.opened(&mut spec, &second, &[]).await?;
    let machine = context.booted(instance.address.as_ref(), &second).await?;
    let found = output(&machine, "cat /etc/conformance").await?;
    check!(found == "made on the builder\n", "the image has another content: {found:?}");
    Ok(())
}

async fn two(context: CaseContext) -> Result<(), Failure> {
    let builder = context.stopped("builder").await?;
    let mut made = Vec::new();
    for what in ["one", "two"] {
        context.reaches(&builder.id, InstanceState::Stopped).await?;
        let mut spec = context.capture_spec(what, &builder.id);
        spec.labels = spec.labels.with(label::FINGERPRINT, what);
        let image = context.capture(&spec).await?;
        check!(image.labels == spec.labels, "captured with {:?}, labelled {:?}", spec.labels, image.labels);
        made.push(image);
    }
    check!(made[0].id != made[1].id, "two names, one image: {}", made[0].id);
    let first = context.images().get(&made[0].id).await?;
    check!(first.labels == made[0].labels, "the second capture made the first one's labels {:?}", first.labels);
    Ok(())
}

async fn list_selects(context: CaseContext) -> Result<(), Failure> {
    let builder = context.stopped("builder").await?;
    for (what, env) in [("one", "a"), ("two", "b")] {
        context.reaches(&builder.id, InstanceState::Stopped).await?;
        let mut spec = context.capture_spec(what, &builder.id);
        spec.labels = spec.labels.with(label::ENV, env);
        context.capture(&spec).await?;
    }
    let all = context.selector();
    for (selector, wanted) in [
        (all.clone(), 2),
        (all.clone().with(label::ENV, "a"), 1),
        (all.clone().with(label::ENV, "b").with(label::ROLE, "image"), 1),
        (all.clone().with(label::ENV, "b").with(label::ROLE, "instance"), 0),
        (all.with(label::ENV, "ab"), 0),
    ] {
        let listed = context.images().list(&selector).await?;
        check!(listed.len() == wanted, "{} in place of {wanted} for {selector:?}", listed.len());
        check!(listed.iter().all(|image| image.labels.matches(&selector)), "others are listed for {selector:?}");
    }
    Ok(())
}

async fn fits(context: CaseContext) -> Result<(), Failure> {
    let (builder, image) = context.image().await?;
    let shape = context.instances().shape(&builder.size, &builder.region).await?;
    let (needs, has) = (image.min_disk_gib, shape.disk_gib);
    check!(needs > 0 && needs <= has, "it needs a disk of {needs} GiB, and was on one of {has} GiB");
    Ok(())
}

async fn builder_starts(context: CaseContext) -> Result<(), Failure> {
    let (builder, _) = context.image().await?;
    context.patiently("start", || context.instances().power(&builder.id, PowerOp::Start)).await?;
    let running = context.reaches(&builder.id, InstanceState::Running).await?;
    check!(running.labels == builder.labels, "capturing made the builder's labels {:?}", running.labels);
    Ok(())
}

async fn copy_unknown(context: CaseContext) -> Result<(), Failure> {
    let (_, image) = context.image().await?;
    let images = context.images();
    let nowhere = Region::new("nowhere-1");
    refused(images.copy(&image.id, &nowhere).await, &[ErrorKind::InvalidInput], "copying to an unknown region")?;
    context.patiently("delete", || images.delete(&image.id)).await?;
    let region = &context.target().region;
    let gone = async || match images.copy(&image.id, region).await {
        Ok(()) => Ok(None),
        Err(error) => refused::<()>(Err(error), &[ErrorKind::NotFound], "copying what is gone").map(Some),
    };
    context.until("the image to be gone", gone).await?;
    Ok(())
}

async fn capture_after_builder(context: CaseContext) -> Result<(), Failure> {
    let builder = context.stopped("builder").await?;
    let spec = context.capture_spec("image", &builder.id);
    context.patiently("capture", || context.images().capture(&spec)).await?;
    context.destroy(&builder.id).await?;
    let another = context.another()?;
    let look = async || match another.images().capture(&spec).await? {
        CaptureProgress::Done(image) => Ok(Some(image)),
        CaptureProgress::Pending => Ok(None),
    };
    let image = context.until(format!("image {} to be found without its instance", spec.name), look).await?;
    check!(image.name == spec.name && image.labels == spec.labels, "captured as {spec:?}, got {image:?}");
    let listed = another.images().list(&context.selector()).await?;
    check!(listed.len() == 1 && listed[0].id == image.id, "one capture, and listed is {listed:?}");
    Ok(())
}

async fn capture_taken(context: CaseContext) -> Result<(), Failure> {
    let builder = context.stopped("builder").await?;
    let mut spec = context.capture_spec("image", &builder.id);
    spec.labels = spec.labels.with(label::SERVICE_ID, "0a1b2c3d4e5f6071");
    let image = context.capture(&spec).await?;
    let mut other = spec.clone();
    other.labels = other.labels.with(label::SERVICE_ID, "170f5e4d3c2b1a00");
    refused(context.images().capture(&other).await, &[ErrorKind::Conflict], "a capture under another's name")?;
    keeps(&context, &image).await
}

/// Holds that an image has the labels that it had.
async fn keeps(context: &CaseContext, image: &Image) -> Result<(), Failure> {
    let now = context.images().get(&image.id).await?;
    check!(now.labels == image.labels, "it was refused, and the labels {:?} became {:?}", image.labels, now.labels);
    Ok(())
}

async fn label_added(context: CaseContext) -> Result<(), Failure> {
    let (_, image) = context.image().await?;
    let images = context.images();
    let more = Labels::new().with(label::ROLE, "checked").with(label::SERVICE_ID, "0a1b2c3d4e5f6071");
    for _ in 0..2 {
        images.label(&image.id, &more).await?;
    }
    images.label(&image.id, &Labels::new()).await?;
    let mut wanted = image.labels.clone();
    wanted.0.extend(more.0.clone());
    let now = images.get(&image.id).await?;
    check!(now.labels == wanted, "{more:?} was added to {:?}, which made it {:?}", image.labels, now.labels);
    for (key, value) in wanted.iter() {
        let listed = images.list(&context.selector().with(key, value)).await?;
        check!(listed.len() == 1 && listed[0].labels == wanted, "listed by {key} = {value}: {listed:?}");
    }
    let by_old = images.list(&context.selector().with(label::ROLE, "image")).await?;
    check!(by_old.is_empty(), "the old value still finds it");
    Ok(())
}

async fn label_refused(context: CaseContext) -> Result<(), Failure> {
    let (_, image) = context.image().await?;
    for (key, value) in [("remint:zone", ""), ("role", "text"), ("remint:", "text")] {
        let bad = Labels::new().with(label::ROLE, "checked").with(key, value);
        let result = context.images().label(&image.id, &bad).await;
        refused(result, &[ErrorKind::InvalidInput], "a label that is none")?;
        keeps(&context, &image).await?;
    }
    Ok(())
}

async fn label_unknown(context: CaseContext) -> Result<(), Failure> {
    let (_, image) = context.image().await?;
    context.delete_image(&image.id).await?;
    let target = context.target();
    let base = context.images().resolve(&target.base_image, &target.region).await?;
    for id in [image.id, base.id] {
        let result = context.images().label(&id, &context.labels()).await;
        refused(result, &[ErrorKind::NotFound], "labelling what is not the account's")?;
    }
    Ok(())
}
