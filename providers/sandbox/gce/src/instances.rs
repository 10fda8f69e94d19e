//! Instances: the routes, and how an instance is shown.

use axum::{
    Json, Router,
    extract::{Path, State as Axum},
    routing::{get, post},
};
use serde_json::{Value, json};

use super::{
    access,
    call::{Accepted, Body, Call, Done, time},
    catalogue,
    error::{Refusal, Result},
    labels::{Metadata, SentMetadata, SetLabels, check_label_fingerprint, check_labels, fingerprint},
    launch, power,
    reference::full,
    state::{Instance, machine_of},
};
use crate::{Cloud, State};
use remint_sandbox_cloud::state::{Instance as Machine, Status, Work};

pub(super) fn routes() -> Router<Cloud> {
    const LIST: &str = "/compute/v1/projects/{project}/zones/{zone}/instances";
    let one = |verb: &str| format!("{LIST}/{{instance}}{verb}");
    Router::new()
        .route(LIST, get(list).post(launch::insert))
        .route("/compute/v1/projects/{project}/aggregated/instances", get(aggregated))
        .route(&one(""), get(show).delete(power::delete))
        .route(&one("/start"), post(power::start))
        .route(&one("/stop"), post(power::stop))
        .route(&one("/reset"), post(power::reset))
        .route(&one("/setLabels"), post(set_labels))
        .route(&one("/setMetadata"), post(set_metadata))
        .route(&one("/setTags"), post(set_tags))
        .route(&one("/setDeletionProtection"), post(set_deletion_protection))
        .route(&one("/addAccessConfig"), post(access::add))
        .route(&one("/deleteAccessConfig"), post(access::delete))
        .route(&one("/serialPort"), get(serial_port))
}

/// The names in an instance's path.
pub(super) type Named = Path<(String, String, String)>;

/// An instance's path below the project.
pub(super) fn path(zone: &str, name: &str) -> String {
    format!("zones/{zone}/instances/{name}")
}

/// The machine of an instance, and what is known of it beside.
pub(super) fn find<'a>(state: &'a State, zone: &str, name: &str) -> Result<(&'a Machine, &'a Instance)> {
    let machine = machine_of(state, zone, name);
    let found = machine.and_then(|machine| Some((machine, state.own.instances.get(&machine.id)?)));
    found.ok_or_else(|| Refusal::not_found(full(&path(zone, name))))
}

/// The same, where nothing runs on it.
pub(super) fn find_ready<'a>(state: &'a State, zone: &str, name: &str) -> Result<(&'a Machine, &'a Instance)> {
    let found = find(state, zone, name)?;
    if found.0.pending.is_some() { Err(Refusal::not_ready(full(&path(zone, name)))) } else { Ok(found) }
}

/// The status, in the API's words.
pub(super) fn status(state: &State, machine: &Machine) -> &'static str {
    let action = machine.pending.and_then(|id| state.actions.get(&id)).and_then(|action| action.pending.as_ref());
    match (action.map(|pending| &pending.work), machine.status) {
        (Some(Work::Destroy { .. } | Work::Keep { .. } | Work::Halt { .. }), _) => "STOPPING",
        (Some(Work::PowerOn { .. }), _) => "STAGING",
        (_, Status::New) if machine.networked => "STAGING",
        (_, Status::New) => "PROVISIONING",
        (_, Status::Active) => "RUNNING",
        (_, Status::Off) => "TERMINATED",
    }
}

/// An instance, as the API shows it.
fn view(call: &Call, state: &State, machine: &Machine, instance: &Instance) -> Value {
    let zone = &machine.region;
    let region = catalogue::region_of(zone);
    let link = |below: String| call.link(&below);
    let disk = state.own.disks.get(&instance.disk);
    let mut view = json!({
        "kind": "compute#instance",
        "id": machine.id.to_string(),
        "creationTimestamp": time(machine.created_at),
        "name": machine.name,
        "zone": link(format!("zones/{zone}")),
        "machineType": link(format!("zones/{zone}/machineTypes/{}", machine.size)),
        "status": status(state, machine),
        "cpuPlatform": "Intel Broadwell",
        "canIpForward": instance.can_ip_forward,
        "networkInterfaces": [access::interface(call, machine, instance, region)],
        "disks": [{
            "kind": "compute#attachedDisk",
            "type": "PERSISTENT",
            "mode": "READ_WRITE",
            "source": link(format!("zones/{zone}/disks/{}", disk.map_or("", |disk| disk.name.as_str()))),
            "deviceName": instance.device_name,
            "index": 0,
            "boot": true,
            "autoDelete": instance.auto_delete,
            "interface": "SCSI",
            "diskSizeGb": machine.disk.to_string(),
            "architecture": "X86_64",
        }],
        "metadata": instance.metadata.view(),
        "scheduling": scheduling(instance),
        "labelFingerprint": fingerprint(&instance.labels),
        "fingerprint": fingerprint(&(machine.id, &machine.size, &instance.labels, instance.metadata.fingerprint())),
        "tags": tags(&instance.tags),
        "startRestricted": false,
        "deletionProtection": instance.deletion_protection,
        "selfLink": link(path(zone, &machine.name)),
    });
    let mut put = |name: &str, value: Value| view[name] = value;
    if !instance.description.is_empty() {
        put("description", instance.description.as_str().into());
    }
    if !instance.labels.is_empty() {
        put("labels", json!(instance.labels));
    }
    if !instance.service_accounts.is_empty() {
        put("serviceAccounts", instance.service_accounts.clone().into());
    }
    if let Some(at) = instance.started_at.filter(|_| machine.status != Status::New) {
        put("lastStartTimestamp", time(at).into());
    }
    if let Some(at) = instance.stopped_at.filter(|_| machine.status == Status::Off) {
        put("lastStopTimestamp", time(at).into());
    }
    view
}

