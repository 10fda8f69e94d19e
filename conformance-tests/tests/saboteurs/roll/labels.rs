//! Faults in how labels are kept.

use remint_conformance::LostReply;
use remint_core::provider::{
    CaptureProgress, CaptureSpec, ErrorKind, Images, Instance, InstanceId, Instances, Labels, LaunchSpec, Result,
    Selector, label,
};

use crate::{
    cloud::FULL,
    sabotage::{On, Saboteur, saboteurs},
};

pub(super) const SABOTEURS: &[Saboteur] = saboteurs! {
    on &FULL;
    "labels.cut_at_63", "`Labels`: stored reversibly in whatever the cloud has",
        Launch(spec) => cut_at_63, ["labels.instance", "labels.long", "labels.fingerprint"];
    "labels.lower_cased", "`Labels`: stored reversibly in whatever the cloud has",
        Launch(spec) => lower_cased, ["labels.instance", "labels.case"];
    "labels.replaced_letters", "`Labels`: stored reversibly in whatever the cloud has",
        Launch(spec) => replaced_letters, ["labels.instance", "labels.characters"];
    "labels.lost", "`LaunchSpec::labels`: labels of each of them",
        Launch(spec) => lost, ["instances.launch", "labels.instance", "labels.many"];
    "labels.image_cut_at_63", "`CaptureSpec::labels`: the image's labels",
        Capture(spec) => image_cut_at_63, ["labels.image"];
    "labels.empty_dropped", "`Labels`: keys to values, both non-empty",
        Launch(spec) => empty_dropped, ["labels.empty"];
    "labels.foreign_dropped", "`Labels`: keys that start with `remint:`",
        Launch(spec) => foreign_dropped, ["labels.foreign_key"];
    "labels.long_cut", "`Labels`: stored reversibly in whatever the cloud has",
        Launch(spec) => long_cut, ["labels.too_long"];
    "labels.none_needed", "`Instances::launch`: idempotent by name and labels",
        Launch(spec) => none_needed, ["limits.no_labels"];
    "relabel.replaces_all", "`Instances::label`: adds labels to an instance",
        Label(id, labels) => replaces_all, ["instances.relabel_adds", "idempotency.label"];
    "relabel.reads_then_writes", "`Provider`: all methods may be called concurrently",
        Label(id, labels) => reads_then_writes, ["concurrency.relabel"];
    "relabel.neighbours_too", "`Instances::label`: adds labels to an instance",
        Label(id, labels) => neighbours_too, ["instances.relabel_one"];
    "relabel.good_ones_first", "`Effect::NotApplied`: nothing was changed",
        Label(id, labels) => good_ones_first, ["instances.relabel_refused"];
    "relabel.foreign_dropped", "`Instances::label`: `InvalidInput`",
        Label(id, labels) => relabel_foreign_dropped, ["instances.relabel_foreign"];
    "relabel.gone_is_success", "`Instances::label`: `NotFound`",
        Label(id, labels) => gone_is_success, ["deletion.instance_methods"];
    "relabel.keeps_old_value", "`Instances::label`: replacing the values of keys that it has",
        Label(id, labels) => keeps_old_value, ["instances.relabel"];
    "relabel.only_says_so", "`Instances::label`: adds labels to an instance",
        Label(id, labels) => only_says_so, ["instances.relabel", "consistency.labels_elsewhere"];
};

fn each_value(labels: &Labels, change: impl Fn(&str) -> String) -> Labels {
    Labels(labels.iter().map(|(key, value)| (key.to_owned(), change(value))).collect())
}

async fn launch_with(on: &On, mut spec: LaunchSpec, change: impl Fn(&str) -> String) -> Result<Vec<Instance>> {
    spec.labels = each_value(&spec.labels, change);
    on.model.launch(&spec).await
}

fn first_63(value: &str) -> String {
    value.chars().take(63).collect()
}

async fn cut_at_63(on: On, spec: LaunchSpec) -> Result<Vec<Instance>> {
    launch_with(&on, spec, first_63).await
}

async fn lower_cased(on: On, spec: LaunchSpec) -> Result<Vec<Instance>> {
    launch_with(&on, spec, str::to_lowercase).await
}

