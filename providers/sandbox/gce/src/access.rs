//! Giving an instance an external address, and taking it away.

use std::net::Ipv4Addr;

use axum::{Json, Router, extract::State as Axum, routing::post};
use serde_json::Value;

use super::{
    access_config::{INTERFACE, SentAccess},
    call::{Body, Call},
    calls::one_path,
    change::{Accepted, Done},
    error::{Refusal, Result},
    instance::find_ready,
    model::{Access, Instance},
    operation::Sequel,
    resource::path_of,
};
use crate::Cloud;
use remint_sandbox_cloud::state::Work;

pub(super) fn routes() -> Router<Cloud> {
    Router::new()
        .route(&one_path::<Instance>("/addAccessConfig"), post(add))
        .route(&one_path::<Instance>("/deleteAccessConfig"), post(delete))
}

fn check_interface(call: &Call) -> Result<()> {
    match call.get("networkInterface") {
        Some(INTERFACE) => Ok(()),
        Some(other) => Err(Refusal::invalid("networkInterface", other, "The network interface does not exist.")),
        None => Err(Refusal::required("networkInterface")),
    }
}

/// A change of an instance's access config. `ip` is the static address that it begins or ceases to have.
fn change(verb: &'static str, target: String, id: u64, ip: Option<Ipv4Addr>, access: Option<Access>) -> Accepted {
    let Some(ip) = ip else {
        return Accepted::own(verb, target, move |state, _| {
            if let Some(instance) = state.own.instances.get_mut(&id) {
                instance.access = access;
            }
            Done::at_once(id)
        });
    };
    Accepted::engine(verb, target, move |state, config| {
        let (kind, work) = match access {
            Some(_) => ("assign_ip", Work::Assign { ip, instance: id }),
            None => ("unassign_ip", Work::Unassign { ip }),
        };
        let action = state.begin_on_ip(config, ip, kind, work);
        Done::by(id, [action.id]).then(Sequel::Access { machine: id, access })
    })
}

async fn add(Axum(cloud): Axum<Cloud>, call: Call, Body(sent): Body<SentAccess>) -> Result<Json<Value>> {
    check_interface(&call)?;
    let (zone, name) = call.names();
    call.mutate(&cloud, |state, _| {
        let (machine, instance) = find_ready(state, zone, name)?;
        if instance.access.is_some() {
            let why = "At most one access config currently supported.";
            return Err(Refusal::invalid("accessConfigs", INTERFACE, why));
        }
        let access = sent.read(state, zone)?;
        let ip = access.nat_ip;
        Ok(change("addAccessConfig", path_of(state, machine.id, instance), machine.id, ip, Some(access)))
    })
    .await
}

async fn delete(Axum(cloud): Axum<Cloud>, call: Call) -> Result<Json<Value>> {
    check_interface(&call)?;
    let wanted = call.get("accessConfig").ok_or_else(|| Refusal::required("accessConfig"))?;
    let (zone, name) = call.names();
    call.mutate(&cloud, |state, _| {
        let (machine, instance) = find_ready(state, zone, name)?;
        let access = instance.access.as_ref().filter(|access| access.name == wanted);
        let access = access
            .ok_or_else(|| Refusal::invalid("accessConfig", wanted, "The specified access config does not exist."))?;
        Ok(change("deleteAccessConfig", path_of(state, machine.id, instance), machine.id, access.nat_ip, None))
    })
    .await
}
