//! Making an instance.

use std::collections::BTreeSet;

use axum::{Json, Router, extract::State as Axum, routing::post};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    access_config::{INTERFACE, SentAccess},
    call::{Body, Call},
    calls::all_path,
    catalogue,
    change::{Accepted, Done},
    disk::{self, in_use},
    error::{Refusal, Result},
    image::{Source, source},
    labels::{Labels, Metadata, SentMetadata, SentTags, check_labels, check_tags},
    model::{Access, Content, Disk, Instance},
    operation::Failure,
    public_images,
    reference::{Reference, X86, check_name, differs},
    resource::{check_new, find, full_path, path},
};
use crate::{Cloud, State};
use remint_sandbox_cloud::{
    Config, NewInstances,
    catalogue::Size,
    now,
    state::{Image, Work},
};

const USER_DATA: &str = "user-data";
const NO_CLOUD_INIT: &str = "The images of debian-cloud have no cloud-init: at Google the call is accepted, and the instance \
                             ignores its user data. The sandbox refuses it, so that this shows. Use the family \
                             ubuntu-2404-lts-amd64 of ubuntu-os-cloud.";

pub(super) fn routes() -> Router<Cloud> {
    Router::new().route(&all_path::<Instance>(), post(insert))
}

/// The body of `instances.insert`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Insert {
    name: String,
    description: String,
    machine_type: String,
    disks: Vec<AttachedDisk>,
    network_interfaces: Vec<Nic>,
    labels: Labels,
    metadata: SentMetadata,
    tags: SentTags,
    service_accounts: Vec<ServiceAccount>,
    scheduling: Scheduling,
    reservation_affinity: ReservationAffinity,
    can_ip_forward: bool,
    deletion_protection: bool,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ServiceAccount {
    email: String,
    scopes: Vec<String>,
}

