//! Google's APIs: Compute Engine version 1 and Cloud DNS version 1, for one project, and the tokens that both ask for.
//!
//! An instance is a machine of the engine's and more, a static address is a static IP, an image a snapshot, a managed
//! zone a domain; [`Data`] holds what Compute Engine knows of them beside. A change is answered with an operation, which
//! the engine's actions carry out. Names, types and enums are those of the discovery documents (`compute.v1`, `dns.v1`);
//! the errors' reasons and messages are those that the service gives.
//!
//! Below are the models (`model`, `operation`, `state`), how a call is read (`call`, `json`), listed (`list`) and carried out
//! (`change`), and what kinds of resources have in common (`resource`, `calls`). A file in the plural, such as `disks`, has the
//! calls of a kind and its routes; what several of them need is in the singular, as in `disk`. A new call is added to its file,
//! and a new file to `routes`.
//!
//! A forwarding rule with a backend service is a load balancer of the engine's (`balanced`).
//!
//! A machine has one address. It is shown as the instance's external one, which it keeps while it stands; the internal
//! one is made up and leads nowhere. Firewall rules are kept and do not filter. What the sandbox does not have is refused
//! by 501, in the API's own shape.

mod access;
mod access_config;
mod addresses;
mod auth;
mod backend_service;
mod backend_services;
mod balanced;
mod batch;
mod call;
mod calls;
mod catalogue;
mod change;
mod disk;
mod disks;
mod dns;
mod error;
mod filter;
mod firewalls;
mod forwarding_rule;
mod forwarding_rules;
mod front;
#[cfg(test)]
mod fuzz;
mod health_check;
mod health_checks;
mod image;
mod images;
mod instance;
mod instance_groups;
mod instances;
mod json;
mod key;
mod labels;
mod launch;
mod list;
mod model;
mod operation;
mod operations;
mod places;
mod power;
mod projects;
mod public_images;
mod reference;
mod resource;
mod routes;
mod state;
mod static_address;
mod target_instances;
mod token;

pub use key::ServiceAccount;
pub use routes::routes;
pub use state::Data;

/// The id of the only project, in every path of the API.
pub const PROJECT: &str = "remint-sandbox";

/// The account.
pub type Cloud = remint_sandbox_cloud::Cloud<Data>;
/// What the account has.
pub type State = remint_sandbox_cloud::State<Data>;
/// How the API fails.
pub const SHAPE: remint_sandbox_cloud::Shape = <Data as remint_sandbox_cloud::Front>::SHAPE;
