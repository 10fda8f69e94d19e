//! What there is to choose from: zones, regions, machine types, and the default network with its subnetworks.

use axum::{Json, Router, extract::State as Axum, routing::get};
use serde_json::{Value, json};

use super::{
    call::{Call, time},
    catalogue,
    disk::KINDS,
    error::Refusal,
};
use crate::{Cloud, State};
use remint_sandbox_cloud::{
    Api, Config,
    catalogue::{Region, Size},
};

/// The name of the only network, and of its subnetwork in each region.
const NETWORK: &str = "default";

/// Lists that are always empty, because the sandbox has no call that makes what would be in them: the path, what stands for a name,
/// and the kind.
const EMPTY: [(&str, &str, &str); 21] = [
    ("global/addresses", "address", "compute#address"),
    ("global/backendServices", "service", "compute#backendService"),
    ("global/forwardingRules", "rule", "compute#forwardingRule"),
    ("global/healthChecks", "check", "compute#healthCheck"),
    ("global/httpHealthChecks", "check", "compute#httpHealthCheck"),
    ("global/httpsHealthChecks", "check", "compute#httpsHealthCheck"),
    ("global/instanceTemplates", "template", "compute#instanceTemplate"),
    ("global/snapshots", "snapshot", "compute#snapshot"),
    ("global/sslCertificates", "certificate", "compute#sslCertificate"),
    ("global/targetHttpProxies", "proxy", "compute#targetHttpProxy"),
    ("global/targetHttpsProxies", "proxy", "compute#targetHttpsProxy"),
    ("global/urlMaps", "map", "compute#urlMap"),
    ("regions/{region}/resourcePolicies", "policy", "compute#resourcePolicy"),
    ("regions/{region}/routers", "router", "compute#router"),
    ("regions/{region}/targetPools", "pool", "compute#targetPool"),
    ("regions/{region}/targetVpnGateways", "gateway", "compute#targetVpnGateway"),
    ("regions/{region}/vpnTunnels", "tunnel", "compute#vpnTunnel"),
    ("zones/{zone}/acceleratorTypes", "type", "compute#acceleratorType"),
    ("zones/{zone}/autoscalers", "autoscaler", "compute#autoscaler"),
    ("zones/{zone}/instanceGroupManagers", "manager", "compute#instanceGroupManager"),
    ("zones/{zone}/reservations", "reservation", "compute#reservation"),
];

/// The things of one kind in a zone or region, or in all of them where it is empty, as the API shows them.
type Views = fn(&Call, &Config, &State, &str) -> Vec<Value>;

pub(super) fn routes() -> Router<Cloud> {
    let empty = EMPTY.map(|(below, item, kind)| fixed(below, item, kind, |_, _, _, _| Vec::new()));
    [
        fixed("zones", "zone", "compute#zone", |call, _, state, _| {
            catalogue::ZONES.iter().map(|zone| zone_view(call, state, zone)).collect()
        }),
        fixed("regions", "region", "compute#region", |call, config, state, _| {
            catalogue::regions().into_iter().map(|region| region_view(call, config, state, region)).collect()
        }),
        fixed("zones/{zone}/diskTypes", "type", "compute#diskType", disk_types),
        fixed("zones/{zone}/machineTypes", "type", "compute#machineType", machine_types),
        fixed("global/networks", "network", "compute#network", |call, _, state, _| vec![network_view(call, state)]),
        fixed("regions/{region}/subnetworks", "subnetwork", "compute#subnetwork", subnetworks),
    ]
    .into_iter()
    .chain(empty)
    .fold(Router::new(), Router::merge)
}

