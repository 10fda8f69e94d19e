//! `remint providers`: what this build can talk to, told from the constants.

use comfy_table::{Table, presets};
use remint_core::provider::{Capability, Registry};
use serde::Serialize;

use super::Outcome;
use crate::{
    exit::ExitStatus,
    printer::{Printer, duration, size},
};

#[derive(Debug, Serialize)]
struct ProviderInfo {
    id: &'static str,
    title: &'static str,
    capabilities: Vec<Capability>,
    user_data_bytes: usize,
    launch_batch: usize,
    dns_min_ttl_seconds: u64,
}

pub(super) fn run(printer: &Printer) -> Outcome {
    let providers: Vec<_> = Registry::all()
        .into_iter()
        .map(|entry| ProviderInfo {
            id: entry.descriptor.id,
            title: entry.descriptor.title,
            capabilities: entry.descriptor.capabilities.to_vec(),
            user_data_bytes: entry.descriptor.limits.user_data_bytes,
            launch_batch: entry.descriptor.limits.launch_batch,
            dns_min_ttl_seconds: entry.descriptor.limits.dns_min_ttl.as_secs(),
        })
        .collect();
    printer.result("providers", &providers, || table(&providers))?;
    Ok(ExitStatus::Success)
}

/// Providers side by side, a row a capability.
fn table(providers: &[ProviderInfo]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let heads = providers.iter().map(|provider| provider.id.to_owned());
    table.set_header(std::iter::once("capability".to_owned()).chain(heads));
    for capability in Capability::ALL {
        let has = |provider: &ProviderInfo| if provider.capabilities.contains(capability) { "yes" } else { "-" };
        table.add_row(std::iter::once(capability.id()).chain(providers.iter().map(has)));
    }
    let mut row = |title: &str, value: &dyn Fn(&ProviderInfo) -> String| {
        table.add_row(std::iter::once(title.to_owned()).chain(providers.iter().map(value)));
    };
    row("user data", &|provider| size(provider.user_data_bytes as u64));
    row("instances a launch call", &|provider| provider.launch_batch.to_string());
    row("smallest DNS TTL", &|provider| duration(std::time::Duration::from_secs(provider.dns_min_ttl_seconds)));
    table.trim_fmt()
}
