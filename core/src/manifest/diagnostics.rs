//! What is wrong with a manifest, and where: the line, a mark under the place, and what to do. `annotate-snippets`, which cargo
//! and rustc use, draws it.

use std::{
    fmt,
    ops::Range,
    path::{Path, PathBuf},
};

use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};

use super::limits::MAX_REPORTS;
use crate::redact;

/// How many bytes a line may have of which a part is shown.
const LINE: usize = 1000;

/// A place in a file, with the line it is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The text of that line, where it may be shown: that of the manifest, and of no other file; and only where it is not
    /// very long.
    pub snippet: Option<String>,
    /// The bytes of the line that are marked; a character at least is shown as marked.
    pub marked: Range<usize>,
}

/// One thing that is wrong with a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file that it is about: the manifest, or one that the manifest names.
    pub path: PathBuf,
    /// Where in it; `None` when the whole file is meant.
    pub place: Option<Place>,
    /// The path of the key, such as `image.provision[0].retries`; empty for the file as a whole.
    pub key: String,
    /// What is wrong, as a fragment: `the zone is empty`.
    pub message: String,
    /// What to do about it, where that is known.
    pub help: Option<String>,
}

impl Diagnostic {
    /// The diagnostic as lines of text, without a line end after the last one. All text in it is shown without secrets and
    /// without what a terminal obeys, so that with `colours` the only escape sequences are those of the styles.
    pub fn render(&self, colours: bool) -> String {
        let path = redact::show_line(&self.path.display().to_string());
        let (message, help) = (redact::show(&self.message), self.help.as_deref().map(redact::show));
        let label = (!self.key.is_empty()).then(|| format!("in `{}`", redact::show(&self.key)));
        let report = Level::ERROR.primary_title(message);
        let mut report = match self.place.as_ref().map(|place| (place, place.shown())) {
            Some((place, Some((line, marked)))) => {
                let mark = AnnotationKind::Primary.span(marked).label(label);
                report.element(Snippet::source(line).line_start(place.line).path(path).annotation(mark))
            }
            Some((place, None)) => report.element(Origin::path(path).line(place.line).char_column(place.column)),
            None => report.element(Origin::path(path)),
        };
        if let Some(help) = help {
            report = report.element(Level::HELP.message(help));
        }
        let renderer = if colours { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&[report])
    }
}

impl Place {
    /// The line as it is shown, and what of it is marked.
    fn shown(&self) -> Option<(String, Range<usize>)> {
        let line = self.snippet.as_deref()?;
        // A carriage return in the middle would count as the end of the line.
        let part = |range: Range<usize>| redact::show(line.get(range).unwrap_or_default()).replace('\n', " ");
        let Range { start, end } = self.marked;
        let (before, marked) = (part(0..start), part(start..end));
        let range = before.len()..before.len() + marked.len();
        Some((format!("{before}{marked}{}", part(end..line.len())), range))
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

/// Everything that is wrong with a manifest, in the order of its lines; never empty when it is an error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    /// All of them as text, a blank line between two.
    pub fn render(&self, colours: bool) -> String {
        let all: Vec<String> = self.0.iter().map(|one| one.render(colours)).collect();
        all.join("\n\n")
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
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
    /// Where something was reported.
    spans: Vec<Range<usize>>,
    /// How many were left out.
    more: usize,
}

impl<'a> Reporter<'a> {
    pub(crate) fn new(path: &'a Path, text: &'a str) -> Self {
        Self { path, text, shows: true, found: Vec::new(), spans: Vec::new(), more: 0 }
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
        if self.is_full() {
            self.more += 1;
            return;
        }
        let mut place = place(self.text, &span);
        place.snippet = place.snippet.filter(|_| self.shows);
        let place = Some(place);
        let diagnostic =
            Diagnostic { path: self.path.to_owned(), place, key: key.to_owned(), message: message.into(), help };
        let known =
            |(_, other): &(usize, Diagnostic)| other.place == diagnostic.place && other.message == diagnostic.message;
        if !self.found.iter().any(known) {
            self.found.push((span.start, diagnostic));
            self.spans.push(span);
        }
    }

    /// Reports something unless the same place was reported before: what follows from an error is none of its own.
    pub(crate) fn report_new(
        &mut self,
        span: Range<usize>,
        key: &str,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        let end = |span: &Range<usize>| span.end.max(span.start + 1);
        if !self.spans.iter().any(|known| known.start < end(&span) && span.start < end(known)) {
            self.report(span, key, message, help);
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
    let line = text[line_start..line_end].trim_end_matches('\r');
    let within = |at: usize| at.min(line_end).saturating_sub(line_start).min(line.len());
    Place {
        line: text[..line_start].matches('\n').count() + 1,
        column: text[line_start..start].chars().count() + 1,
        snippet: (line.len() <= LINE).then(|| line.to_owned()),
        marked: within(start)..within(end),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn report(text: &str, at: &str, message: &str) -> Diagnostic {
        let mut reporter = Reporter::new(Path::new("re\u{1b}[31mmint.toml"), text);
        let start = text.find(at).unwrap();
        reporter.report(start..start + at.len(), "a.b", message, Some("\u{9b}2Jwait".to_owned()));
        reporter.check().unwrap_err().0.remove(0)
    }

    #[test]
    fn wide_letters_tabs_and_the_end_of_a_line_are_marked_where_they_are_seen() {
        insta::assert_snapshot!(report("x = 1\n\tnäme = \"日本\" # ü\r\n", "\"日本\"", "no"), @r#"
        error: no
         --> remint.toml:2:9
          |
        2 |     näme = "日本" # ü
          |            ^^^^^^ in `a.b`
          |
          = help: wait
        "#);
        insta::assert_snapshot!(report("x = \r\n", "\r\n", "no value"), @r"
        error: no value
         --> remint.toml:1:5
          |
        1 | x = 
          |     ^ in `a.b`
          |
          = help: wait
        ");
    }

    #[test]
    fn a_carriage_return_ends_no_line() {
        let shown = report("x = 1\ry = 2\n", "y", "no").to_string();
        assert!(shown.contains("\n1 | x = 1 y = 2\n  |       ^ in `a.b`"), "{shown}");
    }

    #[test]
    fn a_line_that_is_far_too_long_has_a_place_alone() {
        let text = format!("k = \"{}\" # here", "x".repeat(LINE));
        let shown = report(&text, "here", "no").to_string();
        assert!(shown.contains(":1:1010") && !shown.contains("xxx"), "{shown}");
        let text = format!("k = \"{}\" # here", "x".repeat(900));
        let shown = report(&text, "here", "no").to_string();
        assert!(shown.contains(":1:910") && shown.contains("# here\n") && shown.len() < 600, "{shown}");
    }

    #[test]
    fn colours_are_the_only_sequences() {
        let found = report("a = \"\u{1b}]52;c;eA==\u{7}\"", "a", "bad \u{1b}[2J thing");
        assert!(!found.to_string().contains('\u{1b}'), "{:?}", found.to_string());
        let shown = found.render(true);
        let foreign = |piece: &str| !piece.split('m').next().unwrap_or_default().chars().all(|c| c.is_ascii_digit());
        assert!(shown.contains("\u{1b}[") && !shown.split("\u{1b}[").skip(1).any(foreign), "{shown:?}");
        assert!(!shown.contains(['\u{9b}', '\u{7}']), "{shown:?}");
    }
}
