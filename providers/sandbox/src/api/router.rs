//! The assembly of all routes.

use std::sync::Arc;

use axum::{
    Router, extract::Request, http::Method, middleware, response::IntoResponse as _, response::Response, routing::any,
};

use super::{
    account, actions, admin, auth, domains, droplet_actions, droplets, images, keys, projects, record,
    record::Recorder, records, regions, reply, reserved_ips, sizes, snapshots, tags, vpcs, zones,
};
use crate::{
    cloud::{Api, ApiError, Cloud, Edge},
    connection, ec2, gce,
};

/// The accounts of one sandbox: one for each API that it speaks.
#[derive(Debug, Clone)]
pub(super) struct Accounts {
    pub(super) digitalocean: Cloud,
    pub(super) ec2: Cloud,
    pub(super) gce: Cloud,
}

impl Accounts {
    pub(super) fn of(&self, api: Api) -> &Cloud {
        match api {
            Api::DigitalOcean => &self.digitalocean,
            Api::Ec2 => &self.ec2,
            Api::Gce => &self.gce,
        }
    }

    pub(super) fn all(&self) -> [&Cloud; 3] {
        Api::ALL.map(|api| self.of(api))
    }
}

/// The whole server: see [the module](super) for the order of its layers.
pub(super) fn router(accounts: &Accounts, edge: &Arc<dyn Edge>, recorder: Option<Recorder>) -> Router {
    let config = accounts.digitalocean.config();
    let served = |api| config.apis.contains(&api);
    let digitalocean = if served(Api::DigitalOcean) { digitalocean() } else { Router::new() };
    let digitalocean =
        digitalocean.fallback(missing).method_not_allowed_fallback(missing).with_state(accounts.digitalocean.clone());
    let admin = admin::routes().merge(zones::routes()).with_state(accounts.clone()).merge(edge.admin());
    let mut app = edge
        .layers(Api::DigitalOcean, digitalocean)
        .merge(admin)
        .layer(middleware::from_fn_with_state(accounts.digitalocean.clone(), auth::check));
    // What stands before a check of credentials is open to everybody: faults and counts always come after it.
    let ec2 = match served(Api::Ec2) {
        true => ec2::admit(&accounts.ec2, edge.layers(Api::Ec2, ec2::routes(&accounts.ec2))),
        false => not_spoken(Api::Ec2, EC2),
    };
    let gce = match served(Api::Gce) {
        true => gce::routes(&accounts.gce, |routes| edge.layers(Api::Gce, routes)),
        false => not_spoken(Api::Gce, GCE),
    };
    app = app.merge(ec2).merge(gce);
    app = app.layer(middleware::from_fn(reply::identify));
    if let Some(recorder) = recorder {
        app = app.layer(middleware::from_fn_with_state(recorder, record::layer));
    }
    app.layer(middleware::from_fn_with_state(accounts.digitalocean.stopped(), reply::see_through))
        .layer(middleware::from_fn(connection::attend))
}

fn digitalocean() -> Router<Cloud> {
    Router::new()
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
}

/// The paths of Amazon's APIs.
const EC2: &[&str] = &["/", "/2013-04-01/{*rest}"];

/// The paths of Google's.
const GCE: &[&str] = &["/compute/v1/{*rest}", "/dns/v1/{*rest}", "/token"];

/// An API that this sandbox was started without: each of its paths answers 501, as that API words it. It has no
/// credentials that could be checked, so these calls are not counted, and no fault rule is about them.
fn not_spoken(api: Api, paths: &[&str]) -> Router {
    let refuse = move || async move { api.refuse(ApiError::not_implemented(format_args!("the API {api}"))) };
    paths.iter().fold(Router::new(), |router, path| router.route(path, any(refuse)))
}

/// What the sandbox does not have.
async fn missing(request: Request) -> Response {
    let (method, path): (&Method, &str) = (request.method(), request.uri().path());
    tracing::warn!(%method, path, "not implemented");
    ApiError::not_implemented(format_args!("{method} {path}")).into_response()
}
