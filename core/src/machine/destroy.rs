//! The end of a machine.

use std::{collections::BTreeSet, time::Duration};

use futures::future::try_join_all;
use tokio::time::Instant;

use crate::{
    context::Context,
    events::Event,
    provider::{Instance, InstanceId, Selector},
    watch::{Observed, Wait, WatchError},
};

/// How long a machine may take to be gone.
const GONE_WITHIN: Duration = Duration::from_secs(300);

/// After this it is ordered to go once more: a cloud may accept the order, and not do it.
const ORDER_AGAIN: Duration = Duration::from_secs(60);

/// Destroys an instance, and waits until it is gone. `selector` is what lists it.
pub(crate) async fn destroy(ctx: &Context, selector: &Selector, id: &InstanceId, name: &str) -> Result<(), WatchError> {
    order_gone(ctx, selector, id, name).await?;
    ctx.events.emit(Event::InstanceDestroyed { instance: id.clone(), name: name.to_owned() });
    Ok(())
}

/// Destroys instances side by side.
pub(crate) async fn destroy_all(ctx: &Context, selector: &Selector, instances: &[Instance]) -> Result<(), WatchError> {
    let unique: BTreeSet<_> = instances.iter().map(|instance| (&instance.id, &instance.name)).collect();
    try_join_all(unique.into_iter().map(|(id, name)| destroy(ctx, selector, id, name))).await.map(drop)
}

/// Orders an instance to be destroyed, once more where it does not go, and waits until it is gone.
async fn order_gone(ctx: &Context, selector: &Selector, id: &InstanceId, name: &str) -> Result<(), WatchError> {
    let started = Instant::now();
    let first = ctx.provider.descriptor().limits.destroy_time;
    loop {
        let wait = Wait::new("to take the order to be destroyed").timeout(GONE_WITHIN);
        let order = || async move { ctx.provider.instances().destroy(id).await.map(Observed::Done) };
        ctx.watcher.poll(&format!("instance {name}"), wait, order).await?;
        let wait = Wait::new("to be gone").first(first).leisurely().timeout(first + ORDER_AGAIN);
        match ctx.watcher.instance_gone(selector, id, wait).await {
            Err(WatchError::TimedOut { .. }) if started.elapsed() < GONE_WITHIN => {
                ctx.events.warn(format!("{name} is still there; destroying it again"));
            }
            ended => return ended,
        }
    }
}
