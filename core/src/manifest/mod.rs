//! `remint.toml`: its types, environments, interpolation, and diagnostics that point at the line.

mod artifact;
mod bash;
mod checks;
mod config;
mod diagnostics;
mod dns_names;
mod git;
mod grounds;
mod health;
mod http_rules;
mod interpolate;
mod limits;
#[cfg(test)]
mod limits_tests;
mod load;
mod mend;
mod model;
mod owner;
mod reference;
pub(crate) mod references;
mod schema;
mod scripts;
mod secrets;
mod shape;
mod statuses;
mod template;
mod tree;

pub use crate::duration::HumanDuration;
pub use config::RenderedConfig;
pub(crate) use config::is_variable_name;
pub use diagnostics::{Diagnostic, Diagnostics, Place};
pub(crate) use git::Git;
pub use health::{CommandCheck, HealthCheck, HealthSection, HttpCheck, TcpCheck};
pub(crate) use limits::read_text;
pub use load::{DEFAULT_ENVIRONMENT, LoadOptions, Loaded, UserDataFile, environments, load};
pub use model::*;
pub(crate) use owner::is_root;
pub use reference::reference_markdown;
pub use schema::schema;
pub use secrets::{SecretError, Secrets};
pub use statuses::Statuses;
pub use template::{RenderContext, RenderError, Template};
