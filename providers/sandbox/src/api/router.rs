//! The assembly of all routes.

use std::sync::Arc;

use axum::{Router, extract::Request, http::Method, middleware, response::IntoResponse as _, response::Response};

use super::{
    account, actions, admin, auth, domains, droplet_actions, droplets, images, keys, projects, record,
    record::Recorder, records, regions, reply, reserved_ips, sizes, snapshots, tags, vpcs,
};
use crate::cloud::{ApiError, Cloud, Edge};

/// The whole server: see [the module](super) for the order of its layers.
pub(super) fn router(cloud: &Cloud, edge: &Arc<dyn Edge>, recorder: Option<Recorder>) -> Router {
    let api = Router::new()
        .merge(account::routes())
        .merge(actions::routes())
        .merge(domains::routes())
        .merge(droplet_actions::routes())
        .merge(droplets::routes())
        .merge(images::routes())
        .merge(keys::routes())
        .merge(projects::routes())
        .merge(records::routes())
        .merge(regions::routes())
        .merge(reserved_ips::routes(&reserved_ips::RESERVED))
        .merge(reserved_ips::routes(&reserved_ips::FLOATING))
        .merge(sizes::routes())
        .merge(snapshots::routes())
        .merge(tags::routes())
        .merge(vpcs::routes())
        .fallback(missing)
        .method_not_allowed_fallback(missing)
        .with_state(cloud.clone());
    let admin = admin::routes().with_state(cloud.clone()).merge(edge.admin());
    let app = edge
        .layers(api)
        .merge(admin)
        .layer(middleware::from_fn_with_state(cloud.clone(), auth::check))
        .layer(middleware::from_fn(reply::identify));
    match recorder {
        Some(recorder) => app.layer(middleware::from_fn_with_state(recorder, record::layer)),
        None => app,
    }
}

/// What the sandbox does not have.
async fn missing(request: Request) -> Response {
    let (method, path): (&Method, &str) = (request.method(), request.uri().path());
    tracing::warn!(%method, path, "not implemented");
    ApiError::not_implemented(format_args!("{method} {path}")).into_response()
}
