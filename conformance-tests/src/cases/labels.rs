//! Labels: what goes in comes out, whatever a cloud keeps it in.

use remint_core::provider::{Labels, label};

use super::table;
use crate::{Case, CaseContext, Failure, context::check};

pub(super) const CASES: &[Case] = table! {
    "labels.instance", "awkward labels of an instance come back as they were, and select it", instance;
    "labels.image", "awkward labels of an image come back as they were, and select it", image;
    "labels.case", "values that differ only in the case of a letter are different values", case;
    "labels.like", "a value that is the beginning of another one does not select it", like;
};

/// Values that some clouds' tags do not take as they are.
fn awkward(labels: Labels) -> Labels {
    labels
        .with(label::ENV, "Blue_green-2.x")
        .with(label::TOUCHED, "2026-11-23T08:00:00Z")
        .with(label::FINGERPRINT, "0123456789abcdef".repeat(4))
        .with("remint:note", "a b/c=d:e,f%20;\"ü\" _5f")
}

async fn instance(context: CaseContext) -> Result<(), Failure> {
    let mut spec = context.spec("web").await?;
    spec.labels = awkward(spec.labels);
    let made = context.launch(&spec).await?;
    check!(made.labels == spec.labels, "launch returns {:?}", made.labels);
    for (key, value) in spec.labels.iter() {
        let listed = context.instances().list(&context.selector().with(key, value)).await?;
        check!(listed.len() == 1, "{} instances with {key} = {value}", listed.len());
        check!(listed[0].labels == spec.labels, "labelled {:?}, listed with {:?}", spec.labels, listed[0].labels);
    }
    context.launch(&spec).await?;
    Ok(())
}

async fn image(context: CaseContext) -> Result<(), Failure> {
    let instance = context.stopped("builder").await?;
    let mut spec = context.capture_spec("image", &instance.id);
    spec.labels = awkward(spec.labels);
    let image = context.capture(&spec).await?;
    check!(image.labels == spec.labels, "captured with {:?}", image.labels);
    for (key, value) in spec.labels.iter() {
        let listed = context.images().list(&context.selector().with(key, value)).await?;
        check!(listed.len() == 1, "{} images with {key} = {value}", listed.len());
        check!(listed[0].labels == spec.labels, "labelled {:?}, listed with {:?}", spec.labels, listed[0].labels);
    }
    Ok(())
}

async fn case(context: CaseContext) -> Result<(), Failure> {
    distinct(&context, ["blue", "Blue", "BLUE"]).await
}

async fn like(context: CaseContext) -> Result<(), Failure> {
    distinct(&context, ["blue", "blue-2", "blue_"]).await
}

async fn distinct(context: &CaseContext, values: [&str; 3]) -> Result<(), Failure> {
    for (what, value) in ["one", "two", "three"].iter().zip(values) {
        let mut spec = context.spec(what).await?;
        spec.labels = spec.labels.with(label::ENV, value);
        context.launch(&spec).await?;
    }
    for value in values {
        let listed = context.instances().list(&context.selector().with(label::ENV, value)).await?;
        check!(listed.len() == 1, "{} instances with the value {value}", listed.len());
        check!(listed[0].labels.get(label::ENV) == Some(value), "{value} came back as {:?}", listed[0].labels);
    }
    Ok(())
}
