//! `remint.toml`: its types, environments, interpolation, and diagnostics that point at the line.

mod checks;
mod config;
mod diagnostics;
mod dns_names;
mod duration;
mod git;
mod grounds;
mod interpolate;
mod limits;
#[cfg(test)]
mod limits_tests;
mod load;
mod model;
mod reference;
pub(crate) mod references;
mod schema;
mod scripts;
mod secrets;
mod shape;
mod template;
mod tree;

pub use config::RenderedConfig;
pub use diagnostics::{Diagnostic, Diagnostics, Place};
pub use duration::HumanDuration;
pub(crate) use git::Git;
pub use load::{DEFAULT_ENVIRONMENT, LoadOptions, Loaded, UserDataFile, environments, load};
pub use model::*;
pub use reference::reference_markdown;
pub use schema::schema;
pub use secrets::{SecretError, Secrets};
pub use template::{RenderContext, RenderError, Template};
