//! Remint's labels in Google's: reversible, and such that the API can filter by them.
//!
//! Google's label keys and values are made of `a-z`, `0-9`, `_` and `-`, at most 63 characters of them, and a resource
//! has at most 64. Remint's label `remint:KEY` becomes `remint-KEY`. In key and value, every byte but `a-z`, `0-9` and
//! `-` is written as `_` and its two hexadecimal digits. What is longer than 63 characters then goes on in labels
//! `remint-KEY__1`, `remint-KEY__2`, and so on; two underscores in a row mean nothing else.
//!
//! Every resource also carries [`MARK`], by which the API finds whatever Remint made.
//!
//! Addresses and forwarding rules cannot be labelled as they are made, and so could be lost without labels; theirs stand
//! in the description, as JSON after the word `remint`. A description cannot be changed: labels that are added later are
//! Google's, and go before those in the description.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
};

use remint_core::provider::{Error, ErrorKind, Labels, Result, Selector};
use serde::{Deserialize, Serialize};

const PREFIX: &str = "remint:";
const WIRE_PREFIX: &str = "remint-";
/// Between a key and the number of its continuation.
const PART: &str = "__";
/// The most characters of a key, and of a value.
const LONGEST: usize = 63;
/// The most labels of a resource.
const MOST: usize = 64;
/// The most labels of the user's: the others are for Remint.
const MOST_EXTRA: usize = 32;
/// The label of everything that Remint made.
const MARK: (&str, &str) = ("managed-by", "remint");
/// How much a description may hold.
const LONGEST_DESCRIPTION: usize = 2048;

/// Labels in Google's form, as they go with a call that makes a resource.
pub(crate) fn to_wire(operation: &'static str, labels: &Labels) -> Result<HashMap<String, String>> {
    let mut wire = HashMap::from([(MARK.0.to_owned(), MARK.1.to_owned())]);
    for (key, value) in labels.iter() {
        wire.extend(parts(operation, key, value)?);
    }
    if wire.len() > MOST {
        let message = format!("the labels make {} of Google's; {MOST} is the most", wire.len());
        return Err(Error::new(ErrorKind::InvalidInput, operation, message));
    }
    Ok(wire)
}

/// The same, with the user's own next to them.
pub(crate) fn to_wire_with(
    operation: &'static str,
    labels: &Labels,
    extra: &BTreeMap<String, String>,
) -> Result<HashMap<String, String>> {
    with_extra(operation, &to_wire(operation, labels)?, extra)
}

/// A resource's labels after the user's were added or replaced.
pub(crate) fn with_extra(
    operation: &'static str,
    standing: &HashMap<String, String>,
    extra: &BTreeMap<String, String>,
) -> Result<HashMap<String, String>> {
    let mut wire = standing.clone();
    wire.extend(extra.clone());
    check_count(operation, &wire)?;
    Ok(wire)
}

/// Refuses labels of the user's that Google would refuse, and those that would be taken for Remint's own: says why.
///
/// The source of the rules is "Requirements for labels" in Compute Engine's documentation.
pub(crate) fn check_extra(extra: &BTreeMap<String, String>) -> std::result::Result<(), String> {
    let letter = |c: char| c.is_alphabetic() && !c.is_uppercase();
    let fits = |text: &str| {
        text.chars().count() <= LONGEST && text.chars().all(|c| letter(c) || c.is_numeric() || "_-".contains(c))
    };
    if extra.len() > MOST_EXTRA {
        return Err(format!("`labels` has {} labels; {MOST_EXTRA} is the most", extra.len()));
    }
    for (key, value) in extra {
        if key == MARK.0 || key.starts_with(WIRE_PREFIX) {
            return Err(format!("`{key}` in `labels` is a label of Remint's own"));
        }
        if !fits(key) || !key.starts_with(letter) {
            return Err(format!("`{key}` in `labels` cannot be the key of a label"));
        }
        if !fits(value) {
            return Err(format!("`{value}` in `labels` cannot be the value of a label"));
        }
    }
    Ok(())
}

fn check_count(operation: &'static str, wire: &HashMap<String, String>) -> Result<()> {
    if wire.len() <= MOST {
        return Ok(());
    }
    let message = format!("the resource would have {} labels; {MOST} is the most", wire.len());
    Err(Error::new(ErrorKind::InvalidInput, operation, message))
}

/// Remint's labels among a resource's; those of others are passed over.
pub(crate) fn from_wire(wire: &HashMap<String, String>) -> Labels {
    let mut values: BTreeMap<&str, BTreeMap<usize, &str>> = BTreeMap::new();
    for (key, value) in wire {
        let Some(name) = key.strip_prefix(WIRE_PREFIX) else { continue };
        let (name, number) = match name.split_once(PART) {
            None => (name, Some(0)),
            Some((name, number)) => (name, number.parse().ok().filter(|number| *number > 0)),
        };
        if let Some(number) = number {
            values.entry(name).or_default().insert(number, value);
        }
    }
    let read = values.into_iter().filter_map(|(name, parts)| {
        if !parts.keys().copied().eq(0..parts.len()) {
            return None;
        }
        let value: String = parts.into_values().collect();
        let (name, value) = (unescape(name)?, unescape(&value)?);
        (!name.is_empty() && !value.is_empty()).then(|| (format!("{PREFIX}{name}"), value))
    });
    Labels(read.collect())
}

