//! `[secrets]`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a secret comes from. It is read when a release is made, and kept nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum SecretSource {
    /// An environment variable of the process that runs `remint`.
    Env(String),
    /// A file, relative to the manifest; one line end at its end is cut off.
    File(PathBuf),
    /// A command and its arguments; its standard output, one line end cut off, is the secret.
    Command(Vec<String>),
}