/// The reading calls of things that are there from the beginning. `item` stands for the name of one in its route.
fn fixed(below: &'static str, item: &str, kind: &'static str, views: Views) -> Router<Cloud> {
    let (places, plural) = below.split_once("}/").unzip();
    let all = move |cloud: &Cloud, call: &Call| {
        let place = if places.is_some() { call.names().0 } else { "" };
        cloud.read(|state| views(call, cloud.config(), state, place))
    };
    let list = move |Axum(cloud): Axum<Cloud>, call: Call| async move {
        call.list(&format!("{kind}List"), all(&cloud, &call))
    };
    let one = move |Axum(cloud): Axum<Cloud>, call: Call| async move {
        let name = call.full_path().rsplit('/').next();
        let found = all(&cloud, &call).into_iter().find(|view| view["name"].as_str() == name);
        found.map(Json).ok_or_else(|| Refusal::not_found(call.full_path()))
    };
    let at = |below: &str| format!("/compute/v1/projects/{{project}}/{below}");
    let router = Router::new().route(&at(below), get(list)).route(&at(&format!("{below}/{{{item}}}")), get(one));
    let Some(plural) = plural else { return router };
    let aggregated = move |Axum(cloud): Axum<Cloud>, call: Call| async move {
        let items = cloud.read(|state| views(&call, cloud.config(), state, ""));
        call.aggregated(&format!("{kind}AggregatedList"), items)
    };
    router.route(&at(&format!("aggregated/{plural}")), get(aggregated))
}

fn machine_types(call: &Call, _: &Config, state: &State, zone: &str) -> Vec<Value> {
    let zones = catalogue::ZONES.iter().filter(|known| zone.is_empty() || known.slug == zone);
    zones.flat_map(|zone| catalogue::SIZES.iter().map(|size| type_view(call, state, zone.slug, size))).collect()
}

fn disk_types(call: &Call, _: &Config, state: &State, zone: &str) -> Vec<Value> {
    let zones = catalogue::ZONES.iter().filter(|known| zone.is_empty() || known.slug == zone);
    let view = |zone: &Region, kind: &str| {
        json!({
            "kind": "compute#diskType",
            "id": id(&format!("{}/{kind}", zone.slug)),
            "creationTimestamp": time(state.created_at),
            "name": kind,
            "description": kind,
            "validDiskSize": "10GB-65536GB",
            "defaultDiskSizeGb": "100",
            "zone": call.link(&format!("zones/{}", zone.slug)),
            "selfLink": call.link(&format!("zones/{}/diskTypes/{kind}", zone.slug)),
        })
    };
    zones.flat_map(|zone| KINDS.iter().map(move |kind| view(zone, kind))).collect()
}

fn subnetworks(call: &Call, _: &Config, state: &State, region: &str) -> Vec<Value> {
    let regions = catalogue::regions().into_iter().filter(|known| region.is_empty() || *known == region);
    regions.map(|region| subnetwork_view(call, state, region)).collect()
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

fn region_view(call: &Call, config: &Config, state: &State, region: &str) -> Value {
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
            quota("INSTANCES", config.limits.instances, instances),
            quota("STATIC_ADDRESSES", config.limits.static_ips(Api::Gce), addresses),
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

fn network_view(call: &Call, state: &State) -> Value {
    let subnetworks =
        catalogue::regions().into_iter().map(|region| call.link(&format!("regions/{region}/subnetworks/{NETWORK}")));
    json!({
        "kind": "compute#network",
        "id": "1000000001",
        "creationTimestamp": time(state.created_at),
        "name": NETWORK,
        "description": "Default network for the project",
        "autoCreateSubnetworks": true,
        "subnetworks": subnetworks.collect::<Vec<_>>(),
        "routingConfig": { "routingMode": "REGIONAL" },
        "networkFirewallPolicyEnforcementOrder": "AFTER_CLASSIC_FIREWALL",
        "mtu": 1460,
        "selfLink": call.link(&format!("global/networks/{NETWORK}")),
    })
}

fn subnetwork_view(call: &Call, state: &State, region: &str) -> Value {
    let index = catalogue::regions().iter().position(|known| *known == region).unwrap_or_default();
    let third = 128 + 4 * index;
    json!({
        "kind": "compute#subnetwork",
        "id": (1_000_000_100 + index).to_string(),
        "creationTimestamp": time(state.created_at),
        "name": NETWORK,
        "network": call.link(&format!("global/networks/{NETWORK}")),
        "ipCidrRange": format!("10.{third}.0.0/20"),
        "gatewayAddress": format!("10.{third}.0.1"),
        "region": call.link(&format!("regions/{region}")),
        "privateIpGoogleAccess": false,
        "purpose": "PRIVATE",
        "stackType": "IPV4_ONLY",
        "selfLink": call.link(&format!("regions/{region}/subnetworks/{NETWORK}")),
    })
}
