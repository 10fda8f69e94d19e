//! The forms in which a secret shows up.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

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
    for written in writings(secret) {
        insert(&written);
        // Where the line end of a file, or of `echo`, was encoded with it, it follows what is looked for.
        let bytes = written.trim_end_matches(['\r', '\n']).as_bytes();
        (0..3).for_each(|before| insert(&base64(bytes, before)));
        insert(&hex::encode(bytes));
        insert(&hex::encode_upper(bytes));
    }
}

/// A secret as it is, and as it is written in files and texts of several kinds, whose whole may be encoded in base64 then: JSON, a file
/// of variables, a shell's word, a URL, a form, HTML.
fn writings(secret: &str) -> BTreeSet<Cow<'_, str>> {
    let quoted = serde_json::to_string(secret).unwrap_or_default();
    let json = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned();
    let mut variable = String::new();
    let mut url = String::new();
    for character in secret.chars() {
        if matches!(character, '"' | '\\' | '`' | '$') {
            variable.push('\\');
        }
        variable.push(character);
        match character {
            'A'..='Z' | 'a'..='z' | '0'..='9' | '-' | '_' | '.' | '~' => url.push(character),
            other => {
                let mut bytes = [0; 4];
                let encoded = other.encode_utf8(&mut bytes).bytes().map(|byte| format!("%{byte:02X}"));
                url.extend(encoded);
            }
        }
    }
    let form = url.replace("%20", "+");
    let word = secret.replace('\'', r"'\''");
    let others = [json, variable, word, url, form].into_iter().map(Cow::Owned);
    others.chain([Cow::Borrowed(secret), html(secret)]).collect()
}

/// What base64 makes of these bytes, wherever they stand in what is encoded: `before` bytes come before them, and the characters that
/// depend on their neighbours are left out.
pub(crate) fn base64(bytes: &[u8], before: usize) -> String {
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
