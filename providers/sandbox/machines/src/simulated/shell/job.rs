//! Jobs: scripts and commands that run on a thread of their own.

use std::collections::BTreeMap;

use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio_util::sync::CancellationToken;

use super::{
    builtins::COMMANDS,
    host::Host,
    io::{Input, Io, Output},
    limits::{Limit, TIME},
    program::interpreter,
    state::{Ended, Flow, Shell, Stop, Variable},
};
use crate::simulated::disk::{basename, lock};

/// The stack of a job's thread: an unoptimised build takes some 100 KiB a level. Only what is touched is real memory.
const STACK: usize = 32 * 1024 * 1024;

/// What to run.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) script: String,
    /// `$0` and the positional parameters.
    pub(crate) arguments: Vec<String>,
    /// The environment, beside what root always has.
    pub(crate) environment: Vec<(String, String)>,
    /// Standard input.
    pub(crate) input: Input,
    /// Standard output.
    pub(crate) out: Output,
    /// Standard error.
    pub(crate) err: Output,
}

/// Runs a job to its end; a cancelled one is killed where it stands.
///
/// Each job has a thread of its own with a large stack, since commands nest as deep as the interpreter allows and no script may
/// bring the sandbox down.
pub(crate) async fn run(host: &Host, job: Job, cancel: &CancellationToken) -> Ended {
    let Some(permit) = host.limits.job() else {
        job.err.write(b"sh: 0: Cannot fork\n").await.ok();
        return Ended::Code(2);
    };
    let cancel = cancel.child_token();
    // The job ends when this future is dropped.
    let _ends = cancel.clone().drop_guard();
    let (sender, ended) = oneshot::channel();
    let shell = Shell::new(host.clone(), &job, &cancel);
    let started = on_thread(
        permit,
        async move {
            let mut shell = shell;
            let err = job.err.clone();
            let ended = until_ended(&cancel, &shell.name.clone(), &err, shell.script(&job.script)).await;
            (shell, ended)
        },
        |ended| {
            // Nobody waits for a job that was dropped.
            sender.send(ended).ok();
        },
    );
    if !started {
        return Ended::Signal("KILL");
    }
    ended.await.unwrap_or(Ended::Signal("ABRT"))
}

/// Runs a job on a thread of its own, and says how it ended once all that it held is given back. Whether there is a thread.
pub(super) fn on_thread<F>(permit: OwnedSemaphorePermit, job: F, ended: impl FnOnce(Ended) + Send + 'static) -> bool
where
    F: Future<Output = (Shell, Ended)> + Send + 'static,
{
    let runtime = tokio::runtime::Handle::current();
    let work = move || {
        let (shell, how) = runtime.block_on(job);
        drop(shell);
        drop(permit);
        ended(how);
    };
    let thread = std::thread::Builder::new().name("simulated-shell".to_owned()).stack_size(STACK).spawn(work);
    thread
        .inspect_err(|error| tracing::error!(%error, "cannot start a thread for a simulated machine's command"))
        .is_ok()
}

/// Waits for a job's end, which its cancellation may be.
pub(super) async fn until_ended(
    cancel: &CancellationToken,
    name: &str,
    err: &Output,
    job: impl Future<Output = Flow>,
) -> Ended {
    let job = async {
        let outcome = tokio::time::timeout(TIME, job).await;
        match outcome.unwrap_or(Err(Stop::Limit(Limit::Time))) {
            Ok(code) | Err(Stop::Exit(code) | Stop::Return(code)) => Ended::Code(code & 0xff),
            Err(Stop::Break(_) | Stop::Continue(_)) => Ended::Code(0),
            Err(Stop::Killed(signal)) => Ended::Signal(signal),
            Err(Stop::NotSimulated) => Ended::Code(126),
            Err(Stop::Limit(limit)) => {
                // The job is over, so a reader that has gone does not matter.
                err.write(format!("{name}: {}\n", limit.message()).as_bytes()).await.ok();
                Ended::Signal(limit.signal())
            }
        }
    };
    cancel.run_until_cancelled(job).await.unwrap_or(Ended::Signal("HUP"))
}

impl Shell {
    fn new(host: Host, job: &Job, cancel: &CancellationToken) -> Self {
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let base = [("HOME", "/root"), ("USER", "root"), ("LOGNAME", "root"), ("SHELL", "/bin/sh"), ("PATH", path)];
        let base = base.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut variables: BTreeMap<String, Variable> = base
            .into_iter()
            .chain(job.environment.iter().cloned())
            .map(|(name, value)| (name, Variable { value, exported: true }))
            .collect();
        variables.insert("IFS".to_owned(), Variable { value: " \t\n".to_owned(), exported: false });
        let mut arguments = job.arguments.clone();
        let name = if arguments.is_empty() { "sh".to_owned() } else { arguments.remove(0) };
        let (held, work) = (host.limits.charge(0), host.limits.work());
        let cwd = if lock(&host.disk).is_dir("/root") { "/root" } else { "/" }.to_owned();
        Self {
            commands: COMMANDS,
            host,
            variables,
            name,
            arguments,
            functions: BTreeMap::new(),
            errexit: false,
            nounset: false,
            xtrace: false,
            pipefail: false,
            // Root's login shell, by which the SSH server runs commands, is bash; a script may name another.
            bash: interpreter(&job.script).is_none_or(|(path, _)| basename(path) == "bash"),
            cwd,
            status: 0,
            io: Io { input: job.input.clone(), out: job.out.clone(), err: job.err.clone() },
            depth: 0,
            tested: 0,
            children: Vec::new(),
            work,
            held,
            cancel: cancel.clone(),
        }
    }
}
