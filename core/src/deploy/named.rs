//! What the manifest names of a cloud: sizes and base images.

use super::{EngineError, EngineErrorKind};
use crate::{
    context::Context,
    provider::{Error, ErrorKind, Image, Shape, SizeName},
};

/// A size in the manifest's region; `key` is where the manifest names it.
pub(super) async fn shape(ctx: &Context, size: &SizeName, key: &str) -> Result<Shape, EngineError> {
    let found = ctx.provider.instances().shape(size, &ctx.loaded.section.region).await;
    found.map_err(|error| refused(ctx, key, error))
}

/// A value of the provider's section that the cloud does not know is the manifest's fault; all else is the cloud's.
fn refused(ctx: &Context, key: &str, error: Error) -> EngineError {
    if !matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::NotFound) {
        return error.into();
    }
    let message = format!("the cloud does not have what `[providers.{}]` asks for ({key})", ctx.loaded.provider);
    let hints: Vec<_> = error.hint().map(str::to_owned).into_iter().collect();
    let refused = EngineError::new(EngineErrorKind::Manifest, message).because(error);
    hints.into_iter().fold(refused, EngineError::hint)
}

/// The base image in the manifest's region. Where it is not to be had, a wrong region is named as such.
pub(super) async fn base(ctx: &Context) -> Result<Image, EngineError> {
    let section = &ctx.loaded.section;
    let error = match ctx.provider.images().resolve(&section.base, &section.region).await {
        Ok(base) => return Ok(base),
        Err(error) => error,
    };
    if error.kind() == ErrorKind::InvalidInput {
        shape(ctx, &section.size, "region, size").await?;
    }
    Err(refused(ctx, "base", error))
}
