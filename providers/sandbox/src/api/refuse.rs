//! A refusal in the shape of whichever API was asked.

use axum::response::Response;

use super::error_response;
use crate::{
    cloud::{Api, ApiError},
    ec2, gce,
};

impl Api {
    /// The refusal as the API words it.
    pub(crate) fn refuse(self, error: ApiError) -> Response {
        match self {
            Self::DigitalOcean => error_response(error),
            Self::Ec2 => ec2::refuse(error),
            Self::Gce => gce::refuse(error),
        }
    }
}
