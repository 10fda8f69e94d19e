//! The routes.

use axum::Router;

use crate::cloud::Cloud;

/// The API's routes, with their own authentication.
pub(crate) fn routes(cloud: &Cloud) -> Router {
    Router::new().with_state(cloud.clone())
}
