//! Route 53: hosted zones and their record sets, served by the sandbox's DNS server.
//!
//! A hosted zone's sets are kept as the API has them. What the DNS server serves is a domain of the engine's, made anew from
//! them after each change; where an account has several zones of one name, it is the oldest one's.

mod changes;
mod name;
mod serve;
mod sets;
mod value;
mod zones;

pub(super) use changes::get_change;
pub(crate) use serve::add_zone;
pub(super) use sets::{change_sets, list_sets};
pub(super) use zones::{create_zone, delete_zone, get_zone, list_zones, list_zones_by_name};
