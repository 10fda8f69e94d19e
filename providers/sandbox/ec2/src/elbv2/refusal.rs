//! What the calls refuse in the same words.

use crate::reply::refuse;
use remint_sandbox_cloud::ApiError;

/// 400 `ValidationError`.
pub(super) fn invalid(message: impl Into<String>) -> ApiError {
    refuse("ValidationError", message)
}

pub(super) fn no_balancer(named: &[&str]) -> ApiError {
    refuse("LoadBalancerNotFound", format!("Load balancers '[{}]' not found", named.join(", ")))
}

pub(super) fn no_group(named: &[&str]) -> ApiError {
    refuse("TargetGroupNotFound", format!("Target groups '[{}]' not found", named.join(", ")))
}

pub(super) fn no_listener(named: &[&str]) -> ApiError {
    refuse("ListenerNotFound", format!("Listeners '[{}]' not found", named.join(", ")))
}
