//! The secrets that are known, and their replacement.

use std::{
    borrow::Cow,
    collections::HashSet,
    ops::Range,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use aho_corasick::AhoCorasick;
use sha2::{Digest, Sha256};

use super::{
    clean::clean,
    fold::Folded,
    forms::{self, Forms},
};

/// What stands in the place of a secret.
pub const MASK: &str = "***";
/// A form with fewer characters is not looked for across blanks: too many words would be one.
const LOOSE: usize = 8;
/// How much of the first part of a secret must be seen before a cut to take it for one.
const PART: usize = 8;

/// Knows secrets, and replaces them in text. Clones know the same.
#[derive(Clone, Default)]
pub struct Masker(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    /// Digests of what was learnt, so that learning again costs nothing.
    learnt: HashSet<[u8; 32]>,
    /// Forms that no finder has yet.
    fresh: Forms,
    /// What finds the others, each with at least twice as many as the next one. So a form moves to a larger one a few times only,
    /// although each secret that is learnt needs a new finder.
    finders: Vec<Arc<Finder>>,
}

impl Known {
    /// What finds all forms; made when it is first needed after a secret was learnt.
    fn finders(&mut self) -> Vec<Arc<Finder>> {
        if !self.fresh.is_empty() {
            let mut forms = std::mem::take(&mut self.fresh);
            while let Some(smallest) = self.finders.pop_if(|finder| finder.forms.len() < 2 * forms.len()) {
                for form in &smallest.forms {
                    *forms.entry(form.text.clone()).or_default() |= form.spaced;
                }
            }
            self.finders.extend(Finder::new(&forms).map(Arc::new));
        }
        self.finders.clone()
    }
}

/// Finds forms in one pass.
pub(super) struct Finder {
    /// In the order of their bytes, so that those that begin alike are next to each other.
    forms: Vec<Form>,
    /// The bytes of the longest form.
    longest: usize,
    automaton: AhoCorasick,
}

struct Form {
    text: String,
    /// Whether blanks are part of it.
    spaced: bool,
}

impl std::fmt::Debug for Masker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Masker").finish_non_exhaustive()
    }
}

impl Masker {
    /// The one of this process, which all sinks use.
    pub fn process() -> &'static Self {
        static PROCESS: LazyLock<Masker> = LazyLock::new(Masker::default);
        &PROCESS
    }

    /// Adds a secret. See [`super::learn`] for what is recognised of it.
    pub fn learn(&self, secret: &str) {
        let digest: [u8; 32] = Sha256::digest(secret).into();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.learnt.insert(digest) {
            for (form, spaced) in forms::forms(secret) {
                *known.fresh.entry(form).or_default() |= spaced;
            }
        }
    }

    /// Replaces every secret by [`MASK`].
    pub fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        replace(text, self.find(text))
    }

    /// As [`Masker::mask`], for text whose end was cut off: the first part of a secret at its end is replaced, too.
    pub fn mask_cut<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut ranges = self.find(text);
        let begun =
            self.finders().iter().filter_map(|finder| finder.begun(text, |form| PART.min(form.div_ceil(2)))).min();
        ranges.extend(begun.map(|start| start..text.len()));
        replace(text, merge(ranges))
    }

    /// Masks text, cleans it, and masks it again.
    pub(super) fn show<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let masked = self.mask(text);
        match clean(&masked) {
            Cow::Owned(cleaned) => Cow::Owned(self.mask(&cleaned).into_owned()),
            // It was clean, and is masked already.
            Cow::Borrowed(_) => masked,
        }
    }

    /// Where secrets are, in order and apart from each other.
    pub(super) fn find(&self, text: &str) -> Vec<Range<usize>> {
        merge(self.finders().iter().flat_map(|finder| finder.find(text)).collect())
    }

    /// Where a secret begins of which `at_least` characters are at the end of the text, and not all.
    pub(super) fn begun(&self, text: &str, at_least: usize) -> Option<usize> {
        self.finders().iter().filter_map(|finder| finder.begun(text, |_| at_least)).min()
    }

    pub(super) fn finders(&self) -> Vec<Arc<Finder>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).finders()
    }
}

impl Finder {
    fn new(forms: &Forms) -> Option<Self> {
        // It fails only where there are more than two thousand million states.
        let automaton = AhoCorasick::new(forms.keys()).ok()?;
        let forms: Vec<Form> =
            forms.iter().map(|(text, spaced)| Form { text: text.clone(), spaced: *spaced }).collect();
        let longest = forms.iter().map(|form| form.text.len()).max().unwrap_or_default();
        Some(Self { forms, longest, automaton })
    }

    fn find(&self, text: &str) -> Vec<Range<usize>> {
        let mut ranges = Vec::new();
        for folded in Folded::readings(text) {
            for found in self.automaton.find_overlapping_iter(&folded.text) {
                let range = folded.original(found.range());
                let spaced = self.forms[found.pattern().as_usize()].spaced;
                if spaced || found.len() >= LOOSE || !text[range.clone()].contains([' ', '\t']) {
                    ranges.push(range);
                }
            }
        }
        ranges
    }

    /// Where the first part of a form begins that the text ends with, of those that are long enough.
    fn begun(&self, text: &str, at_least: impl Fn(usize) -> usize) -> Option<usize> {
        let begun = |folded: &Folded| {
            let all = &folded.text;
            let first = all.len().saturating_sub(self.longest.saturating_sub(1));
            let mut starts = (first..all.len()).filter(|start| all.is_char_boundary(*start));
            let start = starts.find(|start| self.begins_with(&all[*start..], &at_least))?;
            Some(folded.original(start..all.len()).start)
        };
        Folded::readings(text).iter().filter_map(begun).min()
    }

    /// Whether a longer form begins with this part, which is long enough for it.
    fn begins_with(&self, part: &str, at_least: impl Fn(usize) -> usize) -> bool {
        let from = self.forms.partition_point(|form| form.text.as_str() <= part);
        let alike = self.forms[from..].iter().take_while(|form| form.text.starts_with(part));
        alike.map(|form| form.text.len()).any(|length| part.len() >= at_least(length).max(1))
    }
}

fn merge(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

/// Puts [`MASK`] in the place of each range; line ends in them stay, so that the number of lines does not change.
pub(super) fn replace(text: &str, ranges: Vec<Range<usize>>) -> Cow<'_, str> {
    if ranges.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for range in ranges {
        out.push_str(&text[at..range.start]);
        let pieces: Vec<&str> = text[range.clone()].split('\n').collect();
        let masked: Vec<&str> = pieces.iter().map(|piece| if piece.trim().is_empty() { "" } else { MASK }).collect();
        out.push_str(&masked.join("\n"));
        at = range.end;
    }
    out.push_str(&text[at..]);
    Cow::Owned(out)
}
