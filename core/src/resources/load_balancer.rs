//! The load balancer of an environment.
//!
//! What proves that one is ours is its name, which holds the environment's id: not every cloud can label a load balancer.

use std::time::Duration;

use tokio::{sync::Mutex, time::Instant};

use crate::{
    context::Context,
    error::{EngineError, EngineErrorKind},
    journal::{OwnedLoadBalancer, Resources},
    provider::{
        EnvironmentId, ErrorKind, Labels, LoadBalancer, LoadBalancerId, LoadBalancerSpec, LoadBalancers, label,
    },
    watch::{Observed, Wait},
};

/// How long a load balancer may take to be gone.
const GONE_WITHIN: Duration = Duration::from_secs(300);

/// What the names of an environment's load balancers begin with. No part of it comes from the user.
pub(crate) fn balancer_name(environment: &EnvironmentId) -> String {
    format!("remint-{environment}")
}

/// The load balancer that the manifest asks for, whether it exists or not.
pub(crate) fn wanted_balancer(ctx: &Context, environment: &EnvironmentId) -> Option<LoadBalancerSpec> {
    let settings = ctx.loaded.manifest.load_balancer_settings()?;
    let labels = Labels::new()
        .with(label::SERVICE, &ctx.loaded.manifest.service)
        .with(label::ENV, ctx.loaded.environment.as_str())
        .with(label::ENV_ID, environment.as_str());
    let region = ctx.loaded.section.region.clone();
    Some(LoadBalancerSpec { name: balancer_name(environment), labels, region, settings })
}

/// The provider's load balancers.
pub(crate) fn balancers(ctx: &Context) -> Result<&dyn LoadBalancers, EngineError> {
    ctx.provider.load_balancers().ok_or_else(|| {
        let id = ctx.provider.descriptor().id;
        EngineError::new(EngineErrorKind::Manifest, format!("provider {id} has no load balancers (load_balancer)"))
            .hint("remove `[load_balancer]` and set `instance.count = 1`, or choose another provider")
    })
}

/// The load balancer that the environment serves behind, where the manifest still asks for one.
pub(crate) async fn load_balancer(ctx: &Context, resources: &Resources) -> Result<Option<LoadBalancer>, EngineError> {
    if ctx.loaded.manifest.load_balancer.is_none() {
        return Ok(None);
    }
    let all = balancers(ctx)?;
    match resources.load_balancer() {
        None => Ok(None),
        Some((_, owned)) => find_balancer(all, &owned.id).await,
    }
}

/// A load balancer by its id, if it exists.
pub(crate) async fn find_balancer(
    balancers: &dyn LoadBalancers,
    id: &LoadBalancerId,
) -> Result<Option<LoadBalancer>, EngineError> {
    match balancers.get(id).await {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Destroys a load balancer of ours, and waits until it is gone. Its members stay.
pub(crate) async fn destroy_balancer(ctx: &Context, owned: &OwnedLoadBalancer) -> Result<(), EngineError> {
    let balancers = balancers(ctx)?;
    let what = format!("load balancer {}", owned.name);
    let wait = Wait::new("to take the order to be destroyed").timeout(GONE_WITHIN);
    let order = || async move { balancers.destroy(&owned.id).await.map(Observed::Done) };
    ctx.watcher.poll(&what, wait, order).await?;
    // An order takes a while to be carried out, and to show.
    let shows_after = ctx.provider.descriptor().limits.settle_time;
    let ordered = &Mutex::new(Instant::now());
    let gone = || async move {
        match balancers.get(&owned.id).await {
            Ok(_) => {
                // Others are accepted and not carried out.
                if ordered.lock().await.elapsed() >= shows_after {
                    balancers.destroy(&owned.id).await?;
                    *ordered.lock().await = Instant::now();
                }
                Ok(Observed::NotYet("it is still there".to_owned()))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Observed::Done(())),
            Err(error) => Err(error),
        }
    };
    Ok(ctx.watcher.poll(&what, Wait::new("to be gone").timeout(GONE_WITHIN), gone).await?)
}
