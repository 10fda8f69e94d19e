//! Disks: an instance's boot disk, which may outlive it, and disks that wait for an instance.
//!
//! The data of a disk are with its machine, or in an image of the engine's that no list shows. A disk that an instance is
//! made from is copied; the image is then deleted with the disk that it was made for.

use axum::{
    Json, Router,
    extract::{Path, State as Axum},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    call::{Accepted, Body, Call, Done, Tell, time},
    error::{Refusal, Result},
    images::{self, Source},
    instances,
    labels::{Labels, SetLabels, check_label_fingerprint, check_labels, fingerprint},
    launch,
    reference::{Reference, check_name, full},
    state::{Content, Disk},
};
use crate::{Cloud, State};
use remint_sandbox_cloud::{now, state::Image};

/// The kinds of disks; the first is what a disk is that says nothing.
const KINDS: [&str; 4] = ["pd-standard", "pd-balanced", "pd-ssd", "pd-extreme"];

pub(super) fn routes() -> Router<Cloud> {
    const LIST: &str = "/compute/v1/projects/{project}/zones/{zone}/disks";
    Router::new()
        .route(LIST, get(list).post(insert))
        .route("/compute/v1/projects/{project}/aggregated/disks", get(aggregated))
        .route(&format!("{LIST}/{{disk}}"), get(show).delete(delete))
        .route(&format!("{LIST}/{{disk}}/setLabels"), post(set_labels))
}

type Named = Path<(String, String, String)>;

/// A disk's path below the project.
pub(super) fn path(zone: &str, name: &str) -> String {
    format!("zones/{zone}/disks/{name}")
}

pub(super) fn find<'a>(state: &'a State, zone: &str, name: &str) -> Result<&'a Disk> {
    let found = state.own.disks.values().find(|disk| disk.zone == zone && disk.name == name);
    found.ok_or_else(|| Refusal::not_found(full(&path(zone, name))))
}

/// The refusal of what a disk cannot be while an instance has it.
pub(super) fn in_use(state: &State, disk: &Disk, user: u64) -> Refusal {
    let by = state.instances.get(&user).map(|machine| instances::path(&machine.region, &machine.name));
    Refusal::in_use("disk", full(&path(&disk.zone, &disk.name)), full(&by.unwrap_or_default()))
}

/// The size of a disk that begins with an image, in GiB.
pub(super) fn size(image: &Image, asked: Option<u64>) -> Result<u64> {
    let least = images::disk_size(image);
    match asked {
        None => Ok(least),
        Some(size) if size >= least => Ok(size),
        Some(size) => {
            let why = format!("Requested disk size cannot be smaller than the image size ({least} GB)");
            Err(Refusal::invalid("resource.disks[0].initializeParams.diskSizeGb", size, why))
        }
    }
}

pub(super) fn kind(asked: Option<&str>, zone: &str) -> Result<String> {
    let Some(text) = asked.filter(|text| !text.is_empty()) else { return Ok(KINDS[0].to_owned()) };
    let found = Reference::parse(text).zonal("diskTypes", zone).map(|(_, name)| name);
    match found.filter(|name| KINDS.contains(name)) {
        Some(name) => Ok(name.to_owned()),
        None => Err(Refusal::invalid("resource.type", text, "The referenced diskType resource cannot be found.")),
    }
}

fn view(call: &Call, state: &State, disk: &Disk) -> Value {
    let mut view = json!({
        "kind": "compute#disk",
        "id": disk.id.to_string(),
        "creationTimestamp": time(disk.created_at),
        "name": disk.name,
        "sizeGb": disk.size.to_string(),
        "zone": call.link(&format!("zones/{}", disk.zone)),
        "status": "READY",
        "selfLink": call.link(&path(&disk.zone, &disk.name)),
        "type": call.link(&format!("zones/{}/diskTypes/{}", disk.zone, disk.kind)),
        "labelFingerprint": fingerprint(&disk.labels),
        "physicalBlockSizeBytes": "4096",
        "architecture": "X86_64",
    });
    if !disk.description.is_empty() {
        view["description"] = disk.description.as_str().into();
    }
    if !disk.labels.is_empty() {
        view["labels"] = json!(disk.labels);
    }
    if let Some((link, id)) = &disk.source
        && let Some((project, below)) = link.split_once('/')
    {
        view["sourceImage"] = call.link_in(project, below).into();
        view["sourceImageId"] = id.to_string().into();
    }
    if let Content::Machine(machine) = disk.content
        && let Some(machine) = state.instances.get(&machine)
    {
        view["users"] = json!([call.link(&instances::path(&machine.region, &machine.name))]);
        view["lastAttachTimestamp"] = time(machine.created_at).into();
    }
    view
}

