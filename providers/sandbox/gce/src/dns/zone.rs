//! A managed zone: the engine's domain, and what Cloud DNS says of it beside.

use super::reply::not_found;
use crate::{State, error::Result, labels::Labels, model::ManagedZone};
use remint_sandbox_cloud::state::Zone;

impl ManagedZone {
    /// The zone of a domain that was not made by this API.
    fn of(domain: &Zone) -> Self {
        Self {
            id: domain.records.keys().next().copied().unwrap_or_default(),
            name: domain.name.replace('.', "-"),
            description: String::new(),
            labels: Labels::new(),
            changes: Vec::new(),
        }
    }
}

/// The domain of a managed zone, by its name or id, and what is known of it beside.
pub(super) fn find<'a>(state: &'a State, name: &str) -> Result<(&'a Zone, ManagedZone)> {
    let mut zones = state.zones.values().map(|domain| (domain, zone_of(state, domain)));
    zones
        .find(|(_, zone)| zone.name == name || zone.id.to_string() == name)
        .ok_or_else(|| not_found("parameters.managedZone", name))
}

/// What is known of a domain's zone.
pub(super) fn zone_of(state: &State, domain: &Zone) -> ManagedZone {
    state.own.managed_zones.get(&domain.name).cloned().unwrap_or_else(|| ManagedZone::of(domain))
}

/// The zone's serial: it counts its changes.
pub(super) fn serial(zone: &ManagedZone) -> u64 {
    zone.changes.len() as u64 + 1
}

/// What is known of a domain's zone, to be changed.
pub(super) fn zone_mut<'a>(state: &'a mut State, dns_name: &str) -> Option<&'a mut ManagedZone> {
    let domain = state.zones.get(dns_name)?;
    Some(state.own.managed_zones.entry(dns_name.to_owned()).or_insert_with(|| ManagedZone::of(domain)))
}
