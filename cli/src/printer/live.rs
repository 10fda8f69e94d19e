//! A line a task that is redrawn with its elapsed time; everything else scrolls by above.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use remint_core::{events::Event, redact};

use super::{paint::render, plain, text::copying};

pub(super) struct Live {
    lines: MultiProgress,
    tasks: Mutex<HashMap<String, ProgressBar>>,
    color: bool,
}

impl Live {
    pub(super) fn new() -> Self {
        let color = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
        Self { lines: MultiProgress::new(), tasks: Mutex::default(), color }
    }

    fn above(&self, line: &str) {
        let line = render(line);
        let text = if self.color { line } else { console::strip_ansi_codes(&line).into_owned() };
        // A terminal that went away cannot be told so.
        let _ = self.lines.println(text);
    }

    fn task(&self, task: String, message: &str) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = tasks.entry(task.clone()).or_insert_with(|| {
            let style = ProgressStyle::with_template("{spinner:.cyan} {prefix:.bold} {wide_msg} {elapsed:>5.dim}");
            // Added before anything is drawn: a bar that is not yet among the others draws a line of its own, which stays.
            let bar = self.lines.add(ProgressBar::new_spinner());
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.set_prefix(redact::show_line(&task));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        bar.set_message(redact::show_line(message));
    }

    fn end(&self, task: &str) {
        let bar = self.tasks.lock().unwrap_or_else(PoisonError::into_inner).remove(task);
        if let Some(bar) = bar {
            bar.finish_and_clear();
            self.lines.remove(&bar);
        }
    }
}

impl super::Display for Live {
    fn event(&self, of: Option<&str>, event: Event) {
        let named = |task: &str| of.map_or_else(|| task.to_owned(), |provider| format!("[{provider}] {task}"));
        match &event {
            Event::TaskStarted { task, message } | Event::TaskProgress { task, message } => {
                return self.task(named(task), message);
            }
            Event::Copying { task, .. } => {
                return self.task(named(task), &copying(&event).unwrap_or_default());
            }
            Event::TaskFinished { task, .. } | Event::TaskFailed { task, .. } => self.end(&named(task)),
            _ => {}
        }
        if let Some(line) = plain::line(of, &event) {
            self.above(&line);
        }
    }

    fn close(&self) {
        for (_, bar) in self.tasks.lock().unwrap_or_else(PoisonError::into_inner).drain() {
            bar.finish_and_clear();
        }
        // A terminal that went away cannot be told so.
        let _ = self.lines.clear();
    }
}
