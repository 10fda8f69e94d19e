//! What was called, in order.

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use jiff::Timestamp;
use remint_core::{
    provider::{Calls, Effect, Error, Result},
    redact,
};
use serde::{Deserialize, Serialize};

/// How many calls are kept. The whole suite makes a few thousand.
const KEPT: usize = 50_000;
/// The outcome of a call that succeeded.
const OK: &str = "ok";
/// How much of an error is kept, in bytes.
const MESSAGE: usize = 1024;

/// One call of the provider's contract. It holds no body, no header, and nothing of user data or keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallLine {
    /// When the call began, by this machine's clock.
    pub at: Timestamp,
    /// The case that was under way; empty before the first one.
    pub case: String,
    /// What was called: `launch instance`.
    pub call: String,
    /// The name or id of what it is about; may be empty.
    pub on: String,
    /// How many requests the account's client sent meanwhile, repetitions included.
    pub requests: u64,
    /// How long it took, in milliseconds.
    pub millis: u64,
    /// `ok`, or the kind of the error.
    pub outcome: String,
    /// What the failed call did: `not applied`, `applied`, `unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<String>,
    /// The cloud's own id of the failed request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The error and what caused it; at most 1 KiB of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl CallLine {
    /// Whether the call succeeded.
    pub fn is_ok(&self) -> bool {
        self.outcome == OK
    }
}

/// Keeps the calls of a run. Clones share everything.
#[derive(Debug, Clone, Default)]
pub struct CallLog {
    shared: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    case: String,
    lines: Vec<CallLine>,
}

impl CallLog {
    /// Says which case the calls from now on belong to.
    pub fn case(&self, id: &str) {
        id.clone_into(&mut self.lock().case);
    }

    /// All calls so far that were kept.
    pub fn lines(&self) -> Vec<CallLine> {
        self.lock().lines.clone()
    }

    /// Runs a call, and keeps what came of it. A call that is dropped before its end leaves no line.
    pub(super) async fn trace<T>(
        &self,
        calls: &Calls,
        call: &'static str,
        on: impl ToString,
        running: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let (at, started, case) = (Timestamp::now(), Instant::now(), self.lock().case.clone());
        let before = calls.count();
        let result = running.await;
        let error = result.as_ref().err();
        let line = CallLine {
            at,
            case,
            call: call.to_owned(),
            on: redact::show_line(&on.to_string()),
            requests: calls.count().since(before).total(),
            millis: started.elapsed().as_millis().try_into().unwrap_or(u64::MAX),
            outcome: error.map_or(OK, |error| error.kind().as_str()).to_owned(),
            effect: error.map(|error| effect(error.effect()).to_owned()),
            request_id: error.and_then(Error::request_id).map(redact::show_line),
            error: error.map(|error| redact::excerpt(&redact::show_line(&chain(error)), MESSAGE)),
        };
        let mut state = self.lock();
        if state.lines.len() < KEPT {
            state.lines.push(line);
        }
        drop(state);
        result
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::NotApplied => "not applied",
        Effect::Applied => "applied",
        Effect::Unknown => "unknown",
    }
}

fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
