//! `remint deploy` and `remint rollback`.

use remint_core::{
    deploy::{self, DeployOptions, DeployReport},
    provider::ReleaseId,
};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{CommandResult, bake};
use crate::{
    args::DeployArgs,
    exit::ExitStatus,
    printer::{Printer, Styled, Summary, duration},
    session,
    settings::Settings,
};

#[derive(Debug, Serialize)]
struct Deployed {
    #[serde(flatten)]
    report: DeployReport,
    summary: Summary,
}

pub(super) async fn deploy(
    args: &DeployArgs,
    settings: &Settings,
    printer: &Printer,
    cancel: CancellationToken,
) -> CommandResult {
    let baking = bake::options(&args.keep, settings, printer)?;
    let mut context = session::open(settings, printer, cancel).await?;
    context.bake = baking;
    session::check_new_journal(&context, args.new_journal).await?;
    let options = DeployOptions { force: args.force, image: args.image.clone() };
    let report = deploy::deploy(&context, options).await?;
    tell("deploy", report, printer)
}

pub(super) async fn rollback(
    release: Option<ReleaseId>,
    settings: &Settings,
    printer: &Printer,
    cancel: CancellationToken,
) -> CommandResult {
    let context = session::open_without_recipe(settings, printer, cancel).await?;
    let report = deploy::rollback(&context, release).await?;
    tell("rollback", report, printer)
}

fn tell(command: &str, report: DeployReport, printer: &Printer) -> CommandResult {
    let deployed = Deployed { report, summary: printer.summary() };
    printer.result(command, &deployed, || text(&deployed))?;
    Ok(ExitStatus::Success)
}

fn text(Deployed { report, summary }: &Deployed) -> String {
    let calls = report.calls;
    let cost = format!(
        "  cost      {} API calls ({} reads, {} mutations, {} of them repeated)\n",
        calls.total(),
        calls.reads,
        calls.mutations,
        calls.retries
    );
    match report.release {
        Some(release) if report.plan.changes() => {
            let head = format!("{} serves, after {}\n", Styled::green(release), duration(report.elapsed));
            head + &summary.lines() + &cost
        }
        Some(release) => format!("nothing to do: {} is what the manifest says\n", Styled::green(release)) + &cost,
        None => "nothing to do\n".to_owned() + &cost,
    }
}
