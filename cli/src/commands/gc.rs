//! `remint gc` and `remint destroy`: deleting what is not, or no longer, wanted.

use remint_core::deploy;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::Outcome;
use crate::{
    args::{DestroyArgs, GcArgs},
    exit::{ExitStatus, Failure},
    printer::Printer,
    session,
    settings::Settings,
};

pub(super) async fn gc(args: &GcArgs, settings: &Settings, printer: &Printer, cancel: CancellationToken) -> Outcome {
    let context = session::open(settings, printer, cancel).await?;
    let leftovers = deploy::gc(&context, args.dry_run).await?;
    printer.result("gc", &leftovers, || {
        if leftovers.is_empty() {
            return "nothing is left that no release accounts for".to_owned();
        }
        let verb = if args.dry_run { "would delete" } else { "deleted" };
        leftovers.iter().map(|left| format!("{verb} {} {}: {}\n", left.kind, left.name, left.why)).collect()
    })?;
    Ok(ExitStatus::Success)
}

#[derive(Debug, Serialize)]
struct Destroyed<'a> {
    service: &'a str,
    environment: &'a str,
    images: bool,
}

pub(super) async fn destroy(
    args: &DestroyArgs,
    settings: &Settings,
    printer: &Printer,
    cancel: CancellationToken,
) -> Outcome {
    let context = session::open(settings, printer, cancel).await?;
    let (service, environment) = (&context.loaded.manifest.service, context.loaded.environment.as_str());
    let what =
        if args.images { "instances, static IP, DNS record and images" } else { "instances, static IP and DNS record" };
    let question = format!("Destroy {environment} of {service} on {}: {what}?", context.loaded.provider);
    if !settings.yes && !printer.confirm(&question)? {
        let error = anyhow::anyhow!("{environment} of {service} was not destroyed");
        return Err(Failure::new(ExitStatus::Failure, error).hint("answer yes, or give --yes in a script"));
    }
    deploy::destroy(&context, args.images).await?;
    let destroyed = Destroyed { service, environment, images: args.images };
    printer.result("destroy", &destroyed, || format!("{environment} of {service} is gone"))?;
    Ok(ExitStatus::Success)
}
