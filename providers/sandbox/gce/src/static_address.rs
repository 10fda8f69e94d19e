//! Static addresses: what uses one, and one that is to be used.

use std::net::Ipv4Addr;

use super::{
    error::{Refusal, Result},
    model::{Address, ForwardingRule, Instance},
    reference::full,
    resource::{full_path, path_of},
};
use crate::State;

/// What uses a static address, as paths below the project: rules, or an instance.
pub(super) fn users_of(state: &State, ip: Ipv4Addr) -> Vec<String> {
    let rules = state.own.forwarding_rules.iter().filter(|(_, rule)| rule.ip == ip);
    let rules = rules.map(|(id, rule)| path_of::<ForwardingRule>(state, *id, rule));
    rules.chain(instance_of(state, ip)).collect()
}

/// The same, the first of them.
pub(super) fn user_of(state: &State, ip: Ipv4Addr) -> Option<String> {
    users_of(state, ip).into_iter().next()
}

/// The instance whose access config has a static address.
pub(super) fn instance_of(state: &State, ip: Ipv4Addr) -> Option<String> {
    let uses = |instance: &Instance| instance.access.as_ref().is_some_and(|access| access.nat_ip == Some(ip));
    let (id, instance) = state.own.instances.iter().find(|(_, instance)| uses(instance))?;
    Some(path_of(state, *id, instance))
}

/// The static address of a region that `text` means and on which nothing runs. `user` says who else has it, of those that do
/// not share it, and `in_use` words the refusal of one that somebody has.
pub(super) fn reserved(
    state: &State,
    region: &str,
    (field, text): (&str, &str),
    is: impl Fn(&Address) -> bool,
    user: impl FnOnce(Ipv4Addr) -> Option<String>,
    in_use: impl FnOnce(&str) -> Refusal,
) -> Result<Ipv4Addr> {
    let found = state.own.addresses.values().find(|address| address.region == region && is(address));
    let why = "The specified external IP address was not found to be reserved in the region.";
    let address = found.ok_or_else(|| Refusal::invalid(field, text, why))?;
    if let Some(user) = user(address.ip) {
        return Err(in_use(&full(&user)));
    }
    match state.static_ips.get(&address.ip) {
        Some(reserved) if reserved.pending.is_none() => Ok(address.ip),
        _ => Err(Refusal::not_ready(full_path::<Address>(region, &address.name))),
    }
}

/// The same, of which nothing makes use.
pub(super) fn unused(
    state: &State,
    region: &str,
    field: &str,
    text: &str,
    is: impl Fn(&Address) -> bool,
    in_use: impl FnOnce(&str) -> Refusal,
) -> Result<Ipv4Addr> {
    reserved(state, region, (field, text), is, |ip| user_of(state, ip), in_use)
}
