//! Labels as tags, and what else Remint writes into tags.
//!
//! EC2 takes any text as a tag, so a label is a tag as it is. Some tags are Remint's own, and are no labels:
//!
//! - `Name`: the name of an instance or static IP;
//! - `remint:source`, `remint:source-region`: on the copy of an image, which image it is a copy of; on an instance that was
//!   launched from a copy, the same;
//! - `remint:copy:REGION`: on an image, that it has been copied there.

use aws_sdk_ec2::types::{Filter, ResourceType, Tag, TagSpecification};
use remint_core::provider::{Error, ErrorKind, Labels, Result, Selector};
use sha2::{Digest, Sha256};

pub(crate) const NAME: &str = "Name";
pub(crate) const SOURCE: &str = "remint:source";
pub(crate) const SOURCE_REGION: &str = "remint:source-region";
pub(crate) const COPY: &str = "remint:copy:";
/// What all label keys begin with.
const PREFIX: &str = "remint:";

/// The limits of tags, in characters, and how many a resource may carry (EC2 user guide, "Tag restrictions").
pub(crate) const LONGEST_KEY: usize = 128;
pub(crate) const LONGEST_VALUE: usize = 256;
const MOST_LABELS: usize = 40;

fn is_own(key: &str) -> bool {
    key == SOURCE || key == SOURCE_REGION || key.starts_with(COPY)
}

pub(crate) fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build()
}

/// The tags of labels, in the order of the keys.
pub(crate) fn tags(operation: &'static str, labels: &Labels) -> Result<Vec<Tag>> {
    let invalid = |problem: String| Err(Error::new(ErrorKind::InvalidInput, operation, problem));
    if labels.0.len() > MOST_LABELS {
        return invalid(format!("{} labels; {MOST_LABELS} are the most", labels.0.len()));
    }
    labels.check(operation)?;
    for (key, value) in labels.iter() {
        if is_own(key) {
            return invalid(format!("label key `{key}` is kept for copies of images"));
        }
        for (what, text, most) in [("key", key, LONGEST_KEY), ("value", value, LONGEST_VALUE)] {
            let length = text.chars().count();
            if length > most {
                return invalid(format!("the {what} of label `{key}` has {length} characters; {most} is the most"));
            }
        }
    }
    Ok(labels.iter().map(|(key, value)| tag(key, value)).collect())
}

/// The labels in a resource's tags; other people's tags are passed over.
pub(crate) fn labels(tags: &[Tag]) -> Labels {
    let label = |tag: &Tag| {
        let (key, value) = (tag.key()?, tag.value()?);
        (key.starts_with(PREFIX) && !is_own(key) && !value.is_empty()).then(|| (key.to_owned(), value.to_owned()))
    };
    Labels(tags.iter().filter_map(label).collect())
}

pub(crate) fn value<'a>(tags: &'a [Tag], key: &str) -> Option<&'a str> {
    tags.iter().find(|tag| tag.key() == Some(key)).and_then(Tag::value)
}

/// Tags that a resource carries from the moment when it is made.
pub(crate) fn on_create(kind: ResourceType, tags: &[Tag]) -> TagSpecification {
    TagSpecification::builder().resource_type(kind).set_tags(Some(tags.to_vec())).build()
}

/// A filter by one value; EC2 reads `*` and `?` in values as wildcards.
pub(crate) fn filter(name: impl Into<String>, value: &str) -> Filter {
    let mut escaped = String::with_capacity(value.len());
    for c in value.chars() {
        if matches!(c, '*' | '?' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    pattern(name, escaped)
}

/// A filter by several values, such as ids, which need no escapes.
pub(crate) fn any_of(name: impl Into<String>, values: &[String]) -> Filter {
    Filter::builder().name(name).set_values(Some(values.to_vec())).build()
}

pub(crate) fn pattern(name: impl Into<String>, pattern: impl Into<String>) -> Filter {
    Filter::builder().name(name).values(pattern).build()
}

/// The filters of a selector; whoever uses them holds the answer against the selector once more.
pub(crate) fn filters(selector: &Selector) -> Vec<Filter> {
    if selector.0.is_empty() {
        return vec![pattern("tag-key", format!("{PREFIX}*"))];
    }
    selector.0.iter().map(|(key, value)| filter(format!("tag:{key}"), value)).collect()
}

/// A token by which AWS recognises a repeated request: at most 64 ASCII characters.
pub(crate) fn token(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    hasher.update(b"remint token 1");
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    hex::encode(hasher.finalize())
}

#[cfg(test)]
mod tests {
    use remint_core::provider::label;

    use super::*;

    #[test]
    fn labels_come_back_from_tags_and_own_tags_are_none() {
        let before = Labels::new().with(label::SERVICE, "app").with("remint:note", "a b/c=d:e,f%20;\"ü\" _5f");
        let mut written = tags("test", &before).unwrap();
        written.extend([tag(NAME, "x"), tag(SOURCE, "ami-1"), tag("remint:copy:us-west-2", "yes"), tag("team", "web")]);
        assert_eq!(labels(&written), before);
        assert_eq!(value(&written, SOURCE), Some("ami-1"));
    }

    #[test]
    fn a_label_that_makes_no_tag_is_refused() {
        let long = "x".repeat(257);
        for (key, value) in
            [("service", "app"), ("remint:", "x"), ("remint:a", ""), ("remint:a", &*long), ("remint:source", "ami-1")]
        {
            let error = tags("test", &Labels::new().with(key, value)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{key}");
        }
        assert!(tags("test", &Labels::new().with("remint:a", "ü".repeat(256))).is_ok(), "characters, not bytes");
    }

    #[test]
    fn a_filter_takes_a_value_as_it_is() {
        let filters = filters(&Selector::all().with("remint:note", "a*b?c\\d"));
        assert_eq!(filters[0].name(), Some("tag:remint:note"));
        assert_eq!(filters[0].values(), ["a\\*b\\?c\\\\d"]);
    }

    #[test]
    fn tokens_tell_parts_apart_and_fit() {
        assert_eq!(token(&["a", "b"]), token(&["a", "b"]));
        assert_ne!(token(&["ab", ""]), token(&["a", "b"]));
        assert_eq!(token(&["a"]).len(), 64);
    }
}
