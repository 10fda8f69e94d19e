//! What a bake came to.

use std::{future::Future, time::Duration};

use tokio::time::Instant;

use crate::{
    events::{Event, Events},
    provider::{CallCount, Fingerprint, Image},
    recipe::InputDigest,
};

/// A finished bake.
#[derive(Debug, Clone)]
pub struct BakeReport {
    /// The image; `None` where nothing was to be captured.
    pub image: Option<Image>,
    /// The digest that the image carries as its label; where none was captured, what it would carry.
    pub fingerprint: Fingerprint,
    /// The digest of each input, in the order of the recipe.
    pub inputs: Vec<InputDigest>,
    /// Whether the image had been there before, so that nothing was baked.
    pub reused: bool,
    /// How long each phase took, in their order.
    pub phases: Vec<(String, Duration)>,
    /// What it cost in API calls.
    pub calls: CallCount,
    /// How long the whole took.
    pub elapsed: Duration,
    /// What could not be removed afterwards, in words; `remint gc` finds it.
    pub leftovers: Vec<String>,
}

/// The phases of one bake: told as events, and kept for the report.
#[derive(Debug)]
pub(super) struct Phases<'a> {
    events: &'a Events,
    pub(super) done: Vec<(String, Duration)>,
}

impl<'a> Phases<'a> {
    pub(super) fn new(events: &'a Events) -> Self {
        Self { events, done: Vec::new() }
    }

    /// Runs the work between the events of a phase, and keeps how long it took. A phase that fails is not kept.
    pub(super) async fn run<T, E>(
        &mut self,
        phase: &'static str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let started = Instant::now();
        self.events.emit(Event::PhaseStarted { phase: phase.to_owned() });
        let value = work.await?;
        let elapsed = started.elapsed();
        self.events.emit(Event::PhaseFinished { phase: phase.to_owned(), elapsed });
        self.done.push((phase.to_owned(), elapsed));
        Ok(value)
    }
}
