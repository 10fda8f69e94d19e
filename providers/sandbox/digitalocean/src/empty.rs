//! Lists of what the sandbox does not have, and that ordinary clients read on their way: Ansible's module for droplets asks for
//! firewalls, Libcloud for volumes, Remint for the certificates of load balancers. They are empty, which is true. Whatever would make
//! or change one is answered 501.

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::get,
};
use serde_json::Value;

use super::extract::{Listing, number};
use crate::Cloud;
use remint_sandbox_cloud::{ApiError, ApiResult};

pub(super) fn routes() -> Router<Cloud> {
    let none = |key: &'static str| get(async move |listing: Listing| listing.reply(key, Vec::new()));
    let none_of_droplet = |key: &'static str| {
        get(async move |State(cloud): State<Cloud>, Path(droplet): Path<String>, listing: Listing| {
            of_droplet(&cloud, &droplet, &listing, key)
        })
    };
    Router::new()
        .route("/v2/certificates", none("certificates"))
        .route("/v2/firewalls", none("firewalls"))
        .route("/v2/volumes", none("volumes"))
        .route("/v2/droplets/{droplet}/backups", none_of_droplet("backups"))
        .route("/v2/droplets/{droplet}/firewalls", none_of_droplet("firewalls"))
}

fn of_droplet(cloud: &Cloud, droplet: &str, listing: &Listing, key: &str) -> ApiResult<Json<Value>> {
    let id = number(droplet)?;
    cloud.read(|state| state.instances.contains_key(&id)).then_some(()).ok_or_else(ApiError::not_found)?;
    Ok(listing.reply(key, Vec::new()))
}
