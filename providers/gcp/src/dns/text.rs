//! Values of records as Cloud DNS takes them: names end with a dot, and text is quoted, in pieces of at most 255 bytes.

use remint_core::provider::RecordKind;

/// The longest piece of text in a record (RFC 1035).
const PIECE: usize = 255;

/// A value as Cloud DNS takes it.
pub(super) fn to_wire(kind: RecordKind, value: &str) -> String {
    match kind {
        RecordKind::A | RecordKind::Aaaa => value.to_owned(),
        RecordKind::Cname => format!("{}.", value.trim_end_matches('.')),
        RecordKind::Txt => quote(value),
    }
}

/// A value as Remint knows it.
pub(super) fn from_wire(kind: RecordKind, data: &str) -> String {
    match kind {
        RecordKind::A | RecordKind::Aaaa => data.to_owned(),
        RecordKind::Cname => data.trim_end_matches('.').to_owned(),
        RecordKind::Txt => unquote(data),
    }
}

fn quote(text: &str) -> String {
    let mut pieces = vec![String::new()];
    let mut length = 0;
    for character in text.chars() {
        if length + character.len_utf8() > PIECE {
            pieces.push(String::new());
            length = 0;
        }
        length += character.len_utf8();
        if let Some(piece) = pieces.last_mut() {
            if matches!(character, '"' | '\\') {
                piece.push('\\');
            }
            piece.push(character);
        }
    }
    let quoted: Vec<String> = pieces.iter().map(|piece| format!("\"{piece}\"")).collect();
    quoted.join(" ")
}

/// Joins the pieces. A backslash stands before a byte that is meant as it is, or before three digits that number one.
fn unquote(data: &str) -> String {
    let mut text = Vec::with_capacity(data.len());
    let mut rest = data.as_bytes();
    let mut inside = false;
    loop {
        rest = match rest {
            [] => break,
            [b'"', rest @ ..] => {
                inside = !inside;
                rest
            }
            [b'\\', number @ ..] if numbered(number).is_some() => {
                text.extend(numbered(number));
                &number[3..]
            }
            [b'\\', byte, rest @ ..] => {
                text.push(*byte);
                rest
            }
            [b' ', rest @ ..] if !inside => rest,
            [byte, rest @ ..] => {
                text.push(*byte);
                rest
            }
        };
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn numbered(text: &[u8]) -> Option<u8> {
    let digits = text.get(..3).filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_comes_back_as_it_was() {
        let long = "ä".repeat(200);
        for value in ["theirs", "v=spf1 -all; \"quoted\" \\ back", "", long.as_str(), "\\104i"] {
            let wire = to_wire(RecordKind::Txt, value);
            assert!(wire.starts_with('"') && wire.ends_with('"'), "{wire}");
            assert_eq!(from_wire(RecordKind::Txt, &wire), value);
        }
        assert_eq!(to_wire(RecordKind::Txt, &"x".repeat(256)), format!("\"{}\" \"x\"", "x".repeat(255)));
        assert_eq!(from_wire(RecordKind::Txt, "bare"), "bare");
        assert_eq!(from_wire(RecordKind::Txt, r#""a\195\164""#), "aä");
    }

    #[test]
    fn names_end_with_a_dot_on_the_wire_only() {
        assert_eq!(to_wire(RecordKind::Cname, "elsewhere.example"), "elsewhere.example.");
        assert_eq!(from_wire(RecordKind::Cname, "elsewhere.example."), "elsewhere.example");
    }
}
