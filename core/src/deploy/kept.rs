//! The builders of bakes that failed, which somebody wants to look at.

use super::{EngineError, engine::Engine};
use crate::{
    bake::{KeptKey, KeyFolder},
    context::Context,
    provider::{Instance, InstanceState, Selector, label},
};

/// A builder or check machine of a failed bake that the user asked to keep.
#[derive(Debug, Clone)]
pub struct KeptBuilder {
    /// The builder, or the machine of a boot check.
    pub instance: Instance,
    /// Its keys; `None` where another user, or this one on another machine, keeps it.
    pub key: Option<KeptKey>,
}

/// The builders of this environment that are kept, at the manifest's provider. One whose time is over is among them until
/// something removes it.
///
/// # Errors
///
/// The cloud's and the journal's.
pub async fn kept_builders(ctx: &Context) -> Result<Vec<KeptBuilder>, EngineError> {
    let Some(identity) = Engine::new(ctx)?.journal().identity().await? else { return Ok(Vec::new()) };
    let environment = identity.environment.id;
    let keys = KeyFolder::of(&ctx.process_env, &environment);
    let provider = ctx.provider.descriptor().id;
    let ours = Selector::all().with(label::ENV_ID, environment.as_str());
    let mut found = ctx.provider.instances().list(&ours).await?;
    found.retain(|instance| {
        instance.labels.get(label::KEPT_UNTIL).is_some() && instance.state != InstanceState::Destroying
    });
    let kept = found.into_iter().map(|instance| {
        let key = keys.as_ref().and_then(|keys| keys.find(provider, &instance.name));
        KeptBuilder { instance, key }
    });
    Ok(kept.collect())
}
