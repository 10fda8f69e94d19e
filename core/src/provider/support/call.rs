//! What a call is, and the line of the log that each attempt leaves (`-vv`).
//!
//! The line is written in one place for all providers. What only the HTTP client sees, status and request id, reaches it by a
//! variable of the task, and not through every signature between: a client of an SDK sees it deep inside a library.

use std::{
    fmt,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::Excess;
use crate::provider::{Effect, Error, ErrorKind, Result};

/// How a call may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallClass {
    /// Changes nothing: repeated on every transient error.
    Read,
    /// Repeated only when the error says that nothing was applied.
    Mutation,
    /// The cloud itself makes it idempotent: repeated on every transient error.
    IdempotentMutation,
}

/// A call: what it does, to what, and how it may be repeated.
///
/// It is with a call from the first to the last: the call layer paces, repeats and logs by it, and the call's errors are made from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// How it may be repeated.
    pub class: CallClass,
    /// What it does, as in the call's errors: "launch instance".
    pub operation: &'static str,
    /// What it does this to, where there is one thing.
    pub resource: Option<String>,
}

impl Call {
    /// A call that changes nothing.
    pub fn read(operation: &'static str) -> Self {
        Self { class: CallClass::Read, operation, resource: None }
    }

    /// A call that would create or change something twice if it were repeated.
    pub fn mutation(operation: &'static str) -> Self {
        Self { class: CallClass::Mutation, ..Self::read(operation) }
    }

    /// A call that can be repeated: the cloud has a token or a unique name for it, or it sets a state.
    pub fn idempotent(operation: &'static str) -> Self {
        Self { class: CallClass::IdempotentMutation, ..Self::read(operation) }
    }

    /// Names what it is about, for errors and the log.
    #[must_use]
    pub fn about(self, resource: impl fmt::Display) -> Self {
        Self { resource: Some(resource.to_string()), ..self }
    }

    /// An error about this call that is not the cloud's. Nothing was changed.
    pub fn error(&self, kind: ErrorKind, message: impl Into<String>) -> Error {
        let error = Error::new(kind, self.operation, message);
        match &self.resource {
            Some(resource) => error.with_resource(resource),
            None => error,
        }
    }

    /// An error of this call, with what it did if it can change anything. A read never did.
    pub fn failed(&self, kind: ErrorKind, effect: Effect, message: impl Into<String>) -> Error {
        let effect = if self.class == CallClass::Read { Effect::NotApplied } else { effect };
        self.error(kind, message).with_effect(effect)
    }

    /// The error of a call that has no answer.
    pub fn no_answer(&self, why: NoAnswer) -> Error {
        let (kind, effect, message) = match why {
            NoAnswer::NotBuilt => (ErrorKind::InvalidInput, Effect::NotApplied, "the request cannot be built"),
            NoAnswer::NotConnected => (ErrorKind::Unavailable, Effect::NotApplied, "cannot connect"),
            NoAnswer::TimedOut => (ErrorKind::Timeout, Effect::Unknown, "no answer in time"),
            NoAnswer::Broken => {
                (ErrorKind::Unavailable, Effect::Unknown, "the connection broke before the answer was complete")
            }
        };
        self.failed(kind, effect, message)
    }

    /// The error of an answer of success that is not what the API documents.
    pub fn unreadable(&self) -> Error {
        self.failed(ErrorKind::Unexpected, Effect::Applied, "an answer that is not what the API documents")
    }

    /// The error of an answer of success that is larger than any cloud's.
    pub fn excessive(&self, excess: Excess) -> Error {
        self.failed(ErrorKind::Unexpected, Effect::Unknown, excess.to_string()).with_hint(Excess::HINT)
    }
}

/// Why a call has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoAnswer {
    /// The request was not built.
    NotBuilt,
    /// There was no connection, so nothing was sent.
    NotConnected,
    /// The time was over.
    TimedOut,
    /// The connection broke after the request was sent, or perhaps was.
    Broken,
}

impl From<&Call> for Call {
    fn from(call: &Call) -> Self {
        call.clone()
    }
}

impl From<CallClass> for Call {
    /// A call that the log names by its class alone.
    fn from(class: CallClass) -> Self {
        let operation = match class {
            CallClass::Read => "read",
            CallClass::Mutation | CallClass::IdempotentMutation => "change",
        };
        Self { class, operation, resource: None }
    }
}

/// What the HTTP client saw of an attempt's answer.
#[derive(Debug, Clone, Default)]
pub(super) struct Answered(Arc<Mutex<(Option<u16>, Option<String>)>>);

tokio::task_local! {
    static ANSWERED: Answered;
}

/// Tells the log the HTTP status of the answer that arrived, and the cloud's id of the request where it gives one. A provider's
/// HTTP client calls it for each answer, from within the future that [`Calls::run`](super::Calls::run) was given; anywhere else
/// it does nothing.
pub fn answered(status: u16, request_id: Option<&str>) {
    let id = request_id.map(str::to_owned);
    // Nobody asks outside of an attempt.
    let _ =
        ANSWERED.try_with(|answered| *answered.0.lock().unwrap_or_else(PoisonError::into_inner) = (Some(status), id));
}

