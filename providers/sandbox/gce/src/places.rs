//! Zones, regions and machine types: what there is to choose from.

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
use remint_sandbox_cloud::{
    Api,
    catalogue::{Region, Size},
};

pub(super) fn routes() -> Router<Cloud> {
    const PROJECT: &str = "/compute/v1/projects/{project}";
    let at = |below: &str| format!("{PROJECT}/{below}");
    Router::new()
        .route(&at("zones"), get(zones))
        .route(&at("zones/{zone}"), get(zone))
        .route(&at("regions"), get(regions))
        .route(&at("regions/{region}"), get(region))
        .route(&at("zones/{zone}/machineTypes"), get(machine_types))
        .route(&at("zones/{zone}/machineTypes/{type}"), get(machine_type))
        .route(&at("aggregated/machineTypes"), get(all_machine_types))
}

/// A number for something that is not in the state, the same each time.
fn id(of: &str) -> String {
    let sum = of.bytes().fold(1000_u64, |sum, byte| (sum * 31 + u64::from(byte)) % 1_000_000_007);
    sum.to_string()
}

fn zone_view(call: &Call, state: &State, zone: &Region) -> Value {
    json!({
        "kind": "compute#zone",
        "id": id(zone.slug),
        "creationTimestamp": time(state.created_at),
        "name": zone.slug,
        "description": zone.slug,
        "status": "UP",
        "region": call.link(&format!("regions/{}", zone.name)),
        "selfLink": call.link(&format!("zones/{}", zone.slug)),
        "availableCpuPlatforms": ["Intel Broadwell"],
        "supportsPzs": false,
    })
}

fn region_view(call: &Call, cloud: &Cloud, state: &State, region: &str) -> Value {
    let zones = catalogue::ZONES.iter().filter(|zone| zone.name == region);
    let here = |zone: &str| catalogue::region_of(zone) == region;
    let instances = state.instances.values().filter(|machine| here(&machine.region)).count();
    let addresses = state.own.addresses.values().filter(|address| address.region == region).count();
    let rules = state.own.forwarding_rules.values().filter(|rule| rule.region == region).count();
    let quota = |metric: &str, limit: usize, usage: usize| json!({ "metric": metric, "limit": limit as f64, "usage": usage as f64 });
    json!({
        "kind": "compute#region",
        "id": id(region),
        "creationTimestamp": time(state.created_at),
        "name": region,
        "description": region,
        "status": "UP",
        "zones": zones.map(|zone| call.link(&format!("zones/{}", zone.slug))).collect::<Vec<_>>(),
        "quotas": [
            quota("INSTANCES", cloud.config().limits.instances, instances),
            quota("STATIC_ADDRESSES", cloud.config().limits.static_ips(Api::Gce), addresses),
            quota("FORWARDING_RULES", 15, rules),
        ],
        "selfLink": call.link(&format!("regions/{region}")),
        "supportsPzs": false,
    })
}

fn type_view(call: &Call, state: &State, zone: &str, size: &Size) -> Value {
    json!({
        "kind": "compute#machineType",
        "id": id(&format!("{zone}/{}", size.slug)),
        "creationTimestamp": time(state.created_at),
        "name": size.slug,
        "description": size.description,
        "guestCpus": size.vcpus,
        "memoryMb": size.memory,
        "imageSpaceGb": 0,
        "maximumPersistentDisks": 1,
        "maximumPersistentDisksSizeGb": "3072",
        "isSharedCpu": true,
        "zone": zone,
        "architecture": "X86_64",
        "selfLink": call.link(&format!("zones/{zone}/machineTypes/{}", size.slug)),
    })
}

async fn zones(Axum(cloud): Axum<Cloud>, call: Call) -> Result<Json<Value>> {
    let items = cloud.read(|state| catalogue::ZONES.iter().map(|zone| zone_view(&call, state, zone)).collect());
    call.list("compute#zoneList", "zones", items)
}

async fn zone(Axum(cloud): Axum<Cloud>, call: Call, Path((_, name)): Path<(String, String)>) -> Result<Json<Value>> {
    let zone = catalogue::zone(&name).ok_or_else(|| Refusal::not_found(full(&format!("zones/{name}"))))?;
    Ok(Json(cloud.read(|state| zone_view(&call, state, zone))))
}

async fn regions(Axum(cloud): Axum<Cloud>, call: Call) -> Result<Json<Value>> {
    let items = cloud.read(|state| {
        catalogue::regions().into_iter().map(|region| region_view(&call, &cloud, state, region)).collect()
    });
    call.list("compute#regionList", "regions", items)
}

async fn region(Axum(cloud): Axum<Cloud>, call: Call, Path((_, name)): Path<(String, String)>) -> Result<Json<Value>> {
    if !catalogue::is_region(&name) {
        return Err(Refusal::not_found(full(&format!("regions/{name}"))));
    }
    Ok(Json(cloud.read(|state| region_view(&call, &cloud, state, &name))))
}

async fn machine_types(
    Axum(cloud): Axum<Cloud>,
    call: Call,
    Path((_, zone)): Path<(String, String)>,
) -> Result<Json<Value>> {
    let items = cloud.read(|state| catalogue::SIZES.iter().map(|size| type_view(&call, state, &zone, size)).collect());
    call.list("compute#machineTypeList", &format!("zones/{zone}/machineTypes"), items)
}

async fn machine_type(
    Axum(cloud): Axum<Cloud>,
    call: Call,
    Path((_, zone, name)): Path<(String, String, String)>,
) -> Result<Json<Value>> {
    let unknown = || Refusal::not_found(full(&format!("zones/{zone}/machineTypes/{name}")));
    let size = catalogue::machine_type(&name).ok_or_else(unknown)?;
    Ok(Json(cloud.read(|state| type_view(&call, state, &zone, size))))
}

async fn all_machine_types(Axum(cloud): Axum<Cloud>, call: Call) -> Result<Json<Value>> {
    let items = cloud.read(|state| {
        let all = catalogue::ZONES.iter().flat_map(|zone| catalogue::SIZES.iter().map(move |size| (zone, size)));
        all.map(|(zone, size)| type_view(&call, state, zone.slug, size)).collect()
    });
    call.aggregated("compute#machineTypeAggregatedList", "machineTypes", items)
}
