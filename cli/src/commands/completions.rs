//! `remint completions SHELL`: the few lines by which a shell asks `remint` itself.

use clap_complete::env::Shells;

use super::CommandResult;
use crate::{
    args::CompletionsArgs,
    exit::{ExitStatus, Failure},
    printer::Printer,
    run::COMPLETE,
};

pub(super) fn run(args: &CompletionsArgs, printer: &Printer) -> CommandResult {
    let mut script = Vec::new();
    let shells = Shells::builtins();
    let Some(shell) = shells.completer(&args.shell.to_string()) else {
        return Err(Failure::new(ExitStatus::Usage, anyhow::anyhow!("{} cannot ask for completions", args.shell)));
    };
    shell.write_registration(COMPLETE, "remint", "remint", "remint", &mut script)?;
    printer.exact(&String::from_utf8_lossy(&script))?;
    Ok(ExitStatus::Success)
}
