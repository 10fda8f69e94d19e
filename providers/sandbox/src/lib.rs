//! The sandbox: a cloud on this machine that speaks the APIs of DigitalOcean, Amazon and Google, and the provider that
//! starts it.

pub mod api;
pub mod base_image;
pub mod calls;
pub mod cloud;
pub mod connection;
pub mod dns;
pub mod ec2;
pub mod edge;
pub mod embedded;
pub mod faults;
pub mod forward;
#[cfg(test)]
mod fuzz;
pub mod gce;
pub mod machine;
pub mod process;
pub mod provider;
pub mod rate;
