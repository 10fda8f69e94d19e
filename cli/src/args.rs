//! The command line, as clap reads it: types and help, no behaviour.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::ArgValueCompleter;
use remint_core::{
    manifest::HumanDuration,
    provider::{ImageId, InstanceId, ReleaseId},
};

use crate::complete;

pub mod conformance;
pub mod journal;

/// Bake a machine image, replace the servers, roll back in seconds.
#[derive(Debug, Parser)]
#[command(name = "remint", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    /// Options that every command takes.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options that every command takes.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// Work in this folder, where `remint.toml` is
    #[arg(short = 'C', long = "directory", value_name = "DIR", global = true)]
    pub directory: Option<PathBuf>,
    /// The environment to work on; not needed when the manifest has only one
    #[arg(
        short, long, value_name = "ENV", env = "REMINT_ENV", global = true,
        add = ArgValueCompleter::new(complete::environments)
    )]
    pub env: Option<String>,
    /// Use this provider instead of the manifest's; `bake` takes several, which work side by side
    #[arg(long = "provider", value_name = "ID", env = "REMINT_PROVIDER", value_delimiter = ',', global = true)]
    pub providers: Vec<String>,
    /// Replace a variable of `[vars]`; may be given several times
    #[arg(long = "var", value_name = "KEY=VALUE", value_parser = key_value, global = true)]
    pub vars: Vec<(String, String)>,
    /// Read files that the manifest names from this folder too; may be given several times
    #[arg(long = "allow-path", value_name = "DIR", env = "REMINT_ALLOW_PATH", value_delimiter = ':', global = true)]
    pub allowed_paths: Vec<PathBuf>,
    /// Write one JSON event a line to standard output
    #[arg(long, global = true)]
    pub json: bool,
    /// Say only what failed, and results
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more; twice shows each call of the cloud's API
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
    /// Colours on the terminal
    #[arg(long, value_enum, default_value_t, value_name = "WHEN", global = true)]
    pub color: ColorChoice,
    /// Answer yes to every question
    #[arg(short = 'y', long, global = true)]
    pub yes: bool,
    /// Wait this long (`90s`, `5m`) for the environment's lock where another run holds it, instead of failing at once
    #[arg(long, value_name = "DURATION", env = "REMINT_LOCK_WAIT", global = true)]
    pub lock_wait: Option<HumanDuration>,
    /// How long an interrupted command may clean up (`10m` by default)
    #[arg(long, value_name = "DURATION", env = "REMINT_CLEANUP_TIMEOUT", global = true)]
    pub cleanup_timeout: Option<HumanDuration>,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write it as KEY=VALUE".to_owned()),
    }
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a commented remint.toml and an example service, ready to deploy on the sandbox
    Init(InitArgs),
    /// Check remint.toml without asking any cloud
    Validate,
    /// Show what a deploy would do
    Plan(PlanArgs),
    /// Bake the image, unless one with the same fingerprint exists
    Bake(BakeArgs),
    /// Bake if needed, launch, wait until healthy, move the address, retire the old instances
    Deploy(DeployArgs),
    /// Deploy an earlier release again, without baking
    Rollback(RollbackArgs),
    /// Show what runs, and whether it is what was deployed
    Status(StatusArgs),
    /// List the releases of the environment
    History(HistoryArgs),
    /// Show one release with its journal
    Show(ShowArgs),
    /// Go on with a release that was interrupted
    Resume,
    /// Undo a release that was interrupted
    Abort,
    /// Write a new journal for what is in the cloud: the old one is lost, or the service was made by hand
    Adopt(AdoptArgs),
    /// List what no release accounts for, ask, and delete it
    Gc(GcArgs),
    /// Delete the environment: instances, address, DNS record
    Destroy(DestroyArgs),
    /// List or prune the service's images
    Images(ImagesArgs),
    /// Show who holds the environment's lock, or take it away from them
    Lock(LockArgs),
    /// Check the journal for damage, mend what can be mended, or move it to another place
    Journal(journal::JournalArgs),
    /// Log in to an instance, which marks it as touched, or to a builder that is kept
    Ssh(SshArgs),
    /// Show what an instance wrote to its console
    Console(ConsoleArgs),
    /// List the providers of this build, with capabilities and limits
    Providers,
    /// The suite that every provider passes, and the skeleton of a new provider
    Conformance(conformance::ConformanceArgs),
    /// Check this machine, the manifest and the credentials
    Doctor,
    /// Print the JSON Schema of remint.toml, of a provider's options, or of what commands print as JSON
    Schema(SchemaArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// The cloud on this machine
    #[cfg(feature = "sandbox")]
    Sandbox(sandbox::SandboxArgs),
}

