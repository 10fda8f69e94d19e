//! What the command works with: arguments and environment merged. Pure; nothing here reads a file or asks a cloud.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use remint_core::provider::ProviderId;

use crate::args::{ColorChoice, GlobalArgs};

/// The file name of the manifest, in the folder that `-C` names.
pub const MANIFEST: &str = "remint.toml";

/// How long an interrupted command may clean up, by default.
const CLEANUP_TIMEOUT: Duration = Duration::from_secs(600);

/// How loud the command is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Failures and results only.
    Quiet,
    /// What a person wants to follow.
    Normal,
    /// Every step: `-v` once.
    Verbose,
    /// Every call of the cloud's API.
    Trace,
}

/// The merged settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder that holds the manifest.
    pub directory: PathBuf,
    /// The chosen environment.
    pub env: Option<String>,
    /// The providers that replace the manifest's, each once. More than one only where a command takes several.
    pub providers: Vec<ProviderId>,
    /// Variables that replace the manifest's.
    pub vars: BTreeMap<String, String>,
    /// Folders beside the manifest's own from which its files may come.
    pub allowed_paths: Vec<PathBuf>,
    /// JSON lines on standard output.
    pub json: bool,
    /// How loud.
    pub verbosity: Verbosity,
    /// Whether text on the terminal has colours.
    pub color: ColorChoice,
    /// No questions.
    pub yes: bool,
    /// How long to wait for the environment's lock.
    pub lock_wait: Option<Duration>,
    /// How long an interrupted command may clean up.
    pub cleanup_timeout: Duration,
    /// The process's environment variables, those that are valid UTF-8.
    pub process_env: BTreeMap<String, String>,
    /// What the command may do beside asking the cloud.
    pub reach: Reach,
}

/// What a command may do beside asking the cloud.
///
/// A command that only looks treats the manifest, the checkout and the journal as data, which may come from anybody.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reach {
    /// It changes things: it reads secrets, runs what the manifest names, and starts a sandbox that is needed.
    #[default]
    Change,
    /// It only looks: it runs no program, and reads a secret only on request.
    Look {
        /// Secrets are read all the same.
        secrets: bool,
    },
}

impl Settings {
    /// Merges the arguments with the environment; the last `--var` of a key wins.
    pub fn new(args: GlobalArgs, process_env: BTreeMap<String, String>) -> Self {
        let verbosity = match (args.quiet, args.verbose) {
            (true, _) => Verbosity::Quiet,
            (false, 0) => Verbosity::Normal,
            (false, 1) => Verbosity::Verbose,
            (false, _) => Verbosity::Trace,
        };
        let mut providers: Vec<ProviderId> = Vec::new();
        for id in args.providers.into_iter().filter(|id| !id.is_empty()).map(ProviderId::from) {
            if !providers.contains(&id) {
                providers.push(id);
            }
        }
        Self {
            directory: args.directory.unwrap_or_else(|| PathBuf::from(".")),
            env: args.env,
            providers,
            vars: args.vars.into_iter().collect(),
            allowed_paths: args.allowed_paths.into_iter().filter(|path| !path.as_os_str().is_empty()).collect(),
            json: args.json,
            verbosity,
            color: args.color,
            yes: args.yes,
            lock_wait: args.lock_wait.map(Duration::from),
            cleanup_timeout: args.cleanup_timeout.map_or(CLEANUP_TIMEOUT, Duration::from),
            process_env,
            reach: Reach::default(),
        }
    }

    /// The one provider that replaces the manifest's, where one does.
    pub fn provider(&self) -> Option<&ProviderId> {
        self.providers.first()
    }

    /// The same settings for one of the providers.
    #[must_use]
    pub fn for_provider(&self, id: &ProviderId) -> Self {
        Self { providers: vec![id.clone()], ..self.clone() }
    }

    /// The path of the manifest; without a folder in it where that is the current one.
    pub fn manifest_path(&self) -> PathBuf {
        if self.directory == Path::new(".") { PathBuf::from(MANIFEST) } else { self.directory.join(MANIFEST) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_of_a_variable_wins() {
        let var = |value: &str| ("version".to_owned(), value.to_owned());
        let args = GlobalArgs { vars: vec![var("v1"), var("v2")], ..GlobalArgs::default() };
        let settings = Settings::new(args, BTreeMap::new());
        assert_eq!(settings.vars.get("version").map(String::as_str), Some("v2"));
        assert_eq!(settings.manifest_path(), PathBuf::from("remint.toml"));
    }

    #[test]
    fn a_provider_that_is_named_twice_counts_once() {
        let providers = ["aws", "gcp", "", "aws"].map(str::to_owned).to_vec();
        let settings = Settings::new(GlobalArgs { providers, ..GlobalArgs::default() }, BTreeMap::new());
        assert_eq!(settings.providers, ["aws".into(), "gcp".into()]);
        assert_eq!(settings.for_provider(&"gcp".into()).provider(), Some(&"gcp".into()));
    }

    #[test]
    fn verbosity_counts() {
        let with =
            |quiet, verbose| Settings::new(GlobalArgs { quiet, verbose, ..GlobalArgs::default() }, BTreeMap::new());
        assert_eq!(with(true, 0).verbosity, Verbosity::Quiet);
        assert_eq!(with(false, 0).verbosity, Verbosity::Normal);
        assert_eq!(with(false, 1).verbosity, Verbosity::Verbose);
        assert_eq!(with(false, 3).verbosity, Verbosity::Trace);
    }
}
