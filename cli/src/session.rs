//! From settings to what the engine works on: the manifest loaded, the providers built.

use std::sync::Arc;

use remint_core::{
    context::Context,
    manifest::{HealthCheck, LoadOptions, Loaded, load},
    provider::{BuildContext, Provider, ProviderId, Registry},
};
use tokio_util::sync::CancellationToken;

use crate::{
    exit::{ExitStatus, Failure},
    printer::Printer,
    settings::Settings,
};

/// Reads the manifest, without asking any cloud.
pub(crate) fn manifest(settings: &Settings) -> Result<Loaded, Failure> {
    let options = LoadOptions {
        env: settings.env.clone(),
        vars: settings.vars.clone(),
        provider: settings.provider().cloned(),
        process_env: settings.process_env.clone(),
    };
    let loaded = load(&settings.manifest_path(), &options)?;
    for id in std::iter::once(&loaded.provider).chain(dns_provider(&loaded)) {
        Registry::find(id.as_str()).map_err(|error| Failure::new(ExitStatus::Manifest, error))?;
    }
    Ok(loaded)
}

/// Reads the manifest and builds its providers.
pub(crate) async fn open(
    settings: &Settings,
    printer: &Printer,
    cancel: CancellationToken,
) -> Result<Context, Failure> {
    let loaded = manifest(settings)?;
    let provider = build(&loaded, &loaded.provider, settings).await?;
    let dns = match dns_provider(&loaded) {
        Some(id) => Some(build(&loaded, id, settings).await?),
        None => None,
    };
    let context = Context::new(loaded, provider, printer.events());
    let (process_env, lock_wait) = (settings.process_env.clone(), settings.lock_wait);
    Ok(Context { dns, cancel, process_env, lock_wait, ..context })
}

/// The provider of the DNS record, where it is not the service's own.
fn dns_provider(loaded: &Loaded) -> Option<&ProviderId> {
    let id = loaded.manifest.dns.as_ref()?.provider.as_ref()?;
    (*id != loaded.provider).then_some(id)
}

/// Builds a provider with the options that the manifest has for it.
pub(crate) async fn build(loaded: &Loaded, id: &ProviderId, settings: &Settings) -> Result<Arc<dyn Provider>, Failure> {
    let registration = Registry::find(id.as_str()).map_err(|error| Failure::new(ExitStatus::Manifest, error))?;
    let section = loaded.manifest.providers.get(id);
    let context = BuildContext {
        options: section.map(|section| section.options.clone()).unwrap_or_default(),
        region: section.map(|section| section.region.clone()),
        base_dir: loaded.base_dir.clone(),
        service_ports: service_ports(loaded),
        env: settings.process_env.clone(),
    };
    Ok((registration.build)(context).await?)
}

fn service_ports(loaded: &Loaded) -> Vec<u16> {
    match &loaded.manifest.health.check {
        HealthCheck::Http(check) => vec![check.port],
        HealthCheck::Tcp(check) => vec![check.port],
        HealthCheck::Command(_) => Vec::new(),
    }
}
