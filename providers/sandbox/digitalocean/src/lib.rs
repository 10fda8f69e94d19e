//! DigitalOcean's API v2: one file for each resource, which reads requests and writes answers; what is allowed is in [`rules`].
//!
//! What has no route is answered 501, so that a client never mistakes a missing feature for a missing resource.

mod account;
mod actions;
mod auth;
mod catalogue;
mod domains;
mod droplet_actions;
mod droplets;
mod empty;
mod extract;
mod front;
mod images;
mod keys;
mod load_balancers;
mod monitoring;
mod projects;
pub mod rate;
mod records;
mod regions;
mod reply;
mod reserved_ips;
mod routes;
mod rules;
mod sizes;
mod snapshots;
mod tags;
mod view;
mod vpcs;

pub use auth::check;
pub use reply::identify;
pub use routes::{routes, without_last_slash};

/// The account.
pub type Cloud = remint_sandbox_cloud::Cloud<front::Data>;
/// What the account has.
pub type State = remint_sandbox_cloud::State<front::Data>;
/// How the API fails.
pub const SHAPE: remint_sandbox_cloud::Shape = <front::Data as remint_sandbox_cloud::Front>::SHAPE;
