//! Asking the machine.

use std::time::Duration;

use super::{
    report::{Answers, Report},
    verdict::{Expected, Verdict, judge},
};
use crate::remote::{Command, RemoteError, Session};

const WAIT: &str = "cloud-init status --wait";
/// cloud-init 22.3 and later.
const STATUS: &str = "cloud-init status --format json 2>/dev/null || true";
/// The first is in memory and so of this boot, the second is the same on the disk.
const RESULTS: [&str; 2] =
    ["cat /run/cloud-init/result.json 2>/dev/null || true", "cat /var/lib/cloud/data/result.json 2>/dev/null || true"];
/// A module's log line and its event, and the last line of a traceback, which says why; `true`, since there may be none of them.
const LOG: &str = "grep -E 'WARNING|ERROR|CRITICAL|FAIL|^[A-Za-z_.]+(Error|Exception): ' /var/log/cloud-init.log 2>/dev/null | tail -n 200 || true";
/// What modules and scripts wrote.
const OUTPUT: &str = "tail -n 60 /var/log/cloud-init-output.log 2>/dev/null || true";
/// How long a look at a file or a log may take.
const LOOKS_FOR: Duration = Duration::from_secs(10);

/// Waits until cloud-init has finished, and judges what it says.
///
/// `within` bounds the wait; without it, the caller does.
///
/// # Errors
///
/// When the connection breaks, or the wait takes longer than `within`. What cannot be read of a failure is left out of its report.
pub(crate) async fn finished(
    session: &dyn Session,
    within: Option<Duration>,
    expected: Expected,
) -> Result<Verdict, RemoteError> {
    let wait = Command::shell(WAIT);
    let wait = match within {
        Some(within) => wait.timeout(within),
        None => wait,
    };
    let outcome = session.exec(&wait, &mut |_, _| {}).await?;
    if outcome.exit.is_success() {
        return Ok(Verdict::Clean);
    }
    let mut answers = Answers { status: look(session, STATUS).await, ..Answers::default() };
    for result in RESULTS {
        if answers.result.trim().is_empty() {
            answers.result = look(session, result).await;
        }
    }
    answers.log = look(session, LOG).await;
    answers.output = look(session, OUTPUT).await;
    if answers.output.trim().is_empty() {
        answers.output = outcome.tail.join("\n");
    }
    Ok(judge(&outcome.exit, &Report::read(&answers), expected))
}

/// What a command writes; nothing where it fails, since it only explains a failure that is known already.
async fn look(session: &dyn Session, command: &str) -> String {
    match session.capture(&Command::shell(command).timeout(LOOKS_FOR)).await {
        Ok((_, text)) => text,
        Err(error) => {
            tracing::debug!(%error, command, "cannot read what cloud-init says");
            String::new()
        }
    }
}
