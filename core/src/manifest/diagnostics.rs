//! What is wrong with a manifest, and where: the line, a caret under the place, and what to do.

use std::{
    fmt,
    ops::Range,
    path::{Path, PathBuf},
};

use super::limits::MAX_REPORTS;

/// How many characters of a line are shown, and how many of them before the place.
const LINE: usize = 240;
const BEFORE: usize = 80;

/// A place in a file, with the line it is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The text of that line, or what is around the column in a long one; where it may be shown: that of the manifest, and of
    /// no other file.
    pub snippet: Option<String>,
    /// How many characters of the line are left out before it.
    pub skipped: usize,
    /// How many characters are marked; at least 1.
    pub width: usize,
}

/// One thing that is wrong with a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file.
    pub path: PathBuf,
    /// Where in it; `None` when the whole file is meant.
    pub place: Option<Place>,
    /// The path of the key, such as `image.provision[0].retries`; empty for the file as a whole.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// What marks the parts of a rendered diagnostic: terminal escape sequences, or nothing.
#[derive(Debug, Clone, Copy)]
pub struct Theme {
    /// Before the word `error` and the carets.
    pub error: &'static str,
    /// Before line numbers and arrows.
    pub frame: &'static str,
    /// Before the message and the word `help`.
    pub strong: &'static str,
    /// After each of them.
    pub reset: &'static str,
}

impl Theme {
    /// No marks.
    pub const PLAIN: Self = Self { error: "", frame: "", strong: "", reset: "" };
    /// ANSI colours, as rustc chooses them.
    pub const ANSI: Self =
        Self { error: "\u{1b}[1;31m", frame: "\u{1b}[1;34m", strong: "\u{1b}[1m", reset: "\u{1b}[0m" };
}

impl Diagnostic {
    /// The diagnostic as lines of text, without a line end after the last one.
    pub fn render(&self, theme: &Theme) -> String {
        let Theme { error, frame, strong, reset } = theme;
        let mut out = format!("{error}error{reset}{strong}: {}{reset}", self.message);
        let path = self.path.display();
        let gutter = match &self.place {
            Some(place) => {
                let number = place.line.to_string();
                let pad = " ".repeat(number.len());
                out += &format!("\n{pad}{frame}-->{reset} {path}:{}:{}", place.line, place.column);
                let snippet = place.snippet.as_deref();
                let before: String = snippet
                    .unwrap_or_default()
                    .chars()
                    .take(place.column - 1 - place.skipped)
                    .map(|character| if character == '\t' { '\t' } else { ' ' })
                    .collect();
                let carets = "^".repeat(place.width.max(1));
                let label = if self.key.is_empty() { String::new() } else { format!(" in `{}`", self.key) };
                if let Some(snippet) = snippet {
                    out += &format!("\n{pad} {frame}|{reset}");
                    out += &format!("\n{frame}{number} |{reset} {snippet}");
                    out += &format!("\n{pad} {frame}|{reset} {before}{error}{carets}{label}{reset}");
                }
                pad
            }
            None => {
                out += &format!("\n {frame}-->{reset} {path}");
                " ".to_owned()
            }
        };
        for line in self.help.iter() {
            out += &format!("\n{gutter} {frame}={reset} {strong}help{reset}: {line}");
        }
        out
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(&Theme::PLAIN))
    }
}

/// Everything that is wrong with a manifest, in the order of its lines; never empty when it is an error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    /// All of them as text, a blank line between two.
    pub fn render(&self, theme: &Theme) -> String {
        let all: Vec<String> = self.0.iter().map(|one| one.render(theme)).collect();
        all.join("\n\n")
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(&Theme::PLAIN))
    }
}

impl std::error::Error for Diagnostics {}

/// Collects diagnostics about one file.
#[derive(Debug)]
pub(crate) struct Reporter<'a> {
    path: &'a Path,
    text: &'a str,
    shows: bool,
    found: Vec<(usize, Diagnostic)>,
    /// How many were left out.
    more: usize,
}

