//! From an image to an instance with an address.

use tokio::time::Instant;

use crate::{
    context::Context,
    provider::{Error, ErrorKind, Instance, LaunchSpec, Result, Selector},
    watch::{Wait, WatchError},
};

/// Orders the one instance that a spec names.
///
/// # Errors
///
/// The cloud's. Where the effect is not known, the instance may come up later under its name.
pub(crate) async fn launch(ctx: &Context, spec: &LaunchSpec) -> Result<Instance> {
    launch_all(ctx, spec).await?.into_iter().next().ok_or_else(|| fewer(spec, 0))
}

/// Orders the instances that a spec names, at most [`crate::provider::Limits::launch_batch`].
///
/// # Errors
///
/// The cloud's. Where the effect is not known, instances may come up later under their names.
pub(crate) async fn launch_all(ctx: &Context, spec: &LaunchSpec) -> Result<Vec<Instance>> {
    let launched = ctx.provider.instances().launch(spec).await?;
    if launched.len() == spec.names.len() { Ok(launched) } else { Err(fewer(spec, launched.len())) }
}

fn fewer(spec: &LaunchSpec, launched: usize) -> Error {
    let message = match launched {
        0 => "the cloud launched nothing".to_owned(),
        some => format!("the cloud launched {some} of {} instances", spec.names.len()),
    };
    Error::new(ErrorKind::Unexpected, "launch instance", message).with_resource(spec.names.join(", "))
}

/// Waits until an instance has an address, and no longer: SSH tells sooner than the cloud, and for nothing, that it runs.
pub(crate) async fn with_address(
    ctx: &Context,
    selector: &Selector,
    instance: Instance,
    deadline: Instant,
) -> std::result::Result<Instance, WatchError> {
    if instance.address.is_some() {
        return Ok(instance);
    }
    let wait = Wait::new("to have an address")
        .first(ctx.provider.descriptor().limits.launch_time)
        .timeout(deadline.saturating_duration_since(Instant::now()));
    let has_address = |instance: &Instance| instance.address.is_some();
    ctx.watcher.instance(selector, &instance.id, wait, has_address).await
}
