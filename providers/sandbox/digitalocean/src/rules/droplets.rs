//! Creating and destroying droplets.

use serde::Deserialize;
use serde_json::Value;

use super::{images::image_for, tags};
use crate::State;
use remint_sandbox_cloud::{
    ApiError, ApiResult, Config, NewInstances,
    state::{Action, Features, Image, Instance, Work},
};

/// The longest user data, in bytes.
const USER_DATA: usize = 64 * 1024;
/// How many names a create call takes.
const NAMES: usize = 10;

/// The body of `POST /v2/droplets`.
#[derive(Deserialize)]
pub(crate) struct CreateDroplets {
    pub(crate) name: Option<String>,
    pub(crate) names: Option<Vec<String>>,
    region: Option<String>,
    size: Option<String>,
    image: Option<Value>,
    ssh_keys: Option<Vec<Value>>,
    tags: Option<Vec<String>>,
    user_data: Option<String>,
    vpc_uuid: Option<String>,
    backups: Option<bool>,
    ipv6: Option<bool>,
    monitoring: Option<bool>,
    backup_policy: Option<Value>,
    public_networking: Option<bool>,
    with_droplet_agent: Option<bool>,
    volumes: Option<Vec<Value>>,
}

/// Creates a droplet for each name, or none.
pub(crate) fn create_droplets(
    state: &mut State,
    config: &Config,
    request: &CreateDroplets,
) -> ApiResult<Vec<(Instance, Action)>> {
    let names = names(request)?;
    let size = request.size.as_deref().and_then(|slug| State::find_size(slug));
    let size = size.ok_or_else(|| ApiError::unprocessable("You specified an invalid size for Droplet creation."))?;
    let image = image_for(state, request.image.as_ref())
        .cloned()
        .ok_or_else(|| ApiError::unprocessable("You specified an invalid image for Droplet creation."))?;
    let region = match &request.region {
        Some(slug) => State::find_region(slug).map(|region| region.slug.to_owned()),
        None => image.regions.first().cloned(),
    };
    let region =
        region.ok_or_else(|| ApiError::unprocessable("You specified an invalid region for Droplet creation."))?;
    fits(&image, &region, size.disk)?;
    let ssh_keys = keys_for(state, request.ssh_keys.as_deref().unwrap_or_default())?;
    let tags = request.tags.as_deref().unwrap_or_default();
    tags::check_all(tags)?;
    if request.user_data.as_ref().is_some_and(|data| data.len() > USER_DATA) {
        return Err(ApiError::unprocessable("User data is too long (maximum is 64 KiB)."));
    }
    if request.vpc_uuid.as_ref().is_some_and(|uuid| *uuid != super::vpcs::vpc_id(state, &region).to_string()) {
        return Err(ApiError::unprocessable("You specified an invalid VPC for Droplet creation."));
    }
    for (asked, what) in [
        (request.backup_policy.is_some(), "a policy for backups"),
        (request.public_networking == Some(false), "a droplet without a public network"),
        (request.with_droplet_agent == Some(true), "the droplet agent"),
        (request.volumes.as_ref().is_some_and(|volumes| !volumes.is_empty()), "volumes"),
    ] {
        if asked {
            return Err(ApiError::not_implemented(what));
        }
    }
    if state.instances.len() + names.len() > config.limits.instances {
        return Err(ApiError::unprocessable("creating this/these droplet(s) will exceed your droplet limit"));
    }

    let tags = tags.iter().map(|tag| super::tags::make_tag(state, tag)).collect();
    let user_data = request.user_data.clone();
    let features = Features {
        backups: request.backups == Some(true),
        monitoring: request.monitoring == Some(true),
        ipv6: request.ipv6 == Some(true),
    };
    let new = NewInstances { names, region, size, disk: size.disk, image, ssh_keys, tags, user_data, features };
    Ok(state.make_instances(config, &new))
}

/// Begins to destroy a droplet.
pub(crate) fn destroy_droplet(state: &mut State, config: &Config, id: u64) -> ApiResult<()> {
    let droplet = state.instances.get(&id).ok_or_else(ApiError::not_found)?;
    if droplet.pending.is_some() {
        return Err(pending_event());
    }
    let region = droplet.region.clone();
    state.begin_on_instance(config, id, &region, "destroy", Work::Destroy { instance: id });
    Ok(())
}

/// How the API says *busy*.
pub(crate) fn pending_event() -> ApiError {
    ApiError::unprocessable("Droplet already has a pending event.")
}

/// Begins to destroy all droplets with a tag, or none.
pub(crate) fn destroy_tagged(state: &mut State, config: &Config, tag: &str) -> ApiResult<()> {
    let tagged: Vec<(u64, Option<u64>)> = state
        .instances
        .values()
        .filter(|droplet| tags::carries(&droplet.tags, tag))
        .map(|droplet| (droplet.id, droplet.pending))
        .collect();
    if tagged.is_empty() && super::tags::find_tag(state, tag).is_none() {
        return Err(ApiError::not_found());
    }
    let is_going = |action: Option<u64>| {
        action.and_then(|id| state.actions.get(&id)).is_some_and(|action| action.kind == "destroy")
    };
    let (going, staying): (Vec<_>, Vec<_>) = tagged.into_iter().partition(|(_, pending)| is_going(*pending));
    drop(going);
    if staying.iter().any(|(_, pending)| pending.is_some()) {
        return Err(pending_event());
    }
    staying.into_iter().try_for_each(|(id, _)| destroy_droplet(state, config, id))
}

/// The keys of a create call: ids or fingerprints, as numbers or text.
fn keys_for(state: &State, identifiers: &[Value]) -> ApiResult<Vec<String>> {
    let find = |value: &Value| {
        let identifier = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        super::keys::find_key(state, &identifier).map(|key| key.public_key.clone()).ok_or_else(|| {
            ApiError::unprocessable(format!("{identifier} are invalid key identifiers for Droplet creation."))
        })
    };
    identifiers.iter().map(find).collect()
}

/// Refuses an image that is not in the region, or does not fit on the disk.
pub(crate) fn fits(image: &Image, region: &str, disk: u64) -> ApiResult<()> {
    if !image.regions.contains(region) {
        return Err(ApiError::unprocessable("The image you specified is not available in the selected region."));
    }
    if image.min_disk_size > disk {
        return Err(ApiError::unprocessable(format!(
            "This size is not available because it has a smaller disk: the image needs {} GB, the disk has {disk} GB.",
            image.min_disk_size
        )));
    }
    Ok(())
}

/// Refuses what is not a host name.
pub(crate) fn check_name(name: &str) -> ApiResult<()> {
    let inner = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    let good = name.len() <= 255
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.ends_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(inner);
    good.then_some(())
        .ok_or_else(|| ApiError::unprocessable("Only valid hostname characters are allowed. (a-z, A-Z, 0-9, . and -)"))
}

fn names(request: &CreateDroplets) -> ApiResult<Vec<String>> {
    let names = match (&request.name, &request.names) {
        (Some(name), None) => vec![name.clone()],
        (None, Some(names)) if !names.is_empty() => names.clone(),
        (Some(_), Some(_)) => return Err(ApiError::unprocessable("Specify either name or names, not both.")),
        _ => return Err(ApiError::unprocessable("Name can't be blank")),
    };
    if names.len() > NAMES {
        return Err(ApiError::unprocessable(format!("You can create up to {NAMES} Droplets at once.")));
    }
    names.iter().try_for_each(|name| check_name(name))?;
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names() {
        for good in ["web-1", "a", "app.example.com", "A9"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "a b", "a_b", "é"] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
