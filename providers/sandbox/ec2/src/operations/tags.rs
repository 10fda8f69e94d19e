//! Tags of any resource.

use crate::{
    State,
    call::Call,
    group,
    kinds::Kind,
    list::{List, one},
    reply::{done, missing, refuse},
    state::Tags,
    tags::{read, within_limit},
    vpc,
    xml::Xml,
};
use remint_sandbox_cloud::ApiResult;

/// One tag of a resource.
struct Tag {
    resource: String,
    key: String,
    value: String,
}

const LIST: List<Tag> = List {
    element: "tagSet",
    least: Some(5),
    tags: |_, tag| Tags::from([(tag.key.clone(), tag.value.clone())]),
    fields: &[
        ("key", |_, tag| one(&tag.key)),
        ("resource-id", |_, tag| one(&tag.resource)),
        ("resource-type", |_, tag| one(kind(&tag.resource))),
        ("value", |_, tag| one(&tag.value)),
    ],
};

/// `CreateTags`: puts tags on resources, or on none of them.
pub(super) fn create(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    let tags = read(&call.params)?;
    if tags.is_empty() {
        return Err(missing("Tag"));
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
    done(xml)
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
    done(xml)
}

/// `DescribeTags`.
pub(super) fn describe(call: &Call<'_>, xml: &mut Xml) -> ApiResult<()> {
    call.read(|state| {
        let of = |(id, tags): (&String, &Tags)| {
            let one =
                |(key, value): (&String, &String)| Tag { resource: id.clone(), key: key.clone(), value: value.clone() };
            tags.iter().map(one).collect::<Vec<_>>()
        };
        let here = state.own.tags.iter().filter(|(id, _)| exists(state, call.region, id));
        LIST.answer(call, state, here.flat_map(of).collect(), xml, |xml, tag| {
            xml.text("resourceId", &tag.resource).text("resourceType", kind(&tag.resource));
            xml.text("key", &tag.key).text("value", &tag.value);
        })
    })
}

/// The resources of a call, all of which are there.
fn resources(state: &State, call: &Call<'_>) -> ApiResult<Vec<String>> {
    let named = call.params.list("ResourceId");
    if named.is_empty() {
        return Err(missing("ResourceId"));
    }
    let check = |id: &str| match (exists(state, call.region, id), Kind::of(id)) {
        (true, _) => Ok(id.to_owned()),
        (false, Some(kind)) => Err(kind.unknown(id)),
        (false, None) => Err(refuse("InvalidID", format!("The ID '{id}' is not valid"))),
    };
    named.into_iter().map(check).collect()
}

fn kind(id: &str) -> &'static str {
    Kind::of(id).map_or("", |kind| kind.name)
}

/// Whether a resource is there, in the region.
fn exists(state: &State, region: &str, id: &str) -> bool {
    let own = &state.own;
    match kind(id) {
        "instance" => own.instances.get(id).is_some_and(|instance| instance.region == region),
        "image" => own.images.get(id).is_some_and(|image| image.region == region),
        "snapshot" => own.snapshots.get(id).is_some_and(|snapshot| snapshot.region == region),
        "volume" => own.standing(state, region).any(|instance| instance.volume.id == id),
        "network-interface" => own.standing(state, region).any(|instance| instance.interface == id),
        "elastic-ip" => own.addresses.get(id).is_some_and(|address| address.region == region),
        "key-pair" => own.keys.values().any(|key| key.region == region && key.id == id),
        "security-group" => group::all(state, region).iter().any(|group| group.id == id),
        "security-group-rule" => {
            group::all(state, region).iter().any(|group| group.rules.iter().any(|rule| rule.id == id))
        }
        "vpc" => vpc::id(state, region) == id,
        "subnet" => vpc::subnets(state, region).iter().any(|subnet| subnet.id == id),
        _ => false,
    }
}
