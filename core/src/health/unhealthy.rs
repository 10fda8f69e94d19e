//! What a service answered instead of what was expected.

use std::fmt;

use crate::redact;

/// How much of an answer a message shows, in bytes.
pub(super) const SHOWN: usize = 200;
/// How many lines of an answer an error shows: the last ones, where a cause stands.
pub(super) const LINES: usize = 15;
/// How long one of them may be, in bytes. A body of JSON is one line.
const LINE_BYTES: usize = 1000;

/// What a service answered instead of what was expected: foreign text, cleaned and masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unhealthy {
    /// On one line of about 200 bytes.
    summary: String,
    /// The last lines of the answer, where the summary does not hold all of it.
    lines: Vec<String>,
}

impl Unhealthy {
    pub(crate) fn new(summary: &str) -> Self {
        Self { summary: shorten(summary), lines: Vec::new() }
    }

    /// With a body, or what a command printed.
    pub(super) fn with_body(summary: &str, body: &str) -> Self {
        let whole = shorten(&format!("{summary}: {}", body.trim()));
        let shown = redact::show(body);
        let lines: Vec<&str> = shown.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        let is_whole = lines.len() <= 1 && !whole.ends_with('…');
        let last = &lines[lines.len().saturating_sub(if is_whole { 0 } else { LINES })..];
        Self { summary: whole, lines: last.iter().map(|line| redact::excerpt(line, LINE_BYTES)).collect() }
    }

    /// The last lines of the answer, where a message does not hold all of it.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }
}

impl fmt::Display for Unhealthy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary)
    }
}

/// The cause at the bottom of a chain: "connection refused" says more than "error sending request".
pub(super) fn innermost(error: &dyn std::error::Error) -> String {
    let mut current = error;
    while let Some(source) = current.source() {
        current = source;
    }
    current.to_string()
}

/// A text as a message shows it: masked, cut, on one line.
fn shorten(text: &str) -> String {
    let line = text.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    redact::excerpt(line.trim_end_matches(':'), SHOWN)
}
