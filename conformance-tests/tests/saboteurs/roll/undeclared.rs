//! Faults of a provider that declares nothing: what it lacks must answer `Unsupported` and change nothing.

use remint_core::provider::{
    Capability, Error, ErrorKind, ImageId, InstanceId, Instances, Labels, Region, Regions, Result,
};

use crate::{
    model::{HOME, MODEST, refusal},
    sabotage::{On, Saboteur, saboteurs},
};

pub(super) const SABOTEURS: &[Saboteur] = saboteurs! {
    on &MODEST;
    "undeclared.console_answers", "`Instances::console_output`: `Unsupported`",
        Console(id) => console_answers, ["undeclared.instance.console_output"];
    "undeclared.label_applies", "`ErrorKind::Unsupported`: and nothing is changed",
        Label(id, labels) => label_applies, ["undeclared.instance.relabel"];
    "undeclared.copy_applies", "`ErrorKind::Unsupported`: and nothing is changed",
        CopyImage(id, region) => copy_applies, ["undeclared.image.copy_regions"];
    "undeclared.copy_is_invalid", "`Images::copy`: `Unsupported`",
        CopyImage(id, region) => copy_is_invalid, ["undeclared.image.copy_regions"];
};

async fn console_answers(on: On, id: InstanceId) -> Result<String> {
    Instances::get(&on.model, &id).await?;
    Ok(String::new())
}

async fn label_applies(on: On, id: InstanceId, labels: Labels) -> Result<()> {
    on.model
        .change(None, |world| {
            world.machine("label", &id)?.instance.labels.0.extend(labels.0.clone());
            Ok(())
        })
        .await?;
    Err(Error::unsupported("label", Capability::InstanceRelabel))
}

async fn copy_applies(on: On, id: ImageId, region: Region) -> Result<()> {
    on.model
        .change(None, |world| {
            world.disk("copy image", &id)?.image.regions = Regions::Only(vec![HOME.into(), region.clone()]);
            Ok(())
        })
        .await?;
    Err(Error::unsupported("copy image", Capability::ImageCopyRegions))
}

async fn copy_is_invalid(_: On, _: ImageId, _: Region) -> Result<()> {
    Err(refusal(ErrorKind::InvalidInput, "copy image", "images stay where they are"))
}
