//! What an environment has, and what proves that it is ours. Static IPs, load balancers and records outlive releases: no wave touches them.

mod load_balancer;
mod ownership;
mod record;
mod remove;
mod static_ip;

pub(crate) use load_balancer::{
    balancer_name, balancers, destroy_balancer, find_balancer, load_balancer, wanted_balancer,
};
pub(crate) use ownership::{Ownership, Standing, foreign, release_of};
pub(crate) use record::{
    dns_provider, may_write, record, record_ttl, standing_record, wanted_record, wanted_record_name, written, zones,
};
pub(crate) use remove::{foreign_user, give_back, remove_record};
pub(crate) use static_ip::{find, static_ip};
