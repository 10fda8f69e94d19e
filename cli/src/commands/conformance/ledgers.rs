//! Where the ledgers of runs on accounts are kept.

use std::path::PathBuf;

use crate::{
    exit::{ExitStatus, Failure},
    settings::Settings,
};

/// The given folder, else `remint/conformance` below the user's state folder.
pub(super) fn folder(given: Option<&PathBuf>, settings: &Settings) -> Result<PathBuf, Failure> {
    if let Some(folder) = given {
        return Ok(settings.directory.join(folder));
    }
    let variable = |name: &str| settings.process_env.get(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = variable("XDG_STATE_HOME").or_else(|| variable("HOME").map(|home| home.join(".local/state")));
    state.map(|state| state.join("remint/conformance")).ok_or_else(|| {
        let error = anyhow::anyhow!("no folder for the ledgers of runs on accounts");
        Failure::new(ExitStatus::Usage, error).hint("give --ledgers DIR, or set XDG_STATE_HOME or HOME")
    })
}
