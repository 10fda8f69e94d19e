//! Sends each verb of `remint conformance` to its file.

use tokio_util::sync::CancellationToken;

use super::{account, list, new_provider, sweep};
use crate::{
    args::conformance::{ConformanceArgs, ConformanceCommand},
    commands::CommandResult,
    printer::Printer,
    settings::Settings,
};

pub(crate) async fn run(
    args: ConformanceArgs,
    settings: &Settings,
    printer: &Printer,
    cancel: CancellationToken,
) -> CommandResult {
    match args.command {
        ConformanceCommand::List(args) => list::run(&args, settings, printer),
        ConformanceCommand::Run(args) => super::run::run(&args, settings, printer, cancel).await,
        ConformanceCommand::Prepare(args) => account::prepare(&args, settings, printer).await,
        ConformanceCommand::Sweep(args) => sweep::run(&args, settings, printer).await,
        ConformanceCommand::NewProvider(args) => new_provider::run(&args, settings, printer),
    }
}
