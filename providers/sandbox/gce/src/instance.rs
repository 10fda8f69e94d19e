//! An instance: the engine's machine, and what Compute Engine says of it beside.

use std::net::Ipv4Addr;

use super::{
    error::{Refusal, Result},
    model::Instance,
    resource::{find, full_path},
};
use crate::State;
use remint_sandbox_cloud::state::Instance as Machine;

/// The machine of an instance, and what is known of it beside.
pub(super) fn find_instance<'a>(state: &'a State, zone: &str, name: &str) -> Result<(&'a Machine, &'a Instance)> {
    let (id, instance) = find::<Instance>(state, zone, name)?;
    let machine = state.instances.get(&id).ok_or_else(|| Refusal::not_found(full_path::<Instance>(zone, name)))?;
    Ok((machine, instance))
}

/// The same, where nothing runs on it.
pub(super) fn find_ready<'a>(state: &'a State, zone: &str, name: &str) -> Result<(&'a Machine, &'a Instance)> {
    let found = find_instance(state, zone, name)?;
    if found.0.pending.is_some() { Err(Refusal::not_ready(full_path::<Instance>(zone, name))) } else { Ok(found) }
}

/// An instance's internal address, which is made up: nothing listens there.
pub(super) fn internal_address(machine: &Machine) -> Ipv4Addr {
    let [.., c, d] = machine.address.octets();
    Ipv4Addr::new(10, 128, c, d)
}
