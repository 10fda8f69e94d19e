//! Tags: names that droplets and images carry. Case is kept and does not matter.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::State;
use remint_sandbox_cloud::{ApiError, ApiResult};

/// Something that carries tags, as `POST /v2/tags/{tag}/resources` names it.
#[derive(Debug, Deserialize)]
pub(crate) struct Tagged {
    resource_id: serde_json::Value,
    resource_type: String,
}

/// The tag of that name, as it is written.
pub(crate) fn find_tag<'a>(state: &'a State, name: &str) -> Option<&'a String> {
    state.tags.iter().find(|tag| tag.eq_ignore_ascii_case(name))
}

/// The tag of that name, made if it is missing. The name has been checked.
pub(crate) fn make_tag(state: &mut State, name: &str) -> String {
    match find_tag(state, name) {
        Some(tag) => tag.clone(),
        None => {
            state.tags.insert(name.to_owned());
            name.to_owned()
        }
    }
}

/// Deletes a tag and takes it off everything.
pub(crate) fn delete_tag(state: &mut State, name: &str) -> ApiResult<()> {
    let tag = find_tag(state, name).cloned().ok_or_else(ApiError::not_found)?;
    state.tags.remove(&tag);
    let droplets = state.instances.values_mut().map(|droplet| &mut droplet.tags);
    for tags in droplets.chain(state.images.values_mut().map(|image| &mut image.tags)) {
        tags.remove(&tag);
    }
    Ok(())
}

/// Puts a tag on resources, or takes it off; all of them or none.
pub(crate) fn tag_resources(state: &mut State, name: &str, resources: &[Tagged], on: bool) -> ApiResult<()> {
    let tag = find_tag(state, name).cloned().ok_or_else(ApiError::not_found)?;
    let found: Vec<Carrier> = resources.iter().map(|resource| carrier(state, resource)).collect::<ApiResult<_>>()?;
    for carrier in found {
        let tags = match carrier {
            Carrier::Instance(id) => state.instances.get_mut(&id).map(|droplet| &mut droplet.tags),
            Carrier::Image(id) => state.images.get_mut(&id).map(|image| &mut image.tags),
        };
        if let Some(tags) = tags {
            if on {
                tags.insert(tag.clone())
            } else {
                tags.remove(&tag)
            };
        }
    }
    Ok(())
}

fn carrier(state: &State, resource: &Tagged) -> ApiResult<Carrier> {
    let id = resource.resource_id.as_str().map_or_else(|| resource.resource_id.to_string(), str::to_owned);
    let id = id.parse::<u64>().map_err(|_| ApiError::not_found())?;
    match resource.resource_type.as_str() {
        "droplet" if state.instances.contains_key(&id) => Ok(Carrier::Instance(id)),
        "image" if state.image(id).is_ok_and(|image| !image.public()) => Ok(Carrier::Image(id)),
        "droplet" | "image" => Err(ApiError::not_found()),
        other => Err(ApiError::not_implemented(format_args!("tags on resources of type {other}"))),
    }
}

enum Carrier {
    Instance(u64),
    Image(u64),
}

/// Whether a tag is among these.
pub(crate) fn carries(tags: &BTreeSet<String>, name: &str) -> bool {
    tags.iter().any(|tag| tag.eq_ignore_ascii_case(name))
}

/// Refuses a name that a tag cannot have.
pub(crate) fn check(name: &str) -> ApiResult<()> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ':');
    if name.is_empty() || name.len() > 255 || !name.chars().all(good) {
        return Err(ApiError::unprocessable(
            "Tag names may only contain letters, numbers, colons, dashes and underscores, 255 at most.",
        ));
    }
    Ok(())
}

/// The same for several.
pub(crate) fn check_all(names: &[String]) -> ApiResult<()> {
    names.iter().try_for_each(|name| check(name))
}
