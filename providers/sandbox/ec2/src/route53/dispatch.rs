//! Which operation a request asks for, and where it is answered.

use axum::{
    http::{Method, Uri},
    routing::MethodFilter,
};

use super::{changes, request::Query, sets, zones};
use crate::{Cloud, reply::Answer};
use remint_sandbox_cloud::{ApiError, ApiResult};

/// Where the paths begin.
pub(crate) const ROOT: &str = "/2013-04-01/";

/// The operations: their methods, and their paths below [`ROOT`] with `{id}` for an id.
pub(crate) const OPERATIONS: [(MethodFilter, &str, &str); 8] = [
    (MethodFilter::POST, "hostedzone", "CreateHostedZone"),
    (MethodFilter::GET, "hostedzone", "ListHostedZones"),
    (MethodFilter::GET, "hostedzonesbyname", "ListHostedZonesByName"),
    (MethodFilter::GET, "hostedzone/{id}", "GetHostedZone"),
    (MethodFilter::DELETE, "hostedzone/{id}", "DeleteHostedZone"),
    (MethodFilter::POST, "hostedzone/{id}/rrset", "ChangeResourceRecordSets"),
    (MethodFilter::GET, "hostedzone/{id}/rrset", "ListResourceRecordSets"),
    (MethodFilter::GET, "change/{id}", "GetChange"),
];

/// The name of the operation that a method and a path ask for; empty where there is none.
pub(crate) fn operation(method: &Method, path: &str) -> &'static str {
    let asked = steps(path);
    let is = |path: &str| {
        let path: Vec<&str> = path.split('/').collect();
        path.len() == asked.len() && path.iter().zip(&asked).all(|(known, step)| known == step || *known == "{id}")
    };
    let method = MethodFilter::try_from(method.clone()).ok();
    let found = OPERATIONS.iter().find(|(known, path, _)| Some(*known) == method && is(path));
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
    let id = steps(uri.path()).get(1).copied().unwrap_or_default();
    match operation {
        "CreateHostedZone" => zones::create(cloud, body).await,
        "ListHostedZones" => zones::list(cloud, &query),
        "ListHostedZonesByName" => zones::list_by_name(cloud, &query),
        "GetHostedZone" => zones::get(cloud, id),
        "DeleteHostedZone" => zones::delete(cloud, id).await,
        "ChangeResourceRecordSets" => sets::change(cloud, id, body).await,
        "ListResourceRecordSets" => sets::list(cloud, id, &query),
        "GetChange" => changes::get(cloud, id),
        _ => {
            tracing::warn!(path = uri.path(), "not implemented");
            let message = format!("The sandbox does not implement {}.", uri.path());
            Err(ApiError { status: 501, id: "NotImplemented", message })
        }
    }
}
