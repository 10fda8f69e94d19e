//! The routes: one file for each resource of DigitalOcean's API v2, and the server that serves all APIs.
//!
//! The files here read requests and write answers; the rules are in [`crate::cloud`]. From the outside in, a request
//! passes: what sees it through when its client goes away, the request id and log, the token check, the edge's layers
//! (faults, rate limits, counts; `/v2` only), its route. What has no route is answered 501, so that a client never
//! mistakes a missing feature for a missing resource.

mod account;
mod actions;
mod admin;
mod auth;
mod domains;
mod droplet_actions;
mod droplets;
mod extract;
mod images;
mod keys;
mod projects;
mod record;
mod records;
mod refuse;
mod regions;
mod reply;
mod reserved_ips;
mod router;
mod server;
mod sizes;
mod snapshots;
mod tags;
mod view;
mod vpcs;
mod zones;

pub(crate) use record::Bent;
pub use reply::error_response;
pub use server::Server;
pub use zones::NewZone;
