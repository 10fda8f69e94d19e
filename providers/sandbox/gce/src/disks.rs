//! Disks: an instance's boot disk, which may outlive it, and disks that wait for an instance.

use axum::{Json, Router, extract::State as Axum, routing::post};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    call::{Body, Call, time},
    calls::{Shown, all_path, one_path, reads, remove, set_labels},
    change::{Accepted, Done, Tell},
    disk::{in_use, kind, size},
    error::{Refusal, Result},
    image::{Source, drop_unused_images, source},
    labels::{Labels, check_labels, fingerprint},
    model::{Content, Disk, Instance},
    reference::{X86, differs},
    resource::{check_new, path},
};
use crate::{Cloud, State};
use remint_sandbox_cloud::now;

pub(super) fn routes() -> Router<Cloud> {
    reads::<Disk>()
        .route(&all_path::<Disk>(), post(insert))
        .route(&one_path::<Disk>(""), axum::routing::delete(delete))
        .route(&one_path::<Disk>("/setLabels"), post(set_labels::<Disk>))
}

impl Shown for Disk {
    fn view(&self, _: u64, call: &Call, state: &State) -> Value {
        let disk = self;
        let mut view = json!({
            "kind": "compute#disk",
            "id": disk.id.to_string(),
            "creationTimestamp": time(disk.created_at),
            "name": disk.name,
            "sizeGb": disk.size.to_string(),
            "zone": call.link(&format!("zones/{}", disk.zone)),
            "status": "READY",
            "selfLink": call.link(&path::<Disk>(&disk.zone, &disk.name)),
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
            view["users"] = json!([call.link(&path::<Instance>(&machine.region, &machine.name))]);
            view["lastAttachTimestamp"] = time(machine.created_at).into();
        }
        view
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Insert {
    name: String,
    description: String,
    size_gb: Option<u64>,
    r#type: Option<String>,
    source_image: Option<String>,
    source_snapshot: Option<String>,
    source_disk: Option<String>,
    labels: Labels,
    architecture: Option<String>,
    physical_block_size_bytes: Option<u64>,
}

async fn insert(Axum(cloud): Axum<Cloud>, call: Call, Body(sent): Body<Insert>) -> Result<Json<Value>> {
    let (zone, _) = call.names();
    cloud.refresh_images().await;
    let asked = call.get("sourceImage").map(str::to_owned).or(sent.source_image.clone());
    call.mutate(&cloud, |state, _| {
        check_new::<Disk>(state, zone, &sent.name)?;
        let other = sent.source_snapshot.is_some() || sent.source_disk.is_some();
        Refusal::unless_had([
            (other, "disks from snapshots and from other disks"),
            (differs(&sent.architecture, X86), "architectures other than X86_64"),
            (sent.physical_block_size_bytes.is_some_and(|size| size != 4096), "blocks of other sizes than 4096 bytes"),
        ])?;
        let image = asked.as_deref().filter(|text| !text.is_empty());
        let image = image.ok_or_else(|| Refusal::not_implemented("disks without a source image"))?;
        check_labels(&sent.labels)?;
        let Source { image, named } = source(state, "resource.sourceImage", image)?;
        let disk = Disk {
            id: 0,
            size: size(&image, sent.size_gb)?,
            kind: kind(sent.r#type.as_deref(), zone)?,
            source: Some(named),
            content: Content::Image(image.id),
            created_at: now(),
            name: sent.name,
            zone: zone.to_owned(),
            description: sent.description,
            labels: sent.labels,
        };
        Ok(Accepted::own("insert", path::<Disk>(zone, &disk.name), move |state, _| {
            let id = state.next_id();
            state.own.disks.insert(id, Disk { id, ..disk });
            Done::at_once(id)
        }))
    })
    .await
}

async fn delete(Axum(cloud): Axum<Cloud>, call: Call) -> Result<Json<Value>> {
    let check = |state: &State, _, disk: &Disk| match disk.content {
        Content::Machine(user) => Err(in_use(state, disk, user)),
        Content::Image(_) => Ok(()),
    };
    let after = |state: &mut State, _| {
        drop_unused_images(state);
        Some(Tell::Images)
    };
    remove(&cloud, &call, check, after).await
}
