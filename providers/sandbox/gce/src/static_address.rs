//! Static addresses: what uses one, and one that is to be used.

use std::net::Ipv4Addr;

use super::{
    error::{Refusal, Result},
    model::{Address, ForwardingRule, Instance},
    reference::full,
    resource::{full_path, path_of},
};
use crate::State;

/// What uses a static address, as a path below the project.
pub(super) fn user_of(state: &State, ip: Ipv4Addr) -> Option<String> {
    let rule = state.own.forwarding_rules.iter().find(|(_, rule)| rule.ip == ip);
    let rule = rule.map(|(id, rule)| path_of::<ForwardingRule>(state, *id, rule));
    rule.or_else(|| {
        let uses = |instance: &Instance| instance.access.as_ref().is_some_and(|access| access.nat_ip == Some(ip));
        let (id, instance) = state.own.instances.iter().find(|(_, instance)| uses(instance))?;
        Some(path_of(state, *id, instance))
    })
}

/// The static address of a region that `text` means, of which nothing makes use. `in_use` words the refusal of one that
/// something uses.
pub(super) fn unused(
    state: &State,
    region: &str,
    field: &str,
    text: &str,
    is: impl Fn(&Address) -> bool,
    in_use: impl FnOnce(&str) -> Refusal,
) -> Result<Ipv4Addr> {
    let found = state.own.addresses.values().find(|address| address.region == region && is(address));
    let why = "The specified external IP address was not found to be reserved in the region.";
    let address = found.ok_or_else(|| Refusal::invalid(field, text, why))?;
    if let Some(user) = user_of(state, address.ip) {
        return Err(in_use(&full(&user)));
    }
    match state.static_ips.get(&address.ip) {
        Some(reserved) if reserved.pending.is_none() => Ok(address.ip),
        _ => Err(Refusal::not_ready(full_path::<Address>(region, &address.name))),
    }
}
