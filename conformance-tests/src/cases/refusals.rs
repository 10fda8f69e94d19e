//! What must fail: with the right kind, a hint where a name was wrong, and nothing changed.

use remint_core::provider::{ErrorKind, ImageId, InstanceId, Region, SizeName, label};

use super::table;
use crate::{Case, CaseContext, Cost, Failure, context::check, steps::refused};

pub(super) const CASES: &[Case] = table! {
    "refusals.name_taken", "a name that exists with other labels is a Conflict, and stays as it is", name_taken;
    "refusals.unknown_image", "an image that does not exist launches nothing", unknown_image;
    "refusals.unknown_size", "a size that does not exist launches nothing", unknown_size;
    "refusals.unknown_region", "a region that does not exist launches nothing", unknown_region;
    "refusals.shape_hints", "an unknown size or region is InvalidInput, and a hint names one that exists",
        shape_hints, costs(Cost::Free);
    "refusals.base_hint", "an unknown base image is NotFound, and a hint names the nearest one",
        base_hint, costs(Cost::Free);
    "refusals.base_region", "a base image is not found in a region that does not exist", base_region, costs(Cost::Free);
    "refusals.capture_running", "an instance that runs is not captured: Conflict", capture_running;
    "refusals.capture_unknown", "an instance that is gone is not captured: NotFound", capture_unknown;
    "refusals.nonsense_ids", "ids that no cloud gives are NotFound", nonsense, costs(Cost::Free);
};

async fn name_taken(context: CaseContext) -> Result<(), Failure> {
    let spec = context.spec("web").await?;
    let first = context.launch(&spec).await?;
    let mut other = spec.clone();
    other.labels = other.labels.with(label::ROLE, "builder");
    refused(context.instances().launch(&other).await, &[ErrorKind::Conflict], "a name that is taken")?;
    let now = context.instances().get(&first.id).await?;
    check!(now.labels == spec.labels, "its labels became {:?}", now.labels);
    check!(context.standing().await?.len() == 1, "another one was launched");
    Ok(())
}

async fn unknown_image(context: CaseContext) -> Result<(), Failure> {
    for id in ["999999999", "no-such-image"] {
        let spec = context.spec_from("web", &ImageId::new(id));
        context.launches_nothing(&spec, &[ErrorKind::InvalidInput, ErrorKind::NotFound]).await?;
    }
    Ok(())
}

async fn unknown_size(context: CaseContext) -> Result<(), Failure> {
    let mut spec = context.spec("web").await?;
    spec.size = SizeName::new("no-such-size");
    context.launches_nothing(&spec, &[ErrorKind::InvalidInput]).await
}

async fn unknown_region(context: CaseContext) -> Result<(), Failure> {
    let mut spec = context.spec("web").await?;
    spec.region = Region::new("nowhere-1");
    context.launches_nothing(&spec, &[ErrorKind::InvalidInput]).await
}

async fn shape_hints(context: CaseContext) -> Result<(), Failure> {
    let target = context.target();
    let kinds = &[ErrorKind::InvalidInput];
    let size = SizeName::new(format!("{}x", target.size));
    let error = refused(context.instances().shape(&size, &target.region).await, kinds, "an unknown size")?;
    let hint = error.hint().unwrap_or_default();
    check!(hint.contains(target.size.as_str()), "the hint does not name {}: {hint:?}", target.size);
    let region = Region::new(format!("{}x", target.region));
    let error = refused(context.instances().shape(&target.size, &region).await, kinds, "an unknown region")?;
    let hint = error.hint().unwrap_or_default();
    check!(hint.contains(target.region.as_str()), "the hint does not name {}: {hint:?}", target.region);
    Ok(())
}

async fn base_hint(context: CaseContext) -> Result<(), Failure> {
    let target = context.target();
    let unknown = format!("{}x", target.base_image);
    let result = context.images().resolve(&unknown, &target.region).await;
    let error = refused(result, &[ErrorKind::NotFound], "an unknown base image")?;
    let hint = error.hint().unwrap_or_default();
    check!(hint.contains(&target.base_image), "the hint does not name {}: {hint:?}", target.base_image);
    Ok(())
}

async fn base_region(context: CaseContext) -> Result<(), Failure> {
    let result = context.images().resolve(&context.target().base_image, &Region::new("nowhere-1")).await;
    refused(result, &[ErrorKind::InvalidInput], "a base image in an unknown region")?;
    Ok(())
}

async fn capture_running(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let spec = context.capture_spec("image", &instance.id);
    refused(context.images().capture(&spec).await, &[ErrorKind::Conflict], "capturing what runs")?;
    check!(context.images().list(&context.selector()).await?.is_empty(), "it was refused, and an image is there");
    Ok(())
}

async fn capture_unknown(context: CaseContext) -> Result<(), Failure> {
    let former = context.former_instance().await?;
    let spec = context.capture_spec("image", &former);
    refused(context.images().capture(&spec).await, &[ErrorKind::NotFound], "capturing what is gone")?;
    Ok(())
}

async fn nonsense(context: CaseContext) -> Result<(), Failure> {
    let kinds = &[ErrorKind::NotFound];
    for id in ["999999999", "../account", "no such thing"] {
        refused(context.instances().get(&InstanceId::new(id)).await, kinds, "an instance that never was")?;
        refused(context.images().get(&ImageId::new(id)).await, kinds, "an image that never was")?;
    }
    Ok(())
}
