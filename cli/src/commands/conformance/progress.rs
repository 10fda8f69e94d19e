//! How far a run is, as events.

use std::{collections::HashMap, time::Instant};

use remint_conformance::{Outcome, Progress};
use remint_core::events::{Event, Events};

use crate::printer::Printer;

/// Tells how far a run is, a task for each case.
pub(super) struct Progressing {
    events: Events,
    started: HashMap<&'static str, Instant>,
}

impl Progressing {
    pub(super) fn new(printer: &Printer) -> Self {
        Self { events: printer.events(), started: HashMap::new() }
    }

    pub(super) fn hear(&mut self, progress: Progress<'_>) {
        match progress {
            Progress::Starts(case) => {
                self.started.insert(case.id, Instant::now());
                self.events.emit(Event::TaskStarted { task: case.id.to_owned(), message: case.title.to_owned() });
            }
            Progress::Ends(ended) => {
                let (task, kind) = (ended.case.id.to_owned(), ended.outcome.kind());
                let Some(started) = self.started.remove(ended.case.id) else { return };
                match ended.outcome {
                    Outcome::Passed => {
                        let (message, elapsed) = (kind.as_str().to_owned(), started.elapsed());
                        self.events.emit(Event::TaskFinished { task, message, elapsed });
                    }
                    _ => self.events.emit(Event::TaskFailed { task, message: ended.outcome.to_string() }),
                }
            }
        }
    }
}