impl<'a> Reporter<'a> {
    pub(crate) fn new(path: &'a Path, text: &'a str) -> Self {
        Self { path, text, shows: true, found: Vec::new(), more: 0 }
    }

    /// The same for a file whose text must not be shown: nobody knows what the manifest has made Remint read.
    pub(crate) fn without_text(path: &'a Path, text: &'a str) -> Self {
        Self { shows: false, ..Self::new(path, text) }
    }

    /// Whether the text may be shown.
    pub(crate) fn shows(&self) -> bool {
        self.shows
    }

    /// Reports something once: the same words about the same place again are dropped, because the parts of a manifest
    /// are looked at alone and again after they were merged.
    pub(crate) fn report(&mut self, span: Range<usize>, key: &str, message: impl Into<String>, help: Option<String>) {
        let mut place = place(self.text, &span);
        place.snippet = place.snippet.filter(|_| self.shows);
        let place = Some(place);
        let diagnostic =
            Diagnostic { path: self.path.to_owned(), place, key: key.to_owned(), message: message.into(), help };
        if self.is_full() {
            self.more += 1;
            return;
        }
        let known =
            |(_, other): &(usize, Diagnostic)| other.place == diagnostic.place && other.message == diagnostic.message;
        if !self.found.iter().any(known) {
            self.found.push((span.start, diagnostic));
        }
    }

    /// Reports something about the file as a whole.
    pub(crate) fn report_file(&mut self, message: impl Into<String>, help: Option<String>) {
        let path = self.path.to_owned();
        self.found.push((0, Diagnostic { path, place: None, key: String::new(), message: message.into(), help }));
    }

    /// The source text of a span.
    pub(crate) fn source(&self, span: &Range<usize>) -> &'a str {
        self.text.get(span.clone()).unwrap_or_default()
    }

    /// Whether so much was reported that no more is kept.
    pub(crate) fn is_full(&self) -> bool {
        self.found.len() >= MAX_REPORTS
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.found.is_empty()
    }

    /// `Err` with everything that was reported so far, if anything was.
    pub(crate) fn check(&mut self) -> Result<(), Diagnostics> {
        if self.is_clean() {
            return Ok(());
        }
        let mut found = std::mem::take(&mut self.found);
        found.sort_by_key(|(offset, _)| *offset);
        if std::mem::take(&mut self.more) > 0 || found.len() >= MAX_REPORTS {
            let message = format!("there may be more errors; these are the first {MAX_REPORTS}");
            let path = self.path.to_owned();
            found.push((0, Diagnostic { path, place: None, key: String::new(), message, help: None }));
        }
        Err(Diagnostics(found.into_iter().map(|(_, diagnostic)| diagnostic).collect()))
    }
}

/// Finds the line and column of a span. Of a span of several lines only the first is marked.
fn place(text: &str, span: &Range<usize>) -> Place {
    let start = floor(text, span.start);
    let end = floor(text, span.end).max(start);
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    let marked = text[start..end.min(line_end)].chars().count();
    let (column, line) = (text[line_start..start].chars().count(), text[line_start..line_end].trim_end_matches('\r'));
    let skipped = if line.len() > LINE { column.saturating_sub(BEFORE) } else { 0 };
    Place {
        line: text[..line_start].matches('\n').count() + 1,
        column: column + 1,
        snippet: Some(line.chars().skip(skipped).take(LINE).collect()),
        skipped,
        width: marked.clamp(1, LINE - (column - skipped).min(LINE - 1)),
    }
}

/// The nearest character boundary at or before a byte.
fn floor(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// The candidate that was most probably meant, if one is near enough.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(score, _)| *score >= 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// "did you mean …", or the list of what there is.
pub(crate) fn suggest<'a>(word: &str, what: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    match nearest(word, candidates.iter().copied()) {
        Some(near) => Some(format!("did you mean `{near}`?")),
        None if candidates.is_empty() => Some(format!("there are no {what} here")),
        None => Some(format!("{what} here: {}", list(candidates))),
    }
}

/// Names in backticks, separated by commas.
pub(crate) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
