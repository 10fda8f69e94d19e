//! What an instance is launched with: the configuration, filled in, and the user data that carries it.

use std::net::IpAddr;

use secrecy::{ExposeSecret, SecretString};

use super::{EngineError, EngineErrorKind, digest::ConfigDigest};
use crate::{context::Context, health, manifest::RenderContext, provider::ReleaseId, remote::Keys, userdata::UserData};

/// What an instance is launched with, and the keys that open it.
pub(super) struct Prepared {
    pub(super) user_data: SecretString,
    pub(super) keys: Keys,
}

fn render_context<'a>(
    ctx: &'a Context,
    release: ReleaseId,
    static_ip: Option<IpAddr>,
    fqdn: Option<&'a str>,
) -> RenderContext<'a> {
    RenderContext {
        release,
        service: &ctx.loaded.manifest.service,
        environment: &ctx.loaded.environment,
        static_ip,
        fqdn,
        secrets: &ctx.loaded.secrets,
    }
}

/// The user's own parts of the user data, filled in where they ask for it.
async fn parts(
    ctx: &Context,
    release: ReleaseId,
    static_ip: Option<IpAddr>,
) -> Result<Vec<(String, SecretString)>, EngineError> {
    let fqdn = ctx.loaded.fqdn();
    let render = render_context(ctx, release, static_ip, fqdn.as_deref());
    let mut parts = Vec::new();
    for part in &ctx.loaded.user_data {
        parts.push((part.name.clone(), part.content.render(&render).await?));
    }
    Ok(parts)
}

/// A salted digest of the configuration that a release would have now, secrets included.
pub(super) async fn digest(ctx: &Context, salt: &str, static_ip: Option<IpAddr>) -> Result<String, EngineError> {
    let mut digest = ConfigDigest::new(salt);
    // The release's number stands in every configuration that asks for it, and is no change of its own.
    let release = ReleaseId(0);
    if let Some(config) = &ctx.loaded.manifest.config {
        let fqdn = ctx.loaded.fqdn();
        let rendered = config.render(&render_context(ctx, release, static_ip, fqdn.as_deref())).await?;
        digest.field(rendered.digest(salt.as_bytes()).as_bytes());
    }
    for (name, body) in parts(ctx, release, static_ip).await? {
        digest.field(name.as_bytes());
        digest.field(body.expose_secret().as_bytes());
    }
    for key in &ctx.loaded.manifest.access.ssh_keys {
        digest.field(key.as_bytes());
    }
    digest.finish().await.map_err(|reason| EngineError::new(EngineErrorKind::Journal, reason))
}

/// Makes keys, and composes the user data, within the provider's limit. `hostname` is what the machine calls itself, where that is
/// the same for all that are launched with it.
pub(super) async fn prepare(
    ctx: &Context,
    release: ReleaseId,
    hostname: Option<&str>,
    static_ip: Option<IpAddr>,
) -> Result<Prepared, EngineError> {
    let keys = ctx.machines.keys();
    let descriptor = ctx.provider.descriptor();
    let mut data = UserData::new(&keys.host.private_pem(), &descriptor.guest);
    if let Some(hostname) = hostname {
        data = data.hostname(hostname);
    }
    data = data.authorize(keys.login.public().line());
    for key in &ctx.loaded.manifest.access.ssh_keys {
        data = data.authorize(key);
    }
    if let Some(config) = &ctx.loaded.manifest.config {
        let fqdn = ctx.loaded.fqdn();
        let rendered = config.render(&render_context(ctx, release, static_ip, fqdn.as_deref())).await?;
        data = data.config(&rendered)?;
    }
    for (name, body) in parts(ctx, release, static_ip).await? {
        data = data.part(name, &body)?;
    }
    let user_data = data.build(descriptor.limits.user_data_bytes)?;
    // A secret that no health check can be asked with is found out before anything is made.
    health::headers(&ctx.loaded).await?;
    Ok(Prepared { user_data, keys })
}
