//! `remint validate`: the manifest alone, without asking any cloud.

use std::collections::BTreeMap;

use remint_core::{
    deploy::{UserDataSize, user_data_size},
    manifest::{Loaded, Provisioner},
    provider::{ProviderId, Registry},
    recipe::{link_warnings, step_name},
    tree,
    userdata::overridden,
};
use serde::Serialize;

use super::CommandResult;
use crate::{
    exit::{ExitStatus, Failure},
    printer::{self, Printer},
    session,
    settings::Settings,
};

#[derive(Debug, Serialize)]
struct Valid<'a> {
    service: &'a str,
    environment: &'a str,
    provider: &'a str,
    /// For each provider of the manifest that this build has.
    user_data: BTreeMap<&'a str, Size>,
    /// What is right and may still not be meant.
    warnings: Vec<String>,
}

/// How long the user data of an instance is.
#[derive(Debug, Serialize)]
struct Size {
    bytes: usize,
    limit_bytes: usize,
    compressed: bool,
    /// Secrets are not read, and so not in it.
    without_secrets: bool,
}

pub(super) async fn run(settings: &Settings, printer: &Printer) -> CommandResult {
    let loaded = session::manifest(settings)?;
    let mut warnings = warnings(&loaded);
    let valid = Valid {
        service: &loaded.manifest.service,
        environment: loaded.environment.as_str(),
        provider: loaded.provider.as_str(),
        user_data: sizes(&loaded, &mut warnings).await?,
        warnings,
    };
    for warning in &valid.warnings {
        printer.events().warn(warning);
    }
    printer.result("validate", &valid, || {
        let Valid { service, environment, provider, user_data, .. } = &valid;
        let lines = user_data.iter().map(|(provider, size)| format!("\n{}", size.line(provider))).collect::<String>();
        format!(
            "{} is valid: service {service}, environment {environment}, on {provider}{lines}",
            loaded.path.display()
        )
    })?;
    Ok(ExitStatus::Success)
}

/// What a bake would warn about, what lines of shell another shell would take, and what is without effect: so none of it may be
/// meant like that.
fn warnings(loaded: &Loaded) -> Vec<String> {
    let mut all = loaded.manifest.warnings();
    for (index, step) in loaded.manifest.image.provision.iter().enumerate() {
        if let Provisioner::File(file) = step
            && let Ok(source) = tree::read(&loaded.base_dir, file.tree())
        {
            let name = step_name(index, step);
            all.extend(link_warnings(file, &source).into_iter().map(|warning| format!("{name}: {warning}")));
        }
    }
    for part in &loaded.user_data {
        for key in overridden(part.content.as_str()) {
            let what = if key.own_rule {
                "Remint sets it, too; by the part's own rule of merging, its value may replace Remint's, which keeps Remint out"
            } else {
                "Remint sets it itself, and the part's value is ignored"
            };
            all.push(format!("{} sets `{}`: {what}", part.name, key.key));
        }
    }
    all
}

/// Too long for the chosen provider is an error, and for another one a warning.
async fn sizes<'a>(loaded: &'a Loaded, warnings: &mut Vec<String>) -> Result<BTreeMap<&'a str, Size>, Failure> {
    let mut sizes = BTreeMap::new();
    for id in loaded.manifest.providers.keys() {
        let Ok(registration) = Registry::find(id.as_str()) else { continue };
        match user_data_size(loaded, registration.descriptor).await {
            Ok(size) => _ = sizes.insert(id.as_str(), Size::from(size)),
            Err(error) if *id == loaded.provider => return Err(Failure::new(ExitStatus::Manifest, error)),
            Err(error) => warnings.push(warning(id, &error)),
        }
    }
    Ok(sizes)
}

fn warning(provider: &ProviderId, error: &dyn std::error::Error) -> String {
    let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    format!("on {provider}: {error}{source}")
}

impl From<UserDataSize> for Size {
    fn from(size: UserDataSize) -> Self {
        let UserDataSize { bytes, limit: limit_bytes, compressed, without_secrets } = size;
        Self { bytes, limit_bytes, compressed, without_secrets }
    }
}

impl Size {
    /// `user data: 3.1 KiB of 16 KiB on aws`.
    fn line(&self, provider: &str) -> String {
        let size = |bytes: usize| printer::size(bytes as u64);
        let notes: Vec<_> = [(self.compressed, "compressed"), (self.without_secrets, "without the secrets")]
            .into_iter()
            .filter_map(|(is, note)| is.then_some(note))
            .collect();
        let notes = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join(", ")) };
        format!("user data: {} of {} on {provider}{notes}", size(self.bytes), size(self.limit_bytes))
    }
}
