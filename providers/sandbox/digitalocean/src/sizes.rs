//! `GET /v2/sizes`.

use axum::{Json, Router, routing::get};
use serde_json::Value;

use super::catalogue::SIZES;
use super::{extract::Listing, view};
use crate::Cloud;

pub(super) fn routes() -> Router<Cloud> {
    Router::new().route("/v2/sizes", get(list))
}

async fn list(listing: Listing) -> Json<Value> {
    listing.reply("sizes", SIZES.iter().map(view::size).collect())
}
