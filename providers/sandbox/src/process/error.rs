//! What goes wrong with a sandbox as a process.

use std::path::{Path, PathBuf};

use crate::cloud::Api;

/// The result of a sandbox operation.
pub type Result<T, E = SandboxError> = std::result::Result<T, E>;

/// What went wrong with a sandbox.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// A name that cannot be a folder's.
    #[error("`{0}` cannot name a sandbox: use letters, digits, `-` and `_`, at most 40, and not `images`")]
    Name(String),
    /// No place for state is known.
    #[error("no folder for the sandbox's state: set REMINT_SANDBOX_DIR, XDG_STATE_HOME or HOME")]
    NoRoot,
    /// A file or folder cannot be read or written.
    #[error("cannot {what} {}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A file is not what a sandbox wrote.
    #[error("{} is not what this version of Remint wrote: {problem}; `remint sandbox reset` starts afresh", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Another process serves the folder.
    #[error("sandbox {0} is served by another process already")]
    Busy(String),
    /// It does not run.
    #[error("sandbox {0} does not run: start it with `remint sandbox start --name {0}`")]
    NotRunning(String),
    /// It does not speak an API.
    #[error("sandbox {name} does not speak {api}: stop it, and start it with `--api` that names it")]
    NotSpoken {
        /// Its name.
        name: String,
        /// The API.
        api: Api,
    },
    /// It runs with other settings than those asked for.
    #[error("sandbox {name} runs with {setting} {is}, not {wanted}: stop it first, or leave the option out")]
    Differs {
        /// Its name.
        name: String,
        /// Which setting.
        setting: &'static str,
        /// What it is.
        is: String,
        /// What was asked for.
        wanted: String,
    },
    /// Its machines are of another kind.
    #[error(
        "sandbox {name} has {is} machines: `remint sandbox reset --name {name}` deletes them, then {wanted} ones can be had"
    )]
    OtherKind {
        /// Its name.
        name: String,
        /// What they are.
        is: &'static str,
        /// What was asked for.
        wanted: &'static str,
    },
    /// A setting that cannot be.
    #[error("{0}")]
    Setting(String),
    /// The background process ended or did not answer.
    #[error("sandbox {name} did not start: {problem}{}", last_lines(log))]
    Start {
        /// Its name.
        name: String,
        /// What was seen.
        problem: String,
        /// The last lines of its log.
        log: String,
    },
    /// It did not end.
    #[error("sandbox {name} (process {pid}) did not stop")]
    Stop {
        /// Its name.
        name: String,
        /// Its process.
        pid: u32,
    },
    /// No addresses are left.
    #[error("no slot of loopback addresses is free (127.16 to 127.250): stop or reset some sandboxes")]
    NoSlot,
    /// Its addresses went to another sandbox while it was stopped.
    #[error("the addresses 127.{slot}.x.y of this sandbox are in use by {holder}: stop that, or reset this one")]
    SlotTaken {
        /// The slot.
        slot: u8,
        /// By whom.
        holder: String,
    },
    /// The machines cannot be managed.
    #[error("{0}")]
    Machines(String),
    /// The cloud cannot be served.
    #[error(transparent)]
    Cloud(#[from] crate::cloud::CloudError),
    /// A call to the running sandbox failed.
    #[error("sandbox {name} did not answer {path} as expected: {problem}")]
    Call {
        /// Its name.
        name: String,
        /// What was asked.
        path: String,
        /// What came back.
        problem: String,
    },
}

impl SandboxError {
    pub(super) fn file(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::File { what, path: path.to_owned(), source }
    }
}

fn last_lines(log: &str) -> String {
    if log.is_empty() { String::new() } else { format!("\nthe last lines of its log:\n{log}") }
}
