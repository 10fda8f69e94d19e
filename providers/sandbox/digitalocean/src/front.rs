//! What the engine asks of the account, and tells it.

use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};

use super::catalogue::{REGIONS, SIZES};
use remint_sandbox_cloud::{
    Api, ApiError, Front, Shape, TTL,
    catalogue::{Region, Size},
    html,
};

/// What the account keeps beside the engine's things: nothing.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Data {}

impl Front for Data {
    const SHAPE: Shape = Shape {
        api: Api::DigitalOcean,
        refuse: IntoResponse::into_response,
        broken: html,
        no_room: Some(|| ApiError::unprocessable("Size is not available in this region.")),
        sees_stale: false,
    };
    const REGIONS: &'static [Region] = REGIONS;
    const SIZES: &'static [Size] = SIZES;
    const NAME_SERVERS: &'static [&'static str] =
        &["ns1.digitalocean.com", "ns2.digitalocean.com", "ns3.digitalocean.com"];
    const ZONE_TTL: u32 = TTL;
}
