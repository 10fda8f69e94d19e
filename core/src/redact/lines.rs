//! Masking of text that comes line by line.

use std::collections::VecDeque;

use super::{
    clean::clean,
    mask::{Masker, replace},
};

/// Fewer characters of a secret at the end of a line do not hold the line back: they give nothing away, and many lines end so.
const TELLING: usize = 3;
/// How much of the lines that were passed on is kept, in bytes: the first part of a secret may be in it.
const KEPT: usize = 8 * 1024;
/// How much is held back at most, in bytes. A longer one is no secret.
const HELD: usize = 64 * 1024;

/// Cleans and masks lines one after the other, so that a secret is found that line ends cut apart.
///
/// A line is passed on at once, unless it ends with the first part of a secret: then it waits for the next one.
#[derive(Debug, Clone)]
pub struct LineMasker {
    masker: Masker,
    /// The end of what was passed on, as it came.
    passed: String,
    held: VecDeque<String>,
}

impl LineMasker {
    /// Masks what the masker knows.
    pub fn new(masker: &Masker) -> Self {
        Self { masker: masker.clone(), passed: String::new(), held: VecDeque::new() }
    }

    /// Takes a line, without its end, and hands over those that are ready.
    pub fn push(&mut self, line: &str, emit: &mut dyn FnMut(String)) {
        // A CR inside of a line is no line end of the stream, and one line stays one.
        self.held.push_back(clean(&self.masker.mask(line)).replace('\n', " "));
        let size: usize = self.held.iter().map(String::len).sum();
        if size > HELD || self.masker.begun(&self.text(), TELLING).is_none() {
            self.pass(false, emit);
        }
    }

    /// Hands over what is held back: no further line comes. A considerable part of a secret at its end is masked.
    pub fn finish(&mut self, emit: &mut dyn FnMut(String)) {
        if !self.held.is_empty() {
            self.pass(true, emit);
        }
    }

    fn text(&self) -> String {
        let mut text = self.passed.clone();
        for line in &self.held {
            text.push('\n');
            text.push_str(line);
        }
        text
    }

    fn pass(&mut self, cut: bool, emit: &mut dyn FnMut(String)) {
        let text = self.text();
        let masked = if cut { self.masker.mask_cut(&text) } else { replace(&text, self.masker.find(&text)) };
        let count = self.held.len();
        let lines: Vec<&str> = masked.split('\n').collect();
        lines[lines.len() - count..].iter().for_each(|line| emit((*line).to_owned()));
        self.held.clear();
        let from = text.ceil_char_boundary(text.len().saturating_sub(KEPT));
        self.passed = text[from..].to_owned();
    }
}
