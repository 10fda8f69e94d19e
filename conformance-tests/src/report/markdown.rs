//! Markdown, for people.

use std::{collections::BTreeMap, fmt::Write as _};

use super::Report;
use crate::{Counts, OutcomeKind};

impl Report {
    /// The report as a page: the counts by concern, and all that did not pass.
    pub fn markdown(&self) -> String {
        let mut page = format!("# Conformance of {}\n\n", self.title);
        let started = self.started.strftime("%Y-%m-%d %H:%M UTC");
        let _ = writeln!(
            page,
            "**{}** against a target of kind `{}`, {started}, {:.0} s of cases: {}.\n",
            self.verdict.as_str(),
            self.target,
            self.seconds,
            self.counts
        );
        let mut concerns: BTreeMap<&str, Counts> = BTreeMap::new();
        for case in &self.cases {
            concerns.entry(case.concern()).or_default().add(case.outcome);
        }
        let heads = OutcomeKind::ALL.map(OutcomeKind::as_str).join(" | ");
        let _ = writeln!(page, "| concern | {heads} |\n|---|{}", "---:|".repeat(OutcomeKind::ALL.len()));
        for (concern, counts) in concerns {
            let cells = OutcomeKind::ALL.map(|kind| match counts.of(kind) {
                0 => String::new(),
                count => count.to_string(),
            });
            let _ = writeln!(page, "| {concern} | {} |", cells.join(" | "));
        }
        if !self.leaks.is_empty() {
            let _ = writeln!(page, "\n## Left behind\n");
            for leak in &self.leaks {
                let _ = writeln!(page, "- {}", one_line(leak));
            }
        }
        for kind in OutcomeKind::ALL.into_iter().filter(|kind| *kind != OutcomeKind::Passed) {
            let mut cases = self.cases.iter().filter(|case| case.outcome == kind).peekable();
            if cases.peek().is_some() {
                let _ = writeln!(page, "\n## {}\n", capitalised(kind.as_str()));
            }
            for case in cases {
                let _ = writeln!(page, "- `{}`: {}\n  {}", case.id, case.title, one_line(&case.detail));
            }
        }
        page
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::report::document::tests::sample;

    #[test]
    fn all_that_did_not_pass_is_told_with_its_reason() {
        let page = sample().markdown();
        for case in sample().cases.iter().filter(|case| !case.detail.is_empty()) {
            assert!(page.contains(&case.id) && page.contains(&case.detail), "{} is missing: {page}", case.id);
        }
        assert!(page.contains("## Timed out") && !page.contains("## Passed"), "{page}");
        assert!(page.contains("| instances | 1 | 1 |"), "{page}");
    }
}