/// A resource's labels after some of Remint's were added or replaced; everybody else's stay.
pub(crate) fn merged(
    operation: &'static str,
    standing: &HashMap<String, String>,
    new: &Labels,
) -> Result<HashMap<String, String>> {
    let mut labels = from_wire(standing);
    labels.0.extend(new.0.clone());
    let foreign = standing.iter().filter(|(key, _)| !key.starts_with(WIRE_PREFIX));
    let mut wire: HashMap<String, String> = foreign.map(|(key, value)| (key.clone(), value.clone())).collect();
    wire.extend(to_wire(operation, &labels)?);
    check_count(operation, &wire)?;
    Ok(wire)
}

/// The filter that selects what carries the labels, in the syntax of the API's lists.
pub(crate) fn filter(operation: &'static str, selector: &Selector) -> Result<String> {
    let expression = |(key, value): (&str, &str)| format!("(labels.{key} = \"{value}\")");
    if selector.0.is_empty() {
        return Ok(expression(MARK));
    }
    let mut expressions = Vec::new();
    for (key, value) in &selector.0 {
        let parts = parts(operation, key, value)?;
        expressions.extend(parts.iter().map(|(key, value)| expression((key, value))));
    }
    Ok(expressions.join(" AND "))
}

/// The labels that one label becomes.
fn parts(operation: &'static str, key: &str, value: &str) -> Result<Vec<(String, String)>> {
    let invalid = |problem: String| Err(Error::new(ErrorKind::InvalidInput, operation, problem));
    Labels::new().with(key, value).check(operation)?;
    let name = key.strip_prefix(PREFIX).unwrap_or(key);
    let (name, value) = (format!("{WIRE_PREFIX}{}", escape(name)), escape(value));
    let mut parts = Vec::new();
    for (number, part) in value.as_bytes().chunks(LONGEST).enumerate() {
        let key = if number == 0 { name.clone() } else { format!("{name}{PART}{number}") };
        parts.push((key, String::from_utf8_lossy(part).into_owned()));
    }
    match parts.iter().map(|(key, _)| key.len()).max() {
        Some(longest) if longest > LONGEST => {
            invalid(format!("label key `{key}` takes {longest} characters as Google writes it; {LONGEST} is the most"))
        }
        _ if parts.len() >= MOST => invalid(format!("label `{key}` takes {} of Google's labels", parts.len())),
        _ => Ok(parts),
    }
}

