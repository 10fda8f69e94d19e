//! The actions that a droplet's owner may ask for.

use serde::Deserialize;
use serde_json::Value;

use super::{
    droplets::{check_name, fits},
    images::image_for,
    tags,
};
use crate::State;
use remint_sandbox_cloud::{
    ApiError, ApiResult, Config, now,
    state::{Action, Instance, Status, Work},
};

/// The body of `POST /v2/droplets/{id}/actions`.
#[derive(Deserialize)]
pub(crate) struct DropletAction {
    #[serde(rename = "type")]
    kind: String,
    name: Option<String>,
    size: Option<String>,
    disk: Option<bool>,
    image: Option<Value>,
}

/// Begins an action on one droplet.
pub(crate) fn act(state: &mut State, config: &Config, id: u64, request: &DropletAction) -> ApiResult<Action> {
    let droplet = state.instances.get(&id).ok_or_else(ApiError::not_found)?;
    let (kind, work) = plan(state, droplet, request)?;
    Ok(carry(state, config, id, kind, work))
}

/// Begins an action on all droplets with a tag, or on none.
pub(crate) fn act_on_tagged(
    state: &mut State,
    config: &Config,
    tag: &str,
    request: &DropletAction,
) -> ApiResult<Vec<Action>> {
    if !matches!(request.kind.as_str(), "power_cycle" | "power_on" | "power_off" | "shutdown" | "snapshot")
        && !unsupported(&request.kind)
    {
        return Err(ApiError::unprocessable(format!("{} cannot be done by tag.", request.kind)));
    }
    let tagged = state.instances.values().filter(|droplet| tags::carries(&droplet.tags, tag));
    let planned: Vec<_> = tagged
        .map(|droplet| plan(state, droplet, request).map(|(kind, work)| (droplet.id, kind, work)))
        .collect::<ApiResult<_>>()?;
    if planned.is_empty() && super::tags::find_tag(state, tag).is_none() {
        return Err(ApiError::not_found());
    }
    Ok(planned.into_iter().map(|(id, kind, work)| carry(state, config, id, kind, work)).collect())
}

fn carry(state: &mut State, config: &Config, id: u64, kind: &'static str, work: Work) -> Action {
    let work = match work {
        Work::Snapshot { instance: droplet, name, reboot, .. } => {
            Work::Snapshot { instance: droplet, image: state.next_id(), name, reboot }
        }
        other => other,
    };
    let region = state.instances.get(&id).map(|droplet| droplet.region.clone()).unwrap_or_default();
    state.begin_on_instance(config, id, &region, kind, work)
}

/// What an action would do, after all checks.
fn plan(state: &State, droplet: &Instance, request: &DropletAction) -> ApiResult<(&'static str, Work)> {
    if unsupported(&request.kind) {
        return Err(ApiError::not_implemented(format_args!("the droplet action {}", request.kind)));
    }
    if droplet.pending.is_some() {
        return Err(super::droplets::pending_event());
    }
    let id = droplet.id;
    let on = || match droplet.status {
        Status::Active => Ok(()),
        _ => Err(ApiError::unprocessable("Droplet is currently powered off.")),
    };
    Ok(match request.kind.as_str() {
        "shutdown" => {
            on()?;
            ("shutdown", Work::Shutdown { instance: id })
        }
        "power_off" => {
            on()?;
            ("power_off", Work::PowerOff { instance: id })
        }
        "power_on" => {
            if droplet.status == Status::Active {
                return Err(ApiError::unprocessable("Droplet is already powered on."));
            }
            ("power_on", Work::PowerOn { instance: id })
        }
        "power_cycle" => {
            on()?;
            ("power_cycle", Work::PowerCycle { instance: id })
        }
        "reboot" => {
            on()?;
            ("reboot", Work::Reboot { instance: id })
        }
        "rename" => {
            let name = request.name.clone().unwrap_or_default();
            check_name(&name)?;
            ("rename", Work::Rename { instance: id, name })
        }
        "snapshot" => {
            let name = request.name.clone().filter(|name| !name.is_empty());
            let name = name.unwrap_or_else(|| format!("{}-{}", droplet.name, now().as_second()));
            // The number is given when the action begins.
            ("snapshot", Work::Snapshot { instance: id, image: 0, name, reboot: false })
        }
        kind @ ("rebuild" | "restore") => {
            let image = image_for(state, request.image.as_ref())
                .ok_or_else(|| ApiError::unprocessable("You specified an invalid image."))?;
            fits(image, &droplet.region, droplet.disk)?;
            (if kind == "rebuild" { "rebuild" } else { "restore" }, Work::Rebuild { instance: id, image: image.id })
        }
        "resize" => {
            let size = request
                .size
                .as_deref()
                .and_then(|slug| State::find_size(slug))
                .ok_or_else(|| ApiError::unprocessable("You specified an invalid size."))?;
            if droplet.status != Status::Off {
                return Err(ApiError::unprocessable("Droplet must be powered off to be resized."));
            }
            if size.disk < droplet.disk {
                return Err(ApiError::unprocessable("This size is not available because it has a smaller disk."));
            }
            let disk = request.disk.unwrap_or(false);
            ("resize", Work::Resize { instance: id, size: size.slug.to_owned(), disk })
        }
        _ => return Err(ApiError::unprocessable("You specified an invalid action type.")),
    })
}

/// Whether DigitalOcean has this action and the sandbox does not.
fn unsupported(kind: &str) -> bool {
    kind.starts_with("enable_")
        || matches!(kind, "disable_backups" | "change_backup_policy" | "password_reset" | "change_kernel")
}
