//! Elastic IPs: the engine's static IPs, moved in one call.
//!
//! EC2 moves an address at once: when the call is answered, new connections go to the new instance.

use std::net::Ipv4Addr;

use crate::{
    State,
    call::Call,
    ids,
    instance::Phase,
    kinds::{ADDRESS, INTERFACE},
    list::{List, keep, keep_named, maybe, one},
    reply::{done, invalid_value, missing, not_a, refuse},
    state::{self, Address, Instance, Tags},
    tags,
    xml::Xml,
};
use remint_sandbox_cloud::{Api, ApiError, ApiResult, now, state::StaticIp};

const LIST: List<Address> = List {
    element: "addressesSet",
    least: None,
    tags: |state, address| state.own.tags_of(&address.id),
    fields: &[
        ("allocation-id", |_, address| one(&address.id)),
        ("association-id", |state, address| maybe(holder(state, address).and(address.association.as_ref()))),
        ("domain", |_, _| one("vpc")),
        ("instance-id", |state, address| maybe(holder(state, address).map(|instance| &instance.id))),
        ("network-border-group", |_, address| one(&address.region)),
        ("network-interface-id", |state, address| maybe(holder(state, address).map(|instance| &instance.interface))),
        ("network-interface-owner-id", |state, address| maybe(holder(state, address).map(|_| state::account(state)))),
        ("private-ip-address", |state, address| maybe(holder(state, address).map(|instance| instance.private_ip))),
        ("public-ip", |_, address| one(address.ip)),
    ],
};

/// What addresses are named in reverse: nothing.
const NAMES: List<Address> = List { element: "addressSet", least: Some(1), tags: |_, _| Tags::new(), fields: &[] };

/// `AllocateAddress`.
pub(super) fn allocate(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let params = &call.params;
    if params.get("Domain").is_some_and(|domain| domain != "vpc") {
        return Err(invalid_value("Invalid value for domain: only vpc is supported"));
    }
    if let Some(group) = params.get("NetworkBorderGroup").filter(|group| *group != call.region) {
        return Err(not_a(group, "NetworkBorderGroup"));
    }
    let given = tags::given(params, "elastic-ip")?;
    let address = call.change(|state| {
        let config = call.config();
        if here(state, call.region).count() >= config.limits.static_ips(Api::Ec2) {
            let message = "The maximum number of addresses has been reached.";
            return Err(refuse("AddressLimitExceeded", message));
        }
        let ip = state.next_static_ip(config.slot);
        let reserved =
            StaticIp { ip, region: call.region.to_owned(), instance: None, pending: None, created_at: now() };
        state.static_ips.insert(ip, reserved);
        let address = Address {
            id: ids::fresh("eipalloc"),
            region: call.region.to_owned(),
            ip,
            association: None,
            instance: None,
        };
        state.own.tag(&address.id, given);
        state.own.addresses.insert(address.id.clone(), address.clone());
        Ok(address)
    })?;
    xml.text("publicIp", address.ip).text("domain", "vpc").text("allocationId", address.id);
    xml.text("publicIpv4Pool", "amazon").text("networkBorderGroup", call.region);
    Ok(())
}

/// `DescribeAddresses`.
pub(super) fn describe(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    call.read(|state| {
        let mut all = remint_sandbox_cloud::seen(here(state, call.region).collect(), |address| {
            state.static_ips.get(&address.ip).map(|ip| ip.created_at).unwrap_or_default()
        });
        keep_named(&call.params, "AllocationId", &ADDRESS, &mut all, |address| &address.id)?;
        keep(&call.params, "PublicIp", &mut all, |address| address.ip.to_string(), |ips| no_address(&ips.join(", ")))?;
        LIST.answer(call, state, all, xml, |xml, address| {
            xml.text("publicIp", address.ip).text("allocationId", &address.id).text("domain", "vpc");
            if let Some(instance) = holder(state, address) {
                xml.text("instanceId", &instance.id).maybe("associationId", address.association.as_ref());
                xml.text("networkInterfaceId", &instance.interface);
                xml.text("networkInterfaceOwnerId", state::account(state));
                xml.text("privateIpAddress", instance.private_ip);
            }
            xml.text("publicIpv4Pool", "amazon").text("networkBorderGroup", &address.region);
            tags::write(xml, state, &address.id);
        })
    })
}

/// `DescribeAddressesAttribute`: no address has a name for reverse lookups.
pub(super) fn attributes(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    call.read(|state| {
        let mut all: Vec<&Address> = here(state, call.region).collect();
        keep_named(&call.params, "AllocationId", &ADDRESS, &mut all, |address| &address.id)?;
        NAMES.answer(call, state, all, xml, |xml, address| {
            xml.text("publicIp", address.ip).text("allocationId", &address.id);
        })
    })
}

