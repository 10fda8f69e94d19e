//! All routes.

use axum::{
    Router,
    extract::Request,
    http::{Method, Uri},
    response::{IntoResponse as _, Response},
    routing::any,
};

use super::{
    Cloud, account, actions, domains, droplet_actions, droplets, empty, images, keys, load_balancers, monitoring,
    projects, records, regions, reserved_ips, sizes, snapshots, tags, vpcs,
};
use remint_sandbox_cloud::ApiError;

/// The API of an account. Where it is not spoken, each path is answered 501.
pub fn routes(cloud: &Cloud, spoken: bool) -> Router {
    let routes = if spoken { all() } else { Router::new() };
    routes.fallback(missing).method_not_allowed_fallback(missing).with_state(cloud.clone())
}

fn all() -> Router<Cloud> {
    Router::new()
        .merge(account::routes())
        .merge(actions::routes())
        .merge(domains::routes())
        .merge(droplet_actions::routes())
        .merge(droplets::routes())
        // Else it would be a droplet whose id is no number.
        .route("/v2/droplets/autoscale", any(missing))
        .merge(empty::routes())
        .merge(images::routes())
        .merge(keys::routes())
        .merge(load_balancers::routes())
        .merge(monitoring::routes())
        .merge(projects::routes())
        .merge(records::routes())
        .merge(regions::routes())
        .merge(reserved_ips::routes(&reserved_ips::RESERVED))
        .merge(reserved_ips::routes(&reserved_ips::FLOATING))
        .merge(sizes::routes())
        .merge(snapshots::routes())
        .merge(tags::routes())
        .merge(vpcs::routes())
}

/// Takes the slash from the end of a path: the API answers `/v2/droplets/` as `/v2/droplets`, and some clients rely on it. It must
/// come before the choice of a route.
pub async fn without_last_slash(mut request: Request) -> Request {
    let uri = request.uri();
    if let Some(path) = uri.path().strip_suffix('/').filter(|path| path.starts_with("/v2/")) {
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        if let Ok(shorter) = format!("{path}{query}").parse::<Uri>() {
            *request.uri_mut() = shorter;
        }
    }
    request
}

/// What the sandbox does not have.
async fn missing(request: Request) -> Response {
    let (method, path): (&Method, &str) = (request.method(), request.uri().path());
    tracing::warn!(%method, path, "not implemented");
    ApiError::not_implemented(format_args!("{method} {path}")).into_response()
}
