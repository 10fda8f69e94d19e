//! What happens, as typed events; the command renders them, `--json` prints them.
//!
//! What is emitted passes [`crate::redact`] before anybody sees it: its text is clean, and secrets that the process knows are
//! masked. Its JSON form is versioned: [`SCHEMA`] goes up when a field changes its meaning or
//! goes away; new events and fields may appear at any time.

mod event;
mod streams;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::streams::Streams;
pub use event::{Event, Level, Stream};

/// The version of the events' JSON form.
pub const SCHEMA: u32 = 1;

/// An event with its time, as `--json` prints it: one a line.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// The version of this form, [`SCHEMA`].
    pub schema: u32,
    /// When it happened.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub at: Timestamp,
    /// What happened; its fields stand next to `at`.
    #[serde(flatten)]
    pub event: Event,
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
