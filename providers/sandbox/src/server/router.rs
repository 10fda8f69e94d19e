//! The assembly of all routes.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::any,
};
use tokio_util::sync::CancellationToken;

use super::{
    accounts::Accounts,
    admin,
    record::{self, Recorder},
    zones,
};
use crate::{
    cloud::{Api, ApiError, Edge, Shape, connection},
    digitalocean, ec2, gce,
};

/// The whole server: see [the module](super) for the order of its layers.
pub(super) fn router(accounts: &Accounts, edge: &Arc<dyn Edge>, recorder: Option<Recorder>) -> Router {
    let config = accounts.digitalocean.config();
    let served = |api| config.apis.contains(&api);
    let digitalocean = digitalocean::routes(&accounts.digitalocean, served(Api::DigitalOcean));
    let admin = admin::routes().merge(zones::routes()).with_state(accounts.clone()).merge(edge.admin());
    let mut app = edge
        .layers(digitalocean::SHAPE, digitalocean)
        .merge(admin)
        .layer(middleware::from_fn_with_state(accounts.digitalocean.clone(), digitalocean::check));
    // What stands before a check of credentials is open to everybody: faults and counts always come after it.
    let ec2 = match served(Api::Ec2) {
        true => ec2::admit(&accounts.ec2, edge.layers(ec2::SHAPE, ec2::routes(&accounts.ec2))),
        false => not_spoken(ec2::SHAPE, EC2),
    };
    let gce = match served(Api::Gce) {
        true => gce::routes(&accounts.gce, |routes| edge.layers(gce::SHAPE, routes)),
        false => not_spoken(gce::SHAPE, GCE),
    };
    app = app.merge(ec2).merge(gce);
    app = app.layer(middleware::from_fn(digitalocean::identify));
    if let Some(recorder) = recorder {
        app = app.layer(middleware::from_fn_with_state(recorder, record::layer));
    }
    let app = app
        .layer(middleware::from_fn_with_state(accounts.digitalocean.stopped(), see_through))
        .layer(middleware::from_fn(connection::attend));
    // A layer of the router itself would see a request only after its route is chosen.
    let app = Router::new().fallback_service(app).layer(middleware::map_request(digitalocean::without_last_slash));
    if served(Api::Ec2) { app.layer(middleware::from_fn(ec2::elsewhere)) } else { app }
}

/// The paths of Amazon's APIs.
const EC2: &[&str] = &["/", "/2013-04-01/{*rest}"];

/// The paths of Google's.
const GCE: &[&str] = &["/compute/v1/{*rest}", "/dns/v1/{*rest}", "/batch/{*rest}", "/token", "/o/oauth2/token"];

/// An API that this sandbox was started without: each of its paths answers 501, as that API words it. It has no
/// credentials that could be checked, so these calls are not counted, and no fault rule is about them.
fn not_spoken(shape: Shape, paths: &[&str]) -> Router {
    let refuse =
        move || async move { (shape.refuse)(ApiError::not_implemented(format_args!("the API {}", shape.api))) };
    paths.iter().fold(Router::new(), |router, path| router.route(path, any(refuse)))
}

/// Carries each request out to its end, until the sandbox stops: a client that goes away meanwhile takes nothing back.
async fn see_through(State(stop): State<CancellationToken>, request: Request, next: Next) -> Response {
    let carried_out = tokio::spawn(async move { stop.run_until_cancelled(next.run(request)).await });
    match carried_out.await {
        Ok(response) => response.unwrap_or_else(|| StatusCode::SERVICE_UNAVAILABLE.into_response()),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        },
    }
}
