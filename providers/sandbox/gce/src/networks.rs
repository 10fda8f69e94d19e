//! The default network and its subnetworks, which are all that there are.

use axum::{
    Json, Router,
    extract::{Path, State as Axum},
    routing::get,
};
use serde_json::{Value, json};

use super::{
    call::{Call, time},
    catalogue,
    error::{Refusal, Result},
    reference::full,
};
use crate::{Cloud, State};

const NAME: &str = "default";

pub(super) fn routes() -> Router<Cloud> {
    const PROJECT: &str = "/compute/v1/projects/{project}";
    let at = |below: &str| format!("{PROJECT}/{below}");
    Router::new()
        .route(&at("global/networks"), get(list))
        .route(&at("global/networks/{network}"), get(show))
        .route(&at("regions/{region}/subnetworks"), get(subnetworks))
        .route(&at("regions/{region}/subnetworks/{subnetwork}"), get(subnetwork))
        .route(&at("aggregated/subnetworks"), get(all_subnetworks))
}

fn view(call: &Call, state: &State) -> Value {
    let subnetworks =
        catalogue::regions().into_iter().map(|region| call.link(&format!("regions/{region}/subnetworks/{NAME}")));
    json!({
        "kind": "compute#network",
        "id": "1000000001",
        "creationTimestamp": time(state.created_at),
        "name": NAME,
        "description": "Default network for the project",
        "autoCreateSubnetworks": true,
        "subnetworks": subnetworks.collect::<Vec<_>>(),
        "routingConfig": { "routingMode": "REGIONAL" },
        "networkFirewallPolicyEnforcementOrder": "AFTER_CLASSIC_FIREWALL",
        "mtu": 1460,
        "selfLink": call.link(&format!("global/networks/{NAME}")),
    })
}

fn subnetwork_view(call: &Call, state: &State, region: &str) -> Value {
    let index = catalogue::regions().iter().position(|known| *known == region).unwrap_or_default();
    let third = 128 + 4 * index;
    json!({
        "kind": "compute#subnetwork",
        "id": (1_000_000_100 + index).to_string(),
        "creationTimestamp": time(state.created_at),
        "name": NAME,
        "network": call.link(&format!("global/networks/{NAME}")),
        "ipCidrRange": format!("10.{third}.0.0/20"),
        "gatewayAddress": format!("10.{third}.0.1"),
        "region": call.link(&format!("regions/{region}")),
        "privateIpGoogleAccess": false,
        "purpose": "PRIVATE",
        "stackType": "IPV4_ONLY",
        "selfLink": call.link(&format!("regions/{region}/subnetworks/{NAME}")),
    })
}

async fn list(Axum(cloud): Axum<Cloud>, call: Call) -> Result<Json<Value>> {
    let items = cloud.read(|state| vec![view(&call, state)]);
    call.list("compute#networkList", "global/networks", items)
}

async fn show(Axum(cloud): Axum<Cloud>, call: Call, Path((_, name)): Path<(String, String)>) -> Result<Json<Value>> {
    if name != NAME {
        return Err(Refusal::not_found(full(&format!("global/networks/{name}"))));
    }
    Ok(Json(cloud.read(|state| view(&call, state))))
}

async fn subnetworks(
    Axum(cloud): Axum<Cloud>,
    call: Call,
    Path((_, region)): Path<(String, String)>,
) -> Result<Json<Value>> {
    let items = cloud.read(|state| vec![subnetwork_view(&call, state, &region)]);
    call.list("compute#subnetworkList", &format!("regions/{region}/subnetworks"), items)
}

async fn subnetwork(
    Axum(cloud): Axum<Cloud>,
    call: Call,
    Path((_, region, name)): Path<(String, String, String)>,
) -> Result<Json<Value>> {
    if name != NAME {
        return Err(Refusal::not_found(full(&format!("regions/{region}/subnetworks/{name}"))));
    }
    Ok(Json(cloud.read(|state| subnetwork_view(&call, state, &region))))
}

async fn all_subnetworks(Axum(cloud): Axum<Cloud>, call: Call) -> Result<Json<Value>> {
    let items = cloud
        .read(|state| catalogue::regions().into_iter().map(|region| subnetwork_view(&call, state, region)).collect());
    call.aggregated("compute#subnetworkAggregatedList", "subnetworks", items)
}