/// Arguments of `remint init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The service's name; the folder's name when not given
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
}

/// Arguments of `remint plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// End with exit code 9 when there are changes
    #[arg(long)]
    pub detailed_exit_code: bool,
    /// Plan for this image, as `remint deploy --image` does
    #[arg(long, value_name = "ID")]
    pub image: Option<ImageId>,
    /// Read the secrets of `[secrets]`, which may run commands, so that a configuration with secrets is compared too
    #[arg(long)]
    pub with_secrets: bool,
}

/// Arguments of `remint status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// List all environments of the journal, without asking any cloud
    #[arg(long, conflicts_with = "with_secrets")]
    pub all: bool,
    /// Read the secrets of `[secrets]`, which may run commands, so that a configuration with secrets is compared too
    #[arg(long)]
    pub with_secrets: bool,
}

/// What becomes of the builder of a bake that fails.
#[derive(Debug, Clone, Default, Args)]
pub struct KeepArgs {
    /// When a step fails: destroy the builder, keep it for `remint ssh --builder`, or ask which
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    pub on_error: OnErrorChoice,
    /// How long a builder is kept (`24h` by default); after that, `remint gc` destroys it
    #[arg(long, value_name = "DURATION")]
    pub keep_for: Option<HumanDuration>,
}

/// What becomes of a builder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum OnErrorChoice {
    /// Destroy it.
    #[default]
    Cleanup,
    /// Keep it for a while.
    Keep,
    /// Ask, on a terminal.
    Ask,
}

/// Arguments of `remint bake`.
#[derive(Debug, Args)]
pub struct BakeArgs {
    /// Run and verify the recipe, then destroy the builder: nothing is captured
    #[arg(long)]
    pub no_capture: bool,
    /// What becomes of the builder when a step fails.
    #[command(flatten)]
    pub keep: KeepArgs,
    /// Create a new journal inside the checkout, although `CI` is set
    #[arg(long)]
    pub new_journal: bool,
}

/// Arguments of `remint deploy`.
#[derive(Debug, Args)]
pub struct DeployArgs {
    /// Create a new journal inside the checkout, although `CI` is set
    #[arg(long)]
    pub new_journal: bool,
    /// Replace the instances even if nothing changed
    #[arg(long)]
    pub force: bool,
    /// Launch this image, which another tool may have made, instead of baking the manifest's recipe
    #[arg(long, value_name = "ID")]
    pub image: Option<ImageId>,
    /// What becomes of the builder when a step fails.
    #[command(flatten)]
    pub keep: KeepArgs,
}

/// Arguments of `remint rollback`.
#[derive(Debug, Args)]
pub struct RollbackArgs {
    /// The release to go back to (`r7` or `7`); the one before the current one when not given
    #[arg(add = ArgValueCompleter::new(complete::releases))]
    pub release: Option<ReleaseId>,
}

/// Arguments of `remint history`.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// How many to show
    #[arg(short = 'n', long, default_value_t = 20)]
    pub limit: usize,
}

/// Arguments of `remint show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The release (`r7` or `7`)
    #[arg(add = ArgValueCompleter::new(complete::releases))]
    pub release: ReleaseId,
}

/// Arguments of `remint adopt`.
#[derive(Debug, Args)]
pub struct AdoptArgs {
    /// Take over this instance, which carries no labels of this environment, or another journal's id (may be given again)
    #[arg(long = "instance", value_name = "ID")]
    pub instances: Vec<InstanceId>,
    /// Take over this static IP, where its labels do not show whose it is (may be given again)
    #[arg(long = "static-ip", value_name = "IP")]
    pub static_ips: Vec<std::net::IpAddr>,
    /// Create a new journal inside the checkout, although `CI` is set
    #[arg(long)]
    pub new_journal: bool,
}

/// Arguments of `remint gc`.
#[derive(Debug, Args)]
pub struct GcArgs {
    /// Only list what would be deleted
    #[arg(long)]
    pub dry_run: bool,
    /// Delete builders that are kept, too, before their time is over
    #[arg(long)]
    pub kept: bool,
}

