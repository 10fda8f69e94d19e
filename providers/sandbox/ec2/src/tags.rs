//! Tags: what a call gives to what it makes, and how they are shown.

use std::collections::BTreeMap;

use super::{
    query::Params,
    reply::{invalid_value, refuse},
    state::Tags,
    xml::Xml,
};
use crate::State;
use remint_sandbox_cloud::ApiResult;

/// How many tags a resource has at most.
const MOST: usize = 50;

/// The tags that a call gives to what it makes, by type of resource. `types` are those that the call makes.
pub(super) fn specifications(params: &Params, types: &[&str]) -> ApiResult<BTreeMap<String, Tags>> {
    let mut all: BTreeMap<String, Tags> = BTreeMap::new();
    for specification in params.groups("TagSpecification") {
        let kind = specification.need("ResourceType")?;
        if !types.contains(&kind) {
            let message = format!("'{kind}' is not a valid taggable resource type for this operation.");
            return Err(invalid_value(message));
        }
        let tags = all.entry(kind.to_owned()).or_default();
        for (key, value) in read(&specification)? {
            if tags.insert(key.clone(), value).is_some() {
                return Err(invalid_value(format!("Duplicate tag key '{key}' specified.")));
            }
        }
        within_limit(tags.len())?;
    }
    Ok(all)
}

/// The same for a call that makes one thing.
pub(super) fn given(params: &Params, kind: &str) -> ApiResult<Tags> {
    Ok(specifications(params, &[kind])?.remove(kind).unwrap_or_default())
}

/// The tags of `Tag.N`, checked.
pub(super) fn read(params: &Params) -> ApiResult<Vec<(String, String)>> {
    let mut tags: Vec<(String, String)> = Vec::new();
    for tag in params.groups("Tag") {
        let key = tag.given("Key").unwrap_or_default();
        let value = tag.given("Value").unwrap_or_default();
        if key.is_empty() {
            return Err(invalid_value("Tag key cannot be empty or null"));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(invalid_value("Tag keys starting with 'aws:' are reserved for internal use"));
        }
        for (what, text, most) in [("key", key, 128), ("value", value, 256)] {
            if text.chars().count() > most {
                let message = format!("Tag {what} exceeds the maximum length of {most} characters");
                return Err(invalid_value(message));
            }
        }
        tags.push((key.to_owned(), value.to_owned()));
    }
    Ok(tags)
}

pub(super) fn within_limit(tags: usize) -> ApiResult<()> {
    if tags > MOST {
        return Err(refuse("TagLimitExceeded", format!("More than {MOST} tags specified")));
    }
    Ok(())
}

/// Writes a resource's tags; nothing where there are none, as EC2 does.
pub(super) fn write(xml: &mut Xml, state: &State, id: &str) {
    let tags = state.own.tags_of(id);
    if !tags.is_empty() {
        xml.items("tagSet", tags, |xml, (key, value)| {
            xml.text("key", key).text("value", value);
        });
    }
}
