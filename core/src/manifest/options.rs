//! What the command line says about the manifest.

use std::{collections::BTreeMap, path::PathBuf};

use crate::provider::ProviderId;

/// How a manifest is read.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// `-e`: the environment.
    pub env: Option<String>,
    /// `--var NAME=VALUE`; taken as they are, `${…}` in them is not filled in.
    pub vars: BTreeMap<String, String>,
    /// `--provider`: instead of the manifest's own choice.
    pub provider: Option<ProviderId>,
    /// The environment variables of the process, for `${env.NAME}` and secrets.
    pub process_env: BTreeMap<String, String>,
    /// Nothing is baked, so the files of the recipe need not exist.
    pub without_recipe: bool,
    /// Folders beside the manifest's own from which its files may come.
    pub allowed_paths: Vec<PathBuf>,
    /// No secret is read: the command only looks.
    pub without_secrets: bool,
}
