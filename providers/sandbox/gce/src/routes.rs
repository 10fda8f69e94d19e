//! The routes of Compute Engine and Cloud DNS, and what answers where there is none.

use axum::{
    Router,
    extract::Request,
    middleware,
    response::{IntoResponse as _, Response},
    routing::any,
};

use super::{
    access, addresses, auth, backend_services, batch, disks, dns,
    error::Refusal,
    firewalls, forwarding_rules, health_checks, images, instance_groups, instances, launch, operations, places, power,
    projects, target_instances,
    token::{self, Authority},
};
use crate::Cloud;

/// The APIs' routes. `edge` puts the layers around them that only a caller with good credentials may reach: faults and
/// counts.
pub fn routes(cloud: &Cloud, edge: impl Fn(Router) -> Router) -> Router {
    let authority = Authority::new(cloud.clone());
    let api = Router::new()
        .merge(access::routes())
        .merge(addresses::routes())
        .merge(backend_services::routes())
        .merge(disks::routes())
        .merge(dns::routes())
        .merge(firewalls::routes())
        .merge(forwarding_rules::routes())
        .merge(health_checks::routes())
        .merge(images::routes())
        .merge(instance_groups::routes())
        .merge(instances::routes())
        .merge(launch::routes())
        .merge(operations::routes())
        .merge(places::routes())
        .merge(power::routes())
        .merge(projects::routes())
        .merge(target_instances::routes())
        .route("/compute/{*rest}", any(missing))
        .route("/dns/{*rest}", any(missing))
        .route("/batch/{*rest}", any(missing))
        .method_not_allowed_fallback(missing)
        .with_state(cloud.clone())
        .layer(middleware::from_fn(auth::locate));
    let api = edge(api).layer(middleware::from_fn_with_state(authority.clone(), auth::identify));
    // The assertion in a request for a token is its credentials.
    let token = edge(token::routes()).layer(middleware::from_fn_with_state(authority, token::check));
    let batch = batch::routes(&api);
    api.merge(batch).merge(token)
}

/// What the sandbox does not have.
async fn missing(request: Request) -> Response {
    Refusal::not_implemented(format_args!("{} {}", request.method(), request.uri().path())).into_response()
}
