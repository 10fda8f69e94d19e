//! What goes wrong with a sandbox as a process.

use std::path::{Path, PathBuf};

use crate::cloud::Api;

/// A result whose error is [`SandboxError`] unless it says otherwise.
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
        /// The verb of what was tried: `read`, `lock`.
        what: &'static str,
        /// The file or folder that it was tried with.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A file is not what a sandbox wrote.
    #[error("{} is not what this version of Remint wrote: {problem}; `remint sandbox reset` starts afresh", path.display())]
    Format {
        /// The file in the sandbox's folder.
        path: PathBuf,
        /// What cannot be read of it, as a fragment.
        problem: String,
    },
    /// Another process serves the folder.
    #[error("sandbox {0} is served by another process already")]
    Busy(String),
    /// No process serves the sandbox of this name.
    #[error("sandbox {0} does not run: start it with `remint sandbox start --name {0}`")]
    NotRunning(String),
    /// The sandbox was started without this API.
    #[error("sandbox {name} does not speak {api}: stop it, and start it with `--api` that names it")]
    NotSpoken {
        /// The name that `--name` or `REMINT_SANDBOX` gave it.
        name: String,
        /// The API that was asked for.
        api: Api,
    },
    /// It runs with other settings than those asked for.
    #[error("sandbox {name} runs with {setting} {is}, not {wanted}: stop it first, or leave the option out")]
    Differs {
        /// The name that `--name` or `REMINT_SANDBOX` gave it.
        name: String,
        /// The setting in words, such as `kind` or `the APIs`.
        setting: &'static str,
        /// What it runs with, as on the command line.
        is: String,
        /// What was asked for, as on the command line.
        wanted: String,
    },
    /// Its machines are of another kind.
    #[error(
        "sandbox {name} has {is} machines: `remint sandbox reset --name {name}` deletes them, then {wanted} ones can be had"
    )]
    OtherKind {
        /// The name that `--name` or `REMINT_SANDBOX` gave it.
        name: String,
        /// The kind that its state is of: `qemu` or `simulated`.
        is: &'static str,
        /// The kind that was asked for.
        wanted: &'static str,
    },
    /// An option that cannot be taken; the text says why.
    #[error("{0}")]
    Setting(String),
    /// The background process ended or did not answer.
    #[error("sandbox {name} did not start: {problem}{}", last_lines(log))]
    Start {
        /// The name that `--name` or `REMINT_SANDBOX` gave it.
        name: String,
        /// How the process ended, or what was last heard of it.
        problem: String,
        /// The last lines of its log.
        log: String,
    },
    /// It did not end.
    #[error("sandbox {name} (process {pid}) did not stop")]
    Stop {
        /// The name that `--name` or `REMINT_SANDBOX` gave it.
        name: String,
        /// The id of the process that was asked to stop.
        pid: u32,
    },
    /// No addresses are left.
    #[error("no slot of loopback addresses is free (127.16 to 127.250): stop or reset some sandboxes")]
    NoSlot,
    /// Its addresses went to another sandbox while it was stopped.
    #[error("the addresses 127.{slot}.x.y of this sandbox are in use by {holder}: stop that, or reset this one")]
    SlotTaken {
        /// The second number of its addresses: 127.SLOT.x.y.
        slot: u8,
        /// Who has the slot now, in words: `the sandbox in FOLDER`.
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
        /// The name that `--name` or `REMINT_SANDBOX` gave it.
        name: String,
        /// The path of the request, below the API's URL.
        path: String,
        /// The refusal, or why the answer could not be read.
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
