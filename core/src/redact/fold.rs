//! Text without what may stand between the characters of a secret, and the way back to where each character was.

use std::ops::Range;

use super::clean::is_blank;

/// How often encodings are undone: a value in a URL in JSON in JSON, for example.
const DEPTH: usize = 3;

/// How text was encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    /// `%41`.
    Percent,
    /// `\u0041`, `\x41`, `\u{41}`, `\"`, `\n`: JSON, shells, Rust's `Debug`.
    Escapes,
}

/// Folded text, and for each of its bytes the bytes that it comes from.
///
/// Blanks and invisible characters are left out, and both base64 alphabets are one. What a character becomes depends on nothing around
/// it, so that a secret looks the same wherever it stands.
#[derive(Debug, Default)]
pub(super) struct Folded {
    pub(super) text: String,
    from: Vec<(usize, usize)>,
}

impl Folded {
    pub(super) fn new(text: &str) -> Self {
        let mut folded = Self { text: String::with_capacity(text.len()), from: Vec::with_capacity(text.len()) };
        for (at, character) in text.char_indices() {
            folded.push(character, (at, at + character.len_utf8()));
        }
        folded
    }

    /// The text as it is, and with encodings undone, as far as there are any.
    pub(super) fn readings(text: &str) -> Vec<Self> {
        let mut readings = vec![Self::new(text)];
        let mut last = 0..1;
        for _ in 0..DEPTH {
            let end = readings.len();
            for at in last {
                for coding in [Coding::Percent, Coding::Escapes] {
                    readings.extend(readings[at].decoded(coding));
                }
            }
            last = end..readings.len();
        }
        readings
    }

    /// Where a range of the folded text stands in the original.
    pub(super) fn original(&self, range: Range<usize>) -> Range<usize> {
        let start = self.from.get(range.start).map_or(0, |from| from.0);
        let end = self.from.get(range.end.saturating_sub(1)).map_or(start, |from| from.1);
        start..end.max(start)
    }

    fn push(&mut self, character: char, from: (usize, usize)) {
        if is_blank(character) {
            return;
        }
        self.text.push(match character {
            '-' => '+',
            '_' => '/',
            other => other,
        });
        self.from.resize(self.text.len(), from);
    }

    /// Undoes an encoding once; `None` where there is nothing to undo.
    fn decoded(&self, coding: Coding) -> Option<Self> {
        let sign = match coding {
            Coding::Percent => '%',
            Coding::Escapes => '\\',
        };
        if !self.text.contains(sign) {
            return None;
        }
        let mut decoded = Self::default();
        let mut at = 0;
        while let Some(character) = self.text[at..].chars().next() {
            let rest = &self.text[at..];
            let (meant, length) = match coding {
                Coding::Percent => percent(rest),
                Coding::Escapes if character == sign => escape(rest),
                Coding::Escapes => None,
            }
            .unwrap_or_else(|| (character.to_string(), character.len_utf8()));
            let from = (self.from[at].0, self.from[at + length - 1].1);
            meant.chars().for_each(|character| decoded.push(character, from));
            at += length;
        }
        Some(decoded)
    }
}

/// The character that one or more encoded bytes mean, and the length of their encoding.
fn percent(text: &str) -> Option<(String, usize)> {
    let byte = |number: usize| {
        let digits = text.get(3 * number..3 * number + 3)?.strip_prefix('%')?;
        digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u8::from_str_radix(digits, 16).ok())?
    };
    let first = byte(0)?;
    let count = match first {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    };
    let bytes: Vec<u8> = (0..count).map_while(byte).collect();
    match String::from_utf8(bytes) {
        Ok(text) => Some((text, 3 * count)),
        // Bytes that are no text are no part of a secret.
        Err(_) => Some((String::new(), 3)),
    }
}

/// What an escape means (nothing: a line end or tab), and its length.
fn escape(text: &str) -> Option<(String, usize)> {
    let rest = &text[1..];
    let code = |from: usize, to: usize| {
        let digits = rest.get(from..to).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        char::from_u32(u32::from_str_radix(digits, 16).ok()?)
    };
    let braces = || code(2, rest.strip_prefix("u{")?.find('}')? + 2);
    let kind = rest.chars().next()?;
    let meant = match kind {
        'n' | 'r' | 't' => return Some((String::new(), 2)),
        'x' => code(1, 3).map(|meant| (meant, 4)),
        'u' => code(1, 5)
            .map(|meant| (meant, 6))
            .or_else(|| braces().map(|meant| (meant, 2 + rest.find('}').unwrap_or(0)))),
        other => Some((other, 1 + other.len_utf8())),
    };
    Some(meant.map_or((String::new(), 1), |(meant, length)| (meant.to_string(), length)))
}