/// Arguments of `remint destroy`.
#[derive(Debug, Args)]
pub struct DestroyArgs {
    /// Delete the service's images too
    #[arg(long)]
    pub images: bool,
}

/// Arguments of `remint images`.
#[derive(Debug, Args)]
pub struct ImagesArgs {
    /// What to do; `list` when not given.
    #[command(subcommand)]
    pub command: Option<ImagesCommand>,
}

/// The verbs of `remint images`.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum ImagesCommand {
    /// List the service's images and the releases that use them
    List,
    /// Delete images that no kept release uses
    Prune {
        /// Only list what would be deleted
        #[arg(long)]
        dry_run: bool,
    },
}

/// Arguments of `remint lock`.
#[derive(Debug, Args)]
pub struct LockArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: LockCommand,
}

/// The verbs of `remint lock`.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum LockCommand {
    /// Show who holds the lock, since when, and whether their process is alive
    Status,
    /// Take the lock away from a run that will not give it back; refused while its process is alive on this host
    Release,
}

/// Arguments of `remint ssh`.
#[derive(Debug, Args)]
pub struct SshArgs {
    /// The instance or, with --builder, the builder, by its name; not needed when there is only one
    pub instance: Option<String>,
    /// Log in to the builder that `remint bake --on-error=keep` kept, with the key that it left on this machine
    #[arg(long)]
    pub builder: bool,
    /// The private key to log in with; without it, those of the agent and OpenSSH's usual files. ~/.ssh/config is not read
    #[arg(short, long, value_name = "FILE")]
    pub identity: Option<PathBuf>,
    /// A command to run instead of a shell
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// Arguments of `remint console`.
#[derive(Debug, Args)]
pub struct ConsoleArgs {
    /// The instance, by its name; not needed when there is only one
    pub instance: Option<String>,
}

/// Arguments of `remint schema`.
#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// The schema of a line that a command prints with `--json`
    #[arg(long, conflicts_with = "plan")]
    pub events: bool,
    /// The schema of the result of `remint plan --json`
    #[arg(long)]
    pub plan: bool,
    /// Print the manifest reference of the book (Markdown) instead of a schema
    #[arg(long, hide = true, conflicts_with_all = ["events", "plan"])]
    pub reference: bool,
}

/// Arguments of `remint completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// The arguments of `remint sandbox`.
#[cfg(feature = "sandbox")]
pub mod sandbox {
    use std::path::PathBuf;

    use clap::{Args, Subcommand, ValueEnum};
    use remint_sandbox::cloud::Api;

    const START_EXAMPLES: &str = "\
Examples:
  remint sandbox start                        all three APIs, on what this machine has
  remint sandbox start --api ec2,gce          without DigitalOcean's
  remint sandbox start --kind simulated --profile realistic --speed 100";

    const ENV_EXAMPLES: &str = "\
Examples:
  eval \"$(remint sandbox env)\"               for DigitalOcean's clients, and --provider digitalocean
  eval \"$(remint sandbox env aws)\"           for the AWS CLI, boto3, Packer, and --provider aws
  eval \"$(remint sandbox env gcp)\"           for Google's clients, and --provider gcp";

    const ZONE_EXAMPLES: &str = "\
Examples:
  remint sandbox zone example.test            in DigitalOcean's account
  remint sandbox zone example.test --api aws  a hosted zone of Route 53";

    /// Arguments of `remint sandbox`.
    #[derive(Debug, Args)]
    pub struct SandboxArgs {
        /// Which sandbox: each has machines, addresses and state of its own
        #[arg(long, value_name = "NAME", default_value = "default", env = "REMINT_SANDBOX", global = true)]
        pub name: String,
        /// What to do.
        #[command(subcommand)]
        pub command: SandboxCommand,
    }