async fn replaced_letters(on: On, spec: LaunchSpec) -> Result<Vec<Instance>> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.:".contains(letter);
    launch_with(&on, spec, |value| value.replace(|letter| !plain(letter), "_")).await
}

async fn lost(on: On, mut spec: LaunchSpec) -> Result<Vec<Instance>> {
    // The cloud takes a few tags; the first ones win.
    spec.labels = Labels(spec.labels.0.into_iter().rev().take(2).collect());
    on.model.launch(&spec).await
}

async fn image_cut_at_63(on: On, mut spec: CaptureSpec) -> Result<CaptureProgress> {
    spec.labels = each_value(&spec.labels, first_63);
    on.model.capture(&spec).await
}

async fn keeps_old_value(on: On, id: InstanceId, labels: Labels) -> Result<()> {
    let mut kept = Instances::get(&on.model, &id).await?.labels;
    for (key, value) in labels.0 {
        kept.0.entry(key).or_insert(value);
    }
    Instances::label(&on.model, &id, &kept).await
}

async fn only_says_so(on: On, id: InstanceId, _: Labels) -> Result<()> {
    Instances::get(&on.model, &id).await.map(drop)
}

async fn empty_dropped(on: On, mut spec: LaunchSpec) -> Result<Vec<Instance>> {
    spec.labels.0.retain(|_, value| !value.is_empty());
    on.model.launch(&spec).await
}

async fn foreign_dropped(on: On, mut spec: LaunchSpec) -> Result<Vec<Instance>> {
    spec.labels.0.retain(|key, _| key.strip_prefix("remint:").is_some_and(|rest| !rest.is_empty()));
    on.model.launch(&spec).await
}

async fn long_cut(on: On, spec: LaunchSpec) -> Result<Vec<Instance>> {
    launch_with(&on, spec, |value| value.chars().take(256).collect()).await
}

async fn none_needed(on: On, mut spec: LaunchSpec) -> Result<Vec<Instance>> {
    if spec.labels.0.is_empty() {
        spec.labels = Labels::new().with(label::SERVICE, "unknown");
    }
    on.model.launch(&spec).await
}

/// Writes all labels of an instance anew.
async fn write(on: &On, id: &InstanceId, labels: &Labels) -> Result<()> {
    let (id, labels) = (id.clone(), labels.clone());
    on.change(LostReply::Label, move |world| {
        world.machine_mut("label", &id)?.instance.labels = labels.clone();
        Ok(())
    })
    .await
}

async fn replaces_all(on: On, id: InstanceId, labels: Labels) -> Result<()> {
    write(&on, &id, &labels).await
}

async fn reads_then_writes(on: On, id: InstanceId, labels: Labels) -> Result<()> {
    Instances::label(&on.model, &id, &Labels::new()).await?;
    let mut whole = Instances::get(&on.model, &id).await?.labels;
    whole.0.extend(labels.0);
    write(&on, &id, &whole).await
}

async fn neighbours_too(on: On, id: InstanceId, labels: Labels) -> Result<()> {
    let instance = Instances::get(&on.model, &id).await?;
    for other in Instances::list(&on.model, &Selector(instance.labels.0)).await? {
        Instances::label(&on.model, &other.id, &labels).await?;
    }
    Ok(())
}

async fn good_ones_first(on: On, id: InstanceId, labels: Labels) -> Result<()> {
    let good = labels.0.iter().filter(|(_, value)| !value.is_empty());
    let good = Labels(good.map(|(key, value)| (key.clone(), value.clone())).collect());
    Instances::label(&on.model, &id, &good).await?;
    Instances::label(&on.model, &id, &labels).await
}

async fn relabel_foreign_dropped(on: On, id: InstanceId, mut labels: Labels) -> Result<()> {
    labels.0.retain(|key, _| key.starts_with("remint:"));
    Instances::label(&on.model, &id, &labels).await
}

async fn gone_is_success(on: On, id: InstanceId, labels: Labels) -> Result<()> {
    match Instances::label(&on.model, &id, &labels).await {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        answer => answer,
    }
}
