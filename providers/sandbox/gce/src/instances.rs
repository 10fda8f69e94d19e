//! Instances as the API shows them, and the changes of what is said of one.

use axum::{
    Json, Router,
    extract::State as Axum,
    routing::{get, post},
};
use serde_json::{Value, json};

use super::{
    access_config::INTERFACE,
    call::{Body, Call, time},
    calls::{Shown, describe, one_path, reads, set_labels},
    catalogue,
    error::{Refusal, Result},
    instance::{find_instance, internal_address},
    labels::{Metadata, SentMetadata, SentTags, check_tags, fingerprint},
    model::{Disk, Instance},
    resource::{path, path_of},
};
use crate::{Cloud, State};
use remint_sandbox_cloud::state::{Instance as Machine, Status, Work};

pub(super) fn routes() -> Router<Cloud> {
    let at = one_path::<Instance>;
    reads::<Instance>()
        .route(&at("/setLabels"), post(set_labels::<Instance>))
        .route(&at("/setMetadata"), post(set_metadata))
        .route(&at("/setTags"), post(set_tags))
        .route(&at("/setDeletionProtection"), post(set_deletion_protection))
        .route(&at("/serialPort"), get(serial_port))
}

impl Shown for Instance {
    /// Empty for one whose machine is gone.
    fn view(&self, id: u64, call: &Call, state: &State) -> Value {
        state.instances.get(&id).map(|machine| view(call, state, machine, self)).unwrap_or_default()
    }
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
    let link = |below: String| call.link(&below);
    let disk = state.own.disks.get(&instance.disk).map_or("", |disk| disk.name.as_str());
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
        "networkInterfaces": [interface(call, machine, instance)],
        "disks": [{
            "kind": "compute#attachedDisk",
            "type": "PERSISTENT",
            "mode": "READ_WRITE",
            "source": link(path::<Disk>(zone, disk)),
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
        "selfLink": link(path_of(state, machine.id, instance)),
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

/// The network interface, as the API shows it.
fn interface(call: &Call, machine: &Machine, instance: &Instance) -> Value {
    let region = catalogue::region_of(&machine.region);
    let mut view = json!({
        "kind": "compute#networkInterface",
        "name": INTERFACE,
        "network": call.link("global/networks/default"),
        "subnetwork": call.link(&format!("regions/{region}/subnetworks/default")),
        "stackType": "IPV4_ONLY",
    });
    if machine.networked {
        view["networkIP"] = internal_address(machine).to_string().into();
    }
    if let Some(access) = &instance.access {
        let mut config = json!({
            "kind": "compute#accessConfig", "type": "ONE_TO_ONE_NAT", "name": access.name, "networkTier": access.tier,
        });
        if machine.networked {
            config["natIP"] = access.nat_ip.unwrap_or(machine.address).to_string().into();
        }
        view["accessConfigs"] = json!([config]);
    }
    view["fingerprint"] = fingerprint(&(machine.id, &view)).into();
    view
}

async fn serial_port(Axum(cloud): Axum<Cloud>, call: Call) -> Result<Json<Value>> {
    let (zone, name) = call.names();
    let id = cloud.read(|state| find_instance(state, zone, name).map(|(machine, _)| machine.id))?;
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
        "selfLink": call.own_link(),
    })))
}

async fn set_metadata(Axum(cloud): Axum<Cloud>, call: Call, Body(sent): Body<SentMetadata>) -> Result<Json<Value>> {
    let metadata = Metadata::read(&sent)?;
    describe(&cloud, &call, "setMetadata", |instance: &Instance| {
        instance.metadata.check_fingerprint(sent.fingerprint.as_deref())?;
        Ok(|instance: &mut Instance| instance.metadata = metadata)
    })
    .await
}

async fn set_tags(Axum(cloud): Axum<Cloud>, call: Call, Body(sent): Body<SentTags>) -> Result<Json<Value>> {
    check_tags(&sent.items)?;
    describe(&cloud, &call, "setTags", |instance: &Instance| {
        if sent.fingerprint != Some(fingerprint(&instance.tags)) {
            return Err(Refusal::condition("Supplied fingerprint does not match current tags fingerprint."));
        }
        Ok(|instance: &mut Instance| instance.tags = sent.items)
    })
    .await
}

async fn set_deletion_protection(Axum(cloud): Axum<Cloud>, call: Call) -> Result<Json<Value>> {
    // Protection is what a call asks for that does not say otherwise.
    let on = call.flag("deletionProtection")?.unwrap_or(true);
    let plan = |_: &Instance| Ok(move |instance: &mut Instance| instance.deletion_protection = on);
    describe(&cloud, &call, "setDeletionProtection", plan).await
}
