//! Static external addresses of a region.

use axum::{
    Json, Router,
    extract::{Path, State as Axum},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    PROJECT, access,
    call::{Accepted, Body, Call, Done, Tell, time},
    error::{Refusal, Result},
    labels::{Labels, SetLabels, check_label_fingerprint, check_labels, fingerprint},
    reference::{check_name, full},
    state::Address,
};
use crate::{Cloud, State};
use remint_sandbox_cloud::{Api, now, state::StaticIp};

pub(super) fn routes() -> Router<Cloud> {
    const LIST: &str = "/compute/v1/projects/{project}/regions/{region}/addresses";
    Router::new()
        .route(LIST, get(list).post(insert))
        .route("/compute/v1/projects/{project}/aggregated/addresses", get(aggregated))
        .route(&format!("{LIST}/{{address}}"), get(show).delete(delete))
        .route(&format!("{LIST}/{{address}}/setLabels"), post(set_labels))
}

type Named = Path<(String, String, String)>;

fn path(region: &str, name: &str) -> String {
    format!("regions/{region}/addresses/{name}")
}

fn find<'a>(state: &'a State, region: &str, name: &str) -> Result<&'a Address> {
    let found = state.own.addresses.values().find(|address| address.region == region && address.name == name);
    found.ok_or_else(|| Refusal::not_found(full(&path(region, name))))
}

fn view(call: &Call, state: &State, address: &Address) -> Value {
    let user = access::user_of(state, address.ip);
    let mut view = json!({
        "kind": "compute#address",
        "id": address.id.to_string(),
        "creationTimestamp": time(address.created_at),
        "name": address.name,
        "description": address.description,
        "address": address.ip.to_string(),
        "status": if user.is_some() { "IN_USE" } else { "RESERVED" },
        "region": call.link(&format!("regions/{}", address.region)),
        "selfLink": call.link(&path(&address.region, &address.name)),
        "networkTier": address.tier,
        "addressType": "EXTERNAL",
        "labelFingerprint": fingerprint(&address.labels),
    });
    if !address.labels.is_empty() {
        view["labels"] = json!(address.labels);
    }
    let user =
        user.as_deref().and_then(|user| user.strip_prefix("projects/")?.strip_prefix(PROJECT)?.strip_prefix('/'));
    if let Some(user) = user {
        view["users"] = json!([call.link(user)]);
    }
    view
}

async fn list(Axum(cloud): Axum<Cloud>, call: Call, Path((_, region)): Path<(String, String)>) -> Result<Json<Value>> {
    let items = cloud.read(|state| {
        let here = state.own.addresses.values().filter(|address| address.region == region);
        here.map(|address| view(&call, state, address)).collect()
    });
    call.list("compute#addressList", &format!("regions/{region}/addresses"), items)
}

async fn aggregated(Axum(cloud): Axum<Cloud>, call: Call) -> Result<Json<Value>> {
    let items = cloud.read(|state| state.own.addresses.values().map(|address| view(&call, state, address)).collect());
    call.aggregated("compute#addressAggregatedList", "addresses", items)
}

async fn show(Axum(cloud): Axum<Cloud>, call: Call, Path((_, region, name)): Named) -> Result<Json<Value>> {
    cloud.read(|state| find(state, &region, &name).map(|address| Json(view(&call, state, address))))
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Insert {
    name: String,
    description: String,
    address: Option<String>,
    address_type: Option<String>,
    ip_version: Option<String>,
    network_tier: Option<String>,
    labels: Labels,
}

async fn insert(
    Axum(cloud): Axum<Cloud>,
    call: Call,
    Path((_, region)): Path<(String, String)>,
    Body(sent): Body<Insert>,
) -> Result<Json<Value>> {
    call.mutate(&cloud, |state, config| {
        check_name("resource.name", &sent.name)?;
        if find(state, &region, &sent.name).is_ok() {
            return Err(Refusal::already_exists(full(&path(&region, &sent.name))));
        }
        check_labels(&sent.labels)?;
        let is =
            |text: &Option<String>, usual: &str| text.as_deref().is_none_or(|text| text.is_empty() || text == usual);
        for (good, what) in [
            (is(&sent.address_type, "EXTERNAL"), "internal addresses"),
            (is(&sent.ip_version, "IPV4"), "IPv6 addresses"),
            (is(&sent.address, ""), "addresses of the client's choice"),
        ] {
            if !good {
                return Err(Refusal::not_implemented(what));
            }
        }
        let here = state.own.addresses.values().filter(|address| address.region == region).count();
        let limit = config.limits.static_ips(Api::Gce);
        if here >= limit {
            return Err(Refusal::quota("STATIC_ADDRESSES", limit as u64, &region));
        }
        let target = path(&region, &sent.name);
        Ok(Accepted::own("insert", target, move |state, config| {
            let id = state.next_id();
            let ip = state.next_static_ip(config.slot);
            let reserved = StaticIp { ip, region: region.clone(), instance: None, pending: None, created_at: now() };
            state.static_ips.insert(ip, reserved);
            let tier = sent.network_tier.unwrap_or_else(|| "PREMIUM".to_owned());
            let address = Address {
                id,
                name: sent.name,
                region,
                ip,
                description: sent.description,
                labels: sent.labels,
                tier,
                created_at: now(),
            };
            state.own.addresses.insert(id, address);
            Done::at_once(id).tell(Tell::Address(ip))
        }))
    })
    .await
}

async fn delete(Axum(cloud): Axum<Cloud>, call: Call, Path((_, region, name)): Named) -> Result<Json<Value>> {
    call.mutate(&cloud, |state, _| {
        let address = find(state, &region, &name)?;
        let at = full(&path(&region, &name));
        if let Some(user) = access::user_of(state, address.ip) {
            return Err(Refusal::in_use("address", at, user));
        }
        if state.static_ips.get(&address.ip).is_some_and(|ip| ip.pending.is_some()) {
            return Err(Refusal::not_ready(at));
        }
        let (id, ip) = (address.id, address.ip);
        Ok(Accepted::own("delete", path(&region, &name), move |state, _| {
            state.own.addresses.remove(&id);
            state.static_ips.remove(&ip);
            Done::at_once(id).tell(Tell::Address(ip))
        }))
    })
    .await
}

async fn set_labels(
    Axum(cloud): Axum<Cloud>,
    call: Call,
    Path((_, region, name)): Named,
    Body(sent): Body<SetLabels>,
) -> Result<Json<Value>> {
    check_labels(&sent.labels)?;
    call.mutate(&cloud, |state, _| {
        let address = find(state, &region, &name)?;
        check_label_fingerprint(&address.labels, sent.label_fingerprint.as_deref())?;
        let id = address.id;
        Ok(Accepted::own("setLabels", path(&region, &name), move |state, _| {
            if let Some(address) = state.own.addresses.get_mut(&id) {
                address.labels = sent.labels;
            }
            Done::at_once(id)
        }))
    })
    .await
}
