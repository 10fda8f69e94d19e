//! What an environment has, and what proves that it is ours. Static IPs and records outlive releases: no wave touches them.

mod ownership;
mod record;
mod remove;
mod static_ip;

pub(crate) use ownership::{Ownership, Standing, foreign, release_of};
pub(crate) use record::{
    dns_provider, may_write, record, record_ttl, standing_record, wanted_record, wanted_record_name, written, zones,
};
pub(crate) use remove::{foreign_user, give_back, remove_record};
pub(crate) use static_ip::{find, static_ip};
