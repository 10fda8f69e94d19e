//! What can happen, in the words of the JSON form.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::provider::{CallCount, Fingerprint, ImageId, InstanceId, ReleaseId};

/// How loud a remark is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Good to know.
    Info,
    /// The user should look at it.
    Warning,
}

/// Which output stream of a command a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What happened. `task` names what a line on the terminal stands for: a builder, an instance, the address.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A bake or deploy entered a phase (`fingerprint`, `builder`, `provision`, `launching`, `gating`, …).
    PhaseStarted {
        /// A word of the phase's own; new ones may appear.
        phase: String,
    },
    /// A phase is over.
    PhaseFinished {
        /// As it was given when the phase started.
        phase: String,
        /// Since the phase started.
        elapsed: Duration,
    },
    /// A task began.
    TaskStarted {
        /// Unique among the tasks that run at the time, such as an instance's name.
        task: String,
        /// What it does first, as a fragment: `waiting for SSH`.
        message: String,
    },
    /// A task goes on; the message replaces the former one.
    TaskProgress {
        /// As it was given when the task started.
        task: String,
        /// What it does now, as a fragment.
        message: String,
    },
    /// A step's files are being copied; told about twice a second, and not at all where that takes less.
    Copying {
        /// The task that the copy belongs to: the builder's name.
        task: String,
        /// The step, with its number: `step 1 (file app)`.
        step: String,
        /// Files, folders and links that were read.
        items: u64,
        /// How many files, folders and links the step copies.
        of_items: u64,
        /// The bytes of the files that were read.
        bytes: u64,
        /// How many bytes the step copies.
        of_bytes: u64,
    },
    /// A task is done.
    TaskFinished {
        /// The same text as in its `task_started`.
        task: String,
        /// How it ended.
        message: String,
        /// Since the task started.
        elapsed: Duration,
    },
    /// A task failed; the error follows from the command as a whole.
    TaskFailed {
        /// The same text as in its `task_started`.
        task: String,
        /// Why, in a line.
        message: String,
    },
    /// A line that a provisioner, verify command or hook wrote.
    Output {
        /// The task that runs the step.
        task: String,
        /// Which step of the recipe (`2: script ./install.sh`).
        step: String,
        /// Where the step wrote it.
        stream: Stream,
        /// The line, without its end, secrets replaced.
        line: String,
    },
    /// An image exists for the fingerprint: baked now, or reused.
    ImageReady {
        /// The cloud's id of it.
        image: ImageId,
        /// The digest of what it was baked from.
        fingerprint: Fingerprint,
        /// Whether it had been there before.
        reused: bool,
    },
    /// An instance was launched; it may not run yet.
    InstanceLaunched {
        /// The cloud's id of it.
        instance: InstanceId,
        /// Its name in the account, which says service, environment and release.
        name: String,
    },
    /// An instance passed its gate.
    InstanceHealthy {
        /// The cloud's id of it.
        instance: InstanceId,
        /// As it was given when it was launched.
        name: String,
    },
    /// An instance was destroyed: the cloud does not show it any more.
    InstanceDestroyed {
        /// The cloud's id of it.
        instance: InstanceId,
        /// As it was given when it was launched.
        name: String,
    },
    /// The stable address points at an instance now.
    AddressMoved {
        /// The static IP.
        address: String,
        /// The instance that answers there from now on.
        instance: InstanceId,
    },
    /// What the probe through the stable address saw.
    Probed {
        /// Requests that the probe sent, one after the other.
        sent: u64,
        /// How many of them had no answer, or a bad one.
        failed: u64,
        /// The longest time between two successes around a failure; zero when none failed.
        longest_gap: Duration,
    },
    /// A release serves, and what it replaces is retired.
    ReleaseFinished {
        /// Its number in the environment.
        release: ReleaseId,
        /// What it cost in calls of the cloud's API.
        calls: CallCount,
        /// Since the deploy or rollback started.
        elapsed: Duration,
    },
    /// A remark for the user that belongs to no task.
    Note {
        /// Whether the user should act on it.
        level: Level,
        /// A line for people.
        message: String,
    },
    /// The command ended with an error.
    Failed {
        /// The process's exit code, one of the table in the book.
        exit_code: u8,
        /// The chain of errors, outermost first.
        chain: Vec<String>,
        /// What the user can do about it, a line each.
        hints: Vec<String>,
    },
}
