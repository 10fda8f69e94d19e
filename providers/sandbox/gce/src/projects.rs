//! The project, and the metadata that all its instances share.

use axum::{
    Json, Router,
    extract::State as Axum,
    routing::{get, post},
};
use serde_json::{Value, json};

use super::{
    PROJECT,
    call::{Body, Call, time},
    change::{Accepted, Done},
    error::Result,
    key,
    labels::{Metadata, SentMetadata},
    state::project_number,
};
use crate::Cloud;

pub(super) fn routes() -> Router<Cloud> {
    Router::new()
        .route("/compute/v1/projects/{project}", get(show))
        .route("/compute/v1/projects/{project}/setCommonInstanceMetadata", post(set_metadata))
}

async fn show(Axum(cloud): Axum<Cloud>, call: Call) -> Json<Value> {
    Json(cloud.read(|state| {
        json!({
            "kind": "compute#project",
            "id": project_number(state).to_string(),
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
    call.mutate(&cloud, |state, _| {
        state.own.project_metadata.check_fingerprint(sent.fingerprint.as_deref())?;
        Ok(Accepted::own("compute.projects.setCommonInstanceMetadata", "", move |state, _| {
            state.own.project_metadata = metadata;
            Done::at_once(project_number(state))
        }))
    })
    .await
}
