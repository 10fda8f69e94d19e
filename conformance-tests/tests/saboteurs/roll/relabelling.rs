//! Faults in the proof of whose a static IP or an image is: labels that are added later, and how they are read.

use std::time::Duration;

use remint_core::fake::State;
use remint_core::provider::{
    Capability, CaptureProgress, CaptureSpec, Descriptor, Error, ErrorKind, Image, ImageId, Images, InstanceId,
    Instances, Labels, Result, Selector, StaticIp, StaticIpId, StaticIpSpec, StaticIps,
};

use crate::{
    cloud::{FULL, WHOLE, not_found, refusal},
    sabotage::{On, Saboteur, saboteurs},
};

pub(super) const SABOTEURS: &[Saboteur] = saboteurs! {
    on &FULL;
    "ensure_ip.adopts_by_name", "`StaticIps::ensure`: only when it carries the identity, whatever its name is",
        EnsureStaticIp(spec) => adopts_by_name, ["static_ips.another_environment"];
    "ensure_ip.adopts_at_instance", "`StaticIps::ensure`: only when it carries the identity, wherever it points",
        EnsureStaticIp(spec) => adopts_at_instance, ["static_ips.another_at_instance"];
    "ensure_ip.takes_the_place", "`StaticIps::ensure`: what is in the way is left as it is",
        EnsureStaticIp(spec) => takes_the_place, ["static_ips.another_at_instance"];
    "ensure_ip.exact_labels", "`StaticIpSpec::IDENTITY`: others may differ",
        EnsureStaticIp(spec) => exact_labels, ["static_ips.later_release"];
    "label_ip.only_says_so", "`StaticIps::label`: after it, `get` and `list` show them",
        LabelStaticIp(id, labels) => label_ip_says_so, ["static_ips.label"];
    "label_ip.lost_on_move", "`StaticIps::label`: wherever the address is moved",
        Assign(id, instance) => lost_on_move, ["static_ips.label"];
    "label_ip.applies_a_part", "`StaticIps::label`: `InvalidInput`, before anything is changed",
        LabelStaticIp(id, labels) => label_ip_part, ["static_ips.label_refused"];
    "label_ip.gone_is_success", "`StaticIps::label`: `NotFound`",
        LabelStaticIp(id, labels) => label_ip_gone, ["static_ips.label_unknown"];
    "label_image.only_says_so", "`Images::label`: after it, `get` and `list` show them",
        LabelImage(id, labels) => label_image_says_so, ["images.label"];
    "label_image.replaces_all", "`Images::label`: adds labels",
        LabelImage(id, labels) => replaces_all, ["images.label"];
    "label_image.applies_a_part", "`Images::label`: `InvalidInput`, before anything is changed",
        LabelImage(id, labels) => label_image_part, ["images.label_refused"];
    "label_image.gone_is_success", "`Images::label`: `NotFound`",
        LabelImage(id, labels) => label_image_gone, ["images.label_unknown"];
    "label_image.reads_first", "`Images::label`: labels that are added at the same time all stand",
        LabelImage(id, labels) => reads_first, ["concurrency.image_labels"];
    "capture.needs_instance", "`Images::capture`: a call after the instance was destroyed still finds its image",
        Capture(spec) => needs_instance, ["images.capture_after_builder"];
    "capture.takes_others", "`Images::capture`: `Conflict` when an image of that name carries other labels",
        Capture(spec) => takes_others, ["images.capture_taken"];
};

/// Static IPs, and no labels on them.
static UNLABELLED: Descriptor = Descriptor {
    capabilities: &[Capability::InstanceLaunchBatch, Capability::StaticIp, Capability::StaticIpReassign],
    ..WHOLE
};

pub(super) const UNDECLARED: &[Saboteur] = saboteurs! {
    on &UNLABELLED;
    "undeclared.label_ip_applies", "`ErrorKind::Unsupported`: and nothing is changed",
        LabelStaticIp(id, labels) => label_applies, ["undeclared.static_ip.labels"];
};

async fn label_applies(on: On, id: StaticIpId, labels: Labels) -> Result<()> {
    on.change(None, move |world| world.label_ip(&id, &labels)).await?;
    Err(Error::unsupported("label static IP", Capability::StaticIpLabels))
}

/// Moves an address that was found to where it is asked for.
async fn moved(on: &On, found: &StaticIp, spec: &StaticIpSpec) -> Result<StaticIp> {
    on.model.assign(&found.id, &spec.instance).await?;
    StaticIps::get(&on.model, &found.id).await
}

async fn found(on: &On, is_it: impl Fn(&State) -> Option<StaticIp>) -> Result<Option<StaticIp>> {
    on.read(|world| Ok(is_it(world))).await
}

async fn adopts_by_name(on: On, spec: StaticIpSpec) -> Result<StaticIp> {
    let named = |world: &State| world.ips.values().find(|ip| ip.name == spec.name).map(|ip| ip.ip.clone());
    match found(&on, named).await? {
        Some(ip) => moved(&on, &ip, &spec).await,
        None => StaticIps::ensure(&on.model, &spec).await,
    }
}

async fn adopts_at_instance(on: On, spec: StaticIpSpec) -> Result<StaticIp> {
    let there = |world: &State| world.ips.values().find(|ip| ip.end() == Some(&spec.instance)).map(|ip| ip.ip.clone());
    match found(&on, there).await? {
        Some(ip) => Ok(ip),
        None => StaticIps::ensure(&on.model, &spec).await,
    }
}