/// The future, as a part of the attempt that it is made in, also where it runs as a task of its own.
pub(super) async fn within_attempt<T>(answered: Option<Answered>, work: impl Future<Output = T>) -> T {
    match answered {
        Some(answered) => ANSWERED.scope(answered, work).await,
        None => work.await,
    }
}

/// The attempt that runs now.
pub(super) fn attempt() -> Option<Answered> {
    ANSWERED.try_with(Clone::clone).ok()
}

/// An attempt that has ended, as the log shows it.
pub(super) struct Ended<'a> {
    pub(super) call: &'a Call,
    pub(super) answered: &'a Answered,
    /// `None` where it succeeded.
    pub(super) error: Option<&'a Error>,
    pub(super) took: Duration,
    /// From 1.
    pub(super) attempt: u32,
}

impl<'a> Ended<'a> {
    /// The attempt's end by its result.
    pub(super) fn new<T>(
        call: &'a Call,
        answered: &'a Answered,
        result: &'a Result<T>,
        took: Duration,
        attempt: u32,
    ) -> Self {
        Self { call, answered, error: result.as_ref().err(), took, attempt }
    }

    pub(super) fn log(&self) {
        tracing::debug!("API call: {self}");
    }
}

impl fmt::Display for Ended<'_> {
    /// `launch instance app-7-0: quota reached, status 422, 312 ms, request 4d9d`. What the cloud said is in the error.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.call.operation)?;
        if let Some(resource) = self.call.resource.as_deref().or(self.error.and_then(Error::resource)) {
            write!(f, " {resource}")?;
        }
        write!(f, ": {}", self.error.map_or("ok", |error| error.kind().as_str()))?;
        let (status, id) = self.answered.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(status) = status {
            write!(f, ", status {status}")?;
        }
        if let Some(code) = self.error.and_then(Error::code) {
            write!(f, ", code {code}")?;
        }
        write!(f, ", {} ms", self.took.as_millis())?;
        if let Some(id) = self.error.and_then(Error::request_id).or(id.as_deref()) {
            write!(f, ", request {id}")?;
        }
        if self.attempt > 1 {
            write!(f, ", attempt {}", self.attempt)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::support::Turns;

    fn launch() -> Call {
        Call::mutation("launch instance").about("app-7-0")
    }

    async fn line(call: Call, attempt: u32, work: impl Future<Output = Result<()>>) -> String {
        let answered = Answered::default();
        let result = within_attempt(Some(answered.clone()), work).await;
        Ended::new(&call, &answered, &result, Duration::from_millis(312), attempt).to_string()
    }

    #[tokio::test]
    async fn the_line_has_everything_but_what_the_cloud_said() {
        let good = async {
            answered(202, Some("4d9d"));
            Ok(())
        };
        assert_eq!(line(launch(), 1, good).await, "launch instance app-7-0: ok, status 202, 312 ms, request 4d9d");
        let bad = async {
            answered(422, None);
            Err(Error::new(ErrorKind::Quota, "launch instance", "hunter2").with_code("Limit").with_request_id("77"))
        };
        let expected = "launch instance app-7-0: quota reached, status 422, code Limit, 312 ms, request 77, attempt 2";
        assert_eq!(line(launch(), 2, bad).await, expected);
        let lost = async { Err(Error::new(ErrorKind::Timeout, "list images", "").with_resource("web")) };
        assert_eq!(line(CallClass::Read.into(), 1, lost).await, "read web: timed out, 312 ms");
    }

    #[test]
    fn a_read_has_changed_nothing_however_it_ends() {
        use NoAnswer::{Broken, NotBuilt, NotConnected, TimedOut};
        for (why, effect) in [
            (NotBuilt, Effect::NotApplied),
            (NotConnected, Effect::NotApplied),
            (TimedOut, Effect::Unknown),
            (Broken, Effect::Unknown),
        ] {
            assert_eq!(launch().no_answer(why).effect(), effect, "{why:?}");
            assert_eq!(Call::read("list images").no_answer(why).effect(), Effect::NotApplied, "{why:?}");
        }
        assert_eq!(launch().unreadable().effect(), Effect::Applied);
        assert_eq!(Call::read("list images").unreadable().effect(), Effect::NotApplied);
        let error = launch().error(ErrorKind::Busy, "it is locked");
        assert_eq!((error.resource(), error.effect()), (Some("app-7-0"), Effect::NotApplied));
    }

    #[tokio::test]
    async fn a_call_that_runs_as_a_task_of_its_own_is_seen_too() {
        let turns = Turns::default();
        let turn = turns.take(["app-7-0"]).await;
        let covered = turn.cover(async {
            answered(201, None);
            Ok(())
        });
        assert_eq!(line(launch(), 1, covered).await, "launch instance app-7-0: ok, status 201, 312 ms");
        answered(500, None); // In no attempt: nothing happens.
    }
}
