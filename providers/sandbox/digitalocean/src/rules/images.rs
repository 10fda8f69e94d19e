//! Naming, renaming and moving images.

use serde_json::Value;

use crate::State;
use remint_sandbox_cloud::{
    ApiError, ApiResult, Begin, Config,
    state::{Action, Image, Resource, Work},
};

/// An image by its id or slug. A snapshot's name is neither.
pub(crate) fn find_image<'a>(state: &'a State, identifier: &str) -> Option<&'a Image> {
    match identifier.parse::<u64>() {
        Ok(id) => state.image(id).ok(),
        Err(_) => state.visible_images().find(|image| image.slug.as_deref() == Some(identifier)),
    }
}

/// The image that a request names, by id (number or text) or slug.
pub(crate) fn image_for<'a>(state: &'a State, named: Option<&Value>) -> Option<&'a Image> {
    let named = named?;
    find_image(state, &named.as_str().map_or_else(|| named.to_string(), str::to_owned))
}

/// Renames a snapshot.
pub(crate) fn rename_image(state: &mut State, id: u64, name: Option<&str>) -> ApiResult<Image> {
    if state.image(id)?.public() {
        return Err(ApiError::forbidden());
    }
    if name.is_some_and(str::is_empty) {
        return Err(ApiError::unprocessable("Name can't be blank"));
    }
    let image = state.images.get_mut(&id).ok_or_else(ApiError::not_found)?;
    if let Some(name) = name {
        name.clone_into(&mut image.name);
    }
    Ok(image.clone())
}

/// Begins to transfer an image to another region, or to convert it.
pub(crate) fn act_on_image(
    state: &mut State,
    config: &Config,
    id: u64,
    kind: &str,
    region: Option<&str>,
) -> ApiResult<Action> {
    let image = state.image(id)?;
    if image.public() {
        return Err(ApiError::forbidden());
    }
    if image.pending.is_some() {
        return Err(ApiError::unprocessable("Image already has a pending event."));
    }
    let home = image.regions.first().cloned().unwrap_or_default();
    let (kind, region, work) = match kind {
        "transfer" => {
            let region = region
                .and_then(State::find_region)
                .ok_or_else(|| ApiError::unprocessable("You specified an invalid region."))?;
            if image.regions.contains(region.slug) {
                return Err(ApiError::unprocessable("Image is already available in that region."));
            }
            let region = region.slug.to_owned();
            ("transfer", region.clone(), Work::Transfer { image: id, region })
        }
        "convert" => ("convert", home, Work::Convert { image: id }),
        _ => return Err(ApiError::unprocessable("You specified an invalid action type.")),
    };
    Ok(state.begin(config, Begin { kind, resource: Resource::Image, resource_id: id, region, work }))
}
