//! What a client says of a backend service, and how the API shows it.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    call::Call,
    catalogue,
    error::{Refusal, Result},
    health_check::bounded,
    json,
    labels::fingerprint,
    model::{Backend, BackendService, HealthCheck, InstanceGroup, ServiceSettings},
    reference::{Reference, differs},
    resource::{find, path},
};
use crate::State;

/// How many groups a backend service may have, as Google's "Quotas and limits" of load balancing has it.
const GROUPS: usize = 50;
/// How long draining may take, in seconds.
const LONGEST_DRAIN: i64 = 3600;

/// A backend service as a client sends it.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Sent {
    name: String,
    description: String,
    protocol: Option<String>,
    load_balancing_scheme: Option<String>,
    session_affinity: Option<String>,
    timeout_sec: Option<i64>,
    health_checks: Vec<String>,
    backends: Vec<SentBackend>,
    connection_draining: Draining,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SentBackend {
    group: String,
    description: String,
    balancing_mode: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Draining {
    draining_timeout_sec: Option<i64>,
}

/// Reads a backend service of a region: its name, and how it is set up.
pub(super) fn read(state: &State, region: &str, body: Value) -> Result<(String, ServiceSettings)> {
    let sent: Sent = json::read(body)?;
    match sent.load_balancing_scheme.as_deref() {
        None | Some("" | "EXTERNAL") => {}
        Some(
            "EXTERNAL_MANAGED" | "EXTERNAL_PASSTHROUGH" | "INTERNAL" | "INTERNAL_MANAGED" | "INTERNAL_SELF_MANAGED",
        ) => {
            return Err(Refusal::not_implemented("backend services of other schemes than EXTERNAL"));
        }
        Some(other) => {
            let why = "Must be one of EXTERNAL, EXTERNAL_MANAGED, INTERNAL, INTERNAL_MANAGED.";
            return Err(Refusal::invalid("resource.loadBalancingScheme", other, why));
        }
    }
    match sent.protocol.as_deref().filter(|protocol| !protocol.is_empty()).unwrap_or("HTTP") {
        "TCP" => {}
        "UDP" | "UNSPECIFIED" => return Err(Refusal::not_implemented("backend services of other protocols than TCP")),
        other => {
            let why = "Must be TCP, UDP or UNSPECIFIED for the load balancing scheme EXTERNAL.";
            return Err(Refusal::invalid("resource.protocol", other, why));
        }
    }
    Refusal::unless_had([
        (differs(&sent.session_affinity, "NONE"), "session affinity"),
        (sent.timeout_sec.is_some_and(|seconds| seconds != 30), "`timeoutSec` of backend services"),
    ])?;
    let bounds = 0..=LONGEST_DRAIN;
    let field = "resource.connectionDraining.drainingTimeoutSec";
    let drain = bounded(field, sent.connection_draining.draining_timeout_sec, 0, bounds)?;
    let check = health_check(state, region, &sent.health_checks)?;
    let backends = backends(state, region, sent.backends)?;
    Ok((sent.name, ServiceSettings { description: sent.description, check, backends, drain }))
}

/// The number of the health check that a service names.
fn health_check(state: &State, region: &str, sent: &[String]) -> Result<u64> {
    let field = "resource.healthChecks";
    let text = match sent {
        [] => return Err(Refusal::required(field)),
        [one] => one,
        more => return Err(Refusal::too_many(field, 1, more.len())),
    };
    match *Reference::parse(text).path {
        ["regions", found, "healthChecks", name] if found == region => {
            find::<HealthCheck>(state, region, name).map(|(id, _)| id)
        }
        ["regions", _, "healthChecks", _] => {
            Err(Refusal::invalid(field, text, "The health check must be in the backend service's region."))
        }
        ["global", "healthChecks", _] => {
            let why = "A backend service of an external passthrough load balancer must use a regional health check.";
            Err(Refusal::invalid(field, text, why))
        }
        _ => Err(Refusal::invalid(field, text, "The URL is malformed.")),
    }
}

fn backends(state: &State, region: &str, sent: Vec<SentBackend>) -> Result<Vec<Backend>> {
    if sent.len() > GROUPS {
        return Err(Refusal::too_many("resource.backends", GROUPS, sent.len()));
    }
    let mut backends: Vec<Backend> = Vec::new();
    for (index, one) in sent.into_iter().enumerate() {
        let at = |name: &str| format!("resource.backends[{index}].{name}");
        if let Some(mode) = one.balancing_mode.as_deref().filter(|mode| !matches!(*mode, "" | "CONNECTION")) {
            let why = "Balancing mode must be CONNECTION for an EXTERNAL backend service.";
            return Err(Refusal::invalid(&at("balancingMode"), mode, why));
        }
        let (zone, name) = match *Reference::parse(&one.group).path {
            [""] => return Err(Refusal::required(&at("group"))),
            // Google takes a whole URL here alone.
            _ if !one.group.contains("://") => {
                let why = "The URL is malformed. Must be a fully-qualified URL.";
                return Err(Refusal::invalid(&at("group"), &one.group, why));
            }
            ["zones", zone, "instanceGroups", name] => (zone, name),
            ["zones" | "regions", _, "networkEndpointGroups", _] | ["regions", _, "instanceGroups", _] => {
                return Err(Refusal::not_implemented("backends other than a zone's instance groups"));
            }
            _ => return Err(Refusal::invalid(&at("group"), &one.group, "The URL is malformed.")),
        };
        if catalogue::region_of(zone) != region {
            let why = "The instance group must be in the backend service's region.";
            return Err(Refusal::invalid(&at("group"), &one.group, why));
        }
        let (group, _) = find::<InstanceGroup>(state, zone, name)?;
        if backends.iter().any(|backend| backend.group == group) {
            return Err(Refusal::invalid(&at("group"), &one.group, "Duplicate instance groups in backend service."));
        }
        backends.push(Backend { group, description: one.description });
    }
    Ok(backends)
}

/// What a change has to be sent, so that it changes nothing that the client has not seen.
pub(super) fn fingerprint_of(service: &BackendService) -> String {
    fingerprint(&(service.id, &service.settings))
}

/// How a service is set up, as the API shows it.
pub(super) fn view(call: &Call, state: &State, service: &BackendService) -> Value {
    let ServiceSettings { description, check, backends, drain } = &service.settings;
    let check = state.own.health_checks.get(check);
    let check = check.map(|check| call.link(&path::<HealthCheck>(&check.region, &check.name)));
    let backend = |backend: &Backend| {
        let group = state.own.instance_groups.get(&backend.group)?;
        let mut view = json!({
            "group": call.link(&path::<InstanceGroup>(&group.zone, &group.name)), "balancingMode": "CONNECTION",
        });
        if !backend.description.is_empty() {
            view["description"] = backend.description.as_str().into();
        }
        Some(view)
    };
    let backends: Vec<Value> = backends.iter().filter_map(backend).collect();
    let mut view = json!({
        "description": description,
        "protocol": "TCP",
        "loadBalancingScheme": "EXTERNAL",
        "sessionAffinity": "NONE",
        "timeoutSec": 30,
        "connectionDraining": { "drainingTimeoutSec": drain },
        "healthChecks": check.into_iter().collect::<Vec<_>>(),
        "fingerprint": fingerprint_of(service),
    });
    if !backends.is_empty() {
        view["backends"] = backends.into();
    }
    view
}
