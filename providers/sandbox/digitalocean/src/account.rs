//! `GET /v2/account`.

use axum::{Json, Router, extract::State, routing::get};
use serde_json::{Value, json};

use crate::Cloud;

pub(super) fn routes() -> Router<Cloud> {
    Router::new().route("/v2/account", get(show))
}

async fn show(State(cloud): State<Cloud>) -> Json<Value> {
    let limits = cloud.config().limits;
    let uuid = cloud.read(|state| state.account);
    Json(json!({ "account": {
        "droplet_limit": limits.instances,
        "floating_ip_limit": limits.static_ips,
        "reserved_ip_limit": limits.static_ips,
        "volume_limit": 0,
        "email": "sandbox@localhost",
        "name": "Remint sandbox",
        "uuid": uuid,
        "email_verified": true,
        "status": "active",
        "status_message": "",
        "team": { "uuid": uuid, "name": "Sandbox" },
    }}))
}
