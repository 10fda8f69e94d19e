//! The arguments of `remint conformance`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Arguments of `remint conformance`.
#[derive(Debug, Args)]
pub struct ConformanceArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: ConformanceCommand,
}

/// The verbs of `remint conformance`.
#[derive(Debug, Subcommand)]
pub enum ConformanceCommand {
    /// Write the crate of a new provider: it compiles, has every method, and answers Unsupported
    NewProvider(NewProviderArgs),
}

/// Arguments of `remint conformance new-provider`.
#[derive(Debug, Args)]
pub struct NewProviderArgs {
    /// The provider's id, as manifests will name it
    pub name: String,
    /// Write it into this folder, which must be empty or not exist; remint-NAME when not given
    #[arg(long, value_name = "DIR")]
    pub path: Option<PathBuf>,
    /// Depend on this checkout of Remint instead of on the published version
    #[arg(long, value_name = "CHECKOUT")]
    pub remint: Option<PathBuf>,
}
