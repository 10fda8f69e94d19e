//! `GET /v2/sizes`.

use axum::{Json, Router, routing::get};
use serde_json::Value;

use super::{extract::Listing, view};
use crate::cloud::{Cloud, catalogue::SIZES};

pub(super) fn routes() -> Router<Cloud> {
    Router::new().route("/v2/sizes", get(list))
}

async fn list(listing: Listing) -> Json<Value> {
    listing.reply("sizes", SIZES.iter().map(view::size).collect())
}
