//! `remint lock status` and `remint lock release`: who holds the environment's lock, and taking it away from them.

use remint_core::{
    journal::{Holder, Journal, LockStatus, ProcessState},
    provider::EnvironmentName,
};
use serde::Serialize;

use super::CommandResult;
use crate::{
    args::LockCommand,
    exit::{ExitStatus, Failure},
    printer::{Printer, Styled},
    session,
    settings::Settings,
};

pub(super) async fn run(command: LockCommand, settings: &Settings, printer: &Printer) -> CommandResult {
    let (loaded, journal) = session::with_journal(settings, true).await?;
    let status = journal.lock_status().await?;
    for note in journal.take_notes() {
        printer.events().warn(note);
    }
    match command {
        LockCommand::Status => {
            let shown = Shown { environment: &loaded.environment, status: status.as_ref() };
            printer.result("lock status", &shown, || shown.text())?;
            Ok(ExitStatus::Success)
        }
        LockCommand::Release => release(&journal, status, &loaded.environment, settings, printer).await,
    }
}

#[derive(Serialize)]
struct Shown<'a> {
    environment: &'a EnvironmentName,
    #[serde(flatten)]
    status: Option<&'a LockStatus>,
}

impl Shown<'_> {
    fn text(&self) -> String {
        let name = self.environment.as_str();
        let Some(status) = self.status.filter(|status| status.held) else {
            return format!("{name} is not locked\n{}", self.last());
        };
        let lock = &status.lock;
        let process = match status.process {
            ProcessState::Alive => Styled::green("alive on this host").to_string(),
            ProcessState::Dead => Styled::red("dead").to_string(),
            ProcessState::Unknown => "on another host or in another container, and cannot be seen from here".to_owned(),
        };
        format!(
            "{} is locked\n  by       {}\n  process  {process}\n  since    {:.0}\n  expires  {:.0}, unless it is renewed\n  number   {}\n",
            Styled::bold(name),
            lock.holder,
            lock.since,
            lock.expires,
            lock.token
        )
    }

    /// Who had it last.
    fn last(&self) -> String {
        let Some(LockStatus { lock, .. }) = self.status else { return String::new() };
        let how = if lock.released { "released it" } else { "died, or stopped renewing it" };
        format!("  last held by {}, which {how}\n", lock.holder)
    }
}

#[derive(Debug, Serialize)]
struct Released<'a> {
    environment: &'a EnvironmentName,
    /// Who held it; none when nobody did.
    holder: Option<&'a Holder>,
}

async fn release(
    journal: &Journal,
    status: Option<LockStatus>,
    environment: &EnvironmentName,
    settings: &Settings,
    printer: &Printer,
) -> CommandResult {
    let name = environment.as_str();
    let Some(LockStatus { lock, process, .. }) = status.filter(|status| status.held) else {
        printer.result("lock release", &Released { environment, holder: None }, || format!("{name} is not locked"))?;
        return Ok(ExitStatus::Success);
    };
    if process == ProcessState::Alive {
        let error = anyhow::anyhow!("{name} is locked by {}, whose process is alive on this host", lock.holder);
        let hint = format!("stop it with `kill {}`, or wait until it is done", lock.holder.pid);
        return Err(Failure::new(ExitStatus::Locked, error).hint(hint));
    }
    let question = format!(
        "Take the lock on {name} away from {}? Requests that it has already sent still take effect.",
        lock.holder
    );
    if !settings.yes && !printer.confirm(&question).await? {
        let error = anyhow::anyhow!("{} keeps the lock on {name}", lock.holder);
        return Err(Failure::new(ExitStatus::Failure, error).hint("answer yes, or give --yes in a script"));
    }
    journal.release_lock(lock.token, Holder::current(uuid::Uuid::now_v7(), "lock release")).await?;
    let released = Released { environment, holder: Some(&lock.holder) };
    printer.result("lock release", &released, || {
        format!("{name} is not locked any more; the next command cleans up what {} may have left", lock.holder)
    })?;
    Ok(ExitStatus::Success)
}
