//! Images: resolve, capture, launch from, copy, delete.

use remint_core::provider::{Capability, ErrorKind, ImageState, InstanceState, Region, Selector};

use super::table;
use crate::{Case, CaseContext, Cost, Failure, Setting, context::check, steps::refused};

pub(super) const CASES: &[Case] = table! {
    "images.resolve", "the name of a public image is an image that can be launched", resolve, costs(Cost::Free);
    "images.capture", "a captured image carries its name and labels, and is listed", capture;
    "images.resolve_own", "an image of the account is found by its id", resolve_own;
    "images.launch", "an instance launches from a captured image whose instance is gone", launch;
    "images.public_unlisted", "public images are never listed", public_unlisted, costs(Cost::Free);
    "images.delete", "a deleted image is really gone, and deleting it again is a success", delete;
    "images.copy", "an image is copied to a region, and copying it again changes nothing",
        copy, needs(&[Capability::ImageCopyRegions]), with(&[Setting::SecondRegion]), minutes(90);
    "images.copy_unknown", "neither an unknown region nor an image that is gone is copied",
        copy_unknown, needs(&[Capability::ImageCopyRegions]);
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

async fn delete(context: CaseContext) -> Result<(), Failure> {
    let (_, image) = context.image().await?;
    let images = context.images();
    context.patiently("delete", || images.delete(&image.id)).await?;
    context.patiently("delete again", || images.delete(&image.id)).await?;
    let gone = async || match images.get(&image.id).await {
        Ok(_) => Ok(None),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Some(())),
        Err(error) => Err(error.into()),
    };
    context.until("the image to be gone", gone).await?;
    let listed = images.list(&context.selector()).await?;
    check!(listed.is_empty(), "a deleted image is listed");
    images.delete(&image.id).await?;
    Ok(())
}

async fn copy(context: CaseContext) -> Result<(), Failure> {
    let (_, image) = context.image().await?;
    let second = context.target().second_region.clone().ok_or_else(|| Failure::new("no second region"))?;
    let images = context.images();
    for _ in 0..3 {
        context.patiently("copy", || images.copy(&image.id, &second)).await?;
    }
    let arrived = async || {
        let now = images.get(&image.id).await?;
        Ok((now.regions.contains(&second) && now.state == ImageState::Available).then_some(now))
    };
    let copied = context.until(format!("the image to be in {second}"), arrived).await?;
    check!(copied.regions.contains(&context.target().region), "copying moved it away");
    images.copy(&image.id, &second).await?;
    check!(images.list(&context.selector()).await?.len() == 1, "the copy is another image");
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