async fn list(Axum(cloud): Axum<Cloud>, call: Call, Path((_, zone)): Path<(String, String)>) -> Result<Json<Value>> {
    let items = cloud.read(|state| {
        state.own.disks.values().filter(|disk| disk.zone == zone).map(|disk| view(&call, state, disk)).collect()
    });
    call.list("compute#diskList", &format!("zones/{zone}/disks"), items)
}

async fn aggregated(Axum(cloud): Axum<Cloud>, call: Call) -> Result<Json<Value>> {
    let items = cloud.read(|state| state.own.disks.values().map(|disk| view(&call, state, disk)).collect());
    call.aggregated("compute#diskAggregatedList", "disks", items)
}

async fn show(Axum(cloud): Axum<Cloud>, call: Call, Path((_, zone, name)): Named) -> Result<Json<Value>> {
    cloud.read(|state| find(state, &zone, &name).map(|disk| Json(view(&call, state, disk))))
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Insert {
    name: String,
    description: String,
    #[serde(deserialize_with = "launch::int64")]
    size_gb: Option<u64>,
    r#type: Option<String>,
    source_image: Option<String>,
    source_snapshot: Option<String>,
    source_disk: Option<String>,
    labels: Labels,
}

async fn insert(
    Axum(cloud): Axum<Cloud>,
    call: Call,
    Path((_, zone)): Path<(String, String)>,
    Body(sent): Body<Insert>,
) -> Result<Json<Value>> {
    cloud.refresh_images().await;
    let asked = call.get("sourceImage").map(str::to_owned).or(sent.source_image.clone());
    call.mutate(&cloud, |state, _| {
        check_name("resource.name", &sent.name)?;
        if find(state, &zone, &sent.name).is_ok() {
            return Err(Refusal::already_exists(full(&path(&zone, &sent.name))));
        }
        if sent.source_snapshot.is_some() || sent.source_disk.is_some() {
            return Err(Refusal::not_implemented("disks from snapshots and from other disks"));
        }
        let source = asked.as_deref().filter(|text| !text.is_empty());
        let source = source.ok_or_else(|| Refusal::not_implemented("disks without a source image"))?;
        check_labels(&sent.labels)?;
        let Source { image, named } = images::source(state, "resource.sourceImage", source)?;
        let disk = Disk {
            id: 0,
            size: size(&image, sent.size_gb)?,
            kind: kind(sent.r#type.as_deref(), &zone)?,
            source: Some(named),
            content: Content::Image(image.id),
            created_at: now(),
            name: sent.name,
            zone: zone.clone(),
            description: sent.description,
            labels: sent.labels,
        };
        Ok(Accepted::own("insert", path(&zone, &disk.name), move |state, _| {
            let id = state.next_id();
            state.own.disks.insert(id, Disk { id, ..disk });
            Done::at_once(id)
        }))
    })
    .await
}

async fn delete(Axum(cloud): Axum<Cloud>, call: Call, Path((_, zone, name)): Named) -> Result<Json<Value>> {
    call.mutate(&cloud, |state, _| {
        let disk = find(state, &zone, &name)?;
        if let Content::Machine(user) = disk.content {
            return Err(in_use(state, disk, user));
        }
        let id = disk.id;
        Ok(Accepted::own("delete", path(&zone, &name), move |state, _| {
            state.own.disks.remove(&id);
            drop_unused_images(state);
            Done::at_once(id).tell(Tell::Images)
        }))
    })
    .await
}

async fn set_labels(
    Axum(cloud): Axum<Cloud>,
    call: Call,
    Path((_, zone, name)): Named,
    Body(sent): Body<SetLabels>,
) -> Result<Json<Value>> {
    check_labels(&sent.labels)?;
    call.mutate(&cloud, |state, _| {
        let disk = find(state, &zone, &name)?;
        check_label_fingerprint(&disk.labels, sent.label_fingerprint.as_deref())?;
        let id = disk.id;
        Ok(Accepted::own("setLabels", path(&zone, &name), move |state, _| {
            if let Some(disk) = state.own.disks.get_mut(&id) {
                disk.labels = sent.labels;
            }
            Done::at_once(id)
        }))
    })
    .await
}

/// Hides the engine's images that neither an image of the project's nor a disk needs any more; who calls this has them
/// deleted.
pub(super) fn drop_unused_images(state: &mut State) {
    let gce = &state.own;
    // A machine that is being made reads the image that it is made from.
    let read = |id: &u64| state.instances.values().any(|machine| machine.seed.is_some() && machine.image.id == *id);
    let kept = |id: &u64| gce.disks.values().any(|disk| disk.content == Content::Image(*id));
    let needed = |id: &u64| gce.images.contains_key(id) || kept(id) || read(id);
    for (id, image) in &mut state.images {
        if !image.public() && !needed(id) {
            image.available = false;
        }
    }
}
