//! The sandbox: a cloud on this machine that speaks the APIs of DigitalOcean, Amazon and Google, and the provider that
//! starts it.

pub mod balance;
pub mod dns;
pub mod edge;
pub mod embedded;
pub mod forward;
pub mod process;
pub mod provider;
pub mod server;

pub use remint_sandbox_cloud::{self as cloud, calls, connection, faults};
pub use remint_sandbox_digitalocean::{self as digitalocean, rate};
pub use remint_sandbox_ec2 as ec2;
pub use remint_sandbox_gce as gce;
pub use remint_sandbox_machines::{self as machine, base_image};