/// `AssociateAddress`: with `AllowReassociation` also from another instance.
pub(super) async fn associate(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let params = &call.params;
    let may_move = params.flag("AllowReassociation")?;
    let (association, moved) = call.change(|state| {
        let address = named(state, call)?;
        let instance = target(state, call)?;
        match instance.phase(state) {
            Phase::Pending => {
                let message =
                    format!("The pending instance '{}' is not in a valid state for this operation.", instance.id);
                return Err(refuse("InvalidInstanceID", message));
            }
            phase if phase.is_ending() => {
                let message = format!("The instance '{}' is not in a valid state for this operation.", instance.id);
                return Err(refuse("IncorrectInstanceState", message));
            }
            _ => {}
        }
        if let Some(holder) = holder(state, &address) {
            if holder.id == instance.id
                && let Some(association) = &address.association
            {
                // As it is wanted already.
                return Ok((association.clone(), Vec::new()));
            }
            if !may_move {
                let association = address.association.as_deref().unwrap_or_default();
                let message = format!("resource {} is already associated with associate-id {association}", address.id);
                return Err(refuse("Resource.AlreadyAssociated", message));
            }
        }
        let mut moved = vec![address.ip];
        // An instance has one address: another one that it has is set free.
        for other in state.static_ips.values_mut().filter(|ip| ip.instance == Some(instance.machine)) {
            other.instance = None;
            moved.push(other.ip);
        }
        if let Some(reserved) = state.static_ips.get_mut(&address.ip) {
            reserved.instance = Some(instance.machine);
        }
        let association = ids::fresh("eipassoc");
        if let Some(address) = state.own.addresses.get_mut(&address.id) {
            address.association = Some(association.clone());
            address.instance = Some(instance.id.clone());
        }
        Ok((association, moved))
    })?;
    for ip in moved {
        call.cloud.tell_static_ip(ip).await;
    }
    xml.text("return", true).text("associationId", association);
    Ok(())
}

/// `DisassociateAddress`.
pub(super) async fn disassociate(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let params = &call.params;
    let ip = call.change(|state| {
        let found = match (params.get("AssociationId"), params.get("PublicIp")) {
            (Some(id), _) => here(state, call.region)
                .find(|address| address.association.as_deref() == Some(id) && holder(state, address).is_some())
                .ok_or_else(|| {
                    let message = format!("The association ID '{id}' does not exist");
                    refuse("InvalidAssociationID.NotFound", message)
                })?,
            (None, Some(ip)) => by_ip(state, call.region, ip)?,
            (None, None) => return Err(missing("AssociationId")),
        };
        let (id, ip) = (found.id.clone(), found.ip);
        if let Some(reserved) = state.static_ips.get_mut(&ip) {
            reserved.instance = None;
        }
        if let Some(address) = state.own.addresses.get_mut(&id) {
            (address.association, address.instance) = (None, None);
        }
        Ok(ip)
    })?;
    call.cloud.tell_static_ip(ip).await;
    done(xml)
}

/// `ReleaseAddress`: not while it is associated.
pub(super) async fn release(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    if let Some(group) = call.params.get("NetworkBorderGroup").filter(|group| *group != call.region) {
        return Err(not_a(group, "NetworkBorderGroup"));
    }
    let ip = call.change(|state| {
        let address = named(state, call)?;
        if holder(state, &address).is_some() {
            let message = format!("Address {} is in use.", address.ip);
            return Err(refuse("InvalidIPAddress.InUse", message));
        }
        state.static_ips.remove(&address.ip);
        state.own.addresses.remove(&address.id);
        state.own.tags.remove(&address.id);
        Ok(address.ip)
    })?;
    call.cloud.tell_static_ip(ip).await;
    done(xml)
}

/// The instance that an address points at now.
fn holder<'a>(state: &'a State, address: &Address) -> Option<&'a Instance> {
    let machine = state.static_ips.get(&address.ip)?.instance?;
    state.own.instances.values().find(|instance| instance.machine == machine)
}

/// The addresses of a region.
fn here<'a>(state: &'a State, region: &'a str) -> impl Iterator<Item = &'a Address> {
    state.own.addresses.values().filter(move |address| address.region == region)
}

/// The address that a call names.
fn named(state: &State, call: &Call<'_>) -> ApiResult<Address> {
    match (call.params.get("AllocationId"), call.params.get("PublicIp")) {
        (Some(id), _) => {
            here(state, call.region).find(|address| address.id == id).cloned().ok_or_else(|| ADDRESS.absent(&[id]))
        }
        (None, Some(ip)) => by_ip(state, call.region, ip).cloned(),
        (None, None) => Err(missing("AllocationId")),
    }
}

fn by_ip<'a>(state: &'a State, region: &'a str, ip: &str) -> ApiResult<&'a Address> {
    let wanted = ip.parse::<Ipv4Addr>().map_err(|_| invalid_value(format!("Invalid value '{ip}' for PublicIp.")))?;
    here(state, region).find(|address| address.ip == wanted).ok_or_else(|| no_address(ip))
}

/// The instance that a call names, by its id or its interface's.
fn target(state: &State, call: &Call<'_>) -> ApiResult<Instance> {
    match (call.params.get("InstanceId"), call.params.get("NetworkInterfaceId")) {
        (Some(id), _) => state.own.one(call.config(), call.region, id).cloned(),
        (None, Some(id)) => {
            let found = state.own.standing(state, call.region).find(|instance| instance.interface == id);
            found.cloned().ok_or_else(|| INTERFACE.absent(&[id]))
        }
        (None, None) => Err(missing("InstanceId")),
    }
}

fn no_address(ip: &str) -> ApiError {
    refuse("InvalidAddress.NotFound", format!("Address '{ip}' not found."))
}
