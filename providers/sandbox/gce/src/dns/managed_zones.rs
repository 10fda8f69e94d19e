//! Managed zones of Cloud DNS: list, show, create, delete.

use axum::{
    Json,
    extract::{Path, State as Axum},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    record::Set,
    reply::{self, already_exists, invalid, required, time},
    zone::{find, zone_of},
};
use crate::{
    Cloud,
    call::{Body, Call},
    error::{Refusal, Result},
    labels::{Labels, check_labels},
    model::ManagedZone,
    reference::{check_name, differs},
};
use remint_sandbox_cloud::{Front, state::Zone};

fn view(domain: &Zone, zone: &ManagedZone) -> Value {
    let servers = <crate::Data as Front>::NAME_SERVERS;
    let mut view = json!({
        "kind": "dns#managedZone",
        "id": zone.id.to_string(),
        "name": zone.name,
        "dnsName": format!("{}.", domain.name),
        "description": zone.description,
        "nameServers": servers.iter().map(|server| format!("{server}.")).collect::<Vec<_>>(),
        "creationTime": time(domain.created_at),
        "visibility": "public",
        "dnssecConfig": { "kind": "dns#managedZoneDnsSecConfig", "state": "off" },
        "cloudLoggingConfig": { "kind": "dns#managedZoneCloudLoggingConfig" },
    });
    if !zone.labels.is_empty() {
        view["labels"] = json!(zone.labels);
    }
    view
}

pub(super) async fn list(Axum(cloud): Axum<Cloud>, call: Call) -> Result<Json<Value>> {
    let wanted = call.get("dnsName").map(str::to_ascii_lowercase);
    let items = cloud.read(|state| {
        let zones = state
            .zones
            .values()
            .filter(|domain| wanted.as_ref().is_none_or(|name| *name == format!("{}.", domain.name)));
        zones.map(|domain| view(domain, &zone_of(state, domain))).collect()
    });
    let mark = |item: &Value| item["dnsName"].as_str().unwrap_or_default().to_owned();
    reply::list(&call, "dns#managedZonesListResponse", "managedZones", items, mark)
}

pub(super) async fn show(Axum(cloud): Axum<Cloud>, Path((_, name)): Path<(String, String)>) -> Result<Json<Value>> {
    cloud.read(|state| find(state, &name).map(|(domain, zone)| Json(view(domain, &zone))))
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Create {
    name: String,
    dns_name: String,
    description: Option<String>,
    visibility: Option<String>,
    labels: Labels,
    dnssec_config: Dnssec,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Dnssec {
    state: Option<String>,
}

pub(super) async fn create(Axum(cloud): Axum<Cloud>, Body(sent): Body<Create>) -> Result<Json<Value>> {
    const FIELD: &str = "entity.managedZone";
    check_name(&format!("{FIELD}.name"), &sent.name).map_err(|_| invalid(&format!("{FIELD}.name"), &sent.name))?;
    let description = sent.description.clone().ok_or_else(|| required(&format!("{FIELD}.description")))?;
    check_labels(&sent.labels)?;
    let dns_name =
        sent.dns_name.strip_suffix('.').ok_or_else(|| invalid(&format!("{FIELD}.dnsName"), &sent.dns_name))?;
    Refusal::unless_had([
        (differs(&sent.visibility, "public"), "private zones"),
        (differs(&sent.dnssec_config.state, "off"), "DNSSEC"),
    ])?;
    let (name, made) = cloud.change(|state| {
        Ok((|| {
            if find(state, &sent.name).is_ok() {
                return Err(already_exists(FIELD, &sent.name));
            }
            if state.zone(dns_name).is_ok() {
                let why = format!("The DNS name '{}' is not available: another managed zone has it.", sent.dns_name);
                return Err(Refusal::new(400, "managedZoneDnsNameNotAvailable", why));
            }
            let domain =
                state.new_zone(dns_name, None).map_err(|_| invalid(&format!("{FIELD}.dnsName"), &sent.dns_name))?;
            let zone = ManagedZone {
                id: state.next_id(),
                name: sent.name.clone(),
                description,
                labels: sent.labels.clone(),
                changes: Vec::new(),
            };
            let made = view(&domain, &zone);
            state.own.managed_zones.insert(domain.name.clone(), zone);
            Ok((domain.name, made))
        })())
    })??;
    cloud.tell_zone(&name).await;
    Ok(Json(made))
}

pub(super) async fn delete(Axum(cloud): Axum<Cloud>, Path((_, name)): Path<(String, String)>) -> Result<StatusCode> {
    let gone = cloud.change(|state| {
        Ok((|| {
            let (domain, _) = find(state, &name)?;
            // The zone's own two remain to the end.
            if Set::all(domain).iter().any(|set| !set.is_zones_own()) {
                let why = format!(
                    "The resource named '{name}' cannot be deleted because it contains one or more 'resource records'."
                );
                return Err(Refusal::new(400, "containerNotEmpty", why));
            }
            let dns_name = domain.name.clone();
            state.zones.remove(&dns_name);
            state.own.managed_zones.remove(&dns_name);
            Ok(dns_name)
        })())
    })??;
    cloud.tell_zone(&gone).await;
    Ok(StatusCode::NO_CONTENT)
}

/// A list of a zone that is always empty.
async fn nothing(cloud: &Cloud, call: &Call, name: &str, kind: &str, of: &str) -> Result<Json<Value>> {
    cloud.read(|state| find(state, name).map(|_| ()))?;
    reply::list(call, kind, of, Vec::new(), |_| String::new())
}

/// The keys of DNSSEC, which no zone has.
pub(super) async fn dns_keys(
    Axum(cloud): Axum<Cloud>,
    call: Call,
    Path((_, name)): Path<(String, String)>,
) -> Result<Json<Value>> {
    nothing(&cloud, &call, &name, "dns#dnsKeysListResponse", "dnsKeys").await
}

/// The operations that changed the zone itself, which no call does.
pub(super) async fn operations(
    Axum(cloud): Axum<Cloud>,
    call: Call,
    Path((_, name)): Path<(String, String)>,
) -> Result<Json<Value>> {
    nothing(&cloud, &call, &name, "dns#managedZoneOperationsListResponse", "operations").await
}
