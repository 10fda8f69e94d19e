//! `/v2/load_balancers`.

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::rules::{
    self,
    balancer_settings::{Firewall, ForwardingRule, HealthCheck, Rules},
    load_balancers::Wish,
};
use super::{
    extract::{Body, Listing},
    view,
};
use crate::Cloud;
use remint_sandbox_cloud::{
    ApiResult,
    balancer::{BalancerStatus, LoadBalancer, Wanted},
};

pub(super) fn routes() -> Router<Cloud> {
    Router::new()
        .route("/v2/load_balancers", get(list).post(create))
        .route("/v2/load_balancers/{balancer}", get(show).put(replace).delete(delete))
        .route("/v2/load_balancers/{balancer}/droplets", post(add_droplets).delete(remove_droplets))
        .route("/v2/load_balancers/{balancer}/forwarding_rules", post(add_rules).delete(remove_rules))
}

/// The body of calls that are about droplets alone.
#[derive(Deserialize)]
struct Droplets {
    #[serde(default)]
    droplet_ids: Vec<Value>,
}

/// What the API shows. A droplet is among `droplet_ids` from when it is to be a member, and until it gets no connections.
fn view(state: &super::State, balancer: &LoadBalancer) -> Value {
    let active = balancer.status == BalancerStatus::Active;
    let mut droplets = balancer.members.clone();
    droplets.extend(state.wanted_members(balancer).into_keys());
    let mut tag = "";
    match &balancer.settings.wanted {
        Wanted::Instances(instances) => droplets.extend(instances),
        Wanted::Tag(name) => tag = name,
    }
    json!({
        "id": rules::load_balancers::id(state, balancer),
        "name": balancer.name,
        "ip": if active { balancer.address.to_string() } else { String::new() },
        "size": "lb-small",
        "size_unit": 1,
        "algorithm": "round_robin",
        "status": match balancer.status {
            BalancerStatus::New => "new",
            BalancerStatus::Active => "active",
            BalancerStatus::Failed => "errored",
        },
        "created_at": view::time(balancer.created_at),
        "forwarding_rules": balancer.settings.listeners.iter().map(ForwardingRule::from).collect::<Vec<_>>(),
        "health_check": HealthCheck::from(&balancer.settings.check),
        "sticky_sessions": { "type": "none" },
        "region": view::region(&balancer.region),
        "tag": tag,
        "droplet_ids": droplets,
        "redirect_http_to_https": false,
        "enable_proxy_protocol": false,
        "enable_backend_keepalive": false,
        "http_idle_timeout_seconds": 60,
        "vpc_uuid": rules::vpcs::vpc_id(state, &balancer.region),
        "disable_lets_encrypt_dns_records": false,
        "project_id": rules::vpcs::project_id(state),
        "firewall": Firewall::of(&balancer.settings.sources),
        "network": "EXTERNAL",
        "network_stack": "IPV4",
        "type": "REGIONAL",
        "tls_cipher_policy": "DEFAULT",
    })
}

async fn list(State(cloud): State<Cloud>, listing: Listing) -> Json<Value> {
    let all = cloud.read(|state| state.load_balancers.values().map(|balancer| view(state, balancer)).collect());
    listing.reply("load_balancers", all)
}

async fn create(State(cloud): State<Cloud>, Body(wish): Body<Wish>) -> ApiResult<(StatusCode, Json<Value>)> {
    cloud.can_balance()?;
    let config = cloud.config().clone();
    let made = cloud.change(|state| {
        let balancer = rules::load_balancers::create(state, &config, &wish)?;
        Ok(view(state, &balancer))
    })?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "load_balancer": made }))))
}

async fn show(State(cloud): State<Cloud>, Path(id): Path<String>) -> ApiResult<Json<Value>> {
    let found = cloud.read(|state| rules::load_balancers::find(state, &id).map(|balancer| view(state, balancer)))?;
    Ok(Json(json!({ "load_balancer": found })))
}

async fn replace(State(cloud): State<Cloud>, Path(id): Path<String>, Body(wish): Body<Wish>) -> ApiResult<Json<Value>> {
    let config = cloud.config().clone();
    let replaced = cloud.change(|state| {
        let balancer = rules::load_balancers::replace(state, &config, &id, &wish)?;
        Ok(view(state, &balancer))
    })?;
    Ok(Json(json!({ "load_balancer": replaced })))
}

async fn delete(State(cloud): State<Cloud>, Path(id): Path<String>) -> ApiResult<StatusCode> {
    let config = cloud.config().clone();
    cloud.change(|state| rules::load_balancers::destroy(state, &config, &id))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn add_droplets(State(cloud): State<Cloud>, Path(id): Path<String>, Body(body): Body<Droplets>) -> Done {
    droplets(&cloud, &id, &body, true)
}

async fn remove_droplets(State(cloud): State<Cloud>, Path(id): Path<String>, Body(body): Body<Droplets>) -> Done {
    droplets(&cloud, &id, &body, false)
}

async fn add_rules(State(cloud): State<Cloud>, Path(id): Path<String>, Body(body): Body<Rules>) -> Done {
    forwarding_rules(&cloud, &id, &body, true)
}

async fn remove_rules(State(cloud): State<Cloud>, Path(id): Path<String>, Body(body): Body<Rules>) -> Done {
    forwarding_rules(&cloud, &id, &body, false)
}

type Done = ApiResult<StatusCode>;

fn droplets(cloud: &Cloud, id: &str, body: &Droplets, on: bool) -> Done {
    let config = cloud.config().clone();
    cloud.change(|state| rules::load_balancers::droplets(state, &config, id, &body.droplet_ids, on))?;
    Ok(StatusCode::NO_CONTENT)
}

fn forwarding_rules(cloud: &Cloud, id: &str, body: &Rules, on: bool) -> Done {
    let config = cloud.config().clone();
    cloud.change(|state| rules::load_balancers::rules(state, &config, id, &body.forwarding_rules, on))?;
    Ok(StatusCode::NO_CONTENT)
}
