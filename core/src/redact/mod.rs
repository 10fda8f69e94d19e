//! What stands between text that is not ours and whoever reads it.
//!
//! Two things are done to foreign text (output of machines, answers of clouds, journal contents, file names): [`clean`] takes away what
//! a terminal would obey or what makes text look like other text, and the [`Masker`] replaces secrets that this process knows.
//! [`show`] masks, cleans and masks again: a secret that an escape sequence interrupts is whole once the sequence is gone, and one whose
//! first character is taken for the end of a sequence is not whole any more.
//!
//! Secrets are known to the whole process and not to one run, because sinks such as the panic hook and the log have no context. A
//! secret stays known until the process ends: a late error may still quote it.

mod clean;
mod fold;
mod forms;
mod lines;
mod mask;

use std::borrow::Cow;

use secrecy::{ExposeSecret, SecretString};

pub use clean::clean;
pub(crate) use forms::base64;
pub use lines::LineMasker;
pub use mask::{MASK, Masker};

/// Adds a secret to those that this process masks wherever it writes.
///
/// Also masked are its forms in base64 (wherever it begins in the encoded text, both alphabets), hexadecimal, percent-encoding, JSON,
/// HTML and shell quoting, and each of these cut by line ends. Of a secret of several lines, each line is a secret of its own. A value
/// of fewer than four characters is not masked: it would be found in everything.
pub fn learn(secret: &SecretString) {
    Masker::process().learn(secret.expose_secret());
}

/// Foreign text, clean and without the secrets that this process knows.
pub fn show(text: &str) -> String {
    Masker::process().show(text).into_owned()
}

/// As [`show`], on one line: line ends and tabs become spaces.
pub fn show_line(text: &str) -> String {
    show(text).split(['\n', '\t']).map(str::trim_end).collect::<Vec<_>>().join(" ")
}

/// As [`show`], cut to at most `bytes` bytes, the last of them an ellipsis. Secrets are masked before the cut, which could otherwise leave the first
/// part of one.
pub fn excerpt(text: &str, bytes: usize) -> String {
    let masker = Masker::process();
    let mut shown = masker.mask_cut(&masker.show(text)).into_owned();
    if shown.len() > bytes {
        shown.truncate(shown.floor_char_boundary(bytes.saturating_sub('…'.len_utf8())));
        shown.push('…');
    }
    shown
}

/// Applies [`show`] to all text in a JSON value, keys included.
pub fn show_json(value: &mut serde_json::Value) {
    use serde_json::Value;
    match value {
        Value::String(text) => {
            if let Cow::Owned(shown) = Masker::process().show(text) {
                *text = shown;
            }
        }
        Value::Array(values) => values.iter_mut().for_each(show_json),
        Value::Object(object) => {
            let entries = std::mem::take(object);
            object.extend(entries.into_iter().map(|(key, mut value)| {
                show_json(&mut value);
                (show(&key), value)
            }));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests;