fn escape(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut escaped, byte| {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' => escaped.push(char::from(byte)),
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

/// What the description of an address or a forwarding rule says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Description {
    pub(crate) labels: Labels,
    /// The zone that the address was made for.
    pub(crate) zone: String,
}

impl Description {
    /// The text, or why it does not fit.
    pub(crate) fn to_text(&self, operation: &'static str) -> Result<String> {
        let invalid = |problem: String| Error::new(ErrorKind::InvalidInput, operation, problem);
        self.labels.check(operation)?;
        let json =
            serde_json::to_string(self).map_err(|error| invalid("unwritable labels".into()).with_source(error))?;
        let text = format!("remint {json}");
        if text.len() > LONGEST_DESCRIPTION {
            return Err(invalid(format!("labels of {} bytes; {LONGEST_DESCRIPTION} is the most", text.len())));
        }
        Ok(text)
    }

    /// What Remint wrote in a description, with the labels that were added later.
    pub(crate) fn of(text: Option<&str>, added: &HashMap<String, String>) -> Option<Self> {
        let written = Self::from_text(text);
        let added = from_wire(added);
        if written.is_none() && added.0.is_empty() {
            return None;
        }
        let mut description = written.unwrap_or_default();
        description.labels.0.extend(added.0);
        Some(description)
    }

    /// What Remint wrote; nothing in the descriptions of others.
    pub(crate) fn from_text(text: Option<&str>) -> Option<Self> {
        serde_json::from_str(text?.strip_prefix("remint ")?).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use remint_core::provider::label;

    use super::*;

    fn holds(wire: &HashMap<String, String>) -> bool {
        let fits =
            |text: &str| text.len() <= 63 && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'));
        wire.len() <= 64
            && wire.iter().all(|(key, value)| fits(key) && fits(value) && key.as_bytes()[0].is_ascii_lowercase())
    }

    #[test]
    fn a_fingerprint_goes_on_in_a_second_label() {
        let labels = Labels::new().with(label::SERVICE, "app").with(label::FINGERPRINT, "0123456789abcdef".repeat(4));
        let wire = to_wire("test", &labels).unwrap();
        assert_eq!(wire["remint-service"], "app");
        assert_eq!((wire["remint-fingerprint"].len(), wire["remint-fingerprint__1"].as_str()), (63, "f"));
        assert_eq!(from_wire(&wire), labels);
        let selector = Selector::all().with(label::FINGERPRINT, "0123456789abcdef".repeat(4));
        let filter = filter("test", &selector).unwrap();
        assert!(filter.ends_with("\") AND (labels.remint-fingerprint__1 = \"f\")"), "{filter}");
    }

    #[test]
    fn labels_of_others_are_passed_over_and_kept() {
        let standing = [
            ("team", "web"),
            ("remint-service", "app"),
            ("remint-odd", "_zz"),
            ("remint-gap__2", "x"),
            ("remint-", "x"),
        ];
        let standing: HashMap<String, String> = standing.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        assert_eq!(from_wire(&standing), Labels::new().with(label::SERVICE, "app"));
        let merged = merged("test", &standing, &Labels::new().with(label::ROLE, "parked")).unwrap();
        assert_eq!((merged["team"].as_str(), merged["remint-role"].as_str()), ("web", "parked"));
        assert_eq!(merged["managed-by"], "remint");
    }

    #[test]
    fn labels_of_the_users_stand_beside_remints_and_are_not_read() {
        let extra = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let labels = Labels::new().with(label::SERVICE, "app");
        let wire = to_wire_with("test", &labels, &extra(&[("team", "web")])).unwrap();
        assert_eq!((wire["team"].as_str(), wire["remint-service"].as_str()), ("web", "app"));
        assert_eq!(from_wire(&wire), labels);
        assert_eq!(check_extra(&extra(&[("größe", "1_a-ü"), (&"k".repeat(63), &"v".repeat(63))])), Ok(()));
        for (key, value) in [(&*"k".repeat(64), "x"), ("k", &"v".repeat(64)), ("-k", "x"), ("k", "a.b"), ("É", "x")] {
            assert!(check_extra(&extra(&[(key, value)])).is_err(), "{key}={value}");
        }
        let many: BTreeMap<_, _> = (0..=MOST_EXTRA).map(|n| (format!("k{n}"), String::new())).collect();
        assert!(check_extra(&many).is_err());
    }

    #[test]
    fn labels_that_were_added_go_before_the_description() {
        let written = Description {
            labels: Labels::new().with(label::SERVICE, "app").with(label::RELEASE, "1"),
            zone: "us-central1-a".to_owned(),
        };
        let text = written.to_text("test").unwrap();
        let added = to_wire("test", &Labels::new().with(label::ENV_ID, "0a1b2c3d4e5f6071").with(label::RELEASE, "2"));
        let read = Description::of(Some(&text), &added.unwrap()).unwrap();
        assert_eq!(read.zone, written.zone);
        let expected = written.labels.with(label::RELEASE, "2").with(label::ENV_ID, "0a1b2c3d4e5f6071");
        assert_eq!(read.labels, expected);
        assert_eq!(Description::of(Some("somebody's"), &HashMap::new()), None);
    }

    #[test]
    fn a_shorter_value_leaves_nothing_of_the_longer_one() {
        let long = Labels::new().with("remint:note", "x".repeat(200));
        let wire = to_wire("test", &long).unwrap();
        let short = Labels::new().with("remint:note", "y");
        assert_eq!(from_wire(&merged("test", &wire, &short).unwrap()), short);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let refused = |labels: &Labels| to_wire("test", labels).unwrap_err().kind() == ErrorKind::InvalidInput;
        assert!(refused(&Labels::new().with("service", "app")));
        assert!(refused(&Labels::new().with("remint:service", "")));
        assert!(refused(&Labels::new().with(&format!("remint:{}", "k".repeat(60)), "x")));
        assert!(refused(&Labels::new().with("remint:a", "x".repeat(64 * 63))));
        assert!(refused(&(0..64).fold(Labels::new(), |labels, n| labels.with(&format!("remint:k{n}"), "x"))));
    }

    proptest! {
        #[test]
        fn labels_come_back_as_they_were_or_are_refused(
            labels in proptest::collection::btree_map("remint:[a-zA-Z0-9:_. é-]{1,30}|[a-z]{0,3}", "\\PC{0,300}", 0..12)
        ) {
            let labels = Labels(labels);
            match to_wire("test", &labels) {
                Ok(wire) => {
                    prop_assert!(holds(&wire), "{wire:?}");
                    prop_assert_eq!(from_wire(&wire), labels);
                }
                Err(error) => prop_assert_eq!(error.kind(), ErrorKind::InvalidInput),
            }
        }

        #[test]
        fn descriptions_come_back_as_they_were_or_are_refused(
            labels in proptest::collection::btree_map("remint:[a-z]{1,30}", "\\PC{0,300}", 0..12), zone in "[a-z0-9-]{0,20}"
        ) {
            let written = Description { labels: Labels(labels), zone };
            match written.to_text("test") {
                Ok(text) => prop_assert_eq!(Description::from_text(Some(&text)), Some(written)),
                Err(error) => prop_assert_eq!(error.kind(), ErrorKind::InvalidInput),
            }
        }
    }
}
