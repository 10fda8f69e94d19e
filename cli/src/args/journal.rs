//! The arguments of `remint journal`.

use clap::{Args, Subcommand};
use remint_core::manifest::JournalSection;

const MOVE_EXAMPLES: &str = "\
Examples:
  remint journal move --to s3://example-deploys/web --to-region eu-central-1
  remint journal move --to s3://example-deploys/web --to-endpoint https://fra1.digitaloceanspaces.com
  remint journal move --to file:/srv/deploys/web --lock-wait 10m";

/// Arguments of `remint journal`.
#[derive(Debug, Args)]
pub struct JournalArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: JournalCommand,
}

/// The verbs of `remint journal`.
#[derive(Debug, Clone, Subcommand)]
pub enum JournalCommand {
    /// List what is missing, damaged or not Remint's; ends with exit code 1 unless the journal is whole
    Check,
    /// Take away what was half-written when a run died, and keep a copy; leaves what cannot be mended
    Repair,
    /// Move the journal of all environments to another place; the old one keeps a copy, and refuses every command
    #[command(after_help = MOVE_EXAMPLES)]
    Move(MoveArgs),
}

/// Arguments of `remint journal move`.
#[derive(Debug, Clone, Args)]
pub struct MoveArgs {
    /// The new place, as `url` of `[journal]`: `file:FOLDER`, `s3://BUCKET/PREFIX` or `gs://BUCKET/PREFIX`
    #[arg(long, value_name = "URL")]
    pub to: String,
    /// `endpoint` of the new `[journal]`: the server of an `s3://` bucket that is not Amazon's
    #[arg(long, value_name = "URL")]
    pub to_endpoint: Option<String>,
    /// `region` of the new `[journal]`: the region of an `s3://` bucket
    #[arg(long, value_name = "REGION")]
    pub to_region: Option<String>,
    /// `path_style` of the new `[journal]`: whether an `s3://` bucket is in the path of requests, or in the name of the host
    #[arg(long, value_name = "BOOL")]
    pub to_path_style: Option<bool>,
}

impl MoveArgs {
    /// The `[journal]` that the manifest is to have.
    pub fn section(&self) -> JournalSection {
        JournalSection {
            url: self.to.clone(),
            endpoint: self.to_endpoint.clone(),
            region: self.to_region.clone(),
            path_style: self.to_path_style,
        }
    }
}
