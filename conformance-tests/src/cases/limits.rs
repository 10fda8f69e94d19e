//! Limits: met exactly is accepted, one more is refused before anything is changed.

use remint_core::provider::{Capability, ErrorKind, InstanceState};

use super::table;
use crate::{Case, CaseContext, Cost, Failure, context::check, steps::refused};

pub(super) const CASES: &[Case] = table! {
    "limits.name_longest", "a name of the greatest length is launched, and comes back whole", name_longest, machines(2);
    "limits.name_too_long", "a name one character longer is InvalidInput, and launches nothing", name_too_long,
        costs(Cost::Free);
    "limits.name_characters", "a name of other characters is InvalidInput, and launches nothing", name_characters,
        costs(Cost::Free);
    "limits.name_empty", "an empty name is InvalidInput, and launches nothing", name_empty, costs(Cost::Free);
    "limits.names_none", "a launch of no names at all is InvalidInput", names_none, costs(Cost::Free);
    "limits.names_twice", "a name that is given twice is InvalidInput, and launches nothing", names_twice,
        needs(&[Capability::InstanceLaunchBatch]), costs(Cost::Free);
    "limits.batch_full", "as many names as a call takes are all launched", batch_full,
        needs(&[Capability::InstanceLaunchBatch]), machines(20);
    "limits.batch_too_large", "one name more than a call takes is InvalidInput, and launches none of them",
        batch_too_large, costs(Cost::Free);
    "limits.one_bad_name", "one bad name in a batch launches none of it", one_bad_name,
        needs(&[Capability::InstanceLaunchBatch]), costs(Cost::Free);
    "limits.no_labels", "a launch without labels is InvalidInput: it would not be found again", no_labels,
        costs(Cost::Free);
};

/// A name of so many characters.
fn long(context: &CaseContext, length: usize) -> String {
    let prefix = context.prefix();
    format!("{prefix}{}", "n".repeat(length - prefix.len()))
}

async fn name_longest(context: CaseContext) -> Result<(), Failure> {
    let mut spec = context.spec("web").await?;
    let limit = context.provider().descriptor().limits.name_length;
    // Two that differ in their last character only.
    for last in ["a", "b"] {
        let name = format!("{}{last}", long(&context, limit - 1));
        spec.names = vec![name.clone()];
        let made = context.launch(&spec).await?;
        check!(made.name == name, "launched as {name}, named {}", made.name);
        context.reaches(&made.id, InstanceState::Running).await?;
    }
    check!(context.standing().await?.len() == 2, "standing: {:?}", context.standing().await?);
    Ok(())
}

async fn name_too_long(context: CaseContext) -> Result<(), Failure> {
    let mut spec = context.spec("web").await?;
    spec.names = vec![long(&context, context.provider().descriptor().limits.name_length + 1)];
    context.launches_nothing(&spec, &[ErrorKind::InvalidInput]).await
}

async fn name_characters(context: CaseContext) -> Result<(), Failure> {
    let mut spec = context.spec("web").await?;
    for bad in ["with space", "Upper", "under_score", "dot.ted", "slash/ed", "ümlaut", "end-"] {
        spec.names = vec![context.name(bad)];
        context.launches_nothing(&spec, &[ErrorKind::InvalidInput]).await?;
    }
    Ok(())
}

async fn name_empty(context: CaseContext) -> Result<(), Failure> {
    let mut spec = context.spec("web").await?;
    spec.names = vec![String::new()];
    context.launches_nothing(&spec, &[ErrorKind::InvalidInput]).await
}

async fn names_none(context: CaseContext) -> Result<(), Failure> {
    let mut spec = context.spec("web").await?;
    spec.names.clear();
    context.launches_nothing(&spec, &[ErrorKind::InvalidInput]).await
}

async fn names_twice(context: CaseContext) -> Result<(), Failure> {
    let mut spec = context.spec("web").await?;
    spec.names.push(spec.names[0].clone());
    context.launches_nothing(&spec, &[ErrorKind::InvalidInput]).await
}

async fn batch_full(context: CaseContext) -> Result<(), Failure> {
    let mut spec = context.spec("web").await?;
    let limit = context.provider().descriptor().limits.launch_batch.min(20);
    spec.names = (0..limit).map(|number| context.name(&format!("web-{number:02}"))).collect();
    let made = context.instances().launch(&spec).await?;
    check!(made.len() == limit, "{limit} names were launched, and {} instances came back", made.len());
    let standing = context.standing().await?;
    check!(standing == spec.names, "asked for {:?}, standing: {standing:?}", spec.names);
    Ok(())
}

async fn batch_too_large(context: CaseContext) -> Result<(), Failure> {
    let mut spec = context.spec("web").await?;
    let limit = context.provider().descriptor().limits.launch_batch;
    spec.names = (0..=limit).map(|number| context.name(&format!("web-{number}"))).collect();
    context.launches_nothing(&spec, &[ErrorKind::InvalidInput]).await
}

async fn one_bad_name(context: CaseContext) -> Result<(), Failure> {
    let mut spec = context.spec("web").await?;
    spec.names.push(context.name("not_a_name"));
    context.launches_nothing(&spec, &[ErrorKind::InvalidInput]).await
}

async fn no_labels(context: CaseContext) -> Result<(), Failure> {
    let mut spec = context.spec("web").await?;
    spec.labels = remint_core::provider::Labels::new();
    refused(context.instances().launch(&spec).await, &[ErrorKind::InvalidInput], "a launch without labels")?;
    Ok(())
}
