//! Unmanaged instance groups of a zone: what backend services have as backends.

use std::collections::BTreeSet;

use axum::{Json, Router, extract::State as Axum, routing::post};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    balanced::{other_group, several_groups, user_of_group},
    call::{Body, Call, time},
    calls::{Shown, all_path, describe, one_path, reads, remove},
    catalogue,
    change::{Accepted, Done},
    error::{Refusal, Result},
    health_check,
    instance::find_instance,
    instances::status,
    labels::fingerprint,
    model::{Instance, InstanceGroup, NamedPort},
    reference::{Reference, check_name, full},
    resource::{check_new, find, full_path, path, path_of},
};
use crate::{Cloud, State};
use remint_sandbox_cloud::now;

pub(super) fn routes() -> Router<Cloud> {
    let at = one_path::<InstanceGroup>;
    reads::<InstanceGroup>()
        .route(&all_path::<InstanceGroup>(), post(insert))
        .route(&at(""), axum::routing::delete(delete))
        .route(&at("/addInstances"), post(add_instances))
        .route(&at("/removeInstances"), post(remove_instances))
        .route(&at("/listInstances"), post(list_instances))
        .route(&at("/setNamedPorts"), post(set_named_ports))
}

impl Shown for InstanceGroup {
    fn view(&self, _: u64, call: &Call, _: &State) -> Value {
        let group = self;
        let mut view = json!({
            "kind": "compute#instanceGroup",
            "id": group.id.to_string(),
            "creationTimestamp": time(group.created_at),
            "name": group.name,
            "description": group.description,
            "zone": call.link(&format!("zones/{}", group.zone)),
            "fingerprint": fingerprint(&group.named_ports),
            "size": group.instances.len(),
            "selfLink": call.link(&path::<Self>(&group.zone, &group.name)),
        });
        if !group.named_ports.is_empty() {
            view["namedPorts"] = json!(group.named_ports);
        }
        // The first instance brings its network with it.
        if !group.instances.is_empty() {
            let region = catalogue::region_of(&group.zone);
            view["network"] = call.link("global/networks/default").into();
            view["subnetwork"] = call.link(&format!("regions/{region}/subnetworks/default")).into();
        }
        view
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Insert {
    name: String,
    description: String,
    named_ports: Vec<SentPort>,
    network: Option<String>,
    subnetwork: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SentPort {
    name: String,
    port: Option<i64>,
}

fn named_ports(sent: &[SentPort]) -> Result<Vec<NamedPort>> {
    let read = |one: &SentPort| {
        check_name("namedPorts.name", &one.name)?;
        let number = one.port.ok_or_else(|| Refusal::required("namedPorts.port"))?;
        Ok(NamedPort { name: one.name.clone(), port: health_check::port("namedPorts.port", number)? })
    };
    sent.iter().map(read).collect()
}

async fn insert(Axum(cloud): Axum<Cloud>, call: Call, Body(sent): Body<Insert>) -> Result<Json<Value>> {
    let zone = call.names().0.to_owned();
    call.mutate(&cloud, |state, _| {
        check_new::<InstanceGroup>(state, &zone, &sent.name)?;
        let named_ports = named_ports(&sent.named_ports)?;
        for (field, text) in [("network", sent.network), ("subnetwork", sent.subnetwork)] {
            let text = text.unwrap_or_default();
            if !text.is_empty() && !text.ends_with("/default") {
                let why = format_args!("The referenced {field} resource cannot be found.");
                return Err(Refusal::invalid(&format!("resource.{field}"), text, why));
            }
        }
        Ok(Accepted::own("insert", path::<InstanceGroup>(&zone, &sent.name), move |state, _| {
            let id = state.next_id();
            let group = InstanceGroup {
                id,
                name: sent.name,
                zone,
                description: sent.description,
                named_ports,
                instances: BTreeSet::new(),
                left: BTreeSet::new(),
                created_at: now(),
            };
            state.own.instance_groups.insert(id, group);
            Done::at_once(id)
        }))
    })
    .await
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Instances {
    instances: Vec<InstanceReference>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct InstanceReference {
    instance: String,
}

/// The machines of the instances that a call names, which must be in the group's zone.
fn machines(state: &State, zone: &str, sent: &Instances) -> Result<Vec<u64>> {
    if sent.instances.is_empty() {
        return Err(Refusal::required("instances"));
    }
    let machine = |one: &InstanceReference| {
        let why = "The instance must be in the zone of the instance group.";
        match Reference::parse(&one.instance).zonal("instances", zone) {
            Some((found, name)) if found == zone => find_instance(state, zone, name).map(|(machine, _)| machine.id),
            _ => Err(Refusal::invalid("instances.instance", &one.instance, why)),
        }
    };
    sent.instances.iter().map(machine).collect()
}

/// The path of an instance, from `projects` on.
fn named(state: &State, machine: u64) -> String {
    let instance = state.own.instances.get(&machine);
    full(&instance.map(|instance| path_of::<Instance>(state, machine, instance)).unwrap_or_default())
}

async fn add_instances(Axum(cloud): Axum<Cloud>, call: Call, Body(sent): Body<Instances>) -> Result<Json<Value>> {
    let (zone, name) = call.names();
    call.mutate(&cloud, |state, _| {
        let (id, group) = find::<InstanceGroup>(state, zone, name)?;
        let machines = machines(state, zone, &sent)?;
        for machine in &machines {
            if group.instances.contains(machine) {
                let at = full_path::<InstanceGroup>(zone, &group.name);
                let message = format!("Resource '{}' is already a member of '{at}'.", named(state, *machine));
                return Err(Refusal::new(400, "memberAlreadyExists", message));
            }
            if user_of_group(state, id).is_some() && other_group(state, *machine, &[id].into()).is_some() {
                let message = several_groups(&named(state, *machine));
                return Err(Refusal::new(400, "instanceInMultipleLoadBalancedIgs", message));
            }
        }
        Ok(Accepted::own("compute.instanceGroups.addInstances", path_of(state, id, group), move |state, _| {
            if let Some(group) = state.own.instance_groups.get_mut(&id) {
                group.left.retain(|machine| !machines.contains(machine));
                group.instances.extend(machines);
            }
            Done::at_once(id)
        }))
    })
    .await
}

async fn remove_instances(Axum(cloud): Axum<Cloud>, call: Call, Body(sent): Body<Instances>) -> Result<Json<Value>> {
    let (zone, name) = call.names();
    call.mutate(&cloud, |state, _| {
        let (id, group) = find::<InstanceGroup>(state, zone, name)?;
        let machines = machines(state, zone, &sent)?;
        if let Some(machine) = machines.iter().find(|machine| !group.instances.contains(machine)) {
            let at = full_path::<InstanceGroup>(zone, &group.name);
            let message = format!("Resource '{}' is not a member of '{at}'.", named(state, *machine));
            return Err(Refusal::new(400, "memberNotFound", message));
        }
        Ok(Accepted::own("compute.instanceGroups.removeInstances", path_of(state, id, group), move |state, _| {
            if let Some(group) = state.own.instance_groups.get_mut(&id) {
                group.instances.retain(|machine| !machines.contains(machine));
                group.left.extend(machines);
            }
            Done::at_once(id)
        }))
    })
    .await
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ListInstances {
    instance_state: Option<String>,
}

async fn list_instances(Axum(cloud): Axum<Cloud>, call: Call, Body(sent): Body<ListInstances>) -> Result<Json<Value>> {
    let (zone, name) = call.names();
    let running = match sent.instance_state.as_deref() {
        None | Some("" | "ALL") => false,
        Some("RUNNING") => true,
        Some(other) => return Err(Refusal::invalid("instanceState", other, "Must be ALL or RUNNING.")),
    };
    let items = cloud.read(|state| -> Result<Vec<Value>> {
        let (_, group) = find::<InstanceGroup>(state, zone, name)?;
        let machines = group.instances.iter().filter_map(|id| state.instances.get(id));
        let shown = machines.filter_map(|machine| {
            let at = path_of::<Instance>(state, machine.id, state.own.instances.get(&machine.id)?);
            let mut view = json!({ "instance": call.link(&at), "status": status(state, machine) });
            if !group.named_ports.is_empty() {
                view["namedPorts"] = json!(group.named_ports);
            }
            Some(view)
        });
        Ok(shown.filter(|view| !running || view["status"] == "RUNNING").collect())
    })?;
    call.list("compute#instanceGroupsListInstances", items)
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SetNamedPorts {
    named_ports: Vec<SentPort>,
    fingerprint: Option<String>,
}

async fn set_named_ports(Axum(cloud): Axum<Cloud>, call: Call, Body(sent): Body<SetNamedPorts>) -> Result<Json<Value>> {
    let named_ports = named_ports(&sent.named_ports)?;
    describe(&cloud, &call, "setNamedPorts", |group: &InstanceGroup| {
        let stale = |sent: &String| !sent.is_empty() && *sent != fingerprint(&group.named_ports);
        if sent.fingerprint.as_ref().is_some_and(stale) {
            return Err(Refusal::condition("Supplied fingerprint does not match current named ports fingerprint."));
        }
        Ok(|group: &mut InstanceGroup| group.named_ports = named_ports)
    })
    .await
}

async fn delete(Axum(cloud): Axum<Cloud>, call: Call) -> Result<Json<Value>> {
    let check = |state: &State, id: u64, group: &InstanceGroup| {
        user_of_group(state, id).map_or(Ok(()), |by| {
            Err(Refusal::in_use("instance_group", full_path::<InstanceGroup>(&group.zone, &group.name), full(&by)))
        })
    };
    remove(&cloud, &call, check, |_, _| None).await
}
