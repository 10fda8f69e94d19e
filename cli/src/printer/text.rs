//! Text for people: durations, sizes, styles, failures.

use std::{fmt, io::Write, time::Duration};

use remint_core::{events::Event, manifest::Diagnostics, redact};

use super::paint::{self, off, on, render, set_in};
use crate::exit::Failure;

/// Text in one of the few styles that the command uses; colours go away where they are not wanted.
#[derive(Debug)]
pub struct Styled<T> {
    codes: &'static str,
    text: T,
}

impl<T> Styled<T> {
    /// For what matters.
    pub fn bold(text: T) -> Self {
        Self { codes: "1", text }
    }

    /// For what is there and need not be read.
    pub fn dim(text: T) -> Self {
        Self { codes: "2", text }
    }

    /// For what went well.
    pub fn green(text: T) -> Self {
        Self { codes: "32", text }
    }

    /// For what went wrong.
    pub fn red(text: T) -> Self {
        Self { codes: "1;31", text }
    }

    /// For what the user should look at.
    pub fn yellow(text: T) -> Self {
        Self { codes: "33", text }
    }

    /// For what the user can do.
    pub fn cyan(text: T) -> Self {
        Self { codes: "36", text }
    }
}

impl<T: fmt::Display> fmt::Display for Styled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&on(self.codes))?;
        self.text.fmt(f)?;
        f.write_str(&off())
    }
}

/// A duration as people read it: `0.4 s`, `12 s`, `3 m 05 s`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..=9 => format!("{:.1} s", duration.as_secs_f64()),
        10..=119 => format!("{seconds} s"),
        _ => format!("{} m {:02} s", seconds / 60, seconds % 60),
    }
}

/// A number of bytes as people read it: `512 B`, `1.4 GiB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// How far the copy of a step is; `None` for other events.
pub(super) fn copying(event: &Event) -> Option<String> {
    let Event::Copying { step, items, of_items, bytes, of_bytes, .. } = event else { return None };
    Some(format!("{step}: {items} of {of_items} files, {} of {}", size(*bytes), size(*of_bytes)))
}

pub(super) fn to_stderr(text: &str) {
    // A closed standard error cannot be reported anywhere.
    let _ = writeln!(anstream::stderr().lock(), "{}", render(text));
}

pub(super) fn failure(of: Option<&str>, failure: &Failure) {
    if let Some(diagnostics) = failure.error.downcast_ref::<Diagnostics>() {
        return to_stderr(&paint::diagnostics(diagnostics));
    }
    let mut chain = failure.error.chain();
    let first = chain.next().map(|error| set_in(&error.to_string())).unwrap_or_default();
    let mut text = String::new();
    // As a whole, as a secret may be cut by the lines' ends.
    for line in redact::show(&failure.details.join("\n")).lines() {
        text.push_str(&format!("{} {line}\n", Styled::dim("|")));
    }
    let whose = of.map_or_else(String::new, |provider| format!("{} ", Styled::bold(format!("[{provider}]"))));
    text.push_str(&format!("{whose}{} {first}", Styled::red("error:")));
    for cause in chain {
        text.push_str(&format!("\n  {} {}", Styled::dim("caused by:"), set_in(&cause.to_string())));
    }
    for hint in &failure.hints {
        text.push_str(&format!("\n{} {}", Styled::cyan("hint:"), set_in(hint)));
    }
    to_stderr(&text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        assert_eq!(duration(Duration::from_millis(420)), "0.4 s");
        assert_eq!(duration(Duration::from_secs(42)), "42 s");
        assert_eq!(duration(Duration::from_secs(185)), "3 m 05 s");
    }

    #[test]
    fn sizes_read_well() {
        assert_eq!(size(512), "512 B");
        assert_eq!(size(1_503_238_553), "1.4 GiB");
    }
}
