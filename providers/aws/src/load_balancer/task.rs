//! One `ensure` of a load balancer.

use aws_sdk_elasticloadbalancingv2::types::Tag;
use remint_core::provider::{
    LoadBalancerSpec, Region,
    support::{Call, Turn},
};

use super::{ENSURE, shape::Wanted};

/// What a load balancer is set up with.
pub(super) struct Task<'a> {
    pub(super) spec: &'a LoadBalancerSpec,
    pub(super) wanted: &'a Wanted,
    /// What each of its parts is tagged with.
    pub(super) tags: &'a [Tag],
    pub(super) turn: &'a Turn,
}

impl Task<'_> {
    pub(super) fn region(&self) -> &Region {
        &self.spec.region
    }

    /// A change that can be repeated.
    pub(super) fn call(&self) -> Call {
        Call::idempotent(ENSURE).about(&self.spec.name)
    }
}
