//! What happens, as typed events; the command renders them, `--json` prints them.
//!
//! What is emitted passes [`crate::redact`] before anybody sees it: its text is clean, and secrets that the process knows are
//! masked. Its JSON form is versioned: [`SCHEMA`] goes up when a field changes its meaning or
//! goes away; new events and fields may appear at any time.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    provider::{CallCount, Fingerprint, ImageId, InstanceId, ReleaseId},
    redact::Streams,
};

/// The version of the events' JSON form.
pub const SCHEMA: u32 = 1;

/// An event with its time, as `--json` prints it: one a line.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// [`SCHEMA`].
    pub schema: u32,
    /// When it happened.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

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
        /// The phase's name.
        phase: String,
    },
    /// A phase is over.
    PhaseFinished {
        /// The phase's name.
        phase: String,
        /// How long it took.
        elapsed: Duration,
    },
    /// A task began.
    TaskStarted {
        /// The task's name.
        task: String,
        /// What it does.
        message: String,
    },
    /// A task goes on; the message replaces the former one.
    TaskProgress {
        /// The task's name.
        task: String,
        /// What it does now.
        message: String,
    },
    /// A task is done.
    TaskFinished {
        /// The task's name.
        task: String,
        /// How it ended.
        message: String,
        /// How long it took.
        elapsed: Duration,
    },
    /// A task failed; the error follows from the command as a whole.
    TaskFailed {
        /// The task's name.
        task: String,
        /// Why.
        message: String,
    },
    /// A line that a provisioner, verify command or hook wrote.
    Output {
        /// The task's name.
        task: String,
        /// Which step of the recipe (`2: script ./install.sh`).
        step: String,
        /// Which stream.
        stream: Stream,
        /// The line, without its end, secrets replaced.
        line: String,
    },
    /// An image exists for the fingerprint: baked now, or reused.
    ImageReady {
        /// The image.
        image: ImageId,
        /// Its fingerprint.
        fingerprint: Fingerprint,
        /// Whether it had been there before.
        reused: bool,
    },
    /// An instance was launched.
    InstanceLaunched {
        /// The instance.
        instance: InstanceId,
        /// Its name.
        name: String,
    },
    /// An instance passed its gate.
    InstanceHealthy {
        /// The instance.
        instance: InstanceId,
        /// Its name.
        name: String,
    },
    /// An instance was destroyed.
    InstanceDestroyed {
        /// The instance.
        instance: InstanceId,
        /// Its name.
        name: String,
    },
    /// The stable address points at an instance now.
    AddressMoved {
        /// The address.
        address: String,
        /// The instance.
        instance: InstanceId,
    },
    /// What the probe through the stable address saw.
    Probed {
        /// Requests sent.
        sent: u64,
        /// Requests that failed.
        failed: u64,
        /// The longest time between two successes around a failure; zero when none failed.
        longest_gap: Duration,
    },
    /// A release is done.
    ReleaseFinished {
        /// The release.
        release: ReleaseId,
        /// What it cost in API calls.
        calls: CallCount,
        /// How long it took.
        elapsed: Duration,
    },
    /// A remark.
    Note {
        /// How loud.
        level: Level,
        /// A sentence.
        message: String,
    },
    /// The command ended with an error.
    Failed {
        /// The process's exit code.
        exit_code: u8,
        /// The chain of errors, outermost first.
        chain: Vec<String>,
        /// What the user can do.
        hints: Vec<String>,
    },
}

/// Where events go. Cheap to clone; may be called from any task, and must not block.
#[derive(Clone)]
pub struct Events {
    sink: Arc<Sink>,
}

struct Sink {
    show: Box<dyn Fn(Event) + Send + Sync>,
    streams: Mutex<Streams>,
}

impl Drop for Sink {
    fn drop(&mut self) {
        let streams = self.streams.get_mut().unwrap_or_else(PoisonError::into_inner);
        streams.rest().into_iter().for_each(&self.show);
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

impl Events {
    /// Sends every event to the function.
    pub fn new(sink: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self { sink: Arc::new(Sink { show: Box::new(sink), streams: Mutex::default() }) }
    }

    /// Drops every event.
    pub fn silent() -> Self {
        Self::new(|_| {})
    }

    /// Reports one. A line of output that ends with the first part of a secret is held back until it is known how it goes on.
    pub fn emit(&self, event: Event) {
        let ready = self.sink.streams.lock().unwrap_or_else(PoisonError::into_inner).pass(event);
        ready.into_iter().for_each(&self.sink.show);
    }

    /// A remark that is good to know.
    pub fn info(&self, message: impl Into<String>) {
        self.emit(Event::Note { level: Level::Info, message: message.into() });
    }

    /// A remark that the user should look at.
    pub fn warn(&self, message: impl Into<String>) {
        self.emit(Event::Note { level: Level::Warning, message: message.into() });
    }
}
