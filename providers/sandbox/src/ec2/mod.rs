//! Amazon's APIs: the EC2 Query API, Route 53, and what their clients ask for beside (SSM parameters, STS's
//! `GetCallerIdentity`).
//!
//! The account is the engine's in Amazon's words: instances are its droplets, AMIs its images, Elastic IPs its reserved IPs,
//! hosted zones its domains. What is Amazon's alone (tags, client tokens, security groups, ids) is [`Data`], a part of the
//! same state file. Nothing is kept twice: an instance's state is read from its droplet, an image's from the engine's image.
//!
//! From the outside in, a request passes [`admit`] (signature, name of the operation, errors in the service's shape), the
//! edge's layers (counts, faults) and [`routes`]. What the sandbox does not have is refused with the service's own error for
//! an unknown operation, and logged.

mod addresses;
mod admit;
mod attributes;
mod auth;
mod call;
mod catalogue;
mod filter;
#[cfg(test)]
pub(crate) mod fuzz;
mod groups;
mod ids;
mod images;
mod instances;
mod key_pairs;
pub mod keys;
mod launch;
mod network;
mod offers;
mod phase;
mod power;
mod query;
mod refusal;
mod reply;
mod route53;
mod routes;
mod snapshots;
mod ssm;
mod stale;
mod state;
mod sts;
mod tags;
mod xml;

pub(crate) use admit::admit;
pub(crate) use call::NoRoom;
pub(crate) use images::sweep;
pub(crate) use refusal::refuse;
pub(crate) use route53::add_zone;
pub(crate) use routes::routes;
pub(crate) use stale::with_stale_view;
pub(crate) use state::Data;
