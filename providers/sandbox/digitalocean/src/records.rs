//! `/v2/domains/{domain}/records`.

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use serde_json::{Value, json};

use super::extract::{Body, Listing, number};
use super::rules;
use super::rules::records::RecordRequest;
use crate::Cloud;
use remint_sandbox_cloud::{ApiError, ApiResult};

pub(super) fn routes() -> Router<Cloud> {
    Router::new()
        .route("/v2/domains/{domain}/records", get(list).post(create))
        .route("/v2/domains/{domain}/records/{record}", get(show).patch(change).put(change).delete(delete))
}

async fn list(State(cloud): State<Cloud>, Path(domain): Path<String>, listing: Listing) -> ApiResult<Json<Value>> {
    let records = cloud.read(|state| {
        let found = rules::records::find(state.zone(&domain)?, listing.get("name"), listing.get("type"));
        Ok(found.map(|record| json!(record)).collect())
    })?;
    Ok(listing.reply("domain_records", records))
}

async fn create(
    State(cloud): State<Cloud>,
    Path(domain): Path<String>,
    Body(body): Body<RecordRequest>,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let record = cloud.change(|state| rules::records::add_record(state, &domain, &body))?;
    cloud.tell_zone(&domain.to_ascii_lowercase()).await;
    Ok((StatusCode::CREATED, Json(json!({ "domain_record": record }))))
}

async fn show(State(cloud): State<Cloud>, Path((domain, record)): Path<(String, String)>) -> ApiResult<Json<Value>> {
    let id = number(&record)?;
    let record = cloud.read(|state| state.zone(&domain)?.records.get(&id).cloned().ok_or_else(ApiError::not_found))?;
    Ok(Json(json!({ "domain_record": record })))
}

async fn change(
    State(cloud): State<Cloud>,
    Path((domain, record)): Path<(String, String)>,
    Body(body): Body<RecordRequest>,
) -> ApiResult<Json<Value>> {
    let id = number(&record)?;
    let record = cloud.change(|state| rules::records::change_record(state, &domain, id, &body))?;
    cloud.tell_zone(&domain.to_ascii_lowercase()).await;
    Ok(Json(json!({ "domain_record": record })))
}

async fn delete(State(cloud): State<Cloud>, Path((domain, record)): Path<(String, String)>) -> ApiResult<StatusCode> {
    let id = number(&record)?;
    cloud.change(|state| rules::records::delete_record(state, &domain, id))?;
    cloud.tell_zone(&domain.to_ascii_lowercase()).await;
    Ok(StatusCode::NO_CONTENT)
}
