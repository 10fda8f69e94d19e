//! The process: arguments in, exit code out, and Ctrl-C in between.

use std::{collections::BTreeMap, ffi::OsString, process::ExitCode, time::Duration};

use clap::{CommandFactory, Parser};
use remint_core::manifest::HumanDuration;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::{EnvFilter, fmt as tracing_fmt};

#[cfg(feature = "sandbox")]
use crate::args::sandbox::{SandboxArgs, SandboxCommand};
use crate::{
    args::{Cli, Command},
    commands,
    exit::{ExitStatus, Failure},
    printer::{Printer, log},
    settings::{Settings, Verbosity},
    signals,
};

/// The variable by which a shell asks for completions; its value names the shell.
pub(crate) const COMPLETE: &str = "REMINT_COMPLETE";

/// Runs the command that the process's arguments ask for.
pub fn main() -> ExitCode {
    // Answers a shell that asks for completions, and ends the process then.
    clap_complete::CompleteEnv::with_factory(Cli::command).var(COMPLETE).complete();
    let Cli { global, command } = Cli::parse();
    let settings = Settings::new(global, process_env());
    let cancel = CancellationToken::new();
    let printer = Printer::new(&settings, cancel.clone());
    log::guard_panics();
    log_to_stderr(&command, settings.verbosity);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            printer.failure(&Failure::from(error));
            return ExitCode::from(ExitStatus::Failure.code());
        }
    };
    let changes = commands::changes(&command);
    let within = settings.cleanup_timeout;
    if !has_signals_of_its_own(&command) {
        signals::listen(cancel.clone(), printer.clone(), changes);
    }
    let result = runtime.block_on(async {
        let work = commands::run(command, settings, printer.clone(), cancel.clone());
        tokio::select! {
            biased;
            ended = work => ended,
            overdue = overdue(&cancel, changes, within) => Err(overdue),
        }
    });
    // Background tasks (an SSH connection's, a watcher's) have nothing left to say.
    runtime.shutdown_background();
    printer.close();
    match result {
        Ok(status) => ExitCode::from(status.code()),
        Err(failure) => {
            printer.failure(&failure);
            ExitCode::from(failure.status.code())
        }
    }
}

/// The process's environment variables, those that are valid UTF-8.
pub(crate) fn process_env() -> BTreeMap<String, String> {
    let text = |(key, value): (OsString, OsString)| Some((key.into_string().ok()?, value.into_string().ok()?));
    std::env::vars_os().filter_map(text).collect()
}

/// Logs to standard error: a sandbox that serves always, everything else where it was asked for.
fn log_to_stderr(command: &Command, verbosity: Verbosity) {
    let default = match (command, verbosity) {
        #[cfg(feature = "sandbox")]
        (Command::Sandbox(SandboxArgs { command: SandboxCommand::Serve(_), .. }), _) => "info",
        // All of Remint's crates: a target is matched by what it begins with.
        (_, Verbosity::Trace) => "remint=debug",
        _ => "off",
    };
    let filter = EnvFilter::try_from_env("REMINT_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    // Without colours: the writer takes every escape sequence for foreign.
    tracing_fmt().with_env_filter(filter).with_writer(log::Log).with_ansi(false).with_target(false).init();
}

/// Whether a command waits for signals itself, and ends by them as it must.
fn has_signals_of_its_own(command: &Command) -> bool {
    match command {
        #[cfg(feature = "sandbox")]
        Command::Sandbox(SandboxArgs { command: SandboxCommand::Serve(_), .. }) => true,
        _ => false,
    }
}

/// Waits until an interrupted command must have ended. What only reads ends at once, wherever it is; what changes something
/// has time to clean up.
async fn overdue(cancel: &CancellationToken, changes: bool, within: Duration) -> Failure {
    cancel.cancelled().await;
    if !changes {
        return Failure::interrupted();
    }
    tokio::time::sleep(within).await;
    let within = HumanDuration(within);
    Failure::new(ExitStatus::Interrupted, anyhow::anyhow!("interrupted, and the clean-up did not end within {within}"))
        .hint("`remint resume` goes on with what is left, `remint abort` undoes it, `remint gc` finds the rest")
}
