//! Where clients are sent: to a static IP, which points at one instance; to a load balancer, which has several; or to the
//! instance's own address.

mod load_balancer;
mod static_ip;

pub(crate) use load_balancer::{
    active, address_of, drain, endpoint_of, ensure, members, never_worked, put_in_service, serves,
};
pub(crate) use static_ip::{move_to, points_elsewhere, take_away};

use crate::{context::Context, error::EngineError, journal::Resources, provider::Instance};

/// Fails when clients may be sent to one of these instances: where the static IPs of the environment point, and what its load
/// balancers have as members, is read from the cloud. Those count, too, that the manifest does not want any more.
pub(crate) async fn check_unused(ctx: &Context, resources: &Resources, doomed: &[Instance]) -> Result<(), EngineError> {
    static_ip::check_unused(ctx, resources, doomed).await?;
    load_balancer::check_no_members(ctx, resources, doomed).await
}
