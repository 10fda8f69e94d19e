//! A line an event, with the time since the start: for pipes and logs.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use remint_core::events::{Event, Level};

use super::text::{Styled, copying, duration, to_stderr};

/// The time between two lines of a log about the progress of a copy.
const COPYING: Duration = Duration::from_secs(15);

pub(super) struct Plain {
    started: Instant,
    /// When it was last told how far a copy is.
    copying: Mutex<Instant>,
}

impl Plain {
    pub(super) fn new() -> Self {
        Self { started: Instant::now(), copying: Mutex::new(Instant::now()) }
    }
}

impl super::Display for Plain {
    fn event(&self, of: Option<&str>, event: Event) {
        if matches!(event, Event::Copying { .. }) {
            let mut last = self.copying.lock().unwrap_or_else(PoisonError::into_inner);
            if last.elapsed() < COPYING {
                return;
            }
            *last = Instant::now();
        }
        if let Some(line) = line(of, &event) {
            let elapsed = format!("{:>7.1}s", self.started.elapsed().as_secs_f64());
            to_stderr(&format!("{} {line}", Styled::dim(elapsed)));
        }
    }
}

/// The event as one line, after the provider's name where several are at work; `None` for those that the summary tells.
pub(super) fn line(of: Option<&str>, event: &Event) -> Option<String> {
    let text = set_in_below(&text(event)?);
    Some(match of {
        Some(provider) => format!("{} {text}", Styled::bold(format!("[{provider}]"))),
        None => text,
    })
}

fn text(event: &Event) -> Option<String> {
    Some(match event {
        Event::PhaseStarted { phase } => format!("{} {}", Styled::cyan("==>"), Styled::bold(phase)),
        Event::TaskStarted { task, message } | Event::TaskProgress { task, message } => format!("{task}: {message}"),
        Event::Copying { task, .. } => format!("{task}: {}", copying(event)?),
        Event::TaskFinished { task, message, elapsed } => {
            format!("{task}: {} {message} ({})", Styled::green("done:"), duration(*elapsed))
        }
        Event::TaskFailed { task, message } => format!("{task}: {} {message}", Styled::red("failed:")),
        Event::Output { task, line, .. } => format!("{} {line}", Styled::dim(format!("{task} |"))),
        Event::ImageReady { image, fingerprint, reused } => {
            let how = if *reused { "reused" } else { "baked" };
            format!("image {image} {how} (fingerprint {})", fingerprint.short())
        }
        Event::InstanceLaunched { instance, name } => format!("{name}: launched as {instance}"),
        Event::InstanceHealthy { name, .. } => format!("{name}: {}", Styled::green("healthy")),
        Event::InstanceDestroyed { name, .. } => format!("{name}: destroyed"),
        Event::AddressMoved { address, instance } => format!("{address} points at instance {instance}"),
        Event::Probed { sent, failed: 0, .. } => {
            format!("probe: {}", Styled::green(format!("{sent} requests, none lost")))
        }
        Event::Probed { sent, failed, longest_gap } => {
            let text = format!("{failed} of {sent} requests lost, longest gap {}", duration(*longest_gap));
            format!("probe: {}", Styled::yellow(text))
        }
        Event::Note { level: Level::Info, message } => message.clone(),
        Event::Note { level: Level::Warning, message } => format!("{} {message}", Styled::yellow("warning:")),
        _ => return None,
    })
}

/// What follows the first line is set in: it is foreign text, and could look like a line of ours.
fn set_in_below(text: &str) -> String {
    text.trim_end_matches('\n').replace('\n', "\n    ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lossless_switch_reads_as_such() {
        let probed = |failed| Event::Probed { sent: 40, failed, longest_gap: Duration::from_millis(700) };
        assert!(line(None, &probed(0)).unwrap().contains("40 requests, none lost"));
        assert!(line(None, &probed(2)).unwrap().contains("2 of 40 requests lost, longest gap 0.7 s"));
    }

    #[test]
    fn a_copy_says_how_far_it_is() {
        let (task, step) = ("hello-builder".to_owned(), "step 1 (file app)".to_owned());
        let event = Event::Copying { task, step, items: 7, of_items: 20_000, bytes: 1536, of_bytes: 3 << 20 };
        let told = line(None, &event).unwrap();
        assert_eq!(told, "hello-builder: step 1 (file app): 7 of 20000 files, 1.5 KiB of 3.0 MiB");
    }

    #[test]
    fn a_line_says_whose_it_is_where_several_are_at_work() {
        let event = Event::PhaseStarted { phase: "seal".to_owned() };
        assert!(line(Some("aws"), &event).unwrap().contains("[aws]"));
        assert!(!line(None, &event).unwrap().contains("aws"));
    }
}
