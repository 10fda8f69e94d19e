//! What DigitalOcean's API allows and what it refuses, in its words.

pub(super) mod balancer_settings;
pub(super) mod domains;
pub(super) mod droplet_actions;
pub(super) mod droplets;
pub(super) mod images;
pub(super) mod keys;
pub(super) mod load_balancers;
pub(super) mod records;
pub(super) mod reserved_ips;
pub(super) mod tags;
pub(super) mod vpcs;