/// What is kept and shown; nothing moves or ends an instance here.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Scheduling {
    #[serde(skip_serializing_if = "Option::is_none")]
    on_host_maintenance: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    automatic_restart: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    preemptible: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provisioning_model: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ReservationAffinity {
    consume_reservation_type: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct AttachedDisk {
    boot: bool,
    auto_delete: bool,
    device_name: Option<String>,
    source: Option<String>,
    initialize_params: Option<InitializeParams>,
    disk_size_gb: Option<u64>,
    r#type: Option<String>,
    mode: Option<String>,
    interface: Option<String>,
    architecture: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct InitializeParams {
    disk_name: Option<String>,
    disk_size_gb: Option<u64>,
    disk_type: Option<String>,
    source_image: Option<String>,
    source_snapshot: Option<String>,
    description: String,
    labels: Labels,
    architecture: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Nic {
    name: Option<String>,
    stack_type: Option<String>,
    network: Option<String>,
    subnetwork: Option<String>,
    access_configs: Vec<SentAccess>,
}

/// An instance that was found to be right.
struct New {
    name: String,
    zone: String,
    size: &'static Size,
    image: Image,
    disk: NewDisk,
    user_data: Option<String>,
    ssh_keys: Vec<String>,
    instance: Instance,
}

/// The disk that it boots from.
enum NewDisk {
    /// One that is made with it. Its id and content are filled in then.
    Made(Disk),
    /// One that there is, and its size in GiB.
    Existing(u64, u64),
}

async fn insert(Axum(cloud): Axum<Cloud>, call: Call, Body(sent): Body<Insert>) -> Result<Json<Value>> {
    for source in ["sourceInstanceTemplate", "sourceMachineImage"] {
        if call.get(source).is_some() {
            return Err(Refusal::not_implemented(format_args!("instances from a {source}")));
        }
    }
    cloud.refresh_images().await;
    call.mutate(&cloud, |state, config| plan(state, config, call.names().0, sent)).await
}

fn plan(state: &State, config: &Config, zone: &str, sent: Insert) -> Result<Accepted> {
    let new = check(state, zone, sent)?;
    let target = path::<Instance>(zone, &new.name);
    let limit = config.limits.instances;
    if state.instances.len() >= limit {
        return Ok(Accepted::fails("insert", target, Failure::quota("INSTANCES", limit, catalogue::region_of(zone))));
    }
    Ok(Accepted::engine("insert", target, move |state, config| make(state, config, new)))
}

fn check(state: &State, zone: &str, sent: Insert) -> Result<New> {
    check_new::<Instance>(state, zone, &sent.name)?;
    Refusal::unless_had([
        (sent.disks.len() > 1, "disks next to the boot disk"),
        (sent.network_interfaces.len() > 1, "more than one network interface"),
        (differs(&sent.reservation_affinity.consume_reservation_type, "ANY_RESERVATION"), "reservations"),
    ])?;
    let size = machine_type(&sent.machine_type, zone)?;
    check_labels(&sent.labels)?;
    check_tags(&sent.tags.items)?;
    let metadata = Metadata::read(&sent.metadata)?;
    let access = network(state, zone, sent.network_interfaces.first())?;
    let boot = sent.disks.into_iter().next().ok_or_else(|| Refusal::required("resource.disks"))?;
    if !boot.boot {
        return Err(Refusal::invalid(
            "resource.disks",
            "",
            "Boot disk must be the first disk attached to the instance.",
        ));
    }
    let (image, disk) = boot_disk(state, zone, &sent.name, &boot)?;
    if metadata.get(USER_DATA).is_some() && ignores_user_data(state, &image, &disk) {
        return Err(Refusal::invalid("resource.metadata.items", USER_DATA, NO_CLOUD_INIT));
    }
    // All are root's.
    let logins = state.own.project_metadata.login_lines().chain(metadata.login_lines());
    let ssh_keys = logins.map(|(_, key)| key.to_owned()).collect();
    let device_name =
        boot.device_name.filter(|name| !name.is_empty()).unwrap_or_else(|| "persistent-disk-0".to_owned());
    Ok(New {
        zone: zone.to_owned(),
        size,
        image,
        disk,
        user_data: metadata.get(USER_DATA).map(str::to_owned),
        ssh_keys,
        instance: Instance {
            description: sent.description,
            labels: sent.labels,
            metadata,
            tags: sent.tags.items,
            access,
            service_accounts: sent.service_accounts.iter().map(|account| json!(account)).collect(),
            scheduling: json!(sent.scheduling),
            disk: 0,
            device_name,
            auto_delete: boot.auto_delete,
            deletion_protection: sent.deletion_protection,
            can_ip_forward: sent.can_ip_forward,
            started_at: Some(now()),
            stopped_at: None,
        },
        name: sent.name,
    })
}

fn machine_type(text: &str, zone: &str) -> Result<&'static Size> {
    const FIELD: &str = "resource.machineType";
    if text.is_empty() {
        return Err(Refusal::required(FIELD));
    }
    match Reference::parse(text).zonal("machineTypes", zone) {
        Some((found, name)) if found == zone => catalogue::machine_type(name).ok_or_else(|| {
            Refusal::invalid(
                FIELD,
                text,
                format_args!("Machine type with name '{name}' does not exist in zone '{zone}'."),
            )
        }),
        Some(_) => Err(Refusal::invalid(FIELD, text, "The machine type must be in the instance's zone.")),
        None => Err(Refusal::invalid(FIELD, text, "The URL is malformed.")),
    }
}

fn network(state: &State, zone: &str, sent: Option<&Nic>) -> Result<Option<Access>> {
    let sent = sent.ok_or_else(|| Refusal::required("resource.networkInterfaces"))?;
    let bad = |field: &str, text: &str| {
        Refusal::invalid(
            &format!("resource.networkInterfaces[0].{field}"),
            text,
            "The referenced network resource cannot be found.",
        )
    };
    if let Some(text) = sent.network.as_deref().filter(|text| !text.is_empty())
        && !matches!(*Reference::parse(text).path, ["global", "networks", "default"] | ["default"])
    {
        return Err(bad("network", text));
    }
    if let Some(text) = sent.subnetwork.as_deref().filter(|text| !text.is_empty())
        && Reference::parse(text).regional("subnetworks", catalogue::region_of(zone)) != Some("default")
    {
        return Err(bad("subnetwork", text));
    }
    Refusal::unless_had([
        (differs(&sent.name, INTERFACE), "network interfaces with a name of one's choice"),
        (differs(&sent.stack_type, "IPV4_ONLY"), "IPv6"),
    ])?;
    if sent.access_configs.len() > 1 {
        return Err(Refusal::invalid(
            "accessConfigs",
            sent.access_configs.len(),
            "At most one access config currently supported.",
        ));
    }
    sent.access_configs.first().map(|access| access.read(state, zone)).transpose()
}

/// The image that the disk begins with, and the disk.
fn boot_disk(state: &State, zone: &str, instance: &str, sent: &AttachedDisk) -> Result<(Image, NewDisk)> {
    const FIELD: &str = "resource.disks[0]";
    let params = sent.initialize_params.as_ref();
    let architecture = params.map_or(&None, |params| &params.architecture);
    Refusal::unless_had([
        (differs(&sent.r#type, "PERSISTENT"), "disks other than persistent ones"),
        (differs(&sent.mode, "READ_WRITE"), "disks that are only read"),
        (differs(&sent.interface, "SCSI"), "interfaces of disks other than SCSI"),
        (differs(&sent.architecture, X86) || differs(architecture, X86), "architectures other than X86_64"),
    ])?;
    match (&sent.source, params) {
        (Some(source), None) => {
            let (found, name) = Reference::parse(source)
                .zonal("disks", zone)
                .ok_or_else(|| Refusal::invalid(&format!("{FIELD}.source"), source, "The URL is malformed."))?;
            let (id, disk) = find::<Disk>(state, found, name)?;
            match disk.content {
                Content::Image(image) if disk.zone == zone => {
                    let not_ready = || Refusal::not_ready(full_path::<Disk>(zone, name));
                    let image = state.images.get(&image).ok_or_else(not_ready)?;
                    Ok((image.clone(), NewDisk::Existing(id, disk.size)))
                }
                Content::Image(_) => Err(Refusal::invalid(
                    &format!("{FIELD}.source"),
                    source,
                    "The disk must be in the instance's zone.",
                )),
                Content::Machine(user) => Err(in_use(state, disk, user)),
            }
        }
        (None, Some(params)) => {
            Refusal::unless_had([(params.source_snapshot.is_some(), "disks from snapshots")])?;
            let field = format!("{FIELD}.initializeParams.sourceImage");
            let wanted = params.source_image.as_deref().ok_or_else(|| Refusal::required(&field))?;
            let Source { image, named } = source(state, &field, wanted)?;
            let name = params.disk_name.clone().unwrap_or_else(|| instance.to_owned());
            check_name(&format!("{FIELD}.initializeParams.diskName"), &name)?;
            if find::<Disk>(state, zone, &name).is_ok() {
                return Err(Refusal::already_exists(full_path::<Disk>(zone, &name)));
            }
            check_labels(&params.labels)?;
            let size = disk::size(&image, params.disk_size_gb.or(sent.disk_size_gb))?;
            let disk = Disk {
                id: 0,
                name,
                zone: zone.to_owned(),
                size,
                kind: disk::kind(params.disk_type.as_deref(), zone)?,
                description: params.description.clone(),
                labels: params.labels.clone(),
                source: Some(named),
                content: Content::Machine(0),
                created_at: now(),
            };
            Ok((image, NewDisk::Made(disk)))
        }
        (Some(_), Some(_)) => {
            Err(Refusal::invalid(FIELD, "", "Only one of source and initializeParams may be specified."))
        }
        (None, None) => Err(Refusal::invalid(FIELD, "", "Either source or initializeParams must be specified.")),
    }
}

/// Whether a disk begins with a public image that has no cloud-init at Google. What an instance has been started on since may
/// have got one: images and disks of the project's own are not looked into.
fn ignores_user_data(state: &State, image: &Image, disk: &NewDisk) -> bool {
    let disk = match disk {
        NewDisk::Made(disk) => Some(disk),
        NewDisk::Existing(id, _) => state.own.disks.get(id),
    };
    let source = disk.and_then(|disk| disk.source.as_ref());
    image.public() && source.is_some_and(|(path, _)| public_images::lacks_cloud_init(path))
}

fn make(state: &mut State, config: &Config, new: New) -> Done {
    let New { name, zone, size, image, disk, user_data, ssh_keys, mut instance } = new;
    let gib = match &disk {
        NewDisk::Made(disk) => disk.size,
        NewDisk::Existing(_, size) => *size,
    };
    let region = zone.clone();
    let tags = BTreeSet::new();
    let machines = NewInstances {
        names: vec![name],
        region,
        size,
        disk: gib,
        image,
        ssh_keys,
        tags,
        user_data,
        features: Default::default(),
    };
    let made = state.make_instances(config, &machines);
    let Some((machine, action)) = made.into_iter().next() else { return Done::at_once(0) };
    instance.disk = match disk {
        NewDisk::Made(disk) => {
            let id = state.next_id();
            state.own.disks.insert(id, Disk { id, content: Content::Machine(machine.id), ..disk });
            id
        }
        NewDisk::Existing(id, _) => {
            // The machine gets a copy; what the disk held is not needed any more once there is one.
            if let Some(disk) = state.own.disks.get_mut(&id) {
                disk.content = Content::Machine(machine.id);
            }
            id
        }
    };
    let nat_ip = instance.access.as_ref().and_then(|access| access.nat_ip);
    let forwarding =
        nat_ip.map(|ip| state.begin_on_ip(config, ip, "assign_ip", Work::Assign { ip, instance: machine.id }).id);
    state.own.instances.insert(machine.id, instance);
    Done::by(machine.id, [action.id].into_iter().chain(forwarding))
}
