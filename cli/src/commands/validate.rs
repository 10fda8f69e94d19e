//! `remint validate`: the manifest alone, without asking any cloud.

use remint_core::{
    bake::{fingerprint::step_name, links, tree},
    manifest::{Loaded, Provisioner},
};
use serde::Serialize;

use super::Outcome;
use crate::{exit::ExitStatus, printer::Printer, session, settings::Settings};

#[derive(Debug, Serialize)]
struct Valid<'a> {
    service: &'a str,
    environment: &'a str,
    provider: &'a str,
    /// What is right and may still not be meant.
    warnings: Vec<String>,
}

pub(super) fn run(settings: &Settings, printer: &Printer) -> Outcome {
    let loaded = session::manifest(settings)?;
    let valid = Valid {
        service: &loaded.manifest.service,
        environment: loaded.environment.as_str(),
        provider: loaded.provider.as_str(),
        warnings: warnings(&loaded),
    };
    for warning in &valid.warnings {
        printer.events().warn(warning);
    }
    printer.result("validate", &valid, || {
        let Valid { service, environment, provider, .. } = &valid;
        format!("{} is valid: service {service}, environment {environment}, on {provider}", loaded.path.display())
    })?;
    Ok(ExitStatus::Success)
}

/// What a bake would warn about.
fn warnings(loaded: &Loaded) -> Vec<String> {
    let mut all = Vec::new();
    for (index, step) in loaded.manifest.image.provision.iter().enumerate() {
        if let Provisioner::File(file) = step
            && let Ok(source) = tree::read(&loaded.base_dir, file)
        {
            let name = step_name(index, step);
            all.extend(links::warnings(file, &source).into_iter().map(|warning| format!("{name}: {warning}")));
        }
    }
    all
}
