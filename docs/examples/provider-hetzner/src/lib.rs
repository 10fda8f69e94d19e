//! A provider of Remint for Hetzner Cloud, as somebody who is not Remint's author would write it.
//!
//! It speaks version 1 of the API (<https://docs.hetzner.cloud/reference/cloud>). Names of servers, floating IPs and keys are
//! unique in a project, so the name is what makes a create call repeatable: one that is taken already answers
//! `uniqueness_error`, and then it is looked up. Snapshots have no names; their description stands for one.
//!
//! A room for each concern, as in all providers; beside them the labels and the catalogue of sizes and places.

mod catalogue;
mod client;
mod config;
mod dns;
mod error;
mod image;
mod instance;
mod labels;
mod login_key;
mod marker;
mod provider;
mod static_ip;
mod wire;

pub use config::{Config, Options};
pub use provider::{Cloud, DESCRIPTOR, ID};
