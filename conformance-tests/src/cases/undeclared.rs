//! What is not declared answers `Unsupported` and changes nothing. Run for those capabilities that a provider lacks.

use remint_core::provider::{Capability, ErrorKind, label};

use crate::{Case, CaseContext, Failure, context::check, steps::refused};

/// A probe for each capability that a method of a concern stands for. Concerns themselves are `None` where they are not
/// declared, which `descriptor.concerns` holds.
pub const PROBES: &[(Capability, Case)] = &[
    (
        Capability::InstanceConsole,
        Case::new("undeclared.instance.console_output", "consoles are Unsupported", |c| Box::pin(console(c))),
    ),
    (
        Capability::InstanceRelabel,
        Case::new("undeclared.instance.relabel", "relabelling is Unsupported", |c| Box::pin(relabel(c))),
    ),
    (
        Capability::ImageCopyRegions,
        Case::new("undeclared.image.copy_regions", "copying images is Unsupported", |c| Box::pin(copy(c))),
    ),
];

async fn console(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let result = context.instances().console_output(&instance.id).await;
    refused(result, &[ErrorKind::Unsupported], "reading a console")?;
    Ok(())
}

async fn relabel(context: CaseContext) -> Result<(), Failure> {
    let instance = context.running("web").await?;
    let more = context.labels().with(label::ROLE, "parked");
    refused(context.instances().label(&instance.id, &more).await, &[ErrorKind::Unsupported], "relabelling")?;
    let now = context.instances().get(&instance.id).await?;
    check!(now.labels == instance.labels, "unsupported, and its labels became {:?}", now.labels);
    Ok(())
}

async fn copy(context: CaseContext) -> Result<(), Failure> {
    let (_, image) = context.image().await?;
    let elsewhere = context.target().second_region.clone().unwrap_or_else(|| context.target().region.clone());
    refused(context.images().copy(&image.id, &elsewhere).await, &[ErrorKind::Unsupported], "copying an image")?;
    let now = context.images().get(&image.id).await?;
    check!(now.regions == image.regions, "unsupported, and it is in {:?}", now.regions);
    Ok(())
}
