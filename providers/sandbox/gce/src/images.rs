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
    call::{Accepted, Body, Call, Done, Tell, time},
    disks,
    error::{Refusal, Result},
    labels::{Labels, SetLabels, check_label_fingerprint, check_labels, fingerprint},
    public_images::{self, PublicImage},
    reference::{Reference, check_name, full},
    state::{Content, ImageData},
};
use crate::{Cloud, State};
use remint_sandbox_cloud::{
    now,
    state::{Image, Status, Work},
};

/// The smallest disk that an image of the service's has, in GiB.
const LEAST: u64 = 10;

pub(super) fn routes() -> Router<Cloud> {
    const LIST: &str = "/compute/v1/projects/{project}/global/images";
    Router::new()
        .route(LIST, get(list).post(insert))
        .route(&format!("{LIST}/family/{{family}}"), get(show_family))
        .route(&format!("{LIST}/{{image}}"), get(show).delete(delete))
        .route(&format!("{LIST}/{{image}}/setLabels"), post(set_labels))
        .route(&format!("{LIST}/{{image}}/deprecate"), post(deprecate))
}

type Named = Path<(String, String)>;

/// An image's path below its project.
fn path(name: &str) -> String {
    format!("global/images/{name}")
}

fn find<'a>(state: &'a State, name: &str) -> Result<&'a ImageData> {
    // The API takes an image's number wherever it takes its name, which never begins with a digit.
    let number = name.parse::<u64>().ok();
    let named = |image: &&ImageData| number.map_or(image.name == name, |number| image.id == number);
    let found = state.own.images.values().find(named);
    found.ok_or_else(|| Refusal::not_found(full(&path(name))))
}

/// The newest image of a family that can be used.
fn newest<'a>(state: &'a State, family: &str) -> Result<&'a ImageData> {
    let usable = |image: &&ImageData| {
        image.family.as_deref() == Some(family) && image.deprecated.is_none() && status(state, image) == "READY"
    };
    let newest = state.own.images.values().filter(usable).max_by_key(|image| (image.created_at, image.id));
    newest.ok_or_else(|| Refusal::not_found(full(&path(&format!("family/{family}")))))
}

fn status(state: &State, image: &ImageData) -> &'static str {
    match state.images.get(&image.id) {
        Some(_) => "READY",
        None if image.failed => "FAILED",
        None => "PENDING",
    }
}

/// The size of the disk in an image, in GiB.
pub(super) fn disk_size(image: &Image) -> u64 {
    if image.public() { image.min_disk_size.max(LEAST) } else { image.min_disk_size }
}

/// What a disk is to be made from.
pub(super) struct Source {
    /// The engine's image.
    pub(super) image: Image,
    /// The path of the image that was asked for, from its project's name on, and its number.
    pub(super) named: (String, u64),
}

/// The image that a disk is to be made from.
pub(super) fn source(state: &State, field: &str, text: &str) -> Result<Source> {
    let reference = Reference::parse(text);
    let project = reference.project;
    let (is_family, name) = reference.image().ok_or_else(|| Refusal::invalid(field, text, "The URL is malformed."))?;
    let unknown = || {
        let at =
            format!("projects/{project}/{}", path(&if is_family { format!("family/{name}") } else { name.to_owned() }));
        Refusal::not_found(at)
    };
    if project != PROJECT {
        let public = public_images::find(state, project, &reference).ok_or_else(unknown)?;
        let named = (format!("{project}/{}", path(&public.name)), public.id);
        return Ok(Source { image: public.image.clone(), named });
    }
    let data = if is_family { newest(state, name)? } else { find(state, name)? };
    let image = state.images.get(&data.id).ok_or_else(|| Refusal::not_ready(full(&path(name))))?;
    Ok(Source { image: image.clone(), named: (format!("{project}/{}", path(&data.name)), data.id) })
}

fn view(call: &Call, state: &State, data: &ImageData) -> Value {
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
        "selfLink": call.link(&path(&data.name)),
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
        "selfLink": call.link_in(public.project, &path(&public.name)),
        "labelFingerprint": fingerprint(&Labels::new()),
        "storageLocations": ["us"],
        "architecture": "X86_64",
    })
}

async fn list(Axum(cloud): Axum<Cloud>, call: Call, Path(project): Path<String>) -> Result<Json<Value>> {
    cloud.refresh_images().await;
    let items = cloud.read(|state| {
        if project == PROJECT {
            return state.own.images.values().map(|image| view(&call, state, image)).collect();
        }
        let public = public_images::all(state);
        public.iter().filter(|public| public.project == project).map(|public| public_view(&call, public)).collect()
    });
    call.list_in(&project, "compute#imageList", "global/images", items)
}

async fn show(Axum(cloud): Axum<Cloud>, call: Call, Path((project, name)): Named) -> Result<Json<Value>> {
    one(&cloud, &call, &project, &name, false).await
}

async fn show_family(Axum(cloud): Axum<Cloud>, call: Call, Path((project, family)): Named) -> Result<Json<Value>> {
    one(&cloud, &call, &project, &family, true).await
}

