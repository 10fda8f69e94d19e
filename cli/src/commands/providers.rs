//! `remint providers`: what this build can talk to, told from the constants.

use std::time::Duration;

use comfy_table::{Table, presets};
use remint_core::provider::{Capability, Descriptor, Registry};
use serde::Serialize;

use super::CommandResult;
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
    name_length: usize,
    dns_min_ttl_seconds: u64,
    at_best_seconds: AtBest,
}

/// How long things take at best; nobody looks sooner.
#[derive(Debug, Serialize)]
struct AtBest {
    launch: f64,
    capture: f64,
    move_static_ip: f64,
    destroy: f64,
}

impl From<&'static Descriptor> for ProviderInfo {
    fn from(descriptor: &'static Descriptor) -> Self {
        let limits = &descriptor.limits;
        Self {
            id: descriptor.id,
            title: descriptor.title,
            capabilities: descriptor.capabilities.to_vec(),
            user_data_bytes: limits.user_data_bytes,
            launch_batch: limits.launch_batch,
            name_length: limits.name_length,
            dns_min_ttl_seconds: limits.dns_min_ttl.as_secs(),
            at_best_seconds: AtBest {
                launch: limits.launch_time.as_secs_f64(),
                capture: limits.capture_time.as_secs_f64(),
                move_static_ip: limits.assign_time.as_secs_f64(),
                destroy: limits.destroy_time.as_secs_f64(),
            },
        }
    }
}

pub(super) fn run(printer: &Printer) -> CommandResult {
    let providers: Vec<_> = Registry::all().into_iter().map(|entry| ProviderInfo::from(entry.descriptor)).collect();
    printer.result("providers", &providers, || table(&providers))?;
    Ok(ExitStatus::Success)
}

/// Providers side by side, a row a capability and a row a limit.
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
    row("", &|_| String::new());
    row("user data, at most", &|provider| size(provider.user_data_bytes as u64));
    row("instances a launch call", &|provider| provider.launch_batch.to_string());
    row("characters of a name", &|provider| provider.name_length.to_string());
    row("smallest DNS TTL", &|provider| seconds(provider.dns_min_ttl_seconds as f64));
    row("launch, at best", &|provider| seconds(provider.at_best_seconds.launch));
    row("capture, at best", &|provider| seconds(provider.at_best_seconds.capture));
    row("address moves, at best", &|provider| seconds(provider.at_best_seconds.move_static_ip));
    row("destroy, at best", &|provider| seconds(provider.at_best_seconds.destroy));
    table.trim_fmt()
}

fn seconds(seconds: f64) -> String {
    duration(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}
