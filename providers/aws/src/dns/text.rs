//! Names and text as Route 53 writes them.
//!
//! In a name, every character but `a-z`, `0-9`, `-`, `_` and `.` comes back as a backslash and three octal digits; `*.example`
//! is `\052.example.`. Text stands in quotes, at most 255 bytes in each pair, with `\"`, `\\` and octal escapes for what is
//! not printable ASCII. Source: Route 53 developer guide, "DNS domain name format", "TXT record type".

use std::fmt::Write as _;

/// The most that one pair of quotes holds, in bytes.
const CHUNK: usize = 255;

/// A name without its final dot, lower case, its escapes resolved.
pub(super) fn decode_name(name: &str) -> String {
    let name = name.strip_suffix('.').unwrap_or(name);
    String::from_utf8_lossy(&unescape(name)).to_ascii_lowercase()
}

/// A name as Route 53 takes it: with a final dot, and escapes for what no host has in its name.
pub(super) fn encode_name(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len() + 1);
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' => encoded.push(char::from(byte)),
            _ => drop(write!(encoded, "\\{byte:03o}")),
        }
    }
    encoded.push('.');
    encoded
}

/// Text in quotes.
pub(super) fn encode_text(text: &str) -> String {
    let bytes = text.as_bytes();
    let chunks = if bytes.is_empty() { vec![&[][..]] } else { bytes.chunks(CHUNK).collect() };
    let mut encoded = String::with_capacity(text.len() + 2);
    for (place, chunk) in chunks.into_iter().enumerate() {
        encoded.push_str(if place == 0 { "\"" } else { " \"" });
        for &byte in chunk {
            match byte {
                b'"' | b'\\' => {
                    encoded.push('\\');
                    encoded.push(char::from(byte));
                }
                b' '..=b'~' => encoded.push(char::from(byte)),
                _ => drop(write!(encoded, "\\{byte:03o}")),
            }
        }
        encoded.push('"');
    }
    encoded
}

/// The text in the quotes of a value, one after the other.
pub(super) fn decode_text(value: &str) -> String {
    let mut inside = String::with_capacity(value.len());
    let (mut quoted, mut escaped) = (false, false);
    for c in value.chars() {
        match c {
            _ if escaped => {
                inside.push(c);
                escaped = false;
            }
            '\\' => {
                inside.push(c);
                escaped = true;
            }
            '"' => quoted = !quoted,
            _ if quoted => inside.push(c),
            _ => {}
        }
    }
    String::from_utf8_lossy(&unescape(&inside)).into_owned()
}

/// Resolves `\ooo` and `\c`.
fn unescape(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digits = bytes.get(at + 1..at + 4).filter(|digits| digits.iter().all(|d| (b'0'..=b'7').contains(d)));
        let octal = digits.map(|digits| digits.iter().fold(0_u32, |value, digit| value * 8 + u32::from(digit - b'0')));
        match (byte, octal.and_then(|value| u8::try_from(value).ok())) {
            (b'\\', Some(value)) => {
                plain.push(value);
                at += 4;
            }
            (b'\\', None) => {
                plain.extend(bytes.get(at + 1));
                at += 2;
            }
            _ => {
                plain.push(byte);
                at += 1;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_their_dot_and_their_escapes() {
        assert_eq!(decode_name("\\052.Example.com."), "*.example.com");
        assert_eq!(decode_name("a\\100b.example."), "a@b.example");
        assert_eq!(decode_name("www.example.com"), "www.example.com");
        assert_eq!(encode_name("*.a b.example"), "*.a\\040b.example.");
    }

    #[test]
    fn text_comes_back_as_it_was() {
        let long = "x".repeat(600);
        for text in ["v=spf1 -all; \"quoted\" \\ back", "", "ümlaut\t€", "\\052 is no escape", &long] {
            assert_eq!(decode_text(&encode_text(text)), text);
        }
        assert_eq!(encode_text("a\"b"), r#""a\"b""#);
        assert_eq!(encode_text("ü"), r#""\303\274""#);
        assert_eq!(encode_text(&long).matches('"').count(), 6, "three pairs for 600 bytes");
        assert_eq!(decode_text(r#""one" "two""#), "onetwo");
    }
}
