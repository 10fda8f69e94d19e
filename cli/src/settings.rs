//! What the command works with: arguments and environment merged. Pure; nothing here reads a file or asks a cloud.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use remint_core::provider::ProviderId;

use crate::args::{ColorChoice, GlobalArgs};

/// The name of the manifest.
pub const MANIFEST: &str = "remint.toml";

/// How loud the command is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Failures and results only.
    Quiet,
    /// What a person wants to follow.
    Normal,
    /// Every step.
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
    /// The provider that replaces the manifest's.
    pub provider: Option<ProviderId>,
    /// Variables that replace the manifest's.
    pub vars: BTreeMap<String, String>,
    /// JSON lines on standard output.
    pub json: bool,
    /// How loud.
    pub verbosity: Verbosity,
    /// Colours.
    pub color: ColorChoice,
    /// No questions.
    pub yes: bool,
    /// The process's environment variables, those that are valid UTF-8.
    pub process_env: BTreeMap<String, String>,
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
        Self {
            directory: args.directory.unwrap_or_else(|| PathBuf::from(".")),
            env: args.env,
            provider: args.provider.map(ProviderId::from),
            vars: args.vars.into_iter().collect(),
            json: args.json,
            verbosity,
            color: args.color,
            yes: args.yes,
            process_env,
        }
    }

    /// Where the manifest is.
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
    fn verbosity_counts() {
        let with =
            |quiet, verbose| Settings::new(GlobalArgs { quiet, verbose, ..GlobalArgs::default() }, BTreeMap::new());
        assert_eq!(with(true, 0).verbosity, Verbosity::Quiet);
        assert_eq!(with(false, 0).verbosity, Verbosity::Normal);
        assert_eq!(with(false, 1).verbosity, Verbosity::Verbose);
        assert_eq!(with(false, 3).verbosity, Verbosity::Trace);
    }
}
