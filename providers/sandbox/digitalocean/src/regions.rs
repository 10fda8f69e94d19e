//! `GET /v2/regions`.

use axum::{Json, Router, routing::get};
use serde_json::Value;

use super::catalogue::REGIONS;
use super::{extract::Listing, view};
use crate::Cloud;

pub(super) fn routes() -> Router<Cloud> {
    Router::new().route("/v2/regions", get(list))
}

async fn list(listing: Listing) -> Json<Value> {
    listing.reply("regions", REGIONS.iter().map(|region| view::region(region.slug)).collect())
}