    /// The verbs of `remint sandbox`.
    #[derive(Debug, Subcommand)]
    pub enum SandboxCommand {
        /// Start it in the background; one that runs is left alone
        #[command(after_help = START_EXAMPLES)]
        Start(StartArgs),
        /// Stop its API; QEMU machines keep running unless --machines is given
        Stop {
            /// Destroy nothing, but switch all machines off too
            #[arg(long)]
            machines: bool,
        },
        /// Show whether it runs, where, and what is in it
        Status,
        /// Delete everything in it
        Reset,
        /// Print the environment variables that a cloud's client needs; credentials are among them
        #[command(after_help = ENV_EXAMPLES)]
        Env {
            /// Whose client: digitalocean, aws (or ec2), gcp (or gce)
            #[arg(value_name = "API", default_value_t = Api::DigitalOcean, value_parser = str::parse::<Api>)]
            api: Api,
        },
        /// Add a DNS zone to an account; its DNS server then answers for it
        #[command(after_help = ZONE_EXAMPLES)]
        Zone {
            /// The zone, such as example.test
            zone: String,
            /// In whose account: digitalocean, ec2 (or aws), gce (or gcp)
            #[arg(long, value_name = "API", default_value_t = Api::DigitalOcean, value_parser = str::parse::<Api>)]
            api: Api,
        },
        /// Show how many calls its APIs have served
        Calls {
            /// Start again at 0 afterwards
            #[arg(long)]
            reset: bool,
        },
        /// Make its APIs fail on purpose
        Faults {
            /// What to do; `list` when not given.
            #[command(subcommand)]
            command: Option<FaultsCommand>,
        },
        /// The base images of QEMU machines
        Image {
            /// What to do.
            #[command(subcommand)]
            command: ImageCommand,
        },
        /// Run it in the foreground
        #[command(hide = true)]
        Serve(StartArgs),
    }

    /// Arguments of `remint sandbox start`.
    #[derive(Debug, Clone, Args)]
    pub struct StartArgs {
        /// Speak these clouds' APIs, each with an account of its own: digitalocean, ec2, gce; all for a new one
        #[arg(long = "api", value_name = "API", value_delimiter = ',', value_parser = str::parse::<Api>)]
        pub apis: Vec<Api>,
        /// What stands behind the instances
        #[arg(long, value_enum, default_value_t)]
        pub kind: Kind,
        /// How long things take: `instant` or `realistic`; `instant` for a new one
        #[arg(long)]
        pub profile: Option<String>,
        /// Divide the profile's delays by this; 1 for a new one
        #[arg(long)]
        pub speed: Option<f64>,
        /// Fix the draws of the profile's delays; 0 for a new one
        #[arg(long)]
        pub seed: Option<u64>,
        /// Open this port on every machine and reserved IP, beside the usual ones
        #[arg(long = "port", value_name = "PORT")]
        pub ports: Vec<u16>,
        /// Listen here instead of on the usual port; all APIs share it
        #[arg(long, value_name = "PORT")]
        pub api_port: Option<u16>,
        /// Do not enforce the API's rate limits
        #[arg(long)]
        pub no_rate_limits: bool,
        /// How many instances each account may have; 25 for a new one
        #[arg(long, value_name = "COUNT")]
        pub instances: Option<usize>,
        /// Boot real machines from the beginning, and not from a saved guest of their base image
        #[arg(long)]
        pub cold: bool,
    }

    /// What stands behind the instances.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
    pub enum Kind {
        /// QEMU where it is installed and a base image is built, else simulated
        #[default]
        Auto,
        /// Real virtual machines
        Qemu,
        /// Machines simulated in the sandbox's own process
        Simulated,
    }

    /// The verbs of `remint sandbox faults`.
    #[derive(Debug, Subcommand)]
    pub enum FaultsCommand {
        /// List the rules
        List,
        /// Add a rule
        Add {
            /// The rule as JSON, such as {"method":"POST","path":"/v2/droplets","nth":1,"fault":"reset_after_commit"}
            rule: String,
        },
        /// Remove all rules
        Clear,
    }

    /// The verbs of `remint sandbox image`.
    #[derive(Debug, Subcommand)]
    pub enum ImageCommand {
        /// Build a base image from the distribution's packages
        Build {
            /// The distribution
            #[arg(value_parser = ["debian-12"])]
            distribution: String,
            /// Build it again even if it exists
            #[arg(long)]
            rebuild: bool,
        },
        /// Take a bootable qcow2 file in as a base image
        Import {
            /// The file
            file: PathBuf,
            /// The slug to offer it under
            #[arg(long)]
            slug: String,
            /// Its SHA-256, in hexadecimal
            #[arg(long)]
            sha256: String,
        },
        /// List the base images
        List,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_variable_needs_a_key_and_an_equals_sign() {
        assert_eq!(key_value("version=v2=x"), Ok(("version".to_owned(), "v2=x".to_owned())));
        assert!(key_value("version").is_err());
        assert!(key_value("=v2").is_err());
    }
}
