//! Which operation a request asks for, and where it is answered.

use axum::http::{Method, Uri};

use super::{changes, none, request::Query, sets, zones};
use crate::{Cloud, reply::Answer};
use remint_sandbox_cloud::{ApiError, ApiResult};

/// Where the paths begin.
pub(crate) const ROOT: &str = "/2013-04-01/";

/// The operations: their methods, and their paths below [`ROOT`] with `{id}` for an id.
pub(crate) const OPERATIONS: &[(&str, &str, &str)] = &[
    ("POST", "hostedzone", "CreateHostedZone"),
    ("GET", "hostedzone", "ListHostedZones"),
    ("GET", "hostedzonesbyname", "ListHostedZonesByName"),
    ("GET", "hostedzonecount", "GetHostedZoneCount"),
    ("GET", "hostedzone/{id}", "GetHostedZone"),
    ("DELETE", "hostedzone/{id}", "DeleteHostedZone"),
    ("POST", "hostedzone/{id}/rrset", "ChangeResourceRecordSets"),
    ("GET", "hostedzone/{id}/rrset", "ListResourceRecordSets"),
    ("GET", "hostedzone/{id}/dnssec", "GetDNSSEC"),
    ("GET", "hostedzone/{id}/authorizevpcassociation", "ListVPCAssociationAuthorizations"),
    ("GET", "change/{id}", "GetChange"),
    ("GET", "tags/hostedzone/{id}", "ListTagsForResource"),
    ("GET", "cidrcollection", "ListCidrCollections"),
    ("GET", "delegationset", "ListReusableDelegationSets"),
    ("GET", "healthcheck", "ListHealthChecks"),
    ("GET", "healthcheck/{id}", "GetHealthCheck"),
    ("GET", "healthcheckcount", "GetHealthCheckCount"),
    ("GET", "hostedzonesbyvpc", "ListHostedZonesByVPC"),
    ("GET", "queryloggingconfig", "ListQueryLoggingConfigs"),
    ("GET", "trafficpolicies", "ListTrafficPolicies"),
    ("GET", "trafficpolicyinstancecount", "GetTrafficPolicyInstanceCount"),
    ("GET", "trafficpolicyinstances", "ListTrafficPolicyInstances"),
    ("GET", "trafficpolicyinstances/hostedzone", "ListTrafficPolicyInstancesByHostedZone"),
];

/// The name of the operation that a method and a path ask for; empty where there is none.
pub(crate) fn operation(method: &Method, path: &str) -> &'static str {
    let asked = steps(path);
    let is = |path: &str| {
        let path: Vec<&str> = path.split('/').collect();
        path.len() == asked.len() && path.iter().zip(&asked).all(|(known, step)| known == step || *known == "{id}")
    };
    let found = OPERATIONS.iter().find(|(known, path, _)| *known == method.as_str() && is(path));
    found.map_or("", |(.., name)| name)
}

fn steps(path: &str) -> Vec<&str> {
    path.trim_start_matches(ROOT).split('/').filter(|step| !step.is_empty()).collect()
}

/// Answers a call.
///
/// # Errors
///
/// 501 for what the sandbox does not have; else what the operation refuses.
pub(crate) async fn answer(cloud: &Cloud, operation: &str, uri: &Uri, body: &[u8]) -> ApiResult<Answer> {
    let query = Query::parse(uri.query());
    let path = steps(uri.path());
    let at = |step: usize| path.get(step).copied().unwrap_or_default();
    let id = at(1);
    match operation {
        "CreateHostedZone" => zones::create(cloud, body).await,
        "ListHostedZones" => zones::list(cloud, &query),
        "ListHostedZonesByName" => zones::list_by_name(cloud, &query),
        "GetHostedZone" => zones::get(cloud, id),
        "DeleteHostedZone" => zones::delete(cloud, id).await,
        "ChangeResourceRecordSets" => sets::change(cloud, id, body).await,
        "ListResourceRecordSets" => sets::list(cloud, id, &query),
        "GetChange" => changes::get(cloud, id),
        "GetHostedZoneCount" => zones::count(cloud),
        "GetDNSSEC" => zones::dnssec(cloud, id),
        "ListVPCAssociationAuthorizations" => zones::authorizations(cloud, id),
        "ListTagsForResource" => zones::tags(cloud, at(2)),
        "GetHealthCheck" => {
            let message = format!("A health check with id {id} does not exist.");
            Err(ApiError { status: 404, id: "NoSuchHealthCheck", message })
        }
        _ if none::is_known(operation) => none::answer(operation, &query),
        _ => {
            tracing::warn!(path = uri.path(), "not implemented");
            let message = format!("The sandbox does not implement {}.", uri.path());
            Err(ApiError { status: 501, id: "NotImplemented", message })
        }
    }
}
