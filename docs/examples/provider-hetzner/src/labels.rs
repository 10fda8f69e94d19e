//! Remint's labels as Hetzner's (<https://docs.hetzner.cloud/reference/cloud#labels>).
//!
//! A value there has at most 63 letters, digits, `-`, `_` and `.`, and a letter or digit at both ends; case counts. A label
//! `remint:KEY` = `VALUE` becomes `remint/KEY`, with the rest of a long value in `remint/KEY.1`, `remint/KEY.2`, …: 21 bytes of
//! the value each, in which
//!
//! - letters but `Z`, and digits, stand for themselves, and `-`, `_` and `.` too where they are neither first nor last;
//! - every other byte of the UTF-8 text is written `Z` and two hexadecimal digits.
//!
//! So a fingerprint takes four of Hetzner's labels, and reads as it is. Labels that do not read back so are other people's; they
//! are passed over and left where they are.

use std::fmt::Write as _;

use remint_core::provider::{Error, ErrorKind, Labels, Result, Selector};

use crate::wire::Tags;

/// What all of Remint's keys begin with, here and there.
const OURS: &str = "remint:";
const PREFIX: &str = "remint/";
/// Bytes of a value in one label: written out in full they are its 63 characters.
const CHUNK: usize = 21;
/// The longest value, in bytes. Remint's are shorter by far; the API does not tell how many labels it takes.
const LONGEST: usize = 16 * CHUNK;
/// The longest key that leaves room for the number of a chunk.
const LONGEST_KEY: usize = 59;

/// Labels as the API takes them.
pub(crate) fn write(operation: &'static str, labels: &Labels) -> Result<Tags> {
    let mut tags = Tags::new();
    for (key, value) in labels.iter() {
        let invalid =
            |problem: &str| Error::new(ErrorKind::InvalidInput, operation, format!("label `{key}` {problem}"));
        let name = key.strip_prefix(OURS).filter(|name| is_name(name));
        let name = name.ok_or_else(|| invalid("is not `remint:` and a short word of letters, digits and -"))?;
        if value.is_empty() || value.len() > LONGEST {
            return Err(invalid("has a value that is empty or longer than 336 bytes"));
        }
        for (number, chunk) in value.as_bytes().chunks(CHUNK).enumerate() {
            tags.insert(tag_key(name, number), escape(chunk));
        }
    }
    Ok(tags)
}

/// The labels of a resource; other people's are passed over.
pub(crate) fn read(tags: &Tags) -> Labels {
    let names = tags.keys().filter_map(|key| key.strip_prefix(PREFIX)).filter(|name| is_name(name));
    let labels = names.filter_map(|name| {
        let chunks = (0..).map_while(|number| tags.get(&tag_key(name, number)));
        let bytes = chunks.map(|chunk| unescape(chunk)).collect::<Option<Vec<_>>>()?.concat();
        let value = String::from_utf8(bytes).ok().filter(|value| !value.is_empty())?;
        Some((format!("{OURS}{name}"), value))
    });
    Labels(labels.collect())
}

/// All tags of a resource once these labels are added: the chunks of a former value go, other people's stay.
pub(crate) fn merge(operation: &'static str, tags: &Tags, labels: &Labels) -> Result<Tags> {
    let replaced = |key: &str| {
        let name = key.strip_prefix(PREFIX).map(|name| name.split('.').next().unwrap_or(name));
        name.is_some_and(|name| labels.get(&format!("{OURS}{name}")).is_some())
    };
    let mut merged: Tags = tags.iter().filter(|(key, _)| !replaced(key)).map(|(k, v)| (k.clone(), v.clone())).collect();
    merged.extend(write(operation, labels)?);
    Ok(merged)
}

/// The selector as the API takes it; `None` when nothing is selected. It may select a little more: a value that this one
/// is the beginning of.
pub(crate) fn query(operation: &'static str, selector: &Selector) -> Result<Option<String>> {
    let tags = write(operation, &Labels(selector.0.clone()))?;
    let terms: Vec<String> = tags.iter().map(|(key, value)| format!("{key}=={value}")).collect();
    Ok((!terms.is_empty()).then(|| terms.join(",")))
}

fn tag_key(name: &str, number: usize) -> String {
    if number == 0 { format!("{PREFIX}{name}") } else { format!("{PREFIX}{name}.{number}") }
}

fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric();
    name.starts_with(plain)
        && name.ends_with(plain)
        && name.len() <= LONGEST_KEY
        && name.chars().all(|c| plain(c) || c == '-')
}

fn escape(chunk: &[u8]) -> String {
    let last = chunk.len() - 1;
    let mut text = String::new();
    for (place, byte) in chunk.iter().enumerate() {
        match byte {
            b'-' | b'_' | b'.' if (1..last).contains(&place) => text.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() && *byte != b'Z' => text.push(char::from(*byte)),
            byte => drop(write!(text, "Z{byte:02x}")),
        }
    }
    text
}

fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut parts = text.split('Z');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use remint_core::provider::label;

    use super::*;

    fn labels() -> Labels {
        Labels::new()
            .with(label::SERVICE, "shop-eu.2")
            .with(label::FINGERPRINT, "0123456789abcdef".repeat(4))
            .with("remint:note", "Zürich: a b/c=d, (_f_)-")
    }

    #[test]
    fn labels_come_back_as_they_were_and_others_are_passed_over() {
        let mut tags = write("test", &labels()).unwrap();
        assert_eq!(tags["remint/service"], "shop-eu.2", "a plain value reads as it is");
        assert_eq!(tags.keys().filter(|key| key.starts_with("remint/fingerprint")).count(), 4);
        for value in tags.values() {
            let edges = value.starts_with(|c: char| c.is_ascii_alphanumeric()) && value.len() <= 63;
            assert!(edges && value.ends_with(|c: char| c.is_ascii_alphanumeric()), "{value}");
            assert!(value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)), "{value}");
        }
        for (key, value) in [("team", "web"), ("remint/odd", "Zxx"), ("remint/cut", "Zc3"), ("remint/", "x")] {
            tags.insert(key.to_owned(), value.to_owned());
        }
        assert_eq!(read(&tags), labels());
    }

    #[test]
    fn a_shorter_value_leaves_no_chunk_of_the_longer_one() {
        let mut tags = write("test", &labels()).unwrap();
        tags.insert("team".to_owned(), "web".to_owned());
        let merged = merge("test", &tags, &Labels::new().with(label::FINGERPRINT, "short")).unwrap();
        assert_eq!(read(&merged), labels().with(label::FINGERPRINT, "short"));
        assert_eq!(merged["team"], "web");
    }

    #[test]
    fn a_label_that_cannot_be_written_is_refused() {
        for (key, value) in [("service", "app"), ("remint:", "x"), ("remint:a.1", "x"), ("remint:service", "")] {
            let error = write("test", &Labels::new().with(key, value)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{key}");
        }
    }
}
