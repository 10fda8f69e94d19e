//! `remint resume` and `remint abort`: what an interrupted run left behind.

use remint_core::deploy;
use tokio_util::sync::CancellationToken;

use super::CommandResult;
use crate::{exit::ExitStatus, printer::Printer, session, settings::Settings};

pub(super) async fn resume(settings: &Settings, printer: &Printer, cancel: CancellationToken) -> CommandResult {
    let context = session::open_without_recipe(settings, printer, cancel).await?;
    let release = deploy::resume(&context).await?;
    printer.result("resume", &release, || match release {
        Some(release) => format!("{release} is finished"),
        None => "no release was left unfinished".to_owned(),
    })?;
    Ok(ExitStatus::Success)
}

pub(super) async fn abort(settings: &Settings, printer: &Printer, cancel: CancellationToken) -> CommandResult {
    let context = session::open_without_recipe(settings, printer, cancel).await?;
    let release = deploy::abort(&context).await?;
    printer.result("abort", &release, || match release {
        Some(release) => format!("{release} is settled; `remint status` shows what serves"),
        None => "no release was left unfinished".to_owned(),
    })?;
    Ok(ExitStatus::Success)
}
