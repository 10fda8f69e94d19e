//! `/sandbox/v1/zones`: a zone for an account, as if its owner had made it there.

use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
use serde::{Deserialize, Serialize};

use super::accounts::Accounts;
use crate::cloud::{Api, ApiResult};

/// The body of `POST /sandbox/v1/zones`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewZone {
    /// The domain, without a final dot.
    pub name: String,
    /// The API in whose account it is made; DigitalOcean's when left out.
    #[serde(default)]
    pub api: Api,
}

pub(super) fn routes() -> Router<Accounts> {
    Router::new().route("/sandbox/v1/zones", post(create))
}

async fn create(
    State(accounts): State<Accounts>,
    Json(wanted): Json<NewZone>,
) -> ApiResult<(StatusCode, Json<NewZone>)> {
    let name = accounts.of(wanted.api).add_zone(&wanted.name).await?;
    Ok((StatusCode::CREATED, Json(NewZone { name, api: wanted.api })))
}
