//! Ctrl-C, SIGTERM and SIGHUP: the first asks for a clean end, the second ends at once.
//!
//! They are waited for on a thread of their own, so that they are heard whatever the command is busy with.

use std::{sync::mpsc, time::Duration};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{exit::ExitStatus, printer::Printer};

/// Signals that come this soon after the first one are the same request: a terminal sends SIGINT to all processes of its
/// group, and a wrapper among them sends on what it got.
const TOGETHER: Duration = Duration::from_millis(500);
/// How long the last words may take, when nobody reads them.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Waits for signals from now on. `changes` says that the command may have something to clean up.
pub(crate) fn listen(cancel: CancellationToken, printer: Printer, changes: bool) {
    let thread = std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        runtime.block_on(wait(cancel, printer, changes));
    });
    if let Err(error) = thread {
        tracing::warn!(%error, "signals end this process at once");
    }
}

async fn wait(cancel: CancellationToken, printer: Printer, changes: bool) {
    let Ok(mut signals) = Signals::new() else { return };
    signals.next().await;
    // Before anything is said: nobody may be reading.
    cancel.cancel();
    say_in_time(
        &printer,
        match changes {
            true => "interrupted: cleaning up; interrupt again to stop at once",
            false => "interrupted",
        },
    );
    // Those that come meanwhile belong to the first.
    let _ = tokio::time::timeout(TOGETHER, async {
        loop {
            signals.next().await
        }
    })
    .await;
    signals.next().await;
    say_in_time(
        &printer,
        match changes {
            true => {
                "stopped at once: what was under way stays as it is; `remint resume` goes on with it, `remint abort` undoes \
             it, `remint gc` finds what is left"
            }
            false => "stopped at once; nothing was changed",
        },
    );
    std::process::exit(i32::from(ExitStatus::Interrupted.code()));
}

/// Says something, and waits only so long until it is said.
fn say_in_time(printer: &Printer, words: &'static str) {
    let (said, heard) = mpsc::channel();
    let printer = printer.clone();
    std::thread::spawn(move || {
        printer.say(words);
        let _ = said.send(());
    });
    let _ = heard.recv_timeout(LAST_WORDS);
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// None where it is ignored, as under `nohup`.
    hangup: Option<Signal>,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        let hangup = if is_ignored(nix::libc::SIGHUP) { None } else { Some(signal(SignalKind::hangup())?) };
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())?, hangup })
    }

    async fn next(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => (),
            _ = self.terminate.recv() => (),
            _ = hangup => (),
        }
    }
}

/// Whether this process was started with a signal ignored, as `nohup` does; `false` where there is no `/proc`.
fn is_ignored(number: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & (1 << (number - 1)) != 0
}