fn scheduling(instance: &Instance) -> Value {
    let mut view = json!({
        "onHostMaintenance": "MIGRATE", "automaticRestart": true, "preemptible": false, "provisioningModel": "STANDARD",
    });
    if let (Some(view), Some(sent)) = (view.as_object_mut(), instance.scheduling.as_object()) {
        view.extend(sent.clone());
    }
    view
}

fn tags(tags: &[String]) -> Value {
    let mut view = json!({ "fingerprint": fingerprint(&tags) });
    if !tags.is_empty() {
        view["items"] = json!(tags);
    }
    view
}

fn views(call: &Call, state: &State, zone: Option<&str>) -> Vec<Value> {
    let machines = state.instances.values().filter(|machine| zone.is_none_or(|zone| machine.region == zone));
    let known = machines.filter_map(|machine| Some((machine, state.own.instances.get(&machine.id)?)));
    known.map(|(machine, instance)| view(call, state, machine, instance)).collect()
}

async fn list(Axum(cloud): Axum<Cloud>, call: Call, Path((_, zone)): Path<(String, String)>) -> Result<Json<Value>> {
    let items = cloud.read(|state| views(&call, state, Some(&zone)));
    call.list("compute#instanceList", &format!("zones/{zone}/instances"), items)
}

async fn aggregated(Axum(cloud): Axum<Cloud>, call: Call) -> Result<Json<Value>> {
    let items = cloud.read(|state| views(&call, state, None));
    call.aggregated("compute#instanceAggregatedList", "instances", items)
}

async fn show(Axum(cloud): Axum<Cloud>, call: Call, Path((_, zone, name)): Named) -> Result<Json<Value>> {
    cloud.read(|state| {
        let (machine, instance) = find(state, &zone, &name)?;
        Ok(Json(view(&call, state, machine, instance)))
    })
}

async fn serial_port(Axum(cloud): Axum<Cloud>, call: Call, Path((_, zone, name)): Named) -> Result<Json<Value>> {
    let id = cloud.read(|state| find(state, &zone, &name).map(|(machine, _)| machine.id))?;
    let port = call.get("port").unwrap_or("1");
    if !matches!(port, "1" | "2" | "3" | "4") {
        return Err(Refusal::invalid("port", port, "The port must be between 1 and 4."));
    }
    let text = if port == "1" {
        // A machine that is not made yet has written nothing.
        cloud.hypervisor().console(id).await.unwrap_or_default()
    } else {
        String::new()
    };
    let start = call.get("start").and_then(|start| start.parse::<usize>().ok()).unwrap_or(0).min(text.len());
    let start = text.floor_char_boundary(start);
    Ok(Json(json!({
        "kind": "compute#serialPortOutput",
        "contents": text.get(start..).unwrap_or_default(),
        "start": start.to_string(),
        "next": text.len().to_string(),
        "selfLink": call.link(&format!("{}/serialPort", path(&zone, &name))),
    })))
}

/// A change of what is said of an instance, which needs nothing of its machine.
async fn describe(
    cloud: &Cloud,
    call: &Call,
    verb: &'static str,
    (zone, name): (String, String),
    check: impl FnOnce(&Instance) -> Result<()> + Send,
    change: impl FnOnce(&mut Instance) + Send + 'static,
) -> Result<Json<Value>> {
    call.mutate(cloud, |state, _| {
        let (machine, instance) = find(state, &zone, &name)?;
        check(instance)?;
        let (id, name) = (machine.id, &machine.name);
        Ok(Accepted::own(verb, path(&zone, name), move |state, _| {
            if let Some(instance) = state.own.instances.get_mut(&id) {
                change(instance);
            }
            Done::at_once(id)
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
    let SetLabels { labels, label_fingerprint } = sent;
    let check = |instance: &Instance| check_label_fingerprint(&instance.labels, label_fingerprint.as_deref());
    describe(&cloud, &call, "setLabels", (zone, name), check, |instance| instance.labels = labels).await
}

async fn set_metadata(
    Axum(cloud): Axum<Cloud>,
    call: Call,
    Path((_, zone, name)): Named,
    Body(sent): Body<SentMetadata>,
) -> Result<Json<Value>> {
    let metadata = Metadata::read(&sent)?;
    launch::check_metadata(&metadata)?;
    let check = |instance: &Instance| instance.metadata.check_fingerprint(sent.fingerprint.as_deref());
    describe(&cloud, &call, "setMetadata", (zone, name), check, |instance| instance.metadata = metadata).await
}

async fn set_tags(
    Axum(cloud): Axum<Cloud>,
    call: Call,
    Path((_, zone, name)): Named,
    Body(sent): Body<launch::SentTags>,
) -> Result<Json<Value>> {
    launch::check_tags(&sent.items)?;
    let launch::SentTags { items, fingerprint: sent_fingerprint } = sent;
    let check = |instance: &Instance| {
        if sent_fingerprint == Some(fingerprint(&instance.tags)) {
            return Ok(());
        }
        Err(Refusal::condition("Supplied fingerprint does not match current tags fingerprint."))
    };
    describe(&cloud, &call, "setTags", (zone, name), check, |instance| instance.tags = items).await
}

async fn set_deletion_protection(
    Axum(cloud): Axum<Cloud>,
    call: Call,
    Path((_, zone, name)): Named,
) -> Result<Json<Value>> {
    // Protection is what a call asks for that does not say otherwise.
    let on = call.get("deletionProtection") != Some("false");
    let verb = "setDeletionProtection";
    describe(&cloud, &call, verb, (zone, name), |_| Ok(()), move |instance| instance.deletion_protection = on).await
}
