//! Tags of any resource.

use std::collections::BTreeMap;

use super::{
    call::Call,
    filter::{Filters, page},
    query::Params,
    reply::{invalid_value, refuse},
    state::Tags,
    xml::Xml,
};
use crate::State;
use remint_sandbox_cloud::ApiResult;

/// How many tags a resource has at most.
const MOST: usize = 50;

/// The resources that can be tagged: the beginning of their ids, their type, and how the lack of one is said.
const KINDS: &[(&str, &str, &str)] = &[
    ("i-", "instance", "InvalidInstanceID.NotFound"),
    ("ami-", "image", "InvalidAMIID.NotFound"),
    ("snap-", "snapshot", "InvalidSnapshot.NotFound"),
    ("vol-", "volume", "InvalidVolume.NotFound"),
    ("eipalloc-", "elastic-ip", "InvalidAllocationID.NotFound"),
    ("key-", "key-pair", "InvalidKeyPair.NotFound"),
    ("sg-", "security-group", "InvalidGroup.NotFound"),
    ("sgr-", "security-group-rule", "InvalidSecurityGroupRuleId.NotFound"),
    ("eni-", "network-interface", "InvalidNetworkInterfaceID.NotFound"),
    ("vpc-", "vpc", "InvalidVpcID.NotFound"),
    ("subnet-", "subnet", "InvalidSubnetID.NotFound"),
];

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

/// Writes a resource's tags; nothing where there are none, as EC2 does.
pub(super) fn write(xml: &mut Xml, tags: &Tags) {
    if !tags.is_empty() {
        xml.items("tagSet", tags, |xml, (key, value)| {
            xml.text("key", key).text("value", value);
        });
    }
}

/// `CreateTags`: puts tags on resources, or on none of them.
pub(super) fn create(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let tags = read(&call.params)?;
    if tags.is_empty() {
        return Err(super::reply::missing("Tag"));
    }
    call.change(|state| {
        let resources = resources(state, call)?;
        for id in &resources {
            let mut after = state.own.tags_of(id);
            after.extend(tags.iter().cloned());
            within_limit(after.len())?;
        }
        for id in resources {
            state.own.tag(&id, tags.iter().cloned().collect());
        }
        Ok(())
    })?;
    xml.text("return", true);
    Ok(())
}

/// `DeleteTags`: takes tags off; one with a value only where it has that value; all where none are named.
pub(super) fn delete(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let doomed: Vec<(String, Option<String>)> = call
        .params
        .groups("Tag")
        .iter()
        .map(|tag| Ok((tag.need("Key")?.to_owned(), tag.given("Value").map(str::to_owned))))
        .collect::<ApiResult<_>>()?;
    call.change(|state| {
        for id in resources(state, call)? {
            let Some(tags) = state.own.tags.get_mut(&id) else { continue };
            let goes = |key: &String, value: &String| {
                doomed.is_empty()
                    || doomed.iter().any(|(k, v)| k == key && v.as_ref().is_none_or(|expected| expected == value))
            };
            tags.retain(|key, value| !goes(key, value));
        }
        Ok(())
    })?;
    xml.text("return", true);
    Ok(())
}

/// `DescribeTags`.
pub(super) fn describe(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let filters = Filters::of(&call.params, &["key", "value", "resource-id", "resource-type"])?;
    let all: Vec<(String, String, String)> = call.read(|state| {
        let mut all = Vec::new();
        for (id, tags) in state.own.tags.iter().filter(|(id, _)| exists(state, call.region, id)) {
            for (key, value) in tags {
                let one = Tags::from([(key.clone(), value.clone())]);
                let field = |name: &str| match name {
                    "key" => vec![key.clone()],
                    "value" => vec![value.clone()],
                    "resource-id" => vec![id.clone()],
                    _ => vec![kind(id).to_owned()],
                };
                if filters.take(&one, field) {
                    all.push((id.clone(), key.clone(), value.clone()));
                }
            }
        }
        all
    });
    let (shown, next) = page(&call.params, 5, all)?;
    xml.items("tagSet", shown, |xml, (id, key, value)| {
        xml.text("resourceId", &id).text("resourceType", kind(&id)).text("key", key).text("value", value);
    });
    xml.maybe("nextToken", next);
    Ok(())
}

/// The tags of `Tag.N`, checked.
fn read(params: &Params) -> ApiResult<Vec<(String, String)>> {
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

fn within_limit(tags: usize) -> ApiResult<()> {
    if tags > MOST {
        return Err(refuse("TagLimitExceeded", format!("More than {MOST} tags specified")));
    }
    Ok(())
}

/// The resources of a call, all of which are there.
fn resources(state: &State, call: &Call<'_>) -> ApiResult<Vec<String>> {
    let named = call.params.list("ResourceId");
    if named.is_empty() {
        return Err(super::reply::missing("ResourceId"));
    }
    let check = |id: &str| {
        let Some((_, kind, code)) = KINDS.iter().find(|(prefix, ..)| id.starts_with(prefix)) else {
            return Err(refuse("InvalidID", format!("The ID '{id}' is not valid")));
        };
        match exists(state, call.region, id) {
            true => Ok(id.to_owned()),
            false => Err(refuse(code, format!("The {kind} ID '{id}' does not exist"))),
        }
    };
    named.into_iter().map(check).collect()
}

fn kind(id: &str) -> &'static str {
    KINDS.iter().find(|(prefix, ..)| id.starts_with(prefix)).map_or("", |(_, kind, _)| kind)
}

/// Whether a resource is there, in the region.
fn exists(state: &State, region: &'static str, id: &str) -> bool {
    let ec2 = &state.own;
    match kind(id) {
        "instance" => ec2.instances.get(id).is_some_and(|instance| instance.region == region),
        "image" => ec2.images.get(id).is_some_and(|image| image.region == region),
        "snapshot" => ec2.snapshots.get(id).is_some_and(|snapshot| snapshot.region == region),
        "volume" => ec2.standing(state, region).any(|instance| instance.volume.id == id),
        "network-interface" => ec2.standing(state, region).any(|instance| instance.interface == id),
        "elastic-ip" => ec2.addresses.get(id).is_some_and(|address| address.region == region),
        "key-pair" => ec2.keys.values().any(|key| key.region == region && key.id == id),
        "security-group" => super::groups::all(state, region).iter().any(|group| group.id == id),
        "security-group-rule" => {
            super::groups::all(state, region).iter().any(|group| group.rules.iter().any(|rule| rule.id == id))
        }
        "vpc" => super::state::vpc(state, region) == id,
        "subnet" => super::network::subnets(state, region).iter().any(|subnet| subnet.id == id),
        _ => false,
    }
}
