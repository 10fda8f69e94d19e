//! One change of the account, while it is made.

use std::ops::{Deref, DerefMut};

use tokio::time::Instant;

use super::State;
use crate::provider::Result;

/// How an order ends that was accepted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ends {
    /// It comes to nothing.
    pub(super) not_done: bool,
    /// It ends in an error.
    pub(super) fails: bool,
}

/// The account while a request is carried out. The methods are the cloud's API: each is carried out wholly, or is refused.
#[derive(Debug)]
pub struct Transaction<'a> {
    state: &'a mut State,
    pub(super) now: Instant,
    pub(super) ends: Ends,
    words: Option<String>,
}

impl Deref for Transaction<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        self.state
    }
}

impl DerefMut for Transaction<'_> {
    fn deref_mut(&mut self) -> &mut State {
        self.state
    }
}

impl Transaction<'_> {
    /// Says in words what this has changed.
    pub fn note(&mut self, what: String) {
        self.words = Some(what);
    }
}

/// A mutation that is carried out on a state. Returns the next state and what has changed in words, too, if anything has.
pub(super) fn carry_out<T>(
    state: &State,
    (operation, now, ends): (&'static str, Instant, Ends),
    apply: impl Fn(&mut Transaction<'_>) -> Result<T>,
) -> Result<(T, Option<(State, String)>)> {
    let mut next = state.clone();
    let mut transaction = Transaction { state: &mut next, now, ends, words: None };
    let value = apply(&mut transaction)?;
    let words = transaction.words.take();
    // Who changes something without saying so has changed it all the same.
    let words = words.or_else(|| (next != *state).then(|| operation.to_owned()));
    Ok((value, words.map(|words| (next, words))))
}
