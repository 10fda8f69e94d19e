//! What becomes of the builder of a bake that fails.

use std::{sync::Arc, time::Duration};

use remint_core::{
    bake::{Asker, BakeOptions, OnError},
    manifest::HumanDuration,
};
use tokio::sync::Mutex;

use crate::{
    args::{KeepArgs, OnErrorChoice},
    exit::{ExitStatus, Failure},
    printer::Printer,
    settings::Settings,
};

/// The engine's options for these arguments. Asking is refused where nobody can answer.
pub(in crate::commands) fn options(
    args: &KeepArgs,
    settings: &Settings,
    printer: &Printer,
) -> Result<BakeOptions, Failure> {
    let mut options = BakeOptions::default();
    if let Some(keep_for) = args.keep_for {
        options.keep_for = keep_for.0;
    }
    options.on_error = match args.on_error {
        OnErrorChoice::Cleanup => OnError::Cleanup,
        OnErrorChoice::Keep => OnError::Keep,
        OnErrorChoice::Ask if settings.yes => OnError::Keep,
        OnErrorChoice::Ask if printer.is_interactive() => OnError::Ask(asker(printer, options.keep_for)),
        OnErrorChoice::Ask => {
            let error = anyhow::anyhow!("`--on-error=ask` needs a terminal to ask on");
            return Err(Failure::new(ExitStatus::Usage, error).hint("give `--on-error=keep` or `--on-error=cleanup`"));
        }
    };
    Ok(options)
}

fn asker(printer: &Printer, keep_for: Duration) -> Asker {
    // Bakes side by side ask one after the other.
    let printer = Arc::new(Mutex::new(printer.clone()));
    Asker::new(move |builder, why| {
        let printer = Arc::clone(&printer);
        Box::pin(async move {
            let printer = printer.lock().await;
            printer.say(&why);
            let question = format!("Keep {builder} for {}, to log in to it?", HumanDuration(keep_for));
            // A user who interrupts the question wants the builder gone.
            printer.confirm(&question).await.unwrap_or(false)
        })
    })
}
