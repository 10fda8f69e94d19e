//! Labels as tags.
//!
//! DigitalOcean's tags are plain words of letters, digits, `:`, `-` and `_`, at most 255 long, and case-insensitive: the
//! spelling of whoever used a tag first stays. A label `remint:KEY` = `VALUE` is the tag `remint:KEY:VALUE`, in which
//!
//! - `a-z`, `0-9` and `-` stand for themselves, and `:` too within the value;
//! - every other byte of the UTF-8 text, capital letters and `_` included, is written `_` and two hexadecimal digits.
//!
//! So `remint:touched` = `2026-11-23T08:00:00Z` is the tag `remint:touched:2026-11-23_5408:00:00_5a`. Reading a tag first
//! turns it to lower case, which loses nothing. Tags that do not read back so are other people's; they are ignored and
//! left where they are.

use std::fmt::Write as _;

use remint_core::provider::{Error, ErrorKind, Labels, Result, Selector, label};

use crate::config::LONGEST_TAG;

/// What all label keys, and so all of Remint's tags, begin with.
const PREFIX: &str = "remint:";

/// Label keys in the order in which they select: the first has the fewest resources.
const MOST_SELECTIVE: [&str; 6] =
    [label::RUN, label::FINGERPRINT, label::SERVICE, label::ENV, label::RELEASE, label::ROLE];

/// The tag of one label.
pub(crate) fn tag(operation: &'static str, key: &str, value: &str) -> Result<String> {
    let invalid = |problem: String| Error::new(ErrorKind::InvalidInput, operation, problem);
    let name = key.strip_prefix(PREFIX).filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| invalid(format!("label key `{key}` does not start with `{PREFIX}`")))?;
    if value.is_empty() {
        return Err(invalid(format!("label `{key}` has no value")));
    }
    let tag = format!("{PREFIX}{}:{}", escape(name, false), escape(value, true));
    if tag.len() > LONGEST_TAG {
        return Err(invalid(format!(
            "label `{key}` makes a tag of {} characters; {LONGEST_TAG} is the most",
            tag.len()
        )));
    }
    Ok(tag)
}

/// The tags of labels, in the order of the keys.
pub(crate) fn tags(operation: &'static str, labels: &Labels) -> Result<Vec<String>> {
    labels.iter().map(|(key, value)| tag(operation, key, value)).collect()
}

/// The labels in a resource's tags; other people's tags are passed over.
pub(crate) fn labels<'a>(tags: impl IntoIterator<Item = &'a String>) -> Labels {
    Labels(tags.into_iter().filter_map(|tag| parse(tag)).collect())
}

/// One tag to ask the API by, so that the answer is as short as can be; `None` when nothing is selected.
pub(crate) fn query_tag(operation: &'static str, selector: &Selector) -> Result<Option<String>> {
    let known = MOST_SELECTIVE.iter().find_map(|key| selector.0.get_key_value(*key));
    match known.or_else(|| selector.0.first_key_value()) {
        Some((key, value)) => tag(operation, key, value).map(Some),
        None => Ok(None),
    }
}

/// The label that a tag stands for.
pub(crate) fn parse(tag: &str) -> Option<(String, String)> {
    let tag = tag.to_ascii_lowercase();
    let (key, value) = tag.strip_prefix(PREFIX)?.split_once(':')?;
    let (key, value) = (unescape(key)?, unescape(value)?);
    (!key.is_empty() && !value.is_empty()).then(|| (format!("{PREFIX}{key}"), value))
}

fn escape(text: &str, colons: bool) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut escaped, byte| {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' => escaped.push(char::from(byte)),
            b':' if colons => escaped.push(':'),
            _ => drop(write!(escaped, "_{byte:02x}")),
        }
        escaped
    })
}

fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('_') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        bytes.push(u8::from_str_radix(rest.get(at + 1..at + 3)?, 16).ok()?);
        rest = &rest[at + 3..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_come_back_from_tags_as_they_were() {
        let labels_before = Labels::new()
            .with(label::SERVICE, "app")
            .with(label::TOUCHED, "2026-11-23T08:00:00Z")
            .with("remint:a:b_C", "x_y Ä:z");
        let written = tags("test", &labels_before).unwrap();
        assert!(written.contains(&"remint:touched:2026-11-23_5408:00:00_5a".to_owned()), "{written:?}");
        for tag in &written {
            assert!(tag.bytes().all(|b| b.is_ascii_alphanumeric() || b":-_".contains(&b)), "{tag}");
        }
        let mut stored: Vec<_> = written.iter().map(|tag| tag.to_ascii_uppercase()).collect();
        stored.extend(["web", "remint:", "remint:odd", "remint:a:_zz", "remint:a:_c", "other:a:b"].map(str::to_owned));
        assert_eq!(labels(&stored), labels_before, "whatever the case, and other people's tags passed over");
    }

    #[test]
    fn a_label_that_makes_no_tag_is_refused() {
        for (key, value) in [("service", "app"), ("remint:service", ""), ("remint:service", &*"x".repeat(250))] {
            assert_eq!(tag("test", key, value).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn the_most_selective_tag_is_asked_for() {
        let selector = Selector::all().with(label::ROLE, "builder").with(label::SERVICE, "app");
        assert_eq!(query_tag("test", &selector).unwrap().unwrap(), "remint:service:app");
        let selector = selector.with(label::RUN, "0192");
        assert_eq!(query_tag("test", &selector).unwrap().unwrap(), "remint:run:0192");
        assert_eq!(query_tag("test", &Selector::all()).unwrap(), None);
    }
}