async fn one(cloud: &Cloud, call: &Call, project: &str, name: &str, family: bool) -> Result<Json<Value>> {
    if project == PROJECT {
        return cloud.read(|state| {
            let image = if family { newest(state, name)? } else { find(state, name)? };
            Ok(Json(view(call, state, image)))
        });
    }
    cloud.refresh_images().await;
    let below = path(&if family { format!("family/{name}") } else { name.to_owned() });
    let text = format!("projects/{project}/{below}");
    let found = cloud.read(|state| {
        public_images::find(state, project, &Reference::parse(&text)).map(|public| public_view(call, &public))
    });
    found.map(Json).ok_or_else(|| Refusal::not_found(&text))
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
    raw_disk: Option<Value>,
}

async fn insert(
    Axum(cloud): Axum<Cloud>,
    call: Call,
    Path(_): Path<String>,
    Body(sent): Body<Insert>,
) -> Result<Json<Value>> {
    let force = call.is("forceCreate");
    call.mutate(&cloud, |state, _| plan(state, sent, force)).await
}

fn plan(state: &State, sent: Insert, force: bool) -> Result<Accepted> {
    check_name("resource.name", &sent.name)?;
    let family = sent.family.filter(|family| !family.is_empty());
    family.as_deref().map_or(Ok(()), |family| check_name("resource.family", family))?;
    check_labels(&sent.labels)?;
    if find(state, &sent.name).is_ok() {
        return Err(Refusal::already_exists(full(&path(&sent.name))));
    }
    if sent.source_image.is_some() || sent.source_snapshot.is_some() || sent.raw_disk.is_some() {
        return Err(Refusal::not_implemented("images from anything but a disk"));
    }
    let field = "resource.sourceDisk";
    let source = sent.source_disk.as_deref().ok_or_else(|| Refusal::required(field))?;
    let (zone, name) = match *Reference::parse(source).path {
        ["zones", zone, "disks", name] => (zone, name),
        _ => return Err(Refusal::invalid(field, source, "The URL is malformed.")),
    };
    let disk = disks::find(state, zone, name)?;
    let data = ImageData {
        id: 0,
        family,
        description: sent.description,
        labels: sent.labels,
        source: (disks::path(zone, name), disk.id),
        disk_size: disk.size,
        created_at: now(),
        deprecated: None,
        failed: false,
        name: sent.name,
    };
    let target = path(&data.name);
    match disk.content {
        Content::Machine(id) => {
            let machine = state.instances.get(&id).ok_or_else(|| Refusal::not_found(full(&disks::path(zone, name))))?;
            if machine.status == Status::Active && !force {
                return Err(disks::in_use(state, disk, id));
            }
            if machine.pending.is_some() {
                return Err(Refusal::not_ready(full(&disks::path(zone, name))));
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

async fn delete(Axum(cloud): Axum<Cloud>, call: Call, Path((_, name)): Named) -> Result<Json<Value>> {
    call.mutate(&cloud, |state, _| {
        let image = find(state, &name)?;
        if status(state, image) == "PENDING" {
            return Err(Refusal::not_ready(full(&path(&name))));
        }
        let id = image.id;
        Ok(Accepted::own("delete", path(&name), move |state, _| {
            state.own.images.remove(&id);
            disks::drop_unused_images(state);
            Done::at_once(id).tell(Tell::Images)
        }))
    })
    .await
}

async fn set_labels(
    Axum(cloud): Axum<Cloud>,
    call: Call,
    Path((_, name)): Named,
    Body(sent): Body<SetLabels>,
) -> Result<Json<Value>> {
    check_labels(&sent.labels)?;
    call.mutate(&cloud, |state, _| {
        let image = find(state, &name)?;
        check_label_fingerprint(&image.labels, sent.label_fingerprint.as_deref())?;
        let id = image.id;
        Ok(Accepted::own("setLabels", path(&name), move |state, _| {
            if let Some(image) = state.own.images.get_mut(&id) {
                image.labels = sent.labels;
            }
            Done::at_once(id)
        }))
    })
    .await
}

async fn deprecate(
    Axum(cloud): Axum<Cloud>,
    call: Call,
    Path((_, name)): Named,
    Body(sent): Body<Value>,
) -> Result<Json<Value>> {
    let deprecated = match sent["state"].as_str() {
        None | Some("ACTIVE") => None,
        Some("DEPRECATED" | "OBSOLETE" | "DELETED") => Some(sent.clone()),
        Some(other) => {
            return Err(Refusal::invalid("state", other, "Must be ACTIVE, DEPRECATED, OBSOLETE or DELETED."));
        }
    };
    call.mutate(&cloud, |state, _| {
        let id = find(state, &name)?.id;
        Ok(Accepted::own("deprecate", path(&name), move |state, _| {
            if let Some(image) = state.own.images.get_mut(&id) {
                image.deprecated = deprecated;
            }
            Done::at_once(id)
        }))
    })
    .await
}
