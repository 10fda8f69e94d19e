//! Amazon's APIs: the EC2 Query API, Elastic Load Balancing version 2, Route 53, and what their clients ask for beside (SSM
//! parameters, STS's `GetCallerIdentity`).
//!
//! The account is the engine's in Amazon's words: instances are its machines, AMIs its images, Elastic IPs its static IPs,
//! hosted zones its domains, application and network load balancers its load balancers. What is Amazon's alone (tags, client tokens, security groups, ids) is [`Data`], a part of the
//! same state file. Nothing is kept twice: an instance's state is read from its machine, an image's from the engine's image.
//!
//! From the outside in, a request passes [`admit`] (signature, name of the operation, errors in the service's shape), the
//! edge's layers (counts, faults) and [`routes`], which asks a service: `operations` for EC2, `elbv2`,
//! `route53`, `ssm`, `sts`. An
//! operation knows what lies below all of them (the state, and how a call is read, listed and shown), and no other
//! operation. What the sandbox does not have is refused with the service's own error for an unknown operation, and logged.

mod admit;
mod auth;
mod call;
mod catalogue;
mod elbv2;
mod elsewhere;
mod front;
#[cfg(test)]
mod fuzz;
mod group;
mod ids;
mod image;
mod instance;
pub mod keys;
mod kinds;
mod list;
mod operations;
mod query;
mod refusal;
mod reply;
mod route53;
mod routes;
mod ssm;
mod state;
mod sts;
mod tags;
mod view;
mod vpc;
mod wishes;
mod xml;

pub use admit::admit;
pub use elsewhere::elsewhere;
pub use routes::routes;
pub use state::Data;

/// The account.
pub type Cloud = remint_sandbox_cloud::Cloud<Data>;
/// What the account has.
pub type State = remint_sandbox_cloud::State<Data>;
/// How the API fails.
pub const SHAPE: remint_sandbox_cloud::Shape = <Data as remint_sandbox_cloud::Front>::SHAPE;
