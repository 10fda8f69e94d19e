//! Creating something once, also when the reply to the request is lost.
//!
//! A request whose reply is lost may have done everything or nothing, and may still do it. So before anything is created a
//! second time, it is looked for, for as long as the cloud's answers may lag.
//!
//! The alternative not taken is to leave this to the call layer: it knows requests, and not what a request creates.

use std::{future::Future, time::Duration};

use tokio::time::sleep;

use super::{Call, pauses};
use crate::provider::{Effect, Error, ErrorKind, Result};

/// What a look has found.
#[derive(Debug)]
pub enum Seen<T, M = ()> {
    /// It exists.
    There(T),
    /// It does not exist, as far as the cloud says; with what the creation must know of this look.
    Missing(M),
    /// Nobody can say yet: something exists, and may turn out to be the one. The error is the outcome if it stays like that.
    Unclear(Error),
}

impl<T> From<Option<T>> for Seen<T> {
    fn from(found: Option<T>) -> Self {
        found.map_or(Self::Missing(()), Self::There)
    }
}

/// Creates one thing of a name, and not two.
///
/// - It looks first, by name and labels, and creates what is missing.
/// - A refusal changed nothing: it is returned at once. If it says that the name is *taken* ([`Self::taken`]), somebody else was
///   faster or an earlier attempt succeeded: it is looked for, and found or else the refusal is returned.
/// - When the effect of a request is unknown, it looks again until the thing shows, or until the cloud's whole lag has passed. What
///   has not shown by then is created again if [`Self::creates`] allows it. Without that, the error says that it has not shown,
///   and its effect is [`Effect::Unknown`].
/// - What the cloud says to have created ([`Effect::Applied`]) is never created again, nor is anything after
///   [`ErrorKind::LockLost`].
///
/// *Requires*: the caller holds the [`Turn`](super::Turn) of the name where the cloud does not keep names unique, and makes its
/// create call within [`Turn::cover`](super::Turn::cover). A dropped caller then leaves its turn to the request, and the next caller
/// looks when that has ended. Where the cloud has a token or a unique name for the request, its class is
/// [`IdempotentMutation`](super::CallClass::IdempotentMutation): the call layer repeats it, and only what it gave up comes back here.
///
/// *Errors*: those of the last create call and of the looks. An error of a look after a create call has the effect of that call.
#[derive(Debug, Clone, Copy)]
pub struct CreateOnce<'a> {
    call: &'a Call,
    lag: Duration,
    creates: u32,
    taken: fn(&Error) -> bool,
}

impl<'a> CreateOnce<'a> {
    /// For a call that creates something, which the cloud may show up to `lag` late. Zero is for clouds that show at once what they
    /// accepted: they are looked at once.
    pub fn new(call: &'a Call, lag: Duration) -> Self {
        Self { call, lag, creates: 1, taken: |error| error.kind() == ErrorKind::Conflict }
    }

    /// How many create calls may be made in all. More than one is for a cloud without tokens and unique names, whose answers lag by
    /// a known time: what does not show after that does not exist.
    #[must_use]
    pub fn creates(self, most: u32) -> Self {
        Self { creates: most, ..self }
    }

    /// Which refusals say that it exists, or may. Without this: those of the kind [`ErrorKind::Conflict`].
    #[must_use]
    pub fn taken(self, taken: fn(&Error) -> bool) -> Self {
        Self { taken, ..self }
    }

    /// Looks, and creates what is missing.
    ///
    /// # Errors
    ///
    /// As the type says.
    pub async fn run<T, M, L, LF, C, CF>(self, look: L, create: C) -> Result<T>
    where
        L: Fn() -> LF,
        LF: Future<Output = Result<Seen<T, M>>>,
        C: Fn(M) -> CF,
        CF: Future<Output = Result<T>>,
    {
        let mut first = look().await?;
        let mut pauses = pauses(self.lag);
        while matches!(first, Seen::Unclear(_))
            && let Some(pause) = pauses.next()
        {
            sleep(pause).await;
            first = look().await?;
        }
        self.run_from(first, look, create).await
    }

    /// The same after a first look of the caller's own; for what cannot exist yet, [`Seen::Missing`] without any look.
    ///
    /// # Errors
    ///
    /// As the type says.
    pub async fn run_from<T, M, L, LF, C, CF>(self, first: Seen<T, M>, look: L, create: C) -> Result<T>
    where
        L: Fn() -> LF,
        LF: Future<Output = Result<Seen<T, M>>>,
        C: Fn(M) -> CF,
        CF: Future<Output = Result<T>>,
    {
        let mut missing = match first {
            Seen::There(found) => return Ok(found),
            Seen::Unclear(error) => return Err(error),
            Seen::Missing(missing) => missing,
        };
        let mut created = 1;
        loop {
            let error = match create(missing).await {
                Ok(made) => return Ok(made),
                Err(error) => error,
            };
            let effect = error.effect();
            let lost = effect != Effect::NotApplied;
            if error.kind() == ErrorKind::LockLost || !(lost || (self.taken)(&error)) {
                return Err(error);
            }
            if lost {
                let operation = self.call.operation;
                tracing::warn!(%error, "looking whether this took effect: {operation}");
            }
            missing = match self.look_again(&look, lost).await.map_err(|failed| failed.with_effect(effect))? {
                Seen::There(found) => return Ok(found),
                Seen::Unclear(unclear) => return Err(unclear.with_effect(effect)),
                Seen::Missing(_) if !lost => return Err(error),
                Seen::Missing(_) if effect == Effect::Applied || created >= self.creates => {
                    return Err(self.never_shown(error));
                }
                Seen::Missing(missing) => missing,
            };
            created += 1;
        }
    }

    /// Looks until it is there, or should have shown. Right away after a refusal: what is in the way exists.
    async fn look_again<T, M, L, LF>(&self, look: &L, lost: bool) -> Result<Seen<T, M>>
    where
        L: Fn() -> LF,
        LF: Future<Output = Result<Seen<T, M>>>,
    {
        let at_once = (!lost && !self.lag.is_zero()).then_some(Duration::ZERO);
        let mut pauses = at_once.into_iter().chain(pauses(self.lag)).peekable();
        loop {
            // There is at least one.
            sleep(pauses.next().unwrap_or_default()).await;
            let seen = look().await?;
            if matches!(seen, Seen::There(_)) || pauses.peek().is_none() {
                return Ok(seen);
            }
        }
    }

    /// The error of a create call whose effect nobody saw.
    fn never_shown(&self, error: Error) -> Error {
        let looked = match self.lag.as_secs_f64() {
            0.0 => "afterwards".to_owned(),
            waited => format!("within {waited} s"),
        };
        error.map_message(|said| format!("{said}; its effect has not shown {looked}"))
    }
}

#[cfg(test)]
#[path = "create_once_tests.rs"]
mod tests;
