//! Sends each verb of `remint conformance` to its file.

use super::new_provider;
use crate::{
    args::conformance::{ConformanceArgs, ConformanceCommand},
    commands::Outcome,
    printer::Printer,
    settings::Settings,
};

pub(crate) fn run(args: ConformanceArgs, settings: &Settings, printer: &Printer) -> Outcome {
    match args.command {
        ConformanceCommand::NewProvider(args) => new_provider::run(&args, settings, printer),
    }
}
