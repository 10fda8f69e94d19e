//! The sandbox: a DigitalOcean-compatible cloud on this machine, and the provider that starts it.

pub mod api;
pub mod base_image;
pub mod calls;
pub mod cloud;
pub mod connection;
pub mod dns;
pub mod edge;
pub mod faults;
pub mod forward;
pub mod machine;
pub mod process;
pub mod provider;
pub mod rate;
