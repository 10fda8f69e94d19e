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
    let launched = ctx.provider.instances().launch(spec).await?;
    launched.into_iter().next().ok_or_else(|| {
        let names = spec.names.join(", ");
        Error::new(ErrorKind::Unexpected, "launch instance", "the cloud launched nothing").with_resource(names)
    })
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
