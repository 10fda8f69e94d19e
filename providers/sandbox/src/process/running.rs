//! Finding a sandbox that runs.

use secrecy::SecretString;

use super::{Folder, Record, Result, SandboxError, Settings};

/// A sandbox that runs.
#[derive(Debug, Clone)]
pub struct Running {
    /// The name that `--name` or `REMINT_SANDBOX` gave it.
    pub name: String,
    /// The addresses of its API and DNS server, its slot and its process.
    pub record: Record,
    /// What it was started with, or took over from the run before.
    pub settings: Settings,
    /// The token that its APIs accept, from a file in its folder.
    pub token: SecretString,
    /// Whether it ran before it was asked for.
    pub reused: bool,
}

/// The sandbox of the folder, where a process serves it.
pub(super) fn running(folder: &Folder) -> Result<Option<Running>> {
    if !folder.path().is_dir() || folder.try_lock("lock")?.is_some() {
        return Ok(None);
    }
    let (Some(record), Some(settings), Some(token)) =
        (Record::read(folder)?, Settings::read(folder)?, folder.existing_token()?)
    else {
        return Ok(None);
    };
    Ok(Some(Running { name: folder.name().to_owned(), record, settings, token, reused: true }))
}

/// The sandbox of a name, which runs.
///
/// # Errors
///
/// `NotRunning`; those of reading its files.
pub fn find(name: &str) -> Result<Running> {
    running(&Folder::of(name)?)?.ok_or_else(|| SandboxError::NotRunning(name.to_owned()))
}
