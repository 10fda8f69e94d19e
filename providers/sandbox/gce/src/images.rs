//! Images: the project's own, taken from disks, and the public ones of others.

use axum::{
    Json, Router,
    extract::{Path, State as Axum},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    PROJECT,
    call::{Body, Call, time},
    calls::{Shown, all_path, describe, one_path, remove, set_labels},
    change::{Accepted, Done, Tell},
    disk::in_use,
    error::{Refusal, Result},
    image::{disk_size, drop_unused_images, find_image, status},
    labels::{Labels, check_labels, fingerprint},
    model::{Content, Disk, ImageData},
    public_images::{self, PublicImage},
    reference::{Reference, X86, check_name, differs},
    resource::{check_new, find, full_path, path},
};
use crate::{Cloud, State};
use remint_sandbox_cloud::{
    now,
    state::{Image, Status, Work},
};

pub(super) fn routes() -> Router<Cloud> {
    let at = one_path::<ImageData>;
    Router::new()
        .route(&all_path::<ImageData>(), get(list).post(insert))
        .route(&format!("{}/family/{{family}}", all_path::<ImageData>()), get(show_family))
        .route("/compute/v1/projects/{project}/zones/{zone}/imageFamilyViews/{family}", get(family_view))
        .route(&at(""), get(show).delete(delete))
        .route(&at("/setLabels"), post(set_labels::<ImageData>))
        .route(&at("/deprecate"), post(deprecate))
}

type Named = Path<(String, String)>;

impl Shown for ImageData {
    fn view(&self, _: u64, call: &Call, state: &State) -> Value {
        let data = self;
        let image = state.images.get(&data.id);
        let (source, source_id) = &data.source;
        let mut view = json!({
            "kind": "compute#image",
            "id": data.id.to_string(),
            "creationTimestamp": time(data.created_at),
            "name": data.name,
            "sourceType": "RAW",
            "status": status(state, data),
            "archiveSizeBytes": image.map_or(0, |image| image.size_bytes).to_string(),
            "diskSizeGb": data.disk_size.to_string(),
            "sourceDisk": call.link(source),
            "sourceDiskId": source_id.to_string(),
            "selfLink": call.link(&path::<ImageData>("", &data.name)),
            "labelFingerprint": fingerprint(&data.labels),
            "storageLocations": ["us"],
            "architecture": "X86_64",
        });
        let mut put = |name: &str, value: Value| view[name] = value;
        if let Some(family) = &data.family {
            put("family", family.as_str().into());
        }
        if !data.description.is_empty() {
            put("description", data.description.as_str().into());
        }
        if !data.labels.is_empty() {
            put("labels", json!(data.labels));
        }
        if let Some(deprecated) = &data.deprecated {
            put("deprecated", deprecated.clone());
        }
        view
    }
}

fn public_view(call: &Call, public: &PublicImage<'_>) -> Value {
    let image = public.image;
    json!({
        "kind": "compute#image",
        "id": public.id.to_string(),
        "creationTimestamp": time(image.created_at),
        "name": public.name,
        "description": format!("{} {}", image.distribution, image.name),
        "family": public.family,
        "sourceType": "RAW",
        "status": "READY",
        "archiveSizeBytes": image.size_bytes.to_string(),
        "diskSizeGb": disk_size(image).to_string(),
        "selfLink": call.link_in(public.project, &path::<ImageData>("", &public.name)),
        "labelFingerprint": fingerprint(&Labels::new()),
        "storageLocations": ["us"],
        "architecture": "X86_64",
    })
}

async fn list(Axum(cloud): Axum<Cloud>, call: Call, Path(project): Path<String>) -> Result<Json<Value>> {
    cloud.refresh_images().await;
    let items = cloud.read(|state| {
        if project == PROJECT {
            return state.own.images.values().map(|image| image.view(image.id, &call, state)).collect();
        }
        let public = public_images::all(state);
        public.iter().filter(|public| public.project == project).map(|public| public_view(&call, public)).collect()
    });
    call.list("compute#imageList", items)
}

async fn show(Axum(cloud): Axum<Cloud>, call: Call, Path((project, name)): Named) -> Result<Json<Value>> {
    one(&cloud, &call, &project, &name, false).await
}

async fn show_family(Axum(cloud): Axum<Cloud>, call: Call, Path((project, family)): Named) -> Result<Json<Value>> {
    one(&cloud, &call, &project, &family, true).await
}

/// The image that a family means in a zone, which may be `-` for any.
async fn family_view(
    Axum(cloud): Axum<Cloud>,
    call: Call,
    Path((project, _, family)): Path<(String, String, String)>,
) -> Result<Json<Value>> {
    let Json(image) = one(&cloud, &call, &project, &family, true).await?;
    Ok(Json(json!({ "image": image })))
}

