//! The process: arguments in, exit code out, and Ctrl-C in between.

use std::{collections::BTreeMap, process::ExitCode};

use clap::Parser;
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
};

/// Runs the command that the process's arguments ask for.
pub fn main() -> ExitCode {
    let Cli { global, command } = Cli::parse();
    let process_env: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let settings = Settings::new(global, process_env);
    let printer = Printer::new(&settings);
    log::guard_panics();
    log_to_stderr(&command, settings.verbosity);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            printer.failure(&Failure::from(error));
            return ExitCode::from(ExitStatus::Failure.code());
        }
    };
    let cancel = CancellationToken::new();
    let result = runtime.block_on(async {
        tokio::spawn(interrupts(cancel.clone(), printer.clone()));
        commands::run(command, settings, printer.clone(), cancel).await
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

/// Logs to standard error: a sandbox that serves always, everything else where it was asked for.
fn log_to_stderr(command: &Command, verbosity: Verbosity) {
    let default = match (command, verbosity) {
        #[cfg(feature = "sandbox")]
        (Command::Sandbox(SandboxArgs { command: SandboxCommand::Serve(_), .. }), _) => "info",
        (_, Verbosity::Trace) => "remint_cli=debug,remint_core=debug,remint_digitalocean=debug,remint_gcp=debug",
        _ => "off",
    };
    let filter = EnvFilter::try_from_env("REMINT_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    // Without colours: the writer takes every escape sequence for foreign.
    tracing_fmt().with_env_filter(filter).with_writer(log::Log).with_ansi(false).with_target(false).init();
}

/// The first Ctrl-C (or SIGTERM) asks for a clean end; the second ends at once.
async fn interrupts(cancel: CancellationToken, printer: Printer) {
    let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) else { return };
    let mut wait = async || {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => (),
            _ = terminate.recv() => (),
        }
    };
    wait().await;
    printer.say("interrupted: cleaning up; interrupt again to stop at once");
    cancel.cancel();
    wait().await;
    printer.say(
        "stopped at once: what was under way stays as it is; `remint resume` goes on with it, `remint abort` undoes it, \
         `remint gc` finds what is left",
    );
    printer.close();
    std::process::exit(i32::from(ExitStatus::Interrupted.code()));
}
