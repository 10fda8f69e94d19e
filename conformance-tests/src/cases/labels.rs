//! Labels: what goes in comes out, whatever a cloud keeps it in.

use remint_core::provider::{ErrorKind, Labels, Selector, label};

use super::table;
use crate::{Case, CaseContext, Cost, Failure, context::check, steps::refused};

pub(super) const CASES: &[Case] = table! {
    "labels.instance", "awkward labels of an instance come back as they were, and select it", instance;
    "labels.image", "awkward labels of an image come back as they were, and select it", image;
    "labels.characters", "every class of character comes back as it was", characters;
    "labels.fingerprint", "a fingerprint of 64 digits is kept whole, and one that differs in its last is another",
        fingerprint, machines(2);
    "labels.image_fingerprint", "an image is found by its fingerprint, and not by one that differs in its last digit",
        image_fingerprint;
    "labels.long", "a value of 150 characters comes back whole, or is refused before anything is launched", long,
        extended();
    "labels.too_long", "a value that no cloud keeps is InvalidInput, and launches nothing", too_long, costs(Cost::Free);
    "labels.empty", "a label without a value is InvalidInput, and launches nothing", empty, costs(Cost::Free);
    "labels.foreign_key", "a key that is not Remint's is InvalidInput, and launches nothing", foreign_key,
        costs(Cost::Free);
    "labels.many", "twelve labels come back, each by itself finds the instance", many;
    "labels.keys_alike", "a key that is the beginning of another one is another key", keys_alike, machines(2);
    "labels.other_key", "a value is found under its own key only", other_key;
    "labels.empty_selector", "an empty selector finds the instance among all that Remint made", empty_selector;
    "labels.superset", "a selector that asks for one label more than there is finds nothing", superset;
    "labels.case", "values that differ only in the case of a letter are different values", case, machines(3);
    "labels.like", "a value that is the beginning of another one does not select it", like, machines(3);
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

async fn characters(context: CaseContext) -> Result<(), Failure> {
    let mut spec = context.spec("web").await?;
    for (key, value) in [
        ("remint:lower", "abcdefghijklmnopqrstuvwxyz"),
        ("remint:upper", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
        ("remint:digits", "0123456789"),
        ("remint:word", "-_.-_._-"),
        ("remint:marks", "!#$%&'()*+,/:;<=>?@[\\]^`{|}~\""),
        ("remint:spaces", "a b  c"),
        ("remint:letters", "äß€漢𝄞"),
        ("remint:escapes", "_20%20\\x20&#32;+__"),
    ] {
        spec.labels = spec.labels.with(key, value);
    }
    let made = context.launch(&spec).await?;
    let read = context.instances().get(&made.id).await?;
    for (key, value) in spec.labels.iter() {
        check!(read.labels.get(key) == Some(value), "{key} = {value:?} came back as {:?}", read.labels.get(key));
        let listed = context.instances().list(&context.selector().with(key, value)).await?;
        check!(listed.len() == 1, "{} instances with {key} = {value:?}", listed.len());
    }
    check!(read.labels == spec.labels, "labelled {:?}, has {:?}", spec.labels, read.labels);
    Ok(())
}

/// Two fingerprints that differ in their last digit.
fn fingerprints() -> [String; 2] {
    ["0", "1"].map(|last| format!("{}{last}", "0123456789abcdef".repeat(4).split_at(63).0))
}

async fn fingerprint(context: CaseContext) -> Result<(), Failure> {
    let fingerprints = fingerprints();
    for (what, fingerprint) in ["one", "two"].iter().zip(&fingerprints) {
        let mut spec = context.spec(what).await?;
        spec.labels = spec.labels.with(label::FINGERPRINT, fingerprint);
        let made = context.launch(&spec).await?;
        check!(made.labels.get(label::FINGERPRINT) == Some(fingerprint), "{fingerprint} became {:?}", made.labels);
    }
    for fingerprint in &fingerprints {
        let listed = context.instances().list(&context.selector().with(label::FINGERPRINT, fingerprint)).await?;
        check!(listed.len() == 1, "{} instances with the fingerprint {fingerprint}", listed.len());
    }
    Ok(())
}

async fn image_fingerprint(context: CaseContext) -> Result<(), Failure> {
    let builder = context.stopped("builder").await?;
    let mut spec = context.capture_spec("image", &builder.id);
    let [mine, other] = fingerprints();
    spec.labels = spec.labels.with(label::FINGERPRINT, &mine);
    let image = context.capture(&spec).await?;
    check!(image.labels == spec.labels, "captured with {:?}, labelled {:?}", spec.labels, image.labels);
    for (fingerprint, wanted) in [(mine, 1), (other, 0)] {
        let listed = context.images().list(&context.selector().with(label::FINGERPRINT, &fingerprint)).await?;
        check!(listed.len() == wanted, "{} images with the fingerprint {fingerprint}", listed.len());
    }
    Ok(())
}

async fn long(context: CaseContext) -> Result<(), Failure> {
    let mut spec = context.spec("web").await?;
    spec.labels = spec.labels.with("remint:note", "n".repeat(150));
    match context.instances().launch(&spec).await {
        Ok(made) => check!(made[0].labels == spec.labels, "a long value became {:?}", made[0].labels),
        Err(error) => {
            refused::<()>(Err(error), &[ErrorKind::InvalidInput], "a long value")?;
            check!(context.standing().await?.is_empty(), "refused, and standing: {:?}", context.standing().await?);
        }
    }
    Ok(())
}

async fn too_long(context: CaseContext) -> Result<(), Failure> {
    let mut spec = context.spec("web").await?;
    spec.labels = spec.labels.with("remint:note", "n".repeat(5000));
    context.launches_nothing(&spec, &[ErrorKind::InvalidInput]).await
}

async fn empty(context: CaseContext) -> Result<(), Failure> {
    let mut spec = context.spec("web").await?;
    spec.labels = spec.labels.with("remint:note", "");
    context.launches_nothing(&spec, &[ErrorKind::InvalidInput]).await
}

async fn foreign_key(context: CaseContext) -> Result<(), Failure> {
    for key in ["note", "remint", "remint:", "Remint:note", ""] {
        let mut spec = context.spec("web").await?;
        spec.labels = spec.labels.with(key, "text");
        context.launches_nothing(&spec, &[ErrorKind::InvalidInput]).await?;
    }
    Ok(())
}

async fn many(context: CaseContext) -> Result<(), Failure> {
    let mut spec = context.spec("web").await?;
    for number in 0..8 {
        spec.labels = spec.labels.with(&format!("remint:label-{number}"), format!("value-{number}"));
    }
    let made = context.launch(&spec).await?;
    check!(made.labels == spec.labels, "launched with {:?}, labelled {:?}", spec.labels, made.labels);
    for (key, value) in spec.labels.iter() {
        let listed = context.instances().list(&context.selector().with(key, value)).await?;
        check!(listed.len() == 1, "{} instances with {key} = {value}", listed.len());
    }
    Ok(())
}

async fn keys_alike(context: CaseContext) -> Result<(), Failure> {
    for (what, key) in [("one", "remint:note"), ("two", "remint:note-2")] {
        let mut spec = context.spec(what).await?;
        spec.labels = spec.labels.with(key, "text");
        let made = context.launch(&spec).await?;
        check!(made.labels == spec.labels, "launched with {:?}, labelled {:?}", spec.labels, made.labels);
    }
    for key in ["remint:note", "remint:note-2"] {
        let listed = context.instances().list(&context.selector().with(key, "text")).await?;
        check!(listed.len() == 1, "{} instances with the key {key}", listed.len());
    }
    Ok(())
}

async fn other_key(context: CaseContext) -> Result<(), Failure> {
    let mut spec = context.spec("web").await?;
    spec.labels = spec.labels.with("remint:note", "text");
    context.launch(&spec).await?;
    for (key, value) in [("remint:other", "text"), ("remint:note", "instance"), (label::ROLE, "text")] {
        let listed = context.instances().list(&context.selector().with(key, value)).await?;
        check!(listed.is_empty(), "{key} = {value} finds {listed:?}");
    }
    Ok(())
}

async fn empty_selector(context: CaseContext) -> Result<(), Failure> {
    let made = context.launch(&context.spec("web").await?).await?;
    let everything = context.instances().list(&Selector::all()).await?;
    check!(everything.iter().any(|instance| instance.id == made.id), "{} is not among all of Remint's", made.id);
    check!(everything.iter().all(|instance| !instance.labels.0.is_empty()), "it holds what is not Remint's");
    Ok(())
}

async fn superset(context: CaseContext) -> Result<(), Failure> {
    let spec = context.spec("web").await?;
    context.launch(&spec).await?;
    let exactly = Selector(spec.labels.0.clone());
    check!(context.instances().list(&exactly).await?.len() == 1, "its own labels do not find it");
    let more = exactly.with(label::FINGERPRINT, "0".repeat(64));
    let listed = context.instances().list(&more).await?;
    check!(listed.is_empty(), "one label more than it has, and found: {listed:?}");
    Ok(())
}
