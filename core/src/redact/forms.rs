//! The forms in which a secret shows up.

use std::{borrow::Cow, collections::BTreeMap};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};

use super::fold::Folded;

/// A secret with fewer characters is not masked.
pub(super) const SHORTEST: usize = 4;
/// A line of a secret of several lines with fewer characters is not looked for alone.
const SHORTEST_LINE: usize = 8;

/// How much of a secret is looked for, in bytes: no user data holds more, and what finds it grows with it.
const LONGEST: usize = 16 * 1024;
/// A longer secret, or line of one, is looked for in pieces of this many bytes.
const PIECE: usize = 1024;

/// All forms of a secret, as they look in folded text, and whether there are blanks in them before they are folded.
pub(super) type Forms = BTreeMap<String, bool>;

/// The forms of a secret.
pub(super) fn forms(secret: &str) -> Forms {
    let secret = &secret[..secret.floor_char_boundary(LONGEST)];
    let mut forms = Forms::new();
    add_pieces(secret, &mut forms);
    if secret.lines().nth(1).is_some() {
        for line in secret.lines().map(str::trim) {
            // The frame of a PEM file is no secret.
            if line.chars().count() >= SHORTEST_LINE && !line.starts_with("-----") {
                add_pieces(line, &mut forms);
            }
        }
    }
    forms
}

fn add_pieces(secret: &str, forms: &mut Forms) {
    let mut rest = secret;
    while rest.len() > 2 * PIECE {
        let (piece, others) = rest.split_at(rest.floor_char_boundary(PIECE));
        add(piece, forms);
        rest = others;
    }
    add(rest, forms);
}

fn add(secret: &str, forms: &mut Forms) {
    if Folded::new(secret).text.chars().count() < SHORTEST {
        return;
    }
    let mut insert = |text: &str| {
        let folded = Folded::new(text).text;
        if folded.chars().count() >= SHORTEST {
            *forms.entry(folded).or_default() |= text.contains([' ', '\t']);
        }
    };
    insert(secret);
    // Where the line end of a file, or of `echo`, was encoded with it, it follows what is looked for.
    let bytes = secret.trim_end_matches(['\r', '\n']).as_bytes();
    for before in 0..3 {
        insert(&base64(bytes, before));
    }
    insert(&hex::encode(bytes));
    insert(&hex::encode_upper(bytes));
    for written in [html(secret), secret.replace('\'', r"'\''").into(), secret.replace(' ', "+").into()] {
        if written != secret {
            insert(&written);
        }
    }
}

/// What base64 makes of these bytes, wherever they stand in what is encoded: `before` bytes come before them, and the characters that
/// depend on their neighbours are left out.
fn base64(bytes: &[u8], before: usize) -> String {
    let mut all = vec![0; before];
    all.extend_from_slice(bytes);
    let text = STANDARD_NO_PAD.encode(&all);
    let start = (before * 8).div_ceil(6);
    let end = all.len() * 8 / 6;
    text.get(start..end).unwrap_or_default().to_owned()
}

fn html(secret: &str) -> Cow<'_, str> {
    if !secret.contains(['&', '<', '>', '"', '\'']) {
        return Cow::Borrowed(secret);
    }
    let text = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    Cow::Owned(text.replace('"', "&quot;").replace('\'', "&#39;"))
}
