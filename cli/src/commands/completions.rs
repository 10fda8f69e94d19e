//! `remint completions SHELL`.

use clap::CommandFactory;

use super::Outcome;
use crate::{
    args::{Cli, CompletionsArgs},
    exit::ExitStatus,
    printer::Printer,
};

pub(super) fn run(args: &CompletionsArgs, printer: &Printer) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "remint", &mut script);
    printer.exact(&String::from_utf8_lossy(&script))?;
    Ok(ExitStatus::Success)
}