async fn takes_the_place(on: On, spec: StaticIpSpec) -> Result<StaticIp> {
    let identity = spec.identity();
    let theirs = |world: &State| {
        let there = world.ips.values().find(|ip| ip.ip.assigned_to.as_ref() == Some(&spec.instance));
        there.filter(|ip| !ip.ip.labels.matches(&identity)).map(|ip| ip.ip.clone())
    };
    if let Some(ip) = found(&on, theirs).await? {
        on.model.unassign(&ip.id).await?;
    }
    StaticIps::ensure(&on.model, &spec).await
}

async fn exact_labels(on: On, spec: StaticIpSpec) -> Result<StaticIp> {
    let named = |world: &State| world.ips.values().find(|ip| ip.name == spec.name).map(|ip| ip.ip.clone());
    match found(&on, named).await? {
        Some(ip) if ip.labels != spec.labels => {
            Err(refusal(ErrorKind::Conflict, "allocate static IP", "an address of this name has other labels"))
        }
        _ => StaticIps::ensure(&on.model, &spec).await,
    }
}

async fn label_ip_says_so(on: On, id: StaticIpId, labels: Labels) -> Result<()> {
    let before = StaticIps::get(&on.model, &id).await?.labels;
    StaticIps::label(&on.model, &id, &labels).await?;
    on.change(None, move |world| {
        world.ip_mut("label static IP", &id)?.ip.labels = before.clone();
        Ok(())
    })
    .await
}

async fn lost_on_move(on: On, id: StaticIpId, instance: InstanceId) -> Result<()> {
    on.model.assign(&id, &instance).await?;
    on.change(None, move |world| {
        let labels = &mut world.ip_mut("assign", &id)?.ip.labels;
        labels.0.retain(|key, _| key != remint_core::provider::label::ENV_ID);
        Ok(())
    })
    .await
}

/// The labels of these that are some.
fn good(labels: &Labels) -> Labels {
    let is_good = |(key, value): &(&String, &String)| key.starts_with("remint:r") && !value.is_empty();
    Labels(labels.0.iter().filter(is_good).map(|(key, value)| (key.clone(), value.clone())).collect())
}

async fn label_ip_part(on: On, id: StaticIpId, labels: Labels) -> Result<()> {
    let refused = StaticIps::label(&on.model, &id, &labels).await;
    if refused.as_ref().is_err_and(|error| error.kind() == ErrorKind::InvalidInput) {
        StaticIps::label(&on.model, &id, &good(&labels)).await?;
    }
    refused
}

fn unless_gone(answer: Result<()>) -> Result<()> {
    match answer {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        answer => answer,
    }
}

async fn label_ip_gone(on: On, id: StaticIpId, labels: Labels) -> Result<()> {
    unless_gone(StaticIps::label(&on.model, &id, &labels).await)
}

async fn set(on: &On, id: &ImageId, labels: &Labels) -> Result<()> {
    let (id, labels) = (id.clone(), labels.clone());
    on.change(None, move |world| {
        world.image_mut("label image", &id)?.labels = labels.clone();
        Ok(())
    })
    .await
}

async fn label_image_says_so(on: On, id: ImageId, labels: Labels) -> Result<()> {
    let before = on.read(|world| Ok(world.image("label image", &id)?.labels.clone())).await?;
    Images::label(&on.model, &id, &labels).await?;
    set(&on, &id, &before).await
}

async fn replaces_all(on: On, id: ImageId, labels: Labels) -> Result<()> {
    let before = on.read(|world| Ok(world.image("label image", &id)?.labels.clone())).await?;
    Images::label(&on.model, &id, &labels).await?;
    // What finds it when the case is over stays.
    let run = before.get(remint_core::provider::label::RUN).unwrap_or_default();
    set(&on, &id, &labels.with(remint_core::provider::label::RUN, run)).await
}

async fn label_image_part(on: On, id: ImageId, labels: Labels) -> Result<()> {
    let refused = Images::label(&on.model, &id, &labels).await;
    if refused.as_ref().is_err_and(|error| error.kind() == ErrorKind::InvalidInput) {
        Images::label(&on.model, &id, &good(&labels)).await?;
    }
    refused
}

async fn label_image_gone(on: On, id: ImageId, labels: Labels) -> Result<()> {
    unless_gone(Images::label(&on.model, &id, &labels).await)
}

async fn reads_first(on: On, id: ImageId, labels: Labels) -> Result<()> {
    let before = on.read(|world| Ok(world.image("label image", &id)?.labels.clone())).await?;
    // Others read the same in the meantime.
    tokio::time::sleep(Duration::from_millis(50)).await;
    Images::label(&on.model, &id, &labels).await?;
    let mut all = before;
    all.0.extend(labels.0);
    set(&on, &id, &all).await
}

async fn needs_instance(on: On, spec: CaptureSpec) -> Result<CaptureProgress> {
    Instances::get(&on.model, &spec.instance).await.map_err(|_| not_found("capture image", &spec.instance))?;
    on.model.capture(&spec).await
}

async fn takes_others(on: On, spec: CaptureSpec) -> Result<CaptureProgress> {
    match on.model.capture(&spec).await {
        Err(error) if error.kind() == ErrorKind::Conflict => {
            let listed = Images::list(&on.model, &Selector::all()).await?;
            let named = listed.into_iter().find(|image: &Image| image.name == spec.name);
            named.map(CaptureProgress::Done).ok_or(error)
        }
        answer => answer,
    }
}
