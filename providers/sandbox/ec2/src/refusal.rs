//! Refusals that come from before the API: faults and limits.

use axum::response::Response;

use super::reply::Service;
use remint_sandbox_cloud::ApiError;

/// A refusal that waits for [`admit`](super::admit) to put it into the shape of the service that was asked.
#[derive(Debug, Clone)]
pub(super) struct Refused(pub(super) ApiError);

/// A refusal in EC2's shape, until it is known which service was asked.
pub(super) fn refuse(error: ApiError) -> Response {
    let mut response = Service::Ec2.refuse("", &error);
    response.extensions_mut().insert(Refused(error));
    response
}
