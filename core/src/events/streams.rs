//! Events, cleaned and masked before anybody sees them.

use std::collections::BTreeMap;

use super::event::{Event, Level, Stream};
use crate::redact::{LineMasker, Masker, show, show_json, show_line};

/// The streams of output that are under way, by task, step and stream.
#[derive(Debug, Default)]
pub(crate) struct Streams(BTreeMap<(String, String, bool), LineMasker>);

impl Streams {
    /// What may be shown now that this event has come, in order.
    pub(crate) fn pass(&mut self, event: Event) -> Vec<Event> {
        let mut out = Vec::new();
        match event {
            Event::Output { task, step, stream, line } => {
                let key = (show_line(&task), show_line(&step), stream == Stream::Stderr);
                let masker = self.0.entry(key.clone()).or_insert_with(|| LineMasker::new(Masker::process()));
                masker.push(&line, &mut |line| out.push(output(&key, line)));
            }
            event => {
                self.end(task_of(&event).map(show_line).as_deref(), &mut out);
                out.push(shown(event));
            }
        }
        out
    }

    /// What is held back of all streams.
    pub(crate) fn rest(&mut self) -> Vec<Event> {
        let mut out = Vec::new();
        self.end(None, &mut out);
        out
    }

    /// Ends the streams of a task, or all.
    fn end(&mut self, task: Option<&str>, out: &mut Vec<Event>) {
        self.0.retain(|key, masker| {
            let ends = task.is_none_or(|task| key.0 == task);
            if ends {
                masker.finish(&mut |line| out.push(output(key, line)));
            }
            !ends
        });
    }
}

fn output((task, step, stderr): &(String, String, bool), line: String) -> Event {
    let stream = if *stderr { Stream::Stderr } else { Stream::Stdout };
    Event::Output { task: task.clone(), step: step.clone(), stream, line }
}

fn task_of(event: &Event) -> Option<&str> {
    match event {
        Event::TaskStarted { task, .. }
        | Event::TaskProgress { task, .. }
        | Event::Copying { task, .. }
        | Event::TaskFinished { task, .. }
        | Event::TaskFailed { task, .. } => Some(task),
        _ => None,
    }
}

/// The event with all its text clean and masked. One that is not valid any more after that becomes a note.
fn shown(event: Event) -> Event {
    let Ok(before) = serde_json::to_value(&event) else { return event };
    let mut after = before.clone();
    show_json(&mut after);
    if after == before {
        return event;
    }
    serde_json::from_value(after)
        .unwrap_or_else(|_| Event::Note { level: Level::Info, message: show(&format!("{event:?}")) })
}