async fn one(cloud: &Cloud, call: &Call, project: &str, name: &str, family: bool) -> Result<Json<Value>> {
    cloud.refresh_images().await;
    cloud.read(|state| {
        Ok(Json(if project == PROJECT {
            let image = find_image(state, family, name)?;
            image.view(image.id, call, state)
        } else {
            public_view(call, &public_images::find(state, project, family, name)?)
        }))
    })
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Insert {
    name: String,
    family: Option<String>,
    description: String,
    labels: Labels,
    source_disk: Option<String>,
    source_image: Option<String>,
    source_snapshot: Option<String>,
    source_type: Option<String>,
    architecture: Option<String>,
}

async fn insert(Axum(cloud): Axum<Cloud>, call: Call, Body(sent): Body<Insert>) -> Result<Json<Value>> {
    let force = call.flag("forceCreate")?.unwrap_or_default();
    call.mutate(&cloud, |state, _| plan(state, sent, force)).await
}

fn plan(state: &State, sent: Insert, force: bool) -> Result<Accepted> {
    check_new::<ImageData>(state, "", &sent.name)?;
    let family = sent.family.filter(|family| !family.is_empty());
    family.as_deref().map_or(Ok(()), |family| check_name("resource.family", family))?;
    check_labels(&sent.labels)?;
    let other = sent.source_image.is_some() || sent.source_snapshot.is_some();
    Refusal::unless_had([
        (other || differs(&sent.source_type, "RAW"), "images from anything but a disk"),
        (differs(&sent.architecture, X86), "architectures other than X86_64"),
    ])?;
    let field = "resource.sourceDisk";
    let source = sent.source_disk.as_deref().ok_or_else(|| Refusal::required(field))?;
    let (zone, name) = match *Reference::parse(source).path {
        ["zones", zone, "disks", name] => (zone, name),
        _ => return Err(Refusal::invalid(field, source, "The URL is malformed.")),
    };
    let (disk_id, disk) = find::<Disk>(state, zone, name)?;
    let disk_path = full_path::<Disk>(zone, name);
    let data = ImageData {
        id: 0,
        family,
        description: sent.description,
        labels: sent.labels,
        source: (path::<Disk>(zone, name), disk_id),
        disk_size: disk.size,
        created_at: now(),
        deprecated: None,
        failed: false,
        name: sent.name,
    };
    let target = path::<ImageData>("", &data.name);
    match disk.content {
        Content::Machine(id) => {
            let machine = state.instances.get(&id).ok_or_else(|| Refusal::not_found(&disk_path))?;
            if machine.status == Status::Active && !force {
                return Err(in_use(state, disk, id));
            }
            if machine.pending.is_some() {
                return Err(Refusal::not_ready(disk_path));
            }
            let zone = zone.to_owned();
            Ok(Accepted::engine("insert", target, move |state, config| {
                let image = state.next_id();
                let work = Work::Snapshot { instance: id, image, name: data.name.clone(), reboot: false };
                let action = state.begin_on_instance(config, id, &zone, "snapshot", work);
                state.own.images.insert(image, ImageData { id: image, ..data });
                Done::by(image, [action.id])
            }))
        }
        // The data lie in an image already, which is then this one's as well; so it is not copied again.
        Content::Image(id) => {
            if state.own.images.contains_key(&id) || state.images.get(&id).is_none_or(Image::public) {
                return Err(Refusal::not_implemented("images from a disk that no instance had"));
            }
            Ok(Accepted::own("insert", target, move |state, _| {
                state.own.images.insert(id, ImageData { id, ..data });
                Done::at_once(id)
            }))
        }
    }
}

async fn delete(Axum(cloud): Axum<Cloud>, call: Call) -> Result<Json<Value>> {
    let check = |state: &State, _, image: &ImageData| match status(state, image) {
        "PENDING" => Err(Refusal::not_ready(full_path::<ImageData>("", &image.name))),
        _ => Ok(()),
    };
    let after = |state: &mut State, _| {
        drop_unused_images(state);
        Some(Tell::Images)
    };
    remove::<ImageData>(&cloud, &call, check, after).await
}

async fn deprecate(Axum(cloud): Axum<Cloud>, call: Call, Body(sent): Body<Value>) -> Result<Json<Value>> {
    let deprecated = match sent["state"].as_str() {
        None | Some("ACTIVE") => None,
        Some("DEPRECATED" | "OBSOLETE" | "DELETED") => Some(sent.clone()),
        Some(other) => {
            return Err(Refusal::invalid("state", other, "Must be ACTIVE, DEPRECATED, OBSOLETE or DELETED."));
        }
    };
    let plan = |_: &ImageData| Ok(|image: &mut ImageData| image.deprecated = deprecated);
    describe(&cloud, &call, "deprecate", plan).await
}
