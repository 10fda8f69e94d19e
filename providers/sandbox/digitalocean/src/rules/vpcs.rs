//! The VPC that each region has by default, and the project that everything belongs to. Both are derived from the account:
//! neither can be made, changed or deleted here.

use std::net::Ipv4Addr;

use uuid::Uuid;

use crate::{State, catalogue::REGIONS};
use remint_sandbox_cloud::{ApiError, ApiResult, state::Instance};

pub(crate) fn vpc_id(state: &State, region: &str) -> Uuid {
    Uuid::new_v5(&state.account, format!("vpc {region}").as_bytes())
}

pub(crate) fn vpc_region(state: &State, id: &str) -> Option<&'static str> {
    REGIONS.iter().map(|region| region.slug).find(|region| vpc_id(state, region).to_string() == id)
}

/// The address that a droplet shows in its VPC. Nothing answers there.
pub(crate) fn private_address(droplet: &Instance) -> Ipv4Addr {
    let [_, _, c, d] = droplet.address.octets();
    let region = REGIONS.iter().position(|region| region.slug == droplet.region).unwrap_or_default();
    Ipv4Addr::new(10, vpc_octet(region), c, d)
}

/// The id of the default project.
pub(crate) fn project_id(state: &State) -> Uuid {
    Uuid::new_v5(&state.account, b"project")
}

/// The second octet of a region's VPC, which is a /16 of 10.0.0.0/8.
pub(crate) fn vpc_octet(region: usize) -> u8 {
    u8::try_from(region).map_or(255, |region| region.saturating_add(100))
}

/// Refuses another project than the only one, by its id or as `default`.
pub(crate) fn check_project(state: &State, id: &str) -> ApiResult<()> {
    let known = id == "default" || id == project_id(state).to_string();
    known.then_some(()).ok_or_else(ApiError::not_found)
}
