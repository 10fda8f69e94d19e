//! `remint validate`: the manifest alone, without asking any cloud.

use serde::Serialize;

use super::Outcome;
use crate::{exit::ExitStatus, printer::Printer, session, settings::Settings};

#[derive(Debug, Serialize)]
struct Valid<'a> {
    service: &'a str,
    environment: &'a str,
    provider: &'a str,
}

pub(super) fn run(settings: &Settings, printer: &Printer) -> Outcome {
    let loaded = session::manifest(settings)?;
    let valid = Valid {
        service: &loaded.manifest.service,
        environment: loaded.environment.as_str(),
        provider: loaded.provider.as_str(),
    };
    for warning in loaded.manifest.warnings() {
        printer.events().warn(warning);
    }
    printer.result("validate", &valid, || {
        let Valid { service, environment, provider } = &valid;
        format!("{} is valid: service {service}, environment {environment}, on {provider}", loaded.path.display())
    })?;
    Ok(ExitStatus::Success)
}
