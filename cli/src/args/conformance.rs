//! The arguments of `remint conformance`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

const RUN_EXAMPLES: &str = "\
Examples:
  remint conformance run --provider aws                       on a sandbox of its own, which is gone afterwards
  remint conformance run --provider gcp --only dns,'images.*'
  remint conformance run --provider digitalocean --target account --budget 2 --report reports";

const SWEEP_EXAMPLES: &str = "\
Examples:
  remint conformance sweep --provider aws                     what runs have left and nobody needs any more
  remint conformance sweep --provider aws --delete";

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
    /// List the cases; with --provider, what would be done about each
    List(ListArgs),
    /// Hold a provider to its contracts, on a sandbox or on a real account
    #[command(after_help = RUN_EXAMPLES)]
    Run(RunArgs),
    /// Allow runs on the account of the credentials: sets a marker, without which `run` refuses it
    Prepare(PrepareArgs),
    /// List what runs have left in the account, and delete it with --delete
    #[command(after_help = SWEEP_EXAMPLES)]
    Sweep(SweepArgs),
    /// Write the crate of a new provider: it compiles, has every method, and answers Unsupported
    NewProvider(NewProviderArgs),
}

/// Arguments of `remint conformance list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only cases whose id matches: dns.*, '*.launch', or dns for a whole concern; may be given several times
    #[arg(long, value_name = "GLOB", value_delimiter = ',')]
    pub only: Vec<String>,
}

/// What a provider is held to its contracts on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum TargetKind {
    /// A sandbox that is started for the run, on simulated machines, and deleted afterwards.
    #[default]
    Sandbox,
    /// The account of the credentials; costs money.
    Account,
}

impl TargetKind {
    /// The word for it, as in `--target` and in reports.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// Arguments of `remint conformance run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// What it is held to them on
    #[arg(long, value_enum, default_value_t)]
    pub target: TargetKind,
    /// Only cases whose id matches: dns.*, '*.launch', or dns for a whole concern; may be given several times
    #[arg(long, value_name = "GLOB", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Leave out what would cost more than this altogether; each machine counts as a whole hour
    #[arg(long, value_name = "EUR")]
    pub budget: Option<f64>,
    /// Write what a maintainer needs of the run, without secrets, into a folder of the provider's name below this one;
    /// it must be empty or not exist
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
    /// Make records in this zone of the account; cases of DNS are blocked without one
    #[arg(long, value_name = "ZONE")]
    pub zone: Option<String>,
    /// Make instances in this region; the manifest's, or a usual one, when not given
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// Copy images to this region
    #[arg(long, value_name = "REGION")]
    pub second_region: Option<String>,
    /// Make instances of this size, a small one
    #[arg(long, value_name = "SIZE")]
    pub size: Option<String>,
    /// Launch this public image
    #[arg(long, value_name = "IMAGE")]
    pub base: Option<String>,
    /// Where ledgers of runs on accounts are kept; below the user's state folder when not given
    #[arg(long, value_name = "DIR")]
    pub ledgers: Option<PathBuf>,
}

/// Arguments of `remint conformance prepare`.
#[derive(Debug, Args)]
pub struct PrepareArgs {
    /// Forbid them again
    #[arg(long)]
    pub undo: bool,
    /// In this region, on clouds that keep their regions apart; the manifest's, or a usual one, when not given
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
}

/// Arguments of `remint conformance sweep`.
#[derive(Debug, Args)]
pub struct SweepArgs {
    /// Delete what is found; without it, nothing is changed
    #[arg(long)]
    pub delete: bool,
    /// Also what has not expired and no ledger here knows: everything that any conformance run made
    #[arg(long)]
    pub all: bool,
    /// In this region, on clouds that keep their regions apart; the manifest's, or a usual one, when not given
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// Where the ledgers of runs are; below the user's state folder when not given
    #[arg(long, value_name = "DIR")]
    pub ledgers: Option<PathBuf>,
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
