//! An instance's network interface, and the access config that gives it an external address.

use std::net::Ipv4Addr;

use axum::{
    Json,
    extract::{Path, State as Axum},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    call::{Accepted, Body, Call, Done},
    catalogue,
    error::{Refusal, Result},
    instances::{Named, find_ready, path},
    labels::fingerprint,
    operations::Sequel,
    reference::full,
    state::{Access, Instance},
};
use crate::{Cloud, State};
use remint_sandbox_cloud::{
    Config,
    state::{Instance as Machine, Work},
};

/// The only network interface.
const INTERFACE: &str = "nic0";

/// The name of an access config that names none.
const NAME: &str = "External NAT";

/// An access config, as a client sends it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct SentAccess {
    name: Option<String>,
    r#type: Option<String>,
    #[serde(rename = "natIP")]
    nat_ip: Option<String>,
    network_tier: Option<String>,
}

impl SentAccess {
    /// What was sent, after all checks.
    pub(super) fn read(&self, state: &State, zone: &str) -> Result<Access> {
        if let Some(kind) = self.r#type.as_deref().filter(|kind| *kind != "ONE_TO_ONE_NAT") {
            return Err(Refusal::invalid("accessConfig.type", kind, "Must be ONE_TO_ONE_NAT."));
        }
        let nat_ip = self.nat_ip.as_deref().filter(|text| !text.is_empty());
        let nat_ip = nat_ip.map(|text| static_address(state, zone, text)).transpose()?;
        Ok(Access {
            name: self.name.clone().unwrap_or_else(|| NAME.to_owned()),
            tier: self.network_tier.clone().unwrap_or_else(|| "PREMIUM".to_owned()),
            nat_ip,
        })
    }
}

/// A static address of the zone's region that nothing uses.
fn static_address(state: &State, zone: &str, text: &str) -> Result<Ipv4Addr> {
    let field = "resource.networkInterfaces[0].accessConfigs[0].natIP";
    let unknown = || {
        Refusal::invalid(field, text, "The specified external IP address was not found to be reserved in the region.")
    };
    let ip: Ipv4Addr = text.parse().map_err(|_| unknown())?;
    let region = catalogue::region_of(zone);
    let address = state.own.addresses.values().find(|address| address.ip == ip && address.region == region);
    address.ok_or_else(unknown)?;
    if let Some(user) = user_of(state, ip) {
        let why = format!("The specified external IP address '{text}' is already in use by '{user}'.");
        return Err(Refusal::new(400, "externalIpAddressInUse", why));
    }
    if state.static_ips.get(&ip).is_none_or(|reserved| reserved.pending.is_some()) {
        return Err(Refusal::not_ready(text));
    }
    Ok(ip)
}

/// What uses a static address, as a path with its project.
pub(super) fn user_of(state: &State, ip: Ipv4Addr) -> Option<String> {
    let rule = state.own.forwarding_rules.values().find(|rule| rule.ip == ip);
    let rule = rule.map(|rule| full(&format!("regions/{}/forwardingRules/{}", rule.region, rule.name)));
    rule.or_else(|| {
        let uses = |instance: &Instance| instance.access.as_ref().is_some_and(|access| access.nat_ip == Some(ip));
        let (machine, _) = state.own.instances.iter().find(|(_, instance)| uses(instance))?;
        let machine = state.instances.get(machine)?;
        Some(full(&path(&machine.region, &machine.name)))
    })
}

/// Begins to forward a static address to an instance, where its access config names one.
pub(super) fn forward(state: &mut State, config: &Config, machine: u64, access: Option<&Access>) -> Option<u64> {
    let ip = access?.nat_ip?;
    Some(state.begin_on_ip(config, ip, "assign_ip", Work::Assign { ip, instance: machine }).id)
}

/// The network interface, as the API shows it. Its internal address is made up: nothing listens there.
pub(super) fn interface(call: &Call, machine: &Machine, instance: &Instance, region: &str) -> Value {
    let [.., c, d] = machine.address.octets();
    let internal = Ipv4Addr::new(10, 128, c, d);
    let mut view = json!({
        "kind": "compute#networkInterface",
        "name": INTERFACE,
        "network": call.link("global/networks/default"),
        "subnetwork": call.link(&format!("regions/{region}/subnetworks/default")),
        "stackType": "IPV4_ONLY",
    });
    if machine.networked {
        view["networkIP"] = internal.to_string().into();
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

pub(super) async fn add(
    Axum(cloud): Axum<Cloud>,
    call: Call,
    Path((_, zone, name)): Named,
    Body(sent): Body<SentAccess>,
) -> Result<Json<Value>> {
    check_interface(&call)?;
    call.mutate(&cloud, |state, _| {
        let (machine, instance) = find_ready(state, &zone, &name)?;
        if instance.access.is_some() {
            let why = "At most one access config currently supported.";
            return Err(Refusal::invalid("accessConfigs", INTERFACE, why));
        }
        let access = sent.read(state, &zone)?;
        let ip = access.nat_ip;
        Ok(change("addAccessConfig", path(&zone, &name), machine.id, ip, Some(access)))
    })
    .await
}

pub(super) async fn delete(Axum(cloud): Axum<Cloud>, call: Call, Path((_, zone, name)): Named) -> Result<Json<Value>> {
    check_interface(&call)?;
    let wanted = call.get("accessConfig").ok_or_else(|| Refusal::required("accessConfig"))?.to_owned();
    call.mutate(&cloud, |state, _| {
        let (machine, instance) = find_ready(state, &zone, &name)?;
        let access = instance.access.as_ref().filter(|access| access.name == wanted);
        let access = access
            .ok_or_else(|| Refusal::invalid("accessConfig", &wanted, "The specified access config does not exist."))?;
        Ok(change("deleteAccessConfig", path(&zone, &name), machine.id, access.nat_ip, None))
    })
    .await
}
