//! The project, and the metadata that all its instances share.

use axum::{
    Json, Router,
    extract::State as Axum,
    routing::{get, post},
};
use serde_json::{Value, json};

use super::{
    PROJECT,
    call::{Accepted, Body, Call, Done, time},
    error::Result,
    key,
    labels::{Metadata, SentMetadata},
    launch,
};
use crate::{Cloud, State};

pub(super) fn routes() -> Router<Cloud> {
    Router::new()
        .route("/compute/v1/projects/{project}", get(show))
        .route("/compute/v1/projects/{project}/setCommonInstanceMetadata", post(set_metadata))
}

/// The project's number: any that is no resource's.
fn number(state: &State) -> u64 {
    state.account.as_u64_pair().0 >> 20
}

async fn show(Axum(cloud): Axum<Cloud>, call: Call) -> Json<Value> {
    Json(cloud.read(|state| {
        json!({
            "kind": "compute#project",
            "id": number(state).to_string(),
            "creationTimestamp": time(state.created_at),
            "name": PROJECT,
            "commonInstanceMetadata": state.own.project_metadata.view(),
            "quotas": [
                { "metric": "NETWORKS", "limit": 5.0, "usage": 1.0 },
                { "metric": "FIREWALLS", "limit": 100.0, "usage": state.own.firewalls.len() as f64 },
                { "metric": "IMAGES", "limit": 100.0, "usage": state.own.images.len() as f64 },
            ],
            "selfLink": call.link("").trim_end_matches('/'),
            "defaultServiceAccount": key::email(),
            "xpnProjectStatus": "UNSPECIFIED_XPN_PROJECT_STATUS",
            "defaultNetworkTier": "PREMIUM",
        })
    }))
}

async fn set_metadata(Axum(cloud): Axum<Cloud>, call: Call, Body(sent): Body<SentMetadata>) -> Result<Json<Value>> {
    let metadata = Metadata::read(&sent)?;
    launch::check_metadata(&metadata)?;
    call.mutate(&cloud, |state, _| {
        state.own.project_metadata.check_fingerprint(sent.fingerprint.as_deref())?;
        Ok(Accepted::own("compute.projects.setCommonInstanceMetadata", "", move |state, _| {
            state.own.project_metadata = metadata;
            Done::at_once(number(state))
        }))
    })
    .await
}
