//! Static external addresses of a region.

use axum::{Json, Router, extract::State as Axum, routing::post};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    call::{Body, Call, time},
    calls::{Shown, all_path, one_path, reads, remove, set_labels},
    change::{Accepted, Done, Tell},
    error::{Refusal, Result},
    labels::{Labels, check_labels, fingerprint},
    model::Address,
    reference::{differs, full},
    resource::{check_new, full_path, path},
    static_address::{user_of, users_of},
};
use crate::{Cloud, State};
use remint_sandbox_cloud::{Api, now, state::StaticIp};

pub(super) fn routes() -> Router<Cloud> {
    reads::<Address>()
        .route(&all_path::<Address>(), post(insert))
        .route(&one_path::<Address>(""), axum::routing::delete(delete))
        .route(&one_path::<Address>("/setLabels"), post(set_labels::<Address>))
}

impl Shown for Address {
    fn view(&self, _: u64, call: &Call, state: &State) -> Value {
        let address = self;
        let users: Vec<String> = users_of(state, address.ip).iter().map(|user| call.link(user)).collect();
        let mut view = json!({
            "kind": "compute#address",
            "id": address.id.to_string(),
            "creationTimestamp": time(address.created_at),
            "name": address.name,
            "description": address.description,
            "address": address.ip.to_string(),
            "status": if users.is_empty() { "RESERVED" } else { "IN_USE" },
            "region": call.link(&format!("regions/{}", address.region)),
            "selfLink": call.link(&path::<Address>(&address.region, &address.name)),
            "networkTier": address.tier,
            "addressType": "EXTERNAL",
            "labelFingerprint": fingerprint(&address.labels),
        });
        if !address.labels.is_empty() {
            view["labels"] = json!(address.labels);
        }
        if !users.is_empty() {
            view["users"] = users.into();
        }
        view
    }
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

async fn insert(Axum(cloud): Axum<Cloud>, call: Call, Body(sent): Body<Insert>) -> Result<Json<Value>> {
    let region = call.names().0.to_owned();
    call.mutate(&cloud, |state, config| {
        check_new::<Address>(state, &region, &sent.name)?;
        check_labels(&sent.labels)?;
        Refusal::unless_had([
            (differs(&sent.address_type, "EXTERNAL"), "internal addresses"),
            (differs(&sent.ip_version, "IPV4"), "IPv6 addresses"),
            (differs(&sent.address, ""), "addresses of the client's choice"),
        ])?;
        let here = state.own.addresses.values().filter(|address| address.region == region).count();
        let limit = config.limits.static_ips(Api::Gce);
        if here >= limit {
            return Err(Refusal::quota("STATIC_ADDRESSES", limit as u64, &region));
        }
        let target = path::<Address>(&region, &sent.name);
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

async fn delete(Axum(cloud): Axum<Cloud>, call: Call) -> Result<Json<Value>> {
    let check = |state: &State, _, address: &Address| {
        let at = full_path::<Address>(&address.region, &address.name);
        if let Some(user) = user_of(state, address.ip) {
            return Err(Refusal::in_use("address", at, full(&user)));
        }
        let busy = state.static_ips.get(&address.ip).is_some_and(|ip| ip.pending.is_some());
        if busy { Err(Refusal::not_ready(at)) } else { Ok(()) }
    };
    let after = |state: &mut State, address: Address| {
        state.static_ips.remove(&address.ip);
        Some(Tell::Address(address.ip))
    };
    remove(&cloud, &call, check, after).await
}
